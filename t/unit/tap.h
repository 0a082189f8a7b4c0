/* tap.h - TAP on standard output; `return plan();` ends main() */
#ifndef T_UNIT_TAP_H
#define T_UNIT_TAP_H

#include <stdarg.h>
#include <stdio.h>

static int tests, failures;
static const char *tap_prefix = "";	/* of each test's name */

static void __attribute__((format(printf, 2, 3), unused))
ok(int pass, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - %s", pass ? "" : "not ", ++tests, tap_prefix);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failures += !pass;
}

static int __attribute__((unused)) plan(void)
{
	printf("1..%d\n", tests);
	return failures != 0;
}

#endif
