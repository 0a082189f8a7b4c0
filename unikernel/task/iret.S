/*
 * iret.S - the one way out of the libOS, to the program
 *
 *   ret_to_user_full
 *	rsp = address of the struct regs, at the top of the current thread's
 *	libOS stack (current_kstack_top - REGS_SIZE); every other register and
 *	flag may hold anything but DF.  Does not return.
 *	Calls leave_return(regs) first (signals, due switches, vector state).
 *	Then, by regs->orig_rax:
 *	  -1	everything is restored: all 16 registers, rip and rflags, by
 *		iretq at CPL 3.  Traps, pre-emptions, sigreturn, new threads.
 *	  else	a system call's return, as sysret does it: rcx = rip and r11
 *		are clobbered, and the arithmetic flags; everything else is
 *		restored.
 *	A new thread: fill a struct regs there, orig_rax -1, and let its
 *	first switch "return" to ret_to_user_full with rsp at the regs.
 *
 * iretq takes its frame from iret_frame.  One is enough: nothing runs between
 * filling it and iretq.
 *
 * For debuggers: the directives say where the program's registers are, so that
 * a backtrace goes on into the program.  The canonical
 * frame address is the end of struct regs, so rsp has a rule of its own.
 */
#include "unikernel/arch/regs.h"

	.cfi_sections .debug_frame

.macro pop reg
	popq	\reg
	.cfi_adjust_cfa_offset -8
	.cfi_same_value \reg
.endm

.macro pop_regs
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
.endm

	.text
	.globl	ret_to_user_full
	.balign	64
ret_to_user_full:
	.cfi_startproc simple
	.cfi_signal_frame
	cfi_regs %rsp
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	.cfi_def_cfa_register %rbx
	andq	$-16, %rsp
	call	leave_return
	movq	%rbx, %rsp
	.cfi_def_cfa_register %rsp
	cmpq	$-1, REG_ORIG_RAX(%rsp)
	je	1f

	.cfi_remember_state
	pop_regs			/* all below orig_rax */
	movq	REG_RIP - REG_ORIG_RAX(%rsp), %rcx
	.cfi_register %rip, %rcx
	movq	REG_RSP - REG_ORIG_RAX(%rsp), %rsp
	.cfi_def_cfa %rsp, 0
	.cfi_val_offset %rsp, 0
	.cfi_same_value 49
	jmp	*%rcx

	.cfi_restore_state
1:	movq	REG_RIP(%rsp), %rax
	movq	%rax, iret_frame
	movq	REG_RFLAGS(%rsp), %rax
	movq	%rax, iret_frame + 16
	movq	REG_RSP(%rsp), %rax
	movq	%rax, iret_frame + 24
	pop_regs
	movq	$iret_frame, %rsp
	.cfi_def_cfa %rsp, 40
	.cfi_offset %rip, -40
	.cfi_offset 49, -24
	.cfi_offset %rsp, -16
	iretq
	.cfi_endproc

/* void leave_start(struct regs *r): boot's first way out */
	.globl	leave_start
leave_start:
	.cfi_startproc simple
	.cfi_signal_frame
	cfi_regs %rdi
	movq	%rdi, %rsp
	jmp	ret_to_user_full
	.cfi_endproc

	.data
	.balign	16
iret_frame:
	.quad	0, __USER_CS, 0, 0, __USER_DS

	.section .note.GNU-stack, "", @progbits
