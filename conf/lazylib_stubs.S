/*
 * lazylib_stubs.S - a function for each of lazylib.inc: a jump through its slot
 *
 * Until its library is loaded, a slot leads to `first`, which has it loaded and
 * goes on to what the slot has then, with all that a call may pass in
 * registers, the number of vector registers of a variadic one, too.  Hidden, so
 * that the libraries find their own.
 *
 * Slots are a page of their own that is read-only but while one is filled, as a
 * table of the loader's is after BIND_NOW.
 */
	.section .note.GNU-stack, "", @progbits

#define LIB(name)
#define FN(name)							\
	.text;								\
	.globl name;							\
	.hidden name;							\
	.type name, @function;						\
name:	endbr64;							\
	jmp	*slot_##name(%rip);					\
first_##name:								\
	endbr64;							\
	leaq	slot_##name(%rip), %r11;				\
	jmp	first;							\
	.size name, . - name;						\
	.section .data.rel.ro.lazylib, "aw", @progbits;			\
slot_##name:								\
	.quad	first_##name;

	.section .data.rel.ro.lazylib, "aw", @progbits
	.balign 4096
	.globl lazylib_slots
	.hidden lazylib_slots
lazylib_slots:
#include "conf/lazylib.inc"
	.section .data.rel.ro.lazylib, "aw", @progbits
	.globl lazylib_slots_end
	.hidden lazylib_slots_end
lazylib_slots_end:
	.balign 4096

	.text
	.type first, @function
first:	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	subq	$192, %rsp
	movq	%rdi, (%rsp)
	movq	%rsi, 8(%rsp)
	movq	%rdx, 16(%rsp)
	movq	%rcx, 24(%rsp)
	movq	%r8, 32(%rsp)
	movq	%r9, 40(%rsp)
	movq	%rax, 48(%rsp)
	movq	%r11, 56(%rsp)
	movaps	%xmm0, 64(%rsp)
	movaps	%xmm1, 80(%rsp)
	movaps	%xmm2, 96(%rsp)
	movaps	%xmm3, 112(%rsp)
	movaps	%xmm4, 128(%rsp)
	movaps	%xmm5, 144(%rsp)
	movaps	%xmm6, 160(%rsp)
	movaps	%xmm7, 176(%rsp)
	movq	%r11, %rdi
	call	lazylib_first
	movq	(%rsp), %rdi
	movq	8(%rsp), %rsi
	movq	16(%rsp), %rdx
	movq	24(%rsp), %rcx
	movq	32(%rsp), %r8
	movq	40(%rsp), %r9
	movq	48(%rsp), %rax
	movq	56(%rsp), %r11
	movaps	64(%rsp), %xmm0
	movaps	80(%rsp), %xmm1
	movaps	96(%rsp), %xmm2
	movaps	112(%rsp), %xmm3
	movaps	128(%rsp), %xmm4
	movaps	144(%rsp), %xmm5
	movaps	160(%rsp), %xmm6
	movaps	176(%rsp), %xmm7
	leave
	.cfi_def_cfa %rsp, 8
	jmp	*(%r11)
	.cfi_endproc
	.size first, . - first
