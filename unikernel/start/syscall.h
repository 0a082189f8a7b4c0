/*
 * syscall.h - where assembly enters C: boot, system calls, exceptions, ticks
 *
 * This folder: the boot, the ways into the libOS, and the table of system
 * calls.
 *
 * A handler of a system call, sys_NAME(), is declared by the header of its
 * folder.  It takes the program's arguments as they are: every pointer is
 * hostile until user_ok() has accepted it.  It returns >= 0 or -errno.
 */
#ifndef UNIKERNEL_SYSCALL_H
#define UNIKERNEL_SYSCALL_H

#include "unikernel/lib/lib.h"

struct regs;

/* called from entry.S */
void boot_main(void) __attribute__((noreturn));
void syscall_enter(struct regs *r);
void trap_enter(struct regs *r);
void trap_in_libos(u64 rbp) __attribute__((noreturn));
void preempt_enter(struct regs *r);

#endif
