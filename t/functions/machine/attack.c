/*
 * attack.c - what a function can try against the stub page of its guest
 *
 * Under the process tender the stub page is the only code that makes system
 * calls (vmm/tender/process_stub.S); under the KVM tender most of this ends in a
 * fault.  Each attack may end the clone; none may do more.
 */
#define __ASSEMBLER__			/* addresses only */
#include "vmm/tender/process.h"
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

/* READY, of either level, as one likes; what it returns */
long ready(long at)
{
	long ret;

	__asm__ volatile("call *%1" : "=a"(ret)
			 : "r"((uint64_t)UK_STUB), "D"(at), "S"(0l), "d"(0l),
			   "c"((long)DB_READY) : "memory", "cc");
	return ret;
}

/* for its name in AT_IMPORT: it is given no number */
long level(long at)
{
	return ready(UK_LEVEL_RUNTIME);
}

long levels(long at)
{
	for (;;)
		level(at);
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

/*
 * Tell NEXT and sleep for the tender's word, but not as the stub does.  at:
 * bits 0 at proc_parked, 1 with more of an operation than the filter sees
 */
long elsewhere(long at)
{
	uint64_t insn = stub_syscall(at & 1 ? 4 : 1);
	uint32_t seq = AT(uint32_t, RO_SEQ);

	if (!insn) {
		ring_next();
		return -1;
	}
	tell_next();
	__asm__ volatile("xor %%r10d, %%r10d; jmp *%4" : :
			 "a"(202l), "D"((long)RO_SEQ),
			 "S"(at & 2 ? 1l << 32 : 0l), "d"((long)seq), "r"(insn)
			 : "memory", "r10");
	return 0;
}

static void tell_nothing(void)
{
	AT(uint64_t, RW_REGS + R_RCX) = DB_COUNT;
	AT(uint32_t, RW_KIND) = PROC_DOORBELL;
	AT(uint32_t, RW_RING) = 1;
}

/* ring without end and without waiting; at: and take memory meanwhile */
long flood(long at)
{
	static const uint64_t from[] = {
		UK_DATA_BASE, UK_HEAP_BASE, UK_EXEC_BASE,
	};
	static volatile int i;
	static volatile uint64_t a;

	for (i = 0; at && i < 3; i++)
		TRY(for (a = from[i] + (24 << 20);; a += UK_PAGE) {
			AT(char, a) = 1;
			tell_nothing();
		});
	for (;;)
		TRY(tell_nothing());
}

/* a fault where no frame fits: the kernel kills, and would dump a core */
long no_frame(long at)
{
	TRY(__asm__ volatile("mov %0, %%rsp; ud2" : : "r"(PROC_ALT + 0x300l)
			     : "memory"));
	return caught;
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

/* `syscall` there: the kernel returns to where the vDSO was */
__asm__(".globl fast32\nfast32: .byte 0xb8, 20, 0, 0, 0, 0x0f, 0x05, "
	"0xeb, 0xfe\n");
extern char fast32[];

long fast(long at)
{
	TRY(__asm__ volatile("pushq $0x23; pushq %0; lretq" : :
			     "r"(fast32) : "memory"));
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
		PROC_LOAD_AREA, PROC_LIST, UK_LIBOS, UK_IMAGE_BASE,
		UK_HOST_BASE, UK_PML4, UK_GDT, UK_SUPSTACK,
		PROC_SNAP + UK_EXEC_BASE, PROC_SNAP + UK_LIBOS,
		PROC_SNAP + PROC_ALT,
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
	static const uint64_t from[] = {
		UK_DATA_BASE, UK_HEAP_BASE, UK_EXEC_BASE,
	};
	static volatile int i;
	static volatile uint64_t a;

	/* above what is in use, so that nothing else ends it */
	for (i = 0; i < 3; i++)
		TRY(for (a = from[i] + (24 << 20);; a += UK_PAGE)
			AT(char, a) = 1);
	for (;;)
		;
}

static long ring_grow(long arena, uint64_t span)
{
	long ret;

	__asm__ volatile("call *%1" : "=a"(ret)
			 : "r"((uint64_t)UK_STUB), "D"(arena), "S"(span),
			   "d"(0L), "c"((long)DB_GROW) : "memory", "cc");
	return ret;
}

static const uint64_t arena[UK_ARENAS][2] = {
	{ UK_EXEC_BASE, UK_EXEC_END }, { UK_HEAP_BASE, UK_HEAP_END },
	{ UK_DATA_BASE, UK_DATA_END }, { UK_USF_BASE, UK_USF_END },
};

/*
 * Ask for all that the arenas have addresses for, 2 MB at a time, behind the
 * libOS's back, and write to what is granted.  How many MB that is of EXEC, HEAP
 * and DATA together, or for at 1 of files.
 */
long grow(long at)
{
	uint64_t span, sum = 0;

	for (int i = 0; i < UK_ARENAS; i++) {
		if ((at == 1) != (i == UK_ARENA_USF))
			continue;
		for (span = UK_BIG; span <= arena[i][1] - arena[i][0] + UK_BIG &&
		     ring_grow(i, span) == 0; span += UK_BIG)
			AT(char, arena[i][0] + span - 1) |= 0;
		sum += (span - UK_BIG) >> 20;
	}
	return (long)sum;
}

/* where no limit of this function's reaches: how many bytes are there */
long beyond(long at)
{
	static volatile int i;
	static volatile long there;

	for (i = there = 0; i < UK_ARENAS; i++) {
		TRY(AT(char, arena[i][1] - 1) = 1);
		there += caught != SIGSEGV;
		TRY(AT(const uint64_t, arena[i][1] - 4));
		there += caught != SIGSEGV;
	}
	return there;
}

/* the gateway's windows: 15 GB that are there to be read, and hold nothing */
long windows(long at)
{
	uint64_t a = UK_HOST_BASE + (UK_HOST_END - UK_HOST_BASE) / 16;
	long sum = 0;

	for (; a < UK_HOST_END; a += UK_PAGE)
		sum += AT(char, a);
	return sum;
}

/* what of the snapshot lies beyond its spans, where a read would fill it */
long holes(long at)
{
	static const uint64_t from[] = {
		UK_SYS_END, UK_STACK_END, UK_HEAP_END - UK_PAGE,
		UK_DATA_END - UK_PAGE, UK_USF_END - UK_PAGE, UK_RAM_END,
	};
	long seen = 0;

	for (unsigned i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		TRY(AT(const char, PROC_SNAP + from[i]));
		seen += !caught;
	}
	return seen;
}

/* protection keys: no data access for anybody.  at: 1 no write, 3 no read */
long keys(long at)
{
	uint32_t a = 7, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c & 1 << 4)) {
		ring_next();
		return -1;
	}
	tell_next();
	/* without a memory access in between: sleep where the stub would */
	__asm__ volatile("mov (%3), %%r8d\n\t"
			 "xor %%ecx, %%ecx; xor %%edx, %%edx; wrpkru\n\t"
			 "mov $202, %%eax; mov %3, %%rdi; xor %%esi, %%esi\n\t"
			 "mov %%r8d, %%edx; xor %%r10d, %%r10d; jmp *%2"
			 : : "a"(at == 1 ? 2 : 1), "c"(0), "r"(stub_syscall(1)),
			     "r"((uint64_t)RO_SEQ)
			 : "memory", "rdx", "rsi", "rdi", "r8", "r10");
	return 0;
}

static uint64_t stub_find(const void *code, size_t len)
{
	for (uint64_t a = UK_STUB; a < UK_STUB + UK_PAGE - len; a++)
		if (!memcmp((void *)a, code, len))
			return a;
	return 0;
}

/*
 * Into the stub's copying, with a list and registers of ours.  at: 0 over our
 * own memory, 1 over the libOS, 2 over the page of orders, 3 over the stub
 */
long copying(long at)
{
	static const uint8_t movs[] = { 0xf3, 0x48, 0xa5 };
	static uint64_t list[2], room[1024];
	static const uint64_t to[] = { 0, UK_LIBOS, PROC_RO, UK_STUB };
	uint64_t insn = stub_find(movs, sizeof(movs));

	if (!insn)
		return -1;
	TRY(__asm__ volatile("mov %2, %%rbx; xor %%ebp, %%ebp; jmp *%3" : :
			     "D"(at ? to[at & 3] : (uint64_t)room),
			     "S"((uint64_t)room + 4096), "r"(list), "r"(insn),
			     "c"(512l) : "memory", "rbx"));
	return caught;
}

/* all of the order: go where PARK goes, with what the tender left over */
long park(long at)
{
	static const uint8_t xorsel[] = { 0x8e, 0xd8, 0x8e, 0xc0 };
	uint64_t insn = stub_find(xorsel, sizeof(xorsel));

	if (!insn)
		return -1;
	TRY(__asm__ volatile("jmp *%0" : : "r"(insn), "a"(0l) : "memory"));
	return caught;
}

/* the stub's MADV_DONTNEED, of pages of our choice */
long drop(long at)
{
	static const uint64_t from[] = {
		UK_STUB, PROC_RO, PROC_RW, PROC_ALT, UK_LIBOS, UK_DATA_BASE,
		UK_EXEC_BASE, PROC_SNAP + UK_EXEC_BASE, UK_IMAGE_BASE,
		UK_HOST_BASE,
	};

	TRY(__asm__ volatile("jmp *%0" : : "r"(stub_syscall(2)), "a"(28l),
			     "D"(from[at % 10]), "S"(at == 4 ? 0x200000l :
			     (long)UK_PAGE), "d"(4l) : "memory"));
	return caught;
}

/* the same call with what is not to be allowed: at is the advice */
long advice(long at)
{
	TRY(__asm__ volatile("jmp *%0" : : "r"(stub_syscall(2)), "a"(28l),
			     "D"((long)UK_DATA_BASE), "S"((long)UK_PAGE),
			     "d"(at) : "memory"));
	return caught;
}
