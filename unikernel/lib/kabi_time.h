/*
 * kabi_time.h - Linux's ABI of clocks and timers (kabi.h has the rule)
 */
#ifndef UNIKERNEL_KABI_TIME_H
#define UNIKERNEL_KABI_TIME_H

#include "unikernel/lib/types.h"

#define NSEC_PER_SEC	1000000000L
#define USER_HZ		100		/* clock ticks, as programs see them */

#define CLOCK_REALTIME			0
#define CLOCK_MONOTONIC			1
#define CLOCK_PROCESS_CPUTIME_ID	2
#define CLOCK_THREAD_CPUTIME_ID		3
#define CLOCK_MONOTONIC_RAW		4
#define CLOCK_REALTIME_COARSE		5
#define CLOCK_MONOTONIC_COARSE		6
#define CLOCK_BOOTTIME			7
#define CLOCK_REALTIME_ALARM		8
#define CLOCK_BOOTTIME_ALARM		9
#define CLOCK_TAI			11

#define TIMER_ABSTIME	1

#define ITIMER_REAL	0
#define ITIMER_VIRTUAL	1
#define ITIMER_PROF	2

#define SIGEV_SIGNAL	0
#define SIGEV_NONE	1
#define SIGEV_THREAD	2		/* libc's business: a signal to us */
#define SIGEV_THREAD_ID	4

struct k_timespec {
	s64 sec, nsec;
};

struct k_timeval {
	s64 sec, usec;
};

struct k_itimerspec {
	struct k_timespec interval, value;
};

struct k_itimerval {
	struct k_timeval interval, value;
};

struct k_sigevent {
	u64 value;
	int signo, notify, tid, pad[11];
};

_Static_assert(sizeof(struct k_timespec) == 16, "struct timespec");
_Static_assert(sizeof(struct k_timeval) == 16, "struct timeval");
_Static_assert(sizeof(struct k_itimerspec) == 32, "struct itimerspec");
_Static_assert(sizeof(struct k_itimerval) == 32, "struct itimerval");
_Static_assert(sizeof(struct k_sigevent) == 64, "struct sigevent");
#endif
