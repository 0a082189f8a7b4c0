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

/* exception vectors, and what a page fault's error code says */
#define VEC_DE		0
#define VEC_DB		1
#define VEC_BP		3
#define VEC_UD		6
#define VEC_NP		11
#define VEC_SS		12
#define VEC_GP		13
#define VEC_PF		14
#define VEC_MF		16
#define VEC_AC		17
#define VEC_XM		19

#define PF_PRESENT	1

#define USER_CS		0x33
#define USER_SS		0x2b

#ifdef __ASSEMBLER__
/* the program's registers lie in a struct regs at \base */
.macro cfi_regs base
	.cfi_def_cfa \base, REGS_SIZE
	.cfi_offset %rsp, REG_RSP - REGS_SIZE
	.cfi_offset 49, REG_RFLAGS - REGS_SIZE
	.cfi_offset %rip, REG_RIP - REGS_SIZE
	cfi_regs_from REG_R15, %r15, %r14, %r13, %r12, %rbp, %rbx, %r11, \
		%r10, %r9, %r8, %rax, %rcx, %rdx, %rsi, %rdi
.endm

.macro cfi_regs_from at reg rest:vararg
	.cfi_offset \reg, \at - REGS_SIZE
	.ifnb \rest
	cfi_regs_from (\at + 8), \rest
	.endif
.endm
#endif

#endif
