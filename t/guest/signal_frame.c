/*
 * signal_frame.c - exceptions, alternate stacks, what a frame holds and what
 * a handler may change in it, frames that cannot be right
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tap.h"

static sigjmp_buf back;
static volatile int seen, code;
static void *volatile address;
static char alt[1 << 16] __attribute__((aligned(64)));
static volatile char *handler_sp;

static void on_fault(int sig, siginfo_t *si, void *uc)
{
	char here;

	seen = sig;
	code = si->si_code;
	address = si->si_addr;
	handler_sp = &here;
	siglongjmp(back, 1);
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = fn,
				.sa_flags = flags | SA_SIGINFO };

	sigaction(sig, &sa, NULL);
}

static void test_exceptions(void)
{
	handle(SIGSEGV, on_fault, 0);
	handle(SIGFPE, on_fault, 0);
	handle(SIGILL, on_fault, 0);
	if (!sigsetjmp(back, 1))
		*(volatile int *)0x10 = 1;
	ok(seen == SIGSEGV && address == (void *)0x10 && code == SEGV_MAPERR,
	   "a write near NULL: signal %d, code %d, address %p", seen, code,
	   address);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("xor %%ecx, %%ecx; idiv %%ecx"
				 ::: "rax", "rcx", "rdx");
	ok(seen == SIGFPE && code == FPE_INTDIV, "a division by zero");
	if (!sigsetjmp(back, 1))
		__asm__ volatile("ud2");
	ok(seen == SIGILL, "an undefined instruction");
	if (!sigsetjmp(back, 1))
		__asm__ volatile("hlt");
	ok(seen == SIGSEGV && code == SI_KERNEL, "a privileged instruction");
	if (!sigsetjmp(back, 1))
		*(volatile int *)0x8000000000000000 = 1;
	ok(seen == SIGSEGV && code == SI_KERNEL, "no canonical address");
	if (!sigsetjmp(back, 1))
		((void (*)(void))0x20)();
	ok(seen == SIGSEGV && address == (void *)0x20, "a jump to nowhere");
}

static int on_alt(const volatile void *p)
{
	return (char *)p >= alt && (char *)p < alt + sizeof(alt);
}

static void test_altstack(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, old;

	ok(sigaltstack(&ss, NULL) == 0, "sigaltstack");
	handle(SIGSEGV, on_fault, SA_ONSTACK);
	seen = 0;
	if (!sigsetjmp(back, 1))
		__asm__ volatile("mov $0x30, %rsp; push %rax");
	ok(seen == SIGSEGV && on_alt(handler_sp),
	   "a bad stack: the handler runs on the alternate one");
	sigaltstack(NULL, &old);
	ok(old.ss_sp == alt && old.ss_flags == 0,
	   "an alternate stack is not in use after longjmp");
	ss.ss_size = 100;
	fails(sigaltstack(&ss, NULL), ENOMEM,
	      "an alternate stack that is too small");
	ss.ss_flags = 55;
	fails(sigaltstack(&ss, NULL), EINVAL, "flags out of range");
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
	sigaltstack(NULL, &old);
	ok(old.ss_flags == SS_DISABLE, "disabled");
}

static volatile int flags_inside;

static void look_at_stack(int sig, siginfo_t *si, void *ucp)
{
	ucontext_t *uc = ucp;
	stack_t ss;

	sigaltstack(NULL, &ss);
	flags_inside = ss.ss_flags;
	ok(uc->uc_stack.ss_sp == alt && uc->uc_stack.ss_flags == 0,
	   "the frame tells the stack as it was");
}

static void test_onstack(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };

	sigaltstack(&ss, NULL);
	handle(SIGUSR1, look_at_stack, SA_ONSTACK);
	raise(SIGUSR1);
	ok(flags_inside == SS_ONSTACK, "SS_ONSTACK inside the handler");
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

/* skips the two bytes of ud2 and leaves a mark in rbx */
static void skip_ud2(int sig, siginfo_t *si, void *ucp)
{
	ucontext_t *uc = ucp;

	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RBX] = 0x5555;
	uc->uc_mcontext.fpregs->_xmm[5].element[0] = 0x77;
	/* what a handler does to the registers themselves is undone */
	__asm__ volatile("pcmpeqd %%xmm6, %%xmm6" ::: "xmm6");
}

static void test_edit(void)
{
	uint64_t rbx, x5, x6, rcx, r11, df;

	handle(SIGILL, skip_ud2, 0);
	__asm__ volatile(
		"mov $0x1234, %%ecx\n"
		"movq %%rcx, %%xmm5\n"
		"movq %%rcx, %%xmm6\n"
		"mov $0x4321, %%r11d\n"
		"std\n"
		"ud2\n"
		"pushfq\n"
		"pop %[df]\n"
		"cld\n"
		"mov %%rbx, %[rbx]\n"
		"movq %%xmm5, %[x5]\n"
		"movq %%xmm6, %[x6]\n"
		"mov %%rcx, %[rcx]\n"
		"mov %%r11, %[r11]\n"
		: [rbx] "=m"(rbx), [x5] "=m"(x5), [x6] "=m"(x6),
		  [rcx] "=m"(rcx), [r11] "=m"(r11), [df] "=r"(df)
		:: "rbx", "rcx", "r11", "xmm5", "xmm6", "memory");
	ok(rbx == 0x5555, "a handler changes a register");
	ok((uint32_t)x5 == 0x77, "a handler changes a vector register (%lx)",
	   (unsigned long)x5);
	ok(x6 == 0x1234 && rcx == 0x1234 && r11 == 0x4321 && (df & 0x400),
	   "other registers and the flags come back");
}

static uint32_t mxcsr(void)
{
	uint32_t v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

static volatile uint32_t mxcsr_inside, magic1, magic2;

static void look_at_fp(int sig, siginfo_t *si, void *ucp)
{
	ucontext_t *uc = ucp;
	char *fp = (char *)uc->uc_mcontext.fpregs;
	uint32_t size;

	mxcsr_inside = mxcsr();
	memcpy((void *)&magic1, fp + 464, 4);
	memcpy(&size, fp + 464 + 16, 4);
	if (magic1 == 0x46505853)
		memcpy((void *)&magic2, fp + size, 4);
	ok(((uintptr_t)fp & 63) == 0 && (uc->uc_flags & 1),
	   "the vector image is aligned and announced");
}

static void test_fpstate(void)
{
	uint32_t csr = 0x3f80, back_csr = 0x1f80;

	handle(SIGUSR1, look_at_fp, 0);
	__asm__ volatile("ldmxcsr %0" :: "m"(csr));
	raise(SIGUSR1);
	csr = mxcsr();
	__asm__ volatile("ldmxcsr %0" :: "m"(back_csr));
	ok(csr == 0x3f80, "mxcsr comes back");
	ok(mxcsr_inside == 0x1f80, "a handler starts with a fresh mxcsr");
	ok(magic1 == 0x46505853 && magic2 == 0x46505845, "XSAVE magic numbers");
}

/* frames that the processor or Linux refuse */
static volatile int forge;
static ucontext_t *forged;

static void forge_frame(int sig, siginfo_t *si, void *ucp)
{
	ucontext_t *uc = ucp;
	char *fp = (char *)uc->uc_mcontext.fpregs;

	forged = uc;
	switch (forge) {
	case 0: memset(fp + 24, 0xff, 4); break;	/* mxcsr */
	case 1: fp[512 + 7] = 0x40; break;		/* xstate_bv */
	case 2: fp[512 + 15] = (char)0x80; break;	/* xcomp_bv */
	case 3: uc->uc_mcontext.fpregs = (void *)0x18; break;
	case 4: uc->uc_mcontext.gregs[REG_RIP] = 0x1234567890abcdef; break;
	case 5: uc->uc_mcontext.gregs[REG_RIP] = 0x60; break;
	}
}

static void test_forged(void)
{
	handle(SIGUSR1, forge_frame, 0);
	handle(SIGSEGV, on_fault, SA_ONSTACK);
	for (forge = 0; forge < 6; forge++) {
		seen = 0;
		if (!sigsetjmp(back, 1))
			raise(SIGUSR1);
		ok(seen == SIGSEGV, "forged frame %d: SIGSEGV", forge);
	}
	seen = 0;
	if (!sigsetjmp(back, 1))
		__asm__ volatile("mov $0x1000, %%rsp; mov %0, %%eax; syscall"
				 :: "i"(SYS_rt_sigreturn));
	ok(seen == SIGSEGV, "sigreturn without a frame: SIGSEGV");
}

/* flags that would trap in the wrong place do not stick */
static void test_flags(void)
{
	uint64_t f = 0;

	__asm__ volatile("pushfq; orq $0x4000, (%%rsp); popfq\n"
			 "mov %1, %%eax; syscall\n"
			 "pushfq; pop %0\n"
			 "pushfq; andq $~0x4000, (%%rsp); popfq\n"
			 : "=r"(f) : "i"(SYS_getpid)
			 : "rax", "rcx", "r11", "memory");
	ok(1, "a system call with NT set (flags %lx)", (unsigned long)f);
	__asm__ volatile("std; mov %0, %%eax; syscall; cld"
			 :: "i"(SYS_getpid) : "rax", "rcx", "r11", "memory");
	ok(1, "a system call with DF set");
}

int main(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };

	test_exceptions();
	test_altstack();
	test_onstack();
	test_edit();
	test_fpstate();
	sigaltstack(&ss, NULL);
	test_forged();
	test_flags();
	return done_testing();
}
