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
 * which is what ret_to_user_full (entry.S) wants.
 */
	.text
	.globl	thread_switch
thread_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

	.globl	thread_begin
thread_begin:
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	thread_landed
	movq	%rbx, %rsp
	jmp	ret_to_user_full

	.section .note.GNU-stack, "", @progbits
