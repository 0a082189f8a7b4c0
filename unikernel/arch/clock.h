/*
 * clock.h - reading struct uk_clock; shared by the libOS and the vDSO
 *
 * Freestanding.  A clone's tender rewrites the page on every resume, so both
 * clocks jump forward there and never back.
 */
#ifndef UNIKERNEL_CLOCK_H
#define UNIKERNEL_CLOCK_H

#include "unikernel/abi.h"
#include "unikernel/lib/kabi_time.h"

static inline int clock_is_real(int id)
{
	return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ||
	       id == CLOCK_REALTIME_ALARM || id == CLOCK_TAI;
}

static inline int clock_is_mono(int id)
{
	return id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_RAW ||
	       id == CLOCK_MONOTONIC_COARSE || id == CLOCK_BOOTTIME ||
	       id == CLOCK_BOOTTIME_ALARM;
}

/* waits for earlier loads, so that time does not run backwards */
static inline uint64_t clock_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) :: "memory");
	return (uint64_t)hi << 32 | lo;
}

/* nanoseconds since the epoch (real), or since the tender's boot */
static inline uint64_t clock_read(int real)
{
	const volatile struct uk_clock *c =
		(const volatile struct uk_clock *)UK_CLOCK;
	uint64_t base, tsc, mult, delta;
	uint32_t seq, shift;

	do {
		seq = c->seq & ~1u;
		__asm__ volatile("" ::: "memory");
		base = real ? c->real : c->mono;
		tsc = c->tsc;
		mult = c->mult;
		shift = c->shift;
		delta = clock_tsc();
		__asm__ volatile("" ::: "memory");
	} while (c->seq != seq);
	/* another CPU's counter may lag a little */
	delta = delta > tsc ? delta - tsc : 0;
	return base + (uint64_t)((unsigned __int128)delta * mult >>
				 (shift & 63));
}

#endif
