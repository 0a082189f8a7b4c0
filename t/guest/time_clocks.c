/* time_clocks.c - clocks, by the vDSO and by system call, and sleeping */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define SEC	1000000000ll

static int64_t ns(const struct timespec *ts)
{
	return ts->tv_sec * SEC + ts->tv_nsec;
}

static int64_t vdso(int id)
{
	struct timespec ts;

	return clock_gettime(id, &ts) ? -1 : ns(&ts);
}

static int64_t raw(int id)
{
	struct timespec ts;

	return syscall(SYS_clock_gettime, id, &ts) ? -1 : ns(&ts);
}

static void test_clock(int id, const char *name)
{
	int64_t a = vdso(id), b = raw(id), c = vdso(id);
	struct timespec res;

	/* a coarse clock may lag its system call by a tick */
	ok(a >= 0 && b >= a - 20000000 && c >= b - 20000000 &&
	   c - a < SEC, "%s: vDSO and system call agree", name);
	ok(clock_getres(id, &res) == 0 && res.tv_sec == 0 && res.tv_nsec > 0,
	   "%s: resolution", name);
}

static void test_forward(void)
{
	int64_t last = vdso(CLOCK_MONOTONIC), now;
	int i, back = 0;

	for (i = 0; i < 200000; i++) {
		now = i % 16 ? vdso(CLOCK_MONOTONIC) : raw(CLOCK_MONOTONIC);
		back += now < last;
		last = now;
	}
	ok(back == 0, "monotonic time does not run back");
}

static void test_real(void)
{
	struct timeval tv;
	int64_t real = vdso(CLOCK_REALTIME) / 1000, of_day;
	time_t t = time(NULL);

	gettimeofday(&tv, NULL);
	of_day = tv.tv_sec * 1000000ll + tv.tv_usec;
	ok(of_day >= real && of_day - real < 1000000,
	   "gettimeofday and CLOCK_REALTIME agree");
	ok(t - real / 1000000 <= 1 && real / 1000000 - t <= 1,
	   "time() and CLOCK_REALTIME agree");
	ok(real / 1000000 > 1700000000, "CLOCK_REALTIME is later than 2023");
}

static void test_sleep(void)
{
	struct timespec ts = { 0, 30000000 }, rem;
	int64_t before = vdso(CLOCK_MONOTONIC), slept, until;

	ok(nanosleep(&ts, &rem) == 0, "nanosleep");
	slept = vdso(CLOCK_MONOTONIC) - before;
	ok(slept >= 30000000 && slept < 2 * SEC, "nanosleep slept its 30 ms");
	until = vdso(CLOCK_MONOTONIC) + 20000000;
	ts.tv_sec = until / SEC;
	ts.tv_nsec = until % SEC;
	ok(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0 &&
	   vdso(CLOCK_MONOTONIC) >= until, "clock_nanosleep until a time");
	ok(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0,
	   "clock_nanosleep until a time that has passed");
	until = vdso(CLOCK_REALTIME) + 10000000;
	ts.tv_sec = until / SEC;
	ts.tv_nsec = until % SEC;
	ok(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) == 0 &&
	   vdso(CLOCK_REALTIME) >= until,
	   "clock_nanosleep until a time of day");
}

static void test_cpu(void)
{
	struct timespec ts = { 0, 50000000 };
	int64_t a = vdso(CLOCK_PROCESS_CPUTIME_ID), b, c;
	volatile int i;
	clockid_t id;
	struct tms tms;

	for (i = 0; i < 20000000; i++)
		;
	b = vdso(CLOCK_PROCESS_CPUTIME_ID);
	ok(a >= 0 && b > a + 1000000, "CPU time counts work");
	nanosleep(&ts, NULL);
	c = vdso(CLOCK_PROCESS_CPUTIME_ID);
	ok(c - b < 40000000, "CPU time does not count sleep (%ld us of 50000)",
	   (long)(c - b) / 1000);
	ok(clock_getcpuclockid(0, &id) == 0 && vdso(id) >= c,
	   "clock_getcpuclockid");
	ok(times(&tms) != (clock_t)-1 && tms.tms_utime >= 0, "times");
}

static void test_errors(void)
{
	struct timespec ts = { 0, SEC }, neg = { -1, 0 };

	fails(syscall(SYS_clock_gettime, 77, &ts), EINVAL, "no such clock");
	fails(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8l), EFAULT,
	      "a bad pointer");
	fails(syscall(SYS_clock_getres, 77, &ts), EINVAL,
	      "resolution of no clock");
	fails(nanosleep(&ts, NULL), EINVAL, "a second of nanoseconds");
	fails(nanosleep(&neg, NULL), EINVAL, "negative sleep");
	fails(syscall(SYS_nanosleep, 8l, NULL), EFAULT,
	      "sleep: a bad pointer");
	ok(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL) == EINVAL,
	   "sleep on a thread's CPU clock");
}

int main(void)
{
	ok(getauxval(AT_SYSINFO_EHDR) != 0, "there is a vDSO");
	test_clock(CLOCK_REALTIME, "realtime");
	test_clock(CLOCK_MONOTONIC, "monotonic");
	test_clock(CLOCK_MONOTONIC_RAW, "monotonic raw");
	test_clock(CLOCK_REALTIME_COARSE, "realtime coarse");
	test_clock(CLOCK_MONOTONIC_COARSE, "monotonic coarse");
	test_clock(CLOCK_BOOTTIME, "boottime");
	test_forward();
	test_real();
	test_sleep();
	test_cpu();
	test_errors();
	return done_testing();
}
