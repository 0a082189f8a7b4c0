/*
 * crash.h - the report of a program that ends badly (struct uk_report)
 *
 * A fatal signal is the program's own end: its handler, if it has one, has
 * run as on Linux.  A crash of the libOS and a time limit that is over end it
 * where it did not expect it; it still gets its last words.  From there on
 * the libOS does next to nothing: no thread is switched to, no tick seen, a
 * handful of system calls is answered, what the program writes becomes its
 * report, and whatever ends the handler ends the guest.  A second crash ends
 * it at once.
 */
#ifndef UNIKERNEL_CRASH_H
#define UNIKERNEL_CRASH_H

#include "unikernel/lib/lib.h"

struct regs;
struct k_siginfo;

extern int crashing;			/* last words are being said */

/* signal.c: nothing but the default action is left for the signal */
void crash_signal(const struct regs *r, int signo,
		  const struct k_siginfo *info) __attribute__((noreturn));
/*
 * current has a fault at *r, before a handler is looked for; then sp, where
 * that handler's frame is: if it raises the signal again, it is this fault's.
 */
void crash_fault(const struct regs *r, int signo, u64 addr);
void crash_fault_handler(u64 sp);

/* the libOS's own fault, with the registers that it had there */
struct crash_at {
	u64 rip, rsp, rbp;
};
void crash_libos(const struct crash_at *at, int signo, const char *what)
	__attribute__((noreturn));
/* panic()'s end: line says what is wrong */
void crash_panic(u64 rip, u64 rsp, u64 rbp, const char *line)
	__attribute__((noreturn));
/* uk_ctl says that time is over: current, or a waiting thread, says where */
void crash_overdue(void);
/* the second time */
void crash_end(void) __attribute__((noreturn));

/* a system call during last words */
void crash_syscall(struct regs *r);

/* to the text of the report; what does not fit is dropped */
void crash_write(const void *buf, size_t len);
/* a new invocation has nothing to report */
void crash_forget(void);

#endif
