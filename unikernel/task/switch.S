/*
 * switch.S - from one libOS stack to another
 *
 *   void thread_switch(u64 *save_ksp, u64 load_ksp)
 *
 * A switched-out libOS stack ends in six callee-saved registers and the
 * return address, as `struct kframe` of thread.c says.  Vector state and
 * segment bases are the caller's business, before.
 *
 * A new thread's frame returns into thread_begin with rsp at its struct regs,
 * which is what ret_to_user_full (iret.S) wants.
 */
	.cfi_sections .debug_frame

.macro push reg
	pushq	\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm

.macro pop reg
	popq	\reg
	.cfi_adjust_cfa_offset -8
	.cfi_same_value \reg
.endm

	.text
	.globl	thread_switch
thread_switch:
	.cfi_startproc
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.cfi_endproc

	.globl	thread_begin
thread_begin:
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	thread_landed
	movq	%rbx, %rsp
	jmp	ret_to_user_full

	.section .note.GNU-stack, "", @progbits
