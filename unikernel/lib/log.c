/*
 * log.c - the invocation's log
 *
 * Bytes gather at UK_LOG and go out by DB_LOG when it is full; what is left
 * there the tender takes with the invocation's result.  The tender's readers
 * show lines, so that what goes out ends with one, unless that is too long.
 * uk_out is memory of the program too: log_len is checked at each use, never
 * trusted.
 */
#include "unikernel/lib/lib.h"

#define LOG_LINE	512
#define LOG_KEPT	4096		/* of a line that waits for its end */

/* the buffer is full: it goes out, but for a line begun; bytes that stay */
static u32 log_flush(void)
{
	const volatile u8 *log = (const u8 *)UK_LOG;
	u32 whole = UK_LOG_SIZE;

	while (whole > UK_LOG_SIZE - LOG_KEPT && log[whole - 1] != '\n')
		whole--;
	if (whole == UK_LOG_SIZE - LOG_KEPT)
		whole = UK_LOG_SIZE;
	uk_out->log_len = whole;
	doorbell(whole, 0, 0, DB_LOG);
	memmove((u8 *)UK_LOG, (u8 *)UK_LOG + whole, UK_LOG_SIZE - whole);
	return UK_LOG_SIZE - whole;
}

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
		uk_out->log_len = at == UK_LOG_SIZE ? log_flush() : at;
	}
}

void log_printf(const char *fmt, ...)
{
	char line[LOG_LINE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = k_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		log_write(line, MIN((size_t)n, sizeof(line) - 1));
}
