/*
 * panic.c - our own bug: one line, then the end
 */
#include "unikernel/lib/lib.h"

#define PANIC_LINE	256
#define EXIT_PANIC	134		/* as a shell says SIGABRT */

void (*panic_hook)(u64 rip, u64 rsp, u64 rbp, const char *line);

void panic(const char *fmt, ...)
{
	u64 rip = (u64)__builtin_return_address(0) - 1;
	u64 rsp = (u64)__builtin_frame_address(0);
	char line[PANIC_LINE];
	va_list ap;

	va_start(ap, fmt);
	k_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (panic_hook)
		panic_hook(rip, rsp, *(u64 *)rsp, line);
	log_printf("%s\n", line);
	for (;;)
		doorbell(EXIT_PANIC, 0, 0, DB_EXIT);
}
