/*
 * hostclock.c - the kernel's clocks and the processor's counter at one moment
 */
#include "vmm/tender/hostclock.h"

#include "conf/nstime.h"

#define TRIES		5
#define CLOSE		20000		/* counts: some microseconds */
#define CLOSER		1000		/* for the rate: who reads it as exactly
					   as he can waits less for it */
#define APART		10000000	/* ns, of the two that tell the rate */
#define EXACT		10000		/* less will do, if that is so much more
					   than it took to read them */

static void read_within(struct hostclock *h, uint64_t enough)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES && best > enough; i++) {
		uint64_t before = __builtin_ia32_rdtsc();
		uint64_t real = nstime_of(CLOCK_REALTIME);
		uint64_t mono = nstime_of(CLOCK_MONOTONIC);
		uint64_t width = __builtin_ia32_rdtsc() - before;

		if (width >= best)
			continue;
		best = width;
		h->width = width;
		h->tsc = before + width / 2;
		h->real = real;
		h->mono = mono;
	}
}

void hostclock_read(struct hostclock *h)
{
	read_within(h, CLOSE);
}

static struct hostclock first;
static uint64_t first_slept;

/* how long the host has slept, when the counter may go on or begin anew, ns */
static uint64_t slept(void)
{
	return nstime_of(CLOCK_BOOTTIME) - nstime_of(CLOCK_MONOTONIC);
}

void hostclock_begin(void)
{
	read_within(&first, CLOSER);
	first_slept = slept();
}

uint64_t hostclock_khz(void)
{
	static uint64_t khz;
	struct hostclock now;

	if (khz)
		return khz;
	read_within(&now, CLOSER);
	/* two clocks, one read after the other: it may be less than before */
	if (!first.mono || (int64_t)(slept() - first_slept) > (int64_t)APART)
		first = now;
	while (now.mono - first.mono < APART &&
	       now.tsc - first.tsc < (first.width + now.width) * EXACT)
		read_within(&now, CLOSER);
	khz = (uint64_t)((__uint128_t)(now.tsc - first.tsc) * 1000000 /
			 (now.mono - first.mono));
	return khz;
}
