/*
 * clock.h - reading struct uk_clock; shared by the libOS and the vDSO
 *
 * Freestanding.  A clone's tender rewrites the page on every resume, so both
 * clocks jump forward there and never back.
 */
#ifndef UNIKERNEL_CLOCK_H
#define UNIKERNEL_CLOCK_H

#include "unikernel/abi.h"

#define K_CLOCK_REALTIME		0
#define K_CLOCK_MONOTONIC		1
#define K_CLOCK_PROCESS_CPUTIME		2
#define K_CLOCK_THREAD_CPUTIME		3
#define K_CLOCK_MONOTONIC_RAW		4
#define K_CLOCK_REALTIME_COARSE		5
#define K_CLOCK_MONOTONIC_COARSE	6
#define K_CLOCK_BOOTTIME		7
#define K_CLOCK_REALTIME_ALARM		8
#define K_CLOCK_BOOTTIME_ALARM		9
#define K_CLOCK_TAI			11

static inline int clock_is_real(int id)
{
	return id == K_CLOCK_REALTIME || id == K_CLOCK_REALTIME_COARSE ||
	       id == K_CLOCK_REALTIME_ALARM || id == K_CLOCK_TAI;
}

static inline int clock_is_mono(int id)
{
	return id == K_CLOCK_MONOTONIC || id == K_CLOCK_MONOTONIC_RAW ||
	       id == K_CLOCK_MONOTONIC_COARSE || id == K_CLOCK_BOOTTIME ||
	       id == K_CLOCK_BOOTTIME_ALARM;
}

/* waits for what came before, so that time does not run backwards */
static inline uint64_t clock_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) :: "memory");
	return (uint64_t)hi << 32 | lo;
}

/* nanoseconds; the epoch's when real, else since the tender's boot */
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
