/*
 * vdso.c - the clock, read by the program without a system call
 *
 * A shared object at UK_VDSO that libc finds by AT_SYSINFO_EHDR.  It has no
 * data and no relocations: all it reads is struct uk_clock, at its own fixed
 * address.  What it cannot answer becomes a system call.
 */
#include <asm/unistd.h>

#include "unikernel/arch/clock.h"

int __vdso_clock_gettime(int id, struct k_timespec *ts);
int __vdso_clock_getres(int id, struct k_timespec *ts);
int __vdso_gettimeofday(struct k_timeval *tv, int *tz);
int64_t __vdso_time(int64_t *t);
int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static long syscall2(long nr, long a, long b)
{
	long rc;

	__asm__ volatile("syscall" : "=a"(rc)
			 : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return rc;
}

int __vdso_clock_gettime(int id, struct k_timespec *ts)
{
	uint64_t ns;

	if (clock_is_real(id))
		ns = clock_read(1);
	else if (clock_is_mono(id))
		ns = clock_read(0);
	else
		return syscall2(__NR_clock_gettime, id, (long)ts);
	ts->sec = ns / NSEC_PER_SEC;
	ts->nsec = ns % NSEC_PER_SEC;
	return 0;
}

int __vdso_clock_getres(int id, struct k_timespec *ts)
{
	if (!clock_is_real(id) && !clock_is_mono(id))
		return syscall2(__NR_clock_getres, id, (long)ts);
	if (ts) {
		ts->sec = 0;
		ts->nsec = 1;
	}
	return 0;
}

int __vdso_gettimeofday(struct k_timeval *tv, int *tz)
{
	uint64_t us;

	if (tv) {
		us = clock_read(1) / 1000;
		tv->sec = us / 1000000;
		tv->usec = us % 1000000;
	}
	if (tz)
		tz[0] = tz[1] = 0;
	return 0;
}

int64_t __vdso_time(int64_t *t)
{
	int64_t now = clock_read(1) / NSEC_PER_SEC;

	if (t)
		*t = now;
	return now;
}

int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	(void)unused;
	if (cpu)
		*cpu = 0;
	if (node)
		*node = 0;
	return 0;
}

#define ALIAS(name) __attribute__((weak, alias("__vdso_" #name)))
int clock_gettime(int id, struct k_timespec *ts) ALIAS(clock_gettime);
int clock_getres(int id, struct k_timespec *ts) ALIAS(clock_getres);
int gettimeofday(struct k_timeval *tv, int *tz) ALIAS(gettimeofday);
int64_t time(int64_t *t) ALIAS(time);
int getcpu(unsigned *cpu, unsigned *node, void *unused) ALIAS(getcpu);
