/*
 * process_stub.S - the stub page of a guest that runs as a locked process
 *
 * The only code in the child that makes system calls that reach the kernel:
 * FUTEX_WAKE of process_rw.ring, FUTEX_WAIT for process_ro.seq, and MADV_DONTNEED.
 * A hostile guest may jump anywhere into it with any registers: it then rings
 * a doorbell, sleeps until its time is up, or loses or overwrites what it
 * could have overwritten by itself.  There is no rt_sigreturn: handlers leave
 * by iretq, or by a jump into the libOS, so that nothing ever changes the
 * signal mask and the signal stack, and frames cannot be forged.
 *
 * The tender trusts one thing only: a child that sleeps in the system call
 * before process_wait, waiting for the seq that there is (it reads that in
 * /proc/PID/syscall), goes on here, and with PROC_PARK to process_parked, whatever
 * its registers, its memory and its signal stack held.  On the way it restores
 * the pages of PROC_LIST; process_settle.c says why that can be believed.
 */
#include "vmm/tender/process.h"

#define NR_MUNMAP	11
#define NR_MADVISE	28
#define NR_FUTEX	202
#define NR_SECCOMP	317
#define NR_URETPROBE	335
#define FUTEX_WAKE	1
#define MADV_DONTNEED	4

/* in the kernel's ucontext, asm/sigcontext.h; siginfo, asm-generic/siginfo.h */
#define UC_R8		40
#define UC_R9		48
#define UC_R10		56
#define UC_R11		64
#define UC_R12		72
#define UC_R13		80
#define UC_R14		88
#define UC_R15		96
#define UC_RDI		104
#define UC_RSI		112
#define UC_RBP		120
#define UC_RBX		128
#define UC_RDX		136
#define UC_RAX		144
#define UC_RCX		152
#define UC_RSP		160
#define UC_RIP		168
#define UC_RFLAGS	176
#define UC_CS		184
#define UC_ERR		192
#define UC_TRAPNO	200
#define UC_CR2		216
#define UC_FPSTATE	224
#define SI_CODE		8
#define SI_ARCH		28
#define SYS_SECCOMP	1
#define SIGILL		4
#define SI_KERNEL	0x80
#define ARCH_X86_64	0xc000003e

/* flags as a program starts with them, on memory that is always there */
.macro clean_flags
	mov	$RW_STACK, %esp
	pushq	$2
	popfq
.endm

.macro vectors_load from
	mov	RO_XMASK, %eax
	mov	RO_XMASK + 4, %edx
	xrstor64 (\from)
.endm

/*
 * All that the processor has, so also what nobody here knows of.  Of AMD's,
 * those before Zen 2 leave the x87's last addresses as they are; fninit not.
 */
.macro vectors_restore
	mov	$PROC_LOAD_AREA, %ecx
	mov	$-1, %eax
	mov	$-1, %edx
	fninit
	xrstor64 (%rcx)
.endm

/* all that a signal frame holds but rip and rsp; rdi last */
.macro frame_load
	mov	UC_FPSTATE(%rdi), %rsi
	vectors_load %rsi
	mov	UC_R8(%rdi), %r8
	mov	UC_R9(%rdi), %r9
	mov	UC_R10(%rdi), %r10
	mov	UC_R11(%rdi), %r11
	mov	UC_R12(%rdi), %r12
	mov	UC_R13(%rdi), %r13
	mov	UC_R14(%rdi), %r14
	mov	UC_R15(%rdi), %r15
	mov	UC_RBX(%rdi), %rbx
	mov	UC_RBP(%rdi), %rbp
	mov	UC_RAX(%rdi), %rax
	mov	UC_RCX(%rdi), %rcx
	mov	UC_RDX(%rdi), %rdx
	mov	UC_RSI(%rdi), %rsi
	mov	UC_RDI(%rdi), %rdi
.endm

/*
 * For debuggers (stub.elf): where whoever rang, or was interrupted, goes on.
 * In a doorbell rsp is in process_rw, in a handler all is in the signal frame.
 */
	.cfi_sections .debug_frame
#define DW_CFA_def_cfa_expression 0x0f
#define DW_OP_deref	0x06
#define DW_OP_const4u	0x0c
#define DW_OP_plus_uconst 0x23
#define BYTES4(v)	(v) & 255, (v) >> 8 & 255, (v) >> 16 & 255, (v) >> 24

.macro cfi_rang
	.cfi_escape DW_CFA_def_cfa_expression, 8, DW_OP_const4u, \
		BYTES4(RW_REGS + R_RSP), DW_OP_deref, DW_OP_plus_uconst, 8
.endm

/* nothing to go on with */
.macro cfi_nobody
	.cfi_startproc simple
	.cfi_def_cfa %rsp, 0
	.cfi_undefined %rip
.endm

.macro cfi_handler
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %rsp, 8
	.cfi_offset %r8, UC_R8
	.cfi_offset %r9, UC_R9
	.cfi_offset %r10, UC_R10
	.cfi_offset %r11, UC_R11
	.cfi_offset %r12, UC_R12
	.cfi_offset %r13, UC_R13
	.cfi_offset %r14, UC_R14
	.cfi_offset %r15, UC_R15
	.cfi_offset %rdi, UC_RDI
	.cfi_offset %rsi, UC_RSI
	.cfi_offset %rbp, UC_RBP
	.cfi_offset %rbx, UC_RBX
	.cfi_offset %rdx, UC_RDX
	.cfi_offset %rax, UC_RAX
	.cfi_offset %rcx, UC_RCX
	.cfi_offset %rsp, UC_RSP
	.cfi_offset %rip, UC_RIP
.endm

	.section .rodata
	.balign 4096
	.global process_stub, process_stub_end, process_wait, process_parked, process_leave
	.global process_on_syscall, process_on_trap, process_on_tick, process_restorer
process_stub:
	.cfi_startproc
	jmp	doorbell		/* 2 bytes: then MACHINE_DB_RET */
	ret

/* touches no memory of the guest's, so that it can tell of itself */
doorbell:
	mov	%rax, RW_REGS + R_RAX
	mov	%rbx, RW_REGS + R_RBX
	mov	%rcx, RW_REGS + R_RCX
	mov	%rdx, RW_REGS + R_RDX
	mov	%rsi, RW_REGS + R_RSI
	mov	%rdi, RW_REGS + R_RDI
	mov	%rsp, RW_REGS + R_RSP
	mov	%rbp, RW_REGS + R_RBP
	mov	%r8, RW_REGS + R_R8
	mov	%r9, RW_REGS + R_R9
	mov	%r10, RW_REGS + R_R10
	mov	%r11, RW_REGS + R_R11
	mov	%r12, RW_REGS + R_R12
	mov	%r13, RW_REGS + R_R13
	mov	%r14, RW_REGS + R_R14
	mov	%r15, RW_REGS + R_R15
	cfi_rang
	mov	$RW_STACK, %esp
	pushfq
	popq	RW_REGS + R_RFLAGS
	clean_flags
	rdfsbase %rax
	mov	%rax, RW_FS
	rdgsbase %rax
	mov	%rax, RW_GS
	mov	$PROC_DOORBELL, %eax

/* eax: what to tell; in a signal handler rsp is the frame */
ring:
	mov	%eax, RW_KIND
	mov	RO_SEQ, %r8d		/* no answer comes before the ring */
	movl	$1, RW_RING
	mov	$RW_RING, %edi
	mov	$FUTEX_WAKE, %esi
	mov	$1, %edx
	mov	$NR_FUTEX, %eax
	syscall
	mov	%r8d, %edx
1:	cmp	RO_SEQ, %edx
	jne	2f
	mov	$RO_SEQ, %edi
	xor	%esi, %esi		/* FUTEX_WAIT */
	xor	%r10d, %r10d		/* for ever */
	mov	$NR_FUTEX, %eax
	syscall
process_wait:
	jmp	1b
2:	mov	RO_MODE, %eax
	cmp	$PROC_RET, %eax
	je	go_ret
	cmp	$PROC_ENTER, %eax
	je	go_enter
	cmp	$PROC_BACK, %eax
	je	go_back
	cmp	$PROC_SAVE, %eax
	je	go_save
	cmp	$PROC_PARK, %eax
	je	go_park
	ud2

go_ret:
	mov	$RW_STACK, %esp
	pushq	RW_REGS + R_RFLAGS
	popfq
	mov	RW_REGS + R_RCX, %rcx
	mov	RW_REGS + R_RDX, %rdx
	mov	RW_REGS + R_RSI, %rsi
	mov	RW_REGS + R_RDI, %rdi
	mov	RW_REGS + R_R8, %r8
	mov	RW_REGS + R_R10, %r10
	mov	RW_REGS + R_R11, %r11
	mov	RW_REGS + R_RSP, %rsp
	mov	RO_RAX, %rax
	ret			/* its rsp is still in process_rw */

go_save:
	mov	$PROC_SAVE_AREA, %edi
	mov	RO_XMASK, %eax
	mov	RO_XMASK + 4, %edx
	xsave64	(%rdi)
	mov	$PROC_SAVED, %eax
	jmp	ring
	.cfi_endproc

/* rsp is a signal frame: the restorer's address, then the ucontext */
go_enter:
	cfi_handler
	lea	8(%rsp), %rdi
	frame_load
	jmp	*RO_RIP
	.cfi_endproc

/* the frame that iretq takes is on the signal stack: a tick may nest here */
go_back:
	cfi_handler
	lea	8(%rsp), %rdi
	pushq	$0x2b
	pushq	UC_RSP(%rdi)
	pushq	UC_RFLAGS(%rdi)
	pushq	$0x33
	pushq	UC_RIP(%rdi)
	frame_load
	iretq
	.cfi_endproc

/*
 * From here on nothing that the guest left in a register matters.  The
 * selectors go before the bases: loading one changes its base.
 */
go_park:
	cfi_nobody
	clean_flags
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	vectors_restore
	mov	$PROC_LIST, %ebx
	mov	RO_RUNS, %ebp
restore:
	sub	$1, %ebp
	jb	restored
	mov	(%rbx), %edi
	mov	4(%rbx), %ecx
	add	$8, %rbx
	shl	$12, %rdi
	mov	%ecx, %edx
	shr	$30, %edx
	shl	$9, %rcx		/* words; the op above is cut off */
	mov	$0x3fffffff << 9, %rax
	and	%rax, %rcx
	cmp	$RUN_ZERO, %edx
	je	1f
	cmp	$RUN_DROP, %edx
	je	2f
	ja	3f
	mov	$PROC_SNAP, %rsi
	add	%rdi, %rsi
4:	rep movsq
	jmp	restore
1:	xor	%eax, %eax
	rep stosq
	jmp	restore
2:	lea	(,%rcx,8), %rsi
	mov	$MADV_DONTNEED, %edx
	mov	$NR_MADVISE, %eax
	syscall
	test	%rax, %rax
	jz	restore
	ud2
3:	mov	(%rbx), %esi		/* counted as a run of its own */
	shl	$12, %rsi
	add	$8, %rbx
	dec	%ebp
	jmp	4b

restored:
	movl	$PROC_CLEAN, RW_KIND
	movl	$1, RW_RING
	mov	$RW_RING, %edi
	mov	$FUTEX_WAKE, %esi
	mov	$1, %edx
	mov	$NR_FUTEX, %eax
	syscall
	/* a signal's frame would keep what they hold for the next guest */
	.irp	reg, ax, bx, cx, si, di, bp
	xor	%e\reg, %e\reg
	.endr
	.irp	reg, 8, 9, 10, 11, 12, 13, 14, 15
	xor	%r\reg\()d, %r\reg\()d
	.endr
	mov	RO_SEQ, %edx
1:	cmp	RO_SEQ, %edx
	jne	2f
	mov	$RO_SEQ, %edi
	xor	%esi, %esi
	xor	%r10d, %r10d
	mov	$NR_FUTEX, %eax
	syscall
process_parked:
	jmp	1b
2:	cmpl	$PROC_PARK, RO_MODE
	je	go_park

go_load:
	mov	RO_FS, %rax
	wrfsbase %rax
	mov	RO_GS, %rax
	wrgsbase %rax
	vectors_restore
	mov	RO_REGS + R_RAX, %rax
	mov	RO_REGS + R_RBX, %rbx
	mov	RO_REGS + R_RCX, %rcx
	mov	RO_REGS + R_RDX, %rdx
	mov	RO_REGS + R_RSI, %rsi
	mov	RO_REGS + R_RDI, %rdi
	mov	RO_REGS + R_RBP, %rbp
	mov	RO_REGS + R_R8, %r8
	mov	RO_REGS + R_R9, %r9
	mov	RO_REGS + R_R10, %r10
	mov	RO_REGS + R_R11, %r11
	mov	RO_REGS + R_R12, %r12
	mov	RO_REGS + R_R13, %r13
	mov	RO_REGS + R_R14, %r14
	mov	RO_REGS + R_R15, %r15
	mov	$RO_IRET, %esp
	iretq
	.cfi_endproc

/*
 * Signal handlers: rsi siginfo, rdx ucontext, rsp just below that.  The
 * kernel has put the vector registers in their initial state.
 */
process_on_syscall:
	cfi_handler
	cmpl	$SYS_SECCOMP, SI_CODE(%rsi)
	jne	1f
	cmpl	$ARCH_X86_64, SI_ARCH(%rsi)
	jne	1f
program_call:
	/* abi.h: all but these are as they were, also now */
	mov	%rdx, %rdi
	mov	UC_FPSTATE(%rdi), %rsi
	vectors_load %rsi
	mov	UC_RIP(%rdi), %rcx
	mov	UC_RSP(%rdi), %r11
	mov	UC_RAX(%rdi), %rax
	mov	UC_RDX(%rdi), %rdx
	mov	UC_RSI(%rdi), %rsi
	mov	UC_RDI(%rdi), %rdi
	jmp	*RO_SYSCALL
	/* int 0x80 and its kin, 2 bytes long, are general protection here */
1:	subq	$2, UC_RIP(%rdx)
	movq	$13, UC_TRAPNO(%rdx)
	movq	$0x80 * 8 + 2, UC_ERR(%rdx)
	/* fall through */
process_on_trap:
	cmp	$SIGILL, %edi
	jne	1f
	cmpl	$SI_KERNEL, SI_CODE(%rsi)
	je	uretprobe
1:	mov	$PROC_TRAP, %eax
facts:
	mov	UC_TRAPNO(%rdx), %rcx
	mov	%rcx, RW_VECTOR
	mov	UC_ERR(%rdx), %rcx
	mov	%rcx, RW_ERROR
	mov	UC_CR2(%rdx), %rcx
	mov	%rcx, RW_CR2
	movzwl	UC_CS(%rdx), %ecx
	mov	%rcx, RW_CS
	mov	UC_RIP(%rdx), %rcx
	mov	%rcx, RW_REGS + R_RIP
	mov	UC_RSP(%rdx), %rcx
	mov	%rcx, RW_REGS + R_RSP
	mov	UC_RFLAGS(%rdx), %rcx
	mov	%rcx, RW_REGS + R_RFLAGS
	jmp	ring

/*
 * Linux 6.14 and newer let uretprobe(2) past any filter; called by a program
 * it does nothing but SIGILL.  Here it is a system call like any other.
 */
uretprobe:
	movq	$NR_URETPROBE, UC_RAX(%rdx)
	jmp	program_call

process_on_tick:
	mov	UC_RIP(%rdx), %rcx
	mov	%rcx, %rax
	and	$-UK_PAGE, %rax
	cmp	$UK_STUB, %rax
	je	go_back
	cmpl	$0, RO_TELL
	jne	1f
	cmp	RO_TEXT, %rcx
	jb	1f
	cmp	RO_TEXT_END, %rcx
	jb	go_back
1:	mov	$PROC_TICK, %eax
	jmp	facts
	.cfi_endproc

/* the kernel wants one for each handler; none returns */
process_restorer:
	ud2

/*
 * The child's last steps out of the host's program: unmap it, lock, and wait to
 * be loaded.  Its first guest is the tender's to say, as each later one.
 */
process_leave:
	cfi_nobody
	mov	$RW_STACK, %esp
	mov	$PROC_LAST_END, %rdi
	mov	$PROC_TOP - PROC_LAST_END, %rsi
	mov	$NR_MUNMAP, %eax
	syscall
	test	%rax, %rax
	jnz	1f
	mov	$1, %edi		/* SECCOMP_SET_MODE_FILTER */
	xor	%esi, %esi
	mov	$RO_FPROG, %edx
	mov	$NR_SECCOMP, %eax
	syscall
	test	%rax, %rax
	jnz	1f
	jmp	go_park
1:	mov	%rax, RW_REGS + R_RAX
	mov	$PROC_FAILED, %eax
	jmp	ring
	.cfi_endproc
process_stub_end:
	.byte	0

	.section .note.GNU-stack, "", @progbits
