/*
 * crash.h - the report of a program that ends badly (struct uk_report)
 *
 * A fatal signal is the program's own end: its handler, if it has one, has run
 * as on Linux.  After a crash of the libOS, or at a time limit, the program
 * gets its last words: one of its signal handlers may run.  From there on the
 * libOS does next to nothing: it switches to no thread, ignores ticks, and
 * answers a handful of system calls.  What the program writes becomes its
 * report, and whatever ends the handler ends the guest.  A second crash ends it
 * at once.
 */
#ifndef UNIKERNEL_CRASH_H
#define UNIKERNEL_CRASH_H

#include "unikernel/lib/lib.h"

struct regs;
struct k_siginfo;

extern int crashing;			/* last words are being said */

/* called by signal.c when only the default action is left for the signal */
void crash_signal(const struct regs *r, int signo,
		  const struct k_siginfo *info) __attribute__((noreturn));
/*
 * Notes a fault of current at *r, before a handler is looked for; then (sp)
 * where that handler's frame is: a signal that the handler raises again is
 * reported as this fault.
 */
void crash_fault(const struct regs *r, int signo, u64 addr);
void crash_fault_handler(u64 sp);

/* a fault of the libOS itself, with the registers that it had there */
struct crash_at {
	u64 rip, rsp, rbp;
};
void crash_libos(const struct crash_at *at, int signo, const char *what)
	__attribute__((noreturn));
/* the end of panic(); line says what is wrong */
void crash_panic(u64 rip, u64 rsp, u64 rbp, const char *line)
	__attribute__((noreturn));
/* time is over (uk_ctl): reports where current, or a waiting thread, is */
void crash_overdue(void);
/* ends the guest with the report as it is */
void crash_end(void) __attribute__((noreturn));

/* a system call during last words */
void crash_syscall(struct regs *r);

/* appends to the text of the report; what does not fit is dropped */
void crash_write(const void *buf, size_t len);
/* empties the report for a new invocation */
void crash_forget(void);

#endif
