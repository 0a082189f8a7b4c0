/*
 * entry.S - the ways into the libOS (task/iret.S: the way out)
 *
 * Into it (abi.h): boot, syscall, trap, preempt.  None has a stack; each goes
 * to the top of the current thread's libOS stack (current_kstack_top, kept by
 * thread.c) and builds there a struct regs (thread.h).  Nothing is ever
 * written below the program's stack pointer: its red zone is the program's.
 * Only one entry is live at a time on a libOS stack: the tender never enters
 * preempt inside [__text, __text_end), and a trap in there is a panic.
 *
 * For debuggers: the directives say where the program's registers are, so that
 * a backtrace goes on from a handler into what made the call.  The canonical
 * frame address is the end of struct regs, so rsp has a rule of its own.
 */
#include "unikernel/start/entry.h"
#include "unikernel/arch/regs.h"

	.cfi_sections .debug_frame

/* until then they cannot be found */
.macro cfi_entry
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %rsp, 0
	.cfi_undefined %rip
.endm

/* orig_rax ... r15, below rip, rflags and rsp */
.macro push_regs orig
	pushq	\orig
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

/* calls fn(regs), then leaves; regs is at rsp, which fn's call must align */
.macro handle fn
	pushq	$0x2			/* DF, AC, NT, TF are the program's */
	popfq
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	cfi_regs %rbx
	andq	$-16, %rsp
	call	\fn
	movq	%rbx, %rsp
	jmp	ret_to_user_full
.endm

	.section .uk_header, "a"
	.globl	uk_header
uk_header:
	.quad	0x314c4b554c544553
	.long	UK_ABI_VERSION
	.long	0
	.quad	boot_entry
	.quad	syscall_entry
	.quad	trap_entry
	.quad	preempt_entry
	.quad	__text
	.quad	__text_end

	.text
	.globl	boot_entry
boot_entry:
	.cfi_startproc simple
	.cfi_def_cfa %rsp, 0
	.cfi_undefined %rip
	movq	$boot_stack_top, %rsp
	pushq	$0x2
	popfq
	xorl	%ebp, %ebp
	call	boot_main
	ud2
	.cfi_endproc

/* rcx = return rip, r11 = the program's rsp */
	.globl	syscall_entry
	.balign	64
syscall_entry:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %r11, 0
	.cfi_val_offset %rsp, 0
	.cfi_register %rip, %rcx
	movq	current_kstack_top, %rsp
	pushq	%r11
	pushq	$0x202
	pushq	%rcx
	push_regs %rax
	handle	syscall_enter
	.cfi_endproc

/*
 * A trap inside the libOS or its doorbell stub, or with rsp on its stack (it
 * jumped astray), has no thread to blame; it gets a stack of its own and does
 * not return.  rbp is as it was there.
 */
	.globl	trap_entry
	.balign	64
trap_entry:
	cfi_entry
	cmpq	$__text, UK_CTL + CTL_TRAP_RIP
	jb	1f
	cmpq	$__text_end, UK_CTL + CTL_TRAP_RIP
	jb	3f
1:	cmpq	$UK_STUB, UK_CTL + CTL_TRAP_RIP
	jb	2f
	cmpq	$UK_STUB + UK_PAGE, UK_CTL + CTL_TRAP_RIP
	jb	3f
2:	movq	UK_CTL + CTL_TRAP_RSP, %rsp
	subq	current_kstack_top, %rsp
	addq	$KSTACK_SIZE, %rsp
	cmpq	$KSTACK_SIZE, %rsp
	jbe	3f
	movq	current_kstack_top, %rsp
	pushq	UK_CTL + CTL_TRAP_RSP
	pushq	UK_CTL + CTL_TRAP_RFLAGS
	pushq	UK_CTL + CTL_TRAP_RIP
	push_regs $-1
	.cfi_remember_state
	handle	trap_enter
	.cfi_restore_state
3:	movq	$trap_stack_top, %rsp
	pushq	$0x2
	popfq
	movq	%rbp, %rdi
	call	trap_in_libos
	ud2
	.cfi_endproc

	.globl	preempt_entry
	.balign	64
preempt_entry:
	cfi_entry
	movq	current_kstack_top, %rsp
	pushq	UK_CTL + CTL_PREEMPT_RSP
	pushq	UK_CTL + CTL_PREEMPT_RFLAGS
	pushq	UK_CTL + CTL_PREEMPT_RIP
	push_regs $-1
	handle	preempt_enter
	.cfi_endproc

	.bss
	.balign	64
	.skip	BOOT_STACK_SIZE
boot_stack_top:
	.skip	TRAP_STACK_SIZE
trap_stack_top:

	.section .note.GNU-stack, "", @progbits
