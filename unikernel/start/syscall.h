/*
 * syscall.h - where assembly enters C: boot, system calls, exceptions, ticks
 *
 * A handler of a system call, sys_NAME(), is declared by the header of its
 * wing.  It takes the program's arguments as they are: every pointer is
 * hostile until user_ok() has said yes.  It answers >= 0 or -errno.
 */
#ifndef UNIKERNEL_SYSCALL_H
#define UNIKERNEL_SYSCALL_H

#include "unikernel/lib/lib.h"

struct regs;

/* from entry.S */
void boot_main(void) __attribute__((noreturn));
void syscall_enter(struct regs *r);
void trap_enter(struct regs *r);
void trap_in_libos(u64 rbp) __attribute__((noreturn));
void preempt_enter(struct regs *r);

#endif
