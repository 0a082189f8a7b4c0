/*
 * flood.c - FETCH and CANCEL, rung by hand for so many seconds
 *
 * Now and then what the gateway said is taken: who never does is ended once
 * too much waits for it.
 */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "unikernel/abi.h"

#define BURST	64

static long ring(long number, long a)
{
	long ret;

	__asm__ volatile("call *%1" : "=a"(ret)
			 : "r"((uint64_t)UK_STUB), "D"(a), "S"(0L), "d"(0L),
			   "c"(number)
			 : "memory", "cc");
	return ret;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* fetches that were asked for and given up */
long flood(const char *url, double seconds)
{
	struct uk_out *out = (void *)UK_OUT;
	double end = now() + seconds;
	long n = 0;

	do {
		for (int i = 0; i < BURST; i++) {
			long ticket;

			out->fetch = (struct uk_fetch){
				.method = UK_GET, .url = (uintptr_t)url,
				.url_len = strlen(url),
			};
			ticket = ring(DB_FETCH, 0);
			if (ticket >= 0 && ring(DB_CANCEL, ticket) == 0)
				n++;
		}
		ring(DB_WAIT, 0);
	} while (now() < end);
	return n;
}
