/*
 * thread_preempt.c - threads that make no system call share the CPU,
 * and keep their vector registers over every switch
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static volatile int stop;
static volatile unsigned long spins[3];
static int lost;

static void *spin(void *arg)
{
	volatile unsigned long *n = &spins[(intptr_t)arg];

	while (!stop)
		++*n;
	return NULL;
}

/* xmm3 and mxcsr across voluntary switches */
static void *hold_xmm(void *arg)
{
	uint64_t want = (uint64_t)(intptr_t)arg * 0x1111, got;
	uint32_t csr = 0x1f80 | (uint32_t)((intptr_t)arg & 3) << 13, csr_got;
	int i;

	for (i = 0; i < 200; i++) {
		__asm__ volatile(
			"ldmxcsr %[csr]\n"
			"movq %[want], %%xmm3\n"
			"mov %[nr], %%eax\n"
			"syscall\n"
			"movq %%xmm3, %[got]\n"
			"stmxcsr %[csr_got]\n"
			: [got] "=r"(got), [csr_got] "=m"(csr_got)
			: [want] "r"(want), [csr] "m"(csr),
			  [nr] "i"(SYS_sched_yield)
			: "rax", "rcx", "r11", "xmm3", "memory");
		if (got != want || csr_got != csr)
			lost++;
	}
	return NULL;
}

/* the same across involuntary ones; r8..r15 too, by the way */
static void *hold_spinning(void *arg)
{
	uint64_t want = (uint64_t)(intptr_t)arg * 0x123456789, got, n;
	uint64_t red = ~want;

	while (!stop) {
		__asm__ volatile(
			"movq %[want], %%xmm7\n"
			"mov %[want], %%r13\n"
			"mov %[red], -64(%%rsp)\n"
			"mov $300000, %[n]\n"
			"1: dec %[n]\n"
			"jnz 1b\n"
			"cmp %[red], -64(%%rsp)\n"
			"mov $0, %[got]\n"
			"jne 2f\n"
			"cmp %[want], %%r13\n"
			"jne 2f\n"
			"movq %%xmm7, %[got]\n"
			"2:\n"
			: [got] "=&r"(got), [n] "=&r"(n)
			: [want] "r"(want), [red] "r"(red)
			: "xmm7", "r13", "memory", "cc");
		if (got != want)
			__atomic_add_fetch(&lost, 1, __ATOMIC_SEQ_CST);
		++spins[(intptr_t)arg - 1];
	}
	return NULL;
}

static long ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - t->tv_sec) * 1000 +
	       (now.tv_nsec - t->tv_nsec) / 1000000;
}

static void run(void *(*fn)(void *), int n, int first)
{
	struct timespec t;
	pthread_t th[3];
	int i;

	stop = 0;
	memset((void *)spins, 0, sizeof(spins));
	for (i = 0; i < n; i++)
		pthread_create(&th[i], NULL, fn,
			       (void *)(intptr_t)(first + i));
	clock_gettime(CLOCK_MONOTONIC, &t);
	usleep(100000);
	ok(ms_since(&t) < 2000, "a sleep ends while others spin (%ld ms)",
	   ms_since(&t));
	stop = 1;
	for (i = 0; i < n; i++)
		pthread_join(th[i], NULL);
}

int main(void)
{
	pthread_t th[3];
	int i;

	run(spin, 3, 0);
	ok(spins[0] && spins[1] && spins[2], "three spinners all ran");
	run(hold_spinning, 3, 1);
	ok(spins[0] && spins[1] && spins[2] && !lost,
	   "registers and red zone outlive pre-emption (%d lost)", lost);
	for (i = 0; i < 3; i++)
		pthread_create(&th[i], NULL, hold_xmm,
			       (void *)(intptr_t)(i + 1));
	for (i = 0; i < 3; i++)
		pthread_join(th[i], NULL);
	ok(!lost, "vector state and mxcsr outlive sched_yield (%d lost)", lost);
	return done_testing();
}
