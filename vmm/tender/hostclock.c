/*
 * hostclock.c - the kernel's clocks and the processor's counter at one moment
 */
#include "vmm/tender/hostclock.h"

#include "conf/nstime.h"

#define TRIES		5
#define CLOSE		20000		/* counts: some microseconds */

void hostclock_read(struct hostclock *h)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES && best > CLOSE; i++) {
		uint64_t before = __builtin_ia32_rdtsc();
		uint64_t real = nstime_of(CLOCK_REALTIME);
		uint64_t mono = nstime_of(CLOCK_MONOTONIC);
		uint64_t width = __builtin_ia32_rdtsc() - before;

		if (width >= best)
			continue;
		best = width;
		h->tsc = before + width / 2;
		h->real = real;
		h->mono = mono;
	}
}
