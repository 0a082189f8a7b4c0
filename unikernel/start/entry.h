/*
 * entry.h - offsets in struct uk_ctl for entry.S (checked in trap.c)
 */
#ifndef UNIKERNEL_ENTRY_H
#define UNIKERNEL_ENTRY_H

#include "unikernel/abi.h"

#define CTL_TRAP_RIP		280
#define CTL_TRAP_RSP		288
#define CTL_TRAP_RFLAGS		296
#define CTL_PREEMPT_RIP		304
#define CTL_PREEMPT_RSP		312
#define CTL_PREEMPT_RFLAGS	320

#define BOOT_STACK_SIZE		0x4000
#define TRAP_STACK_SIZE		0x2000

#endif
