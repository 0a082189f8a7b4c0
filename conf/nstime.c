/* nstime.c - the kernel's clocks, in nanoseconds */
#include "conf/nstime.h"

uint64_t nstime_of(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t nstime_now(void)
{
	return nstime_of(CLOCK_MONOTONIC);
}
