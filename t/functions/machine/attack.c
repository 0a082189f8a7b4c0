/*
 * attack.c - what a function can try against the stub page of its guest
 *
 * Under the process tender the stub page is the only code that makes system
 * calls (vmm/process_stub.S); under the KVM tender most of this ends in a
 * fault.  Each attack may end the clone; none may do more.
 */
#define __ASSEMBLER__			/* addresses only */
#include "vmm/process.h"
#undef __ASSEMBLER__
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AT(type, address) (*(volatile type *)(uintptr_t)(address))

static sigjmp_buf escape;
static volatile int caught;

static void on_fault(int sig)
{
	caught = sig;
	siglongjmp(escape, 1);
}

void handlers(void)
{
	static const int sig[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGSYS };

	for (int i = 0; i < 5; i++)
		signal(sig[i], on_fault);
}

#define TRY(what)						\
	do {							\
		caught = 0;					\
		if (!sigsetjmp(escape, 1)) {			\
			what;					\
		}						\
	} while (0)

const char *state(void)
{
	static char text[256];
	unsigned long fs, gs, ds, es, flags;
	uint32_t mxcsr;
	uint16_t fcw;

	__asm__ volatile("mov %%ds, %0" : "=r"(ds));
	__asm__ volatile("mov %%es, %0" : "=r"(es));
	__asm__ volatile("mov %%fs, %0" : "=r"(fs));
	__asm__ volatile("mov %%gs, %0" : "=r"(gs));
	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	snprintf(text, sizeof(text), "ds %lx es %lx fs %lx gs %lx flags %lx "
		 "mxcsr %x fcw %x", ds, es, fs, gs, flags & ~0x8d5ul, mxcsr,
		 fcw);
	return text;
}

/* the answer that a clone gives while it is in the state to be tested */
static const char answer[] = "{\"rung\": true}";

static long ring_next(void)
{
	long ret;

	__asm__ volatile("call *%1" : "=a"(ret)
			 : "r"((uint64_t)UK_STUB), "D"(0L), "S"(answer),
			   "d"(sizeof(answer) - 1), "c"((long)DB_NEXT)
			 : "memory", "cc");
	return ret;
}

/* n-th `syscall` instruction of the stub page, from 0; 0 when it has none */
static uint64_t stub_syscall(int n)
{
	const uint8_t *p = (void *)UK_STUB;

	for (int i = 0; i < UK_PAGE - 1; i++)
		if (p[i] == 0x0f && p[i + 1] == 0x05 && n-- == 0)
			return UK_STUB + i;
	return 0;
}

/* at: flags to answer with (AC, ID, NT, DF) */
long flags(long at)
{
	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "r"(at) : "cc");
	ring_next();
	return 0;
}

long selectors(long at)
{
	uint32_t mxcsr = 0x7f80;
	uint16_t fcw = 0x77f;

	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(fcw));
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs"
			 : : "r"(0x2bl));
	__asm__ volatile("wrgsbase %0" : : "r"(0x1234567l));
	ring_next();
	return 0;
}

/* into the stub page, with registers that mean little */
long jump(long at)
{
	TRY(__asm__ volatile("jmp *%0" : : "r"((uint64_t)UK_STUB + at),
			     "a"(202l), "D"(0x70111000l), "S"(0l), "d"(7l),
			     "c"(1l) : "memory"));
	return caught;
}

/* tell NEXT by hand, then sleep where the stub would, but with TF set and a
   stack pointer that leaves no room for a signal frame */
static void tell_next(void)
{
	AT(uint64_t, RW_REGS + R_RDI) = 0;
	AT(uint64_t, RW_REGS + R_RSI) = (uintptr_t)answer;
	AT(uint64_t, RW_REGS + R_RDX) = sizeof(answer) - 1;
	AT(uint64_t, RW_REGS + R_RCX) = DB_NEXT;
	AT(uint32_t, RW_KIND) = PROC_DOORBELL;
	AT(uint32_t, RW_RING) = 1;
}

static void sleep_in_stub(uint64_t rflags, uint64_t rsp)
{
	uint64_t frame[5] = { stub_syscall(1), 0x33, rflags, rsp, 0x2b };
	uint32_t seq = AT(uint32_t, RO_SEQ);

	tell_next();
	__asm__ volatile("mov %0, %%rsp; xor %%r10d, %%r10d; iretq" : :
			 "r"(frame), "a"(202l), "D"((long)RO_SEQ), "S"(0l),
			 "d"((long)seq) : "memory");
}

long trace(long at)
{
	static char room[65536];

	if (!at)
		at = (long)room + 60000;
	TRY(sleep_in_stub(0x302, at));
	return caught;
}

/* the same with the signal stack's lowest bytes: the kernel kills it */
long altstack(long at)
{
	return trace(PROC_ALT + 64);
}

/* tell NEXT and do not wait: write while the tender restores */
long run_on(long at)
{
	static volatile char room[1 << 20];

	TRY(tell_next());
	if (caught)
		return caught;
	for (uint64_t i = 0;; i += 4096)
		room[i % sizeof(room)]++;
}

/* ring with a stack pointer that points nowhere */
long stack(long at)
{
	TRY(__asm__ volatile("mov %0, %%rsp; jmp *%1" : : "r"(at),
			     "r"((uint64_t)UK_STUB), "c"((long)DB_NEXT),
			     "D"(0l), "S"(answer), "d"(4l) : "memory"));
	return caught;
}

/* rt_sigreturn by the stub's own instruction, from a frame of ours */
long forge(long at)
{
	static uint64_t frame[128];
	uint64_t insn = stub_syscall(0);

	if (!insn)
		return -1;
	memset(frame, 0xff, sizeof(frame));
	TRY(__asm__ volatile("mov %0, %%rsp; jmp *%1" : : "r"(frame), "r"(insn),
			     "a"(15l) : "memory"));
	return caught;
}

/* 32-bit code, from there int 0x80; lies below 4 GB, as all programs do */
__asm__(".globl attack32\nattack32: .byte 0xb8, 20, 0, 0, 0, 0xcd, 0x80, "
	"0xeb, 0xfe\n");
extern char attack32[];

long compat(long at)
{
	TRY(__asm__ volatile("pushq $0x23; pushq %0; lretq" : :
			     "r"(attack32) : "memory"));
	return caught;
}

long int80(long at)
{
	TRY(__asm__ volatile("int $0x80" : : "a"(20l) : "memory"));
	return caught;
}

long x32(long at)
{
	long ret, bad = 0;

	for (long nr = 0; nr < 512; nr++) {
		__asm__ volatile("syscall" : "=a"(ret)
				 : "0"(nr | 0x40000000l), "D"(0l), "S"(0l),
				   "d"(0l)
				 : "rcx", "r11", "memory");
		bad += ret != -38;
	}
	return bad;
}

/* every page that only the tender writes; how many gave way */
long overwrite(long at)
{
	static const uint64_t page[] = {
		UK_STUB, UK_VDSO, UK_CLOCK, UK_CTL, UK_CTL + UK_PAGE, PROC_RO,
		PROC_LOAD_AREA, UK_LIBOS, UK_IMAGE_BASE, UK_HOST_BASE, UK_PML4,
		UK_GDT, UK_SUPSTACK,
	};
	long gave = 0;

	for (unsigned i = 0; i < sizeof(page) / sizeof(page[0]); i++) {
		TRY(AT(uint64_t, page[i]) = 0);
		gave += !caught;
	}
	return gave;
}

/* all memory that the arenas could have, without asking for it */
long touch(long at)
{
	for (uint64_t a = UK_DATA_BASE; a < UK_DATA_END; a += UK_PAGE)
		AT(char, a) = 1;
	return 0;
}
