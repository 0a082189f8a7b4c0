/*
 * tap.h - TAP for the guest programs: plain libc, each test one line
 *
 * Each program runs natively first: Linux is the oracle.  in_guest() is for
 * the few answers that differ by design.
 */
#ifndef T_GUEST_TAP_H
#define T_GUEST_TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3), unused))
static int ok(int pass, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", pass ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	tap_failed += !pass;
	return pass;
}

/* the call failed with this errno */
#define fails(call, error, what) do { \
	long tap_rc; \
	errno = 0; \
	tap_rc = (long)(call); \
	ok(tap_rc == -1 && errno == (error), "%s (answer %ld, errno %d)", \
	   what, tap_rc, errno); \
} while (0)

__attribute__((unused))
static void skip(const char *what, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, what, why);
}

__attribute__((unused))
static int in_guest(void)
{
	struct utsname u;

	return uname(&u) == 0 && strstr(u.release, "usetl") != NULL;
}

static int done_testing(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed != 0;
}

#endif
