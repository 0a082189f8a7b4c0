/*
 * log.c - the invocation's log
 *
 * Bytes gather at UK_LOG and go out by DB_LOG when it is full; what is left
 * there the tender takes with the invocation's result.  uk_out is memory of
 * the program too: log_len is checked at each use, never trusted.
 */
#include "unikernel/lib.h"

#define LOG_LINE	512

#define K_SIGABRT	6
#define STATUS_ABORT	(128 + K_SIGABRT)

void log_write(const void *buf, size_t len)
{
	const u8 *from = buf;

	while (len > 0) {
		u32 at = uk_out->log_len;
		size_t n;

		if (at > UK_LOG_SIZE)
			at = 0;
		n = MIN(len, UK_LOG_SIZE - at);
		memcpy((u8 *)UK_LOG + at, from, n);
		at += (u32)n;
		from += n;
		len -= n;
		if (at == UK_LOG_SIZE) {
			uk_out->log_len = at;
			doorbell(at, 0, 0, DB_LOG);
			at = 0;
		}
		uk_out->log_len = at;
	}
}

static void log_vprintf(const char *fmt, va_list ap)
{
	char line[LOG_LINE];
	int n = k_vsnprintf(line, sizeof(line), fmt, ap);

	if (n > 0)
		log_write(line, MIN((size_t)n, sizeof(line) - 1));
}

void log_printf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vprintf(fmt, ap);
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	static int panicking;
	va_list ap;

	/* the log itself may be what is broken */
	if (!panicking) {
		panicking = 1;
		va_start(ap, fmt);
		log_vprintf(fmt, ap);
		va_end(ap);
		log_write("\n", 1);
	}
	for (;;)
		doorbell(STATUS_ABORT, K_SIGABRT, 0, DB_EXIT);
}
