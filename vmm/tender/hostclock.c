/*
 * hostclock.c - the kernel's clocks and the processor's counter at one moment
 */
#include "vmm/tender/hostclock.h"

#include <time.h>

#define TRIES		5
#define CLOSE		20000		/* counts: some microseconds */

static uint64_t ns_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void hostclock_read(struct hostclock *h)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIES && best > CLOSE; i++) {
		uint64_t before = __builtin_ia32_rdtsc();
		uint64_t real = ns_of(CLOCK_REALTIME);
		uint64_t mono = ns_of(CLOCK_MONOTONIC);
		uint64_t width = __builtin_ia32_rdtsc() - before;

		if (width >= best)
			continue;
		best = width;
		h->tsc = before + width / 2;
		h->real = real;
		h->mono = mono;
	}
}
