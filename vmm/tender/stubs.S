/*
 * stubs.S - the only supervisor code of a guest, and its doorbell
 *
 * Copied into guest memory by machine.c.  `stub_bounce` is where a `syscall`
 * instruction lands: it enters the libOS at CPL 3 through a constant iret
 * frame (r11 brings the program's rsp).  The page is the program's to read
 * and execute, not to write: a hypervisor that emulates CPL 0 checks its
 * accesses here as the program's.  That gives nothing away: called directly,
 * it is a system call.  sysretq is not used, such hypervisors lack it.
 *
 * `stub_touch` is the tender's way to have pages mapped before a guest runs.  A
 * program that calls it reads what it may read.
 *
 * `stub_gates`: supervisor pages.  Each exception gate rings its own port;
 * the tender then rewrites the frame above it and lets the gate's iretq go
 * to the libOS.
 */
#include "unikernel/abi.h"

	.section .rodata
	.balign 64
	.global stub_bounce, stub_bounce_frame, stub_bounce_end
	.global stub_gates, stub_gates_end, stub_user, stub_user_end, stub_touch
stub_bounce:
	mov	%rsp, %r11
	mov	$UK_BOUNCE + 64, %esp
	iretq
	.balign 64
stub_bounce_frame:				/* rip filled in by machine.c */
	.quad	0, 0x33, 0x202, 0, 0x2b
stub_bounce_end:

	.balign 64
stub_gates:
	.set	i, 0
	.rept	32				/* 4 bytes each */
	.byte	0xe6, UK_PORT_TRAP + i		/* out %al, $port */
	iretq
	.set	i, i + 1
	.endr
stub_gates_end:

	.balign 64
stub_user:
	.byte	0xe6, UK_PORT_DB		/* out %al, $port */
	ret
	.balign 16
stub_touch:	/* rsi: numbers of pages, rcx of them: reads each, and rings */
	mov	(%rsi), %eax
	shl	$12, %rax
	cmpb	$0, (%rax)
	add	$4, %rsi
	dec	%rcx
	jnz	stub_touch
	jmp	stub_user
stub_user_end:
	.byte	0

	.section .note.GNU-stack, "", @progbits
