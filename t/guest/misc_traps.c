/* misc_traps.c - processor exceptions arrive as Linux's signals say */
#define _GNU_SOURCE
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "tap.h"

static sigjmp_buf back;
static volatile siginfo_t got;
static volatile greg_t got_rip, got_trapno;

static void handler(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *uc = context;

	/* a jump out of here keeps the flags: no alignment checks after it */
	__asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq"
			 ::: "cc", "memory");
	got = *si;
	got_rip = uc->uc_mcontext.gregs[REG_RIP];
	got_trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(back, 1);
}

/* runs fn, which must raise signal sig with this code and address */
static void expect(void (*fn)(void), const char *what, int sig, int code,
		   const void *addr, int trapno)
{
	memset((void *)&got, 0, sizeof(got));
	if (sigsetjmp(back, 1) == 0)
		fn();
	ok(got.si_signo == sig && got.si_code == code &&
	   (addr == (void *)1 || got.si_addr == addr) &&
	   got_trapno == trapno,
	   "%s (signal %d, code %d, address %p, vector %d)", what,
	   got.si_signo, got.si_code, got.si_addr, (int)got_trapno);
}

static char *page;

static void null_read(void)
{
	*(volatile char *)16;
}

static void wild_write(void)
{
	*(volatile char *)0x7ffffff00000 = 1;
}

static void not_canonical(void)
{
	*(volatile char *)0x8000000000000000;
}

static void jump_null(void)
{
	((void (*volatile)(void))8)();
}

static void jump_not_canonical(void)
{
	__asm__ volatile("mov $1, %%rax; shl $63, %%rax; push %%rax; ret"
			 ::: "rax");
}

static void divide(void)
{
	volatile int zero = 0, n = 1;

	n = n / zero;
}

static void illegal(void)
{
	__asm__ volatile("ud2");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void privileged(void)
{
	__asm__ volatile("hlt");
}

static void port(void)
{
	__asm__ volatile("inb $0x61, %%al" ::: "rax");
}

static void float_divide(void)
{
	volatile double zero = 0.0, x = 1.0;

	feclearexcept(FE_ALL_EXCEPT);
	feenableexcept(FE_DIVBYZERO);
	x = x / zero;
}

static void float_x87(void)
{
	volatile long double zero = 0.0, x = 1.0;

	feclearexcept(FE_ALL_EXCEPT);
	feenableexcept(FE_DIVBYZERO);
	x = x / zero;
	__asm__ volatile("fwait");
}

static void unaligned(void)
{
	__asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq\n"
			 "lea -64(%%rsp), %%rax; mov 1(%%rax), %%ecx\n"
			 ::: "rax", "rcx", "cc", "memory");
}

static void write_code(void)
{
	*(volatile char *)write_code = 0;
}

static void run_data(void)
{
	((void (*)(void))page)();
}

int main(void)
{
	static const int signals[] = {
		SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS
	};
	struct sigaction sa = { .sa_flags = SA_SIGINFO };
	size_t i;

	sa.sa_sigaction = handler;
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &sa, NULL);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page[0] = (char)0xc3;

	expect(null_read, "a read near 0", SIGSEGV, SEGV_MAPERR, (void *)16,
	       14);
	expect(wild_write, "a wild write", SIGSEGV, SEGV_MAPERR,
	       (void *)0x7ffffff00000, 14);
	expect(not_canonical, "no address at all", SIGSEGV, SI_KERNEL, NULL,
	       13);
	expect(jump_null, "a jump near 0", SIGSEGV, SEGV_MAPERR, (void *)8,
	       14);
	expect(jump_not_canonical, "a jump to no address", SIGSEGV,
	       SI_KERNEL, NULL, 13);
	expect(divide, "division by 0", SIGFPE, FPE_INTDIV, (void *)1, 0);
	ok(got.si_addr == (void *)got_rip, "the fault's address is the rip");
	expect(illegal, "an illegal instruction", SIGILL, ILL_ILLOPN,
	       (void *)1, 6);
	ok(got.si_addr == (void *)got_rip, "the fault's address is the rip");
	expect(breakpoint, "a breakpoint", SIGTRAP, SI_KERNEL, NULL, 3);
	expect(privileged, "a privileged instruction", SIGSEGV, SI_KERNEL,
	       NULL, 13);
	expect(port, "a port", SIGSEGV, SI_KERNEL, NULL, 13);
	expect(float_divide, "SSE division by 0", SIGFPE, FPE_FLTDIV,
	       (void *)1, 19);
	fedisableexcept(FE_ALL_EXCEPT);
	expect(float_x87, "x87 division by 0", SIGFPE, FPE_FLTDIV,
	       (void *)1, 16);
	fedisableexcept(FE_ALL_EXCEPT);
	expect(unaligned, "an unaligned access, checked", SIGBUS, BUS_ADRALN,
	       NULL, 17);
	expect(run_data, "code in data", SIGSEGV, SEGV_ACCERR, page, 14);
	if (in_guest())
		skip("a write to code", "EXEC is writable");
	else
		expect(write_code, "a write to code", SIGSEGV, SEGV_ACCERR,
		       (void *)write_code, 14);
	return done_testing();
}
