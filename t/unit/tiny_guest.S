/*
 * tiny_guest.S - a guest of a hundred instructions, for tender_test.c
 *
 * Takes the libOS's place: makes a system call, provokes one exception of
 * each kind a program can, then rings READY of both levels; in a clone it answers how many
 * of each it saw, what its counter was (rollback: always the same), and
 * what its fs base was.
 */
#include "unikernel/abi.h"

	.section .uk_header, "a"
	.quad	0x314c4b554c544553
	.long	UK_ABI_VERSION, 0
	.quad	boot, bounce, trap, preempt, text_start, text_end

	.macro	provoke insn:vararg
	lea	1f(%rip), %r15
	\insn
	/* not reached when the instruction faults */
	incl	missed(%rip)
1:
	.endm

	.text
text_start:
boot:
	lea	stack_top(%rip), %rsp
	mov	%rsp, %rbx
	mov	$0x1234, %eax
	syscall
after:
	cmp	$0x5678, %eax
	jne	bad
	cmp	%rbx, %rsp
	jne	bad
	incl	calls(%rip)

	provoke mov 0x10, %eax
	provoke mov UK_GDT, %eax
	provoke movl $0, UK_SUPSTACK
	provoke movl $0, UK_PML4
	provoke movl $0, UK_CTL
	provoke movl $0, UK_STUB
	provoke outb %al, $0x80
	provoke outb %al, $UK_PORT_TRAP
	provoke inb $UK_PORT_DB + 8, %al
	provoke cli
	provoke hlt
	provoke ud2
	provoke wrmsr
	provoke int $0x80
	provoke int $14
	mov	$UK_DATA_BASE, %rax
	movb	$0xc3, (%rax)
	provoke call *%rax
	mov	$UK_STACK_BASE - 8, %rax
	provoke mov (%rax), %eax
	movl	$0, %ecx
	provoke div %ecx

	/* up; what is written from here on is a function's */
	mov	$UK_LEVEL_RUNTIME, %edi
	xor	%esi, %esi
	xor	%edx, %edx
	mov	$DB_READY, %ecx
	mov	$UK_STUB, %eax
	call	*%rax
	cmp	$UK_PLACED, %rax
	jne	bad
	incl	calls(%rip)
	mov	$UK_DATA_BASE + 0x80000, %rax
	incl	(%rax)
	cmpl	$1, (%rax)
	jne	bad
	mov	$0x2222, %ecx
	wrfsbase %rcx

	xor	%edi, %edi
	mov	$DB_READY, %ecx
	mov	$UK_STUB, %eax
	call	*%rax

	/* a clone: a child, whose event comes when it asks */
	test	%rax, %rax
	jnz	bad
	mov	$DB_EVENT, %ecx
	mov	$UK_STUB, %eax
	call	*%rax

	/* rax is the event's length */
	mov	%rax, answer+0(%rip)
	rdfsbase %rcx
	mov	%rcx, answer+8(%rip)
	incl	counter(%rip)
	mov	counter(%rip), %ecx
	mov	%rcx, answer+16(%rip)
	mov	traps(%rip), %ecx
	mov	%rcx, answer+24(%rip)
	mov	missed(%rip), %ecx
	mov	%rcx, answer+32(%rip)
	mov	calls(%rip), %ecx
	mov	%rcx, answer+40(%rip)
	movq	%xmm7, %rcx
	mov	%rcx, answer+48(%rip)
	mov	$UK_HOST_BASE + 0x2000, %rbx
	mov	(%rbx), %rcx
	mov	%rcx, answer+56(%rip)
	/* dirty what a rollback has to undo */
	mov	$0x1111, %ecx
	wrfsbase %rcx
	movq	%rcx, %xmm7
	mov	$UK_DATA_BASE + 0x5000, %rax
	mov	%rcx, (%rax)
	/* a page of the function's, too */
	mov	$UK_DATA_BASE + 0x80000, %rax
	cmpl	$1, (%rax)
	jne	bad
	incl	(%rax)
	mov	(%rbx), %cl
	cmp	$'L', %cl
	je	.			/* 'L': loop for ever */
	cmp	$'B', %cl
	jne	2f
	mov	$UK_ARENA_DATA, %edi	/* 'B': ask for much, write it all */
	mov	$40 << 20, %esi
	mov	$DB_GROW, %ecx
	mov	$UK_STUB, %eax
	call	*%rax
	test	%rax, %rax
	jnz	bad
	mov	$UK_DATA_BASE, %rdx
1:	mov	%rdx, (%rdx)
	add	$UK_PAGE, %rdx
	cmp	$(UK_DATA_BASE + (40 << 20)) & 0xffffffff, %edx
	jne	1b
2:	cmp	$'M', %cl
	jne	1f
	movabs	UK_DATA_END - 8, %rax	/* 'M': outside what is mapped */
1:	cmp	$'U', %cl
	jne	1f
	movb	$0, answer(%rip)
	mov	$7, %edi
	xor	%esi, %esi
	mov	$DB_EXIT, %ecx
	mov	$UK_STUB, %eax
	call	*%rax
1:
	mov	$UK_RESULT_OK, %edi
	lea	answer(%rip), %rsi
	mov	$64, %edx
	mov	$DB_NEXT, %ecx
	mov	$UK_STUB, %eax
	call	*%rax
bad:
	mov	$1, %edi
	mov	$6, %esi
	mov	$DB_EXIT, %ecx
	mov	$UK_STUB, %eax
	call	*%rax
	jmp	bad

bounce:
	lea	after(%rip), %rdx
	cmp	%rdx, %rcx
	jne	bad
	cmp	$0x1234, %eax
	jne	bad
	mov	$0x5678, %eax
	mov	%r11, %rsp
	jmp	*%rcx

trap:
	lea	stack_top(%rip), %rsp
	incl	traps(%rip)
	jmp	*%r15

preempt:
	jmp	bad
text_end:

	.bss
	.balign 4096
	.skip	4096
stack_top:
answer:	.skip	64
counter: .skip	4
traps:	.skip	4
missed:	.skip	4
calls:	.skip	4

	.section .note.GNU-stack, "", @progbits
