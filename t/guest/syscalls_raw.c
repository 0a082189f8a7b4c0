/*
 * syscalls_raw.c - what a system call may and may not change: registers,
 * red zone, vector state; numbers that do not exist; random bytes
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

/* 1 when getpid keeps every register but rax, rcx and r11, and the stack */
static int registers_kept(void)
{
	uint64_t bad;

	__asm__ volatile(
		"mov $0x1111, %%rbx; mov $0x2222, %%rdx; mov $0x3333, %%rsi\n"
		"mov $0x4444, %%rdi; mov $0x5555, %%r8; mov $0x6666, %%r9\n"
		"mov $0x7777, %%r10; mov $0x8888, %%r12; mov $0x9999, %%r13\n"
		"mov $0xaaaa, %%r14; mov $0xbbbb, %%r15\n"
		"movq %%rsp, %%xmm6\n"
		"movq $0xabcd, -8(%%rsp); movq $0xef01, -128(%%rsp)\n"
		"mov $39, %%eax\n"
		"syscall\n"
		"mov $1, %%eax\n"
		"cmp $0x1111, %%rbx; jne 1f; cmp $0x2222, %%rdx; jne 1f\n"
		"cmp $0x3333, %%rsi; jne 1f; cmp $0x4444, %%rdi; jne 1f\n"
		"cmp $0x5555, %%r8; jne 1f; cmp $0x6666, %%r9; jne 1f\n"
		"cmp $0x7777, %%r10; jne 1f; cmp $0x8888, %%r12; jne 1f\n"
		"cmp $0x9999, %%r13; jne 1f; cmp $0xaaaa, %%r14; jne 1f\n"
		"cmp $0xbbbb, %%r15; jne 1f\n"
		"cmpq $0xabcd, -8(%%rsp); jne 1f\n"
		"cmpq $0xef01, -128(%%rsp); jne 1f\n"
		"movq %%xmm6, %%rcx; cmp %%rcx, %%rsp; jne 1f\n"
		"xor %%eax, %%eax\n"
		"1:"
		: "=a"(bad) :: "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
		"r10", "r11", "r12", "r13", "r14", "r15", "xmm6", "memory",
		"cc");
	return !bad;
}

static int vectors_kept(void)
{
	uint64_t in[2] = { 0x0123456789abcdef, 0xfedcba9876543210 }, out[2];
	uint32_t mxcsr = 0x3f80, after = 0;	/* rounds down */

	__asm__ volatile(
		"ldmxcsr %2\n"
		"movdqu %3, %%xmm15\n"
		"mov $39, %%eax\n"
		"syscall\n"
		"movdqu %%xmm15, %0\n"
		"stmxcsr %1\n"
		: "=m"(out), "=m"(after) : "m"(mxcsr), "m"(in)
		: "rax", "rcx", "r11", "xmm15", "memory");
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" :: "m"(mxcsr));
	return in[0] == out[0] && in[1] == out[1] && (after & ~63u) == 0x3f80;
}

/* the direction flag is the libOS's worry, not its victim */
static int backwards_call(void)
{
	struct utsname u;
	long rc;

	memset(&u, 0xff, sizeof(u));
	__asm__ volatile("std; syscall; cld" : "=a"(rc)
			 : "a"(SYS_uname), "D"(&u)
			 : "rcx", "r11", "memory");
	return rc == 0 && !strcmp(u.sysname, "Linux");
}

static void test_unknown(void)
{
	fails(syscall(451 + 49), ENOSYS, "number 500");
	fails(syscall(511), ENOSYS, "number 511");
	fails(syscall(100000), ENOSYS, "number 100000");
	fails(syscall(-1), ENOSYS, "number -1");
	fails(syscall(0x40000000 + SYS_getpid), ENOSYS, "x32's getpid");
	ok(syscall(SYS_getpid + (1l << 32)) == getpid(),
	   "the number is 32 bits");
}

static void test_random(void)
{
	unsigned char a[256], b[256];
	int i, ones = 0;

	ok(getrandom(a, sizeof(a), 0) == sizeof(a) &&
	   getrandom(b, sizeof(b), GRND_NONBLOCK) == sizeof(b) &&
	   memcmp(a, b, sizeof(a)), "getrandom: two answers differ");
	for (i = 0; i < 256; i++)
		ones += __builtin_popcount(a[i]);
	ok(ones > 880 && ones < 1170, "getrandom: %d bits of 2048 are set",
	   ones);
	fails(getrandom(a, 1, 0x80), EINVAL, "getrandom: no such flag");
	fails(syscall(SYS_getrandom, 8l, 16l, 0), EFAULT,
	      "getrandom: a bad pointer");
	ok(getentropy(a, 32) == 0, "getentropy");
}

int main(void)
{
	ok(registers_kept(), "registers, stack pointer and red zone are kept");
	ok(vectors_kept(), "vector registers and MXCSR are kept");
	ok(backwards_call(), "a call with the direction flag set");
	test_unknown();
	test_random();
	return done_testing();
}
