/* nstime.h - the kernel's clocks, in nanoseconds */
#ifndef CONF_NSTIME_H
#define CONF_NSTIME_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC	1000000000L

/* what a clock of clock_gettime(2) shows; 0 if there is no such clock */
uint64_t nstime_of(clockid_t clock);
/* CLOCK_MONOTONIC, by which the host's deadlines and durations are told */
uint64_t nstime_now(void);

#endif
