/*
 * syscalls_preempt.c - a tick changes nothing: registers, flags, red zone
 * and vector registers of threads that compute and make no system call
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "tap.h"

#define THREADS	3
#define RUN_NS	300000000ll

static volatile int stop, broken[THREADS];
static volatile long rounds[THREADS];

/*
 * One round: values made from seed in every register that may hold one, in
 * the red zone and in a vector register, then a long loop on flags alone,
 * then a look.  1 when all is as it was.
 */
static int round_kept(uint64_t seed)
{
	uint64_t bad;

	__asm__ volatile(
		"mov %1, %%rax\n"
		"mov %%rax, -8(%%rsp); mov %%rax, -120(%%rsp)\n"
		"movq %%rax, %%xmm9\n"
		"lea 1(%%rax), %%rbx; lea 3(%%rax), %%rdx\n"
		"lea 4(%%rax), %%rsi; lea 5(%%rax), %%rdi\n"
		"lea 6(%%rax), %%r8; lea 7(%%rax), %%r9\n"
		"lea 8(%%rax), %%r10; lea 9(%%rax), %%r11\n"
		"lea 10(%%rax), %%r12; lea 11(%%rax), %%r13\n"
		"lea 12(%%rax), %%r14; lea 13(%%rax), %%r15\n"
		"mov $200000, %%ecx\n"
		"stc\n"				/* dec leaves the carry alone */
		"1: dec %%ecx\n"
		"jnz 1b\n"
		"setc %%cl\n"
		"sub %%rax, %%rbx; sub %%rax, %%rdx; sub %%rax, %%rsi\n"
		"sub %%rax, %%rdi; sub %%rax, %%r8; sub %%rax, %%r9\n"
		"sub %%rax, %%r10; sub %%rax, %%r11; sub %%rax, %%r12\n"
		"sub %%rax, %%r13; sub %%rax, %%r14; sub %%rax, %%r15\n"
		"cmp $1, %%rbx; jne 2f; cmp $3, %%rdx; jne 2f\n"
		"cmp $4, %%rsi; jne 2f; cmp $5, %%rdi; jne 2f\n"
		"cmp $6, %%r8; jne 2f; cmp $7, %%r9; jne 2f\n"
		"cmp $8, %%r10; jne 2f; cmp $9, %%r11; jne 2f\n"
		"cmp $10, %%r12; jne 2f; cmp $11, %%r13; jne 2f\n"
		"cmp $12, %%r14; jne 2f; cmp $13, %%r15; jne 2f\n"
		"cmp %%rax, -8(%%rsp); jne 2f\n"
		"cmp %%rax, -120(%%rsp); jne 2f\n"
		"movq %%xmm9, %%rbx; cmp %%rax, %%rbx; jne 2f\n"
		"cmp $1, %%cl; jne 2f\n"
		"xor %%eax, %%eax; jmp 3f\n"
		"2: mov $1, %%eax\n"
		"3:"
		: "=&a"(bad) : "m"(seed)
		: "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
		"r12", "r13", "r14", "r15", "xmm9", "cc", "memory");
	return !bad;
}

static void *work(void *arg)
{
	long me = (long)arg;

	while (!stop) {
		rounds[me]++;
		if (!round_kept((uint64_t)me << 40 | rounds[me]))
			broken[me]++;
	}
	return NULL;
}

int main(void)
{
	struct timespec until, now;
	pthread_t t[THREADS];
	long i;

	for (i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, work, (void *)i);
	clock_gettime(CLOCK_MONOTONIC, &until);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - until.tv_sec) * 1000000000ll +
		 now.tv_nsec - until.tv_nsec < RUN_NS);
	stop = 1;
	for (i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		ok(rounds[i] > 10 && !broken[i],
		   "thread %ld: %ld rounds, %d broken", i, rounds[i],
		   broken[i]);
	}
	return done_testing();
}
