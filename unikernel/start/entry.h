/*
 * entry.h - offsets in struct uk_ctl for entry.S (checked in trap.c)
 */
#ifndef UNIKERNEL_ENTRY_H
#define UNIKERNEL_ENTRY_H

#include "unikernel/abi.h"

#define CTL_TRAP_RIP		224
#define CTL_TRAP_RSP		232
#define CTL_TRAP_RFLAGS		240
#define CTL_PREEMPT_RIP		248
#define CTL_PREEMPT_RSP		256
#define CTL_PREEMPT_RFLAGS	264

#define BOOT_STACK_SIZE		0x4000
#define TRAP_STACK_SIZE		0x2000

#endif
