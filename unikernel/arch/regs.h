/*
 * regs.h - where the program's registers lie in struct regs (thread.h)
 *
 * Included by C and assembly; thread.h asserts that both agree.  The struct
 * ends at current_kstack_top, the end of KSTACK_SIZE bytes.
 */
#ifndef UNIKERNEL_REGS_H
#define UNIKERNEL_REGS_H

#define REG_R15		0
#define REG_RBX		40
#define REG_R11		48
#define REG_RAX		80
#define REG_RCX		88
#define REG_RDI		112
#define REG_ORIG_RAX	120
#define REG_RIP		128
#define REG_RFLAGS	136
#define REG_RSP		144
#define REGS_SIZE	152

#define KSTACK_SIZE	0x4000

#endif
