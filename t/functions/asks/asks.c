/*
 * asks.c - doorbells rung by machine code, as fast as the guest can
 *
 * FETCH of a URL and CANCEL of its ticket, n times, or without end when n is
 * negative; returns how many were begun.  And one that nobody answers.
 */
#include <string.h>

#include "unikernel/abi.h"

static long ring(long nr, long a)
{
	long ret;

	__asm__ volatile("call *%1" : "=a"(ret)
			 : "r"((uint64_t)UK_STUB), "D"(a), "S"(0L), "d"(0L),
			   "c"(nr)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	return ret;
}

long asks(long n, const char *url)
{
	struct uk_out *out = (void *)UK_OUT;
	long begun = 0, ticket;

	for (long i = 0; i != n; i++) {
		memset(&out->fetch, 0, sizeof(out->fetch));
		out->fetch.url = (uint64_t)url;
		out->fetch.url_len = strlen(url);
		ticket = ring(DB_FETCH, 0);
		if (ticket < 0)
			continue;
		begun++;
		ring(DB_CANCEL, ticket);
	}
	return begun;
}

void rings(long n)
{
	while (n-- > 0)
		ring(DB_COUNT, 0);
}
