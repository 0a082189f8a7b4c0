/*
 * futex_ops.c - the futex operations, bare
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static uint32_t a, b;
static int woken;

static long futex(uint32_t *addr, int op, uint32_t val, const void *timeout,
		  uint32_t *addr2, uint32_t val3)
{
	return syscall(SYS_futex, addr, op, val, timeout, addr2, val3);
}

static void *wait_a(void *bits)
{
	if (futex(&a, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL,
		  (uint32_t)(uintptr_t)bits) == 0)
		__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void start(pthread_t *th, int n, uint32_t bits)
{
	int i;

	for (i = 0; i < n; i++)
		pthread_create(&th[i], NULL, wait_a, (void *)(uintptr_t)bits);
	usleep(30000);
}

static void finish(pthread_t *th, int n)
{
	int i;

	for (i = 0; i < n; i++)
		pthread_join(th[i], NULL);
}

static void test_errors(void)
{
	struct timespec bad = { 0, 2000000000 };
	struct timespec ms = { 0, 5000000 };

	fails(futex(&a, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN,
	      "wait for a word that differs");
	fails(futex(&a, FUTEX_WAIT, 0, &ms, NULL, 0), ETIMEDOUT,
	      "a relative timeout");
	fails(futex(&a, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL,
	      "nanoseconds out of range");
	fails(futex((uint32_t *)((char *)&a + 1), FUTEX_WAIT, 0, &ms, NULL, 0),
	      EINVAL, "a crooked address");
	fails(futex((uint32_t *)16, FUTEX_WAIT, 0, &ms, NULL, 0), EFAULT,
	      "an address that is not mapped");
	fails(futex(&a, FUTEX_WAIT_BITSET, 0, &ms, NULL, 0), EINVAL,
	      "wait for no bit");
	fails(futex(&a, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL,
	      "wake no bit");
	fails(futex(&a, 77, 1, NULL, NULL, 0), ENOSYS, "no such operation");
	ok(futex(&a, FUTEX_WAKE, 5, NULL, NULL, 0) == 0, "nobody to wake");
}

static void test_absolute(int op, clockid_t clock, const char *what)
{
	struct timespec from, ts, to;
	long ms;

	clock_gettime(clock, &from);
	ts = from;
	ts.tv_nsec += 30000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	fails(futex(&a, op, 0, &ts, NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT,
	      what);
	clock_gettime(clock, &to);
	ms = (to.tv_sec - from.tv_sec) * 1000 +
	     (to.tv_nsec - from.tv_nsec) / 1000000;
	ok(ms >= 29 && ms < 1000, "a wait ends after its time (%ld ms)", ms);
}

static void test_wake(void)
{
	pthread_t th[6];
	long n;

	start(th, 6, FUTEX_BITSET_MATCH_ANY);
	n = futex(&a, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0);
	usleep(20000);
	ok(n == 2 && woken == 2, "wake two of six (%ld, %d)", n, woken);
	n = futex(&a, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	finish(th, 6);
	ok(n == 4 && woken == 6, "wake the others (%ld, %d)", n, woken);
}

static void test_bitset(void)
{
	pthread_t th[4];
	long n;

	woken = 0;
	start(th, 2, 1);
	start(th + 2, 2, 2);
	n = futex(&a, FUTEX_WAKE_BITSET_PRIVATE, 4, NULL, NULL, 2);
	finish(th + 2, 2);
	ok(n == 2 && woken == 2, "wake by bit (%ld, %d)", n, woken);
	n = futex(&a, FUTEX_WAKE_BITSET_PRIVATE, 4, NULL, NULL, 5);
	finish(th, 2);
	ok(n == 2 && woken == 4, "wake by the other bit (%ld, %d)", n, woken);
}

static void test_requeue(void)
{
	pthread_t th[5];
	long n;

	woken = 0;
	start(th, 5, FUTEX_BITSET_MATCH_ANY);
	fails(futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &b, 9), EAGAIN,
	      "compare, and do not requeue");
	n = futex(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &b, 0);
	usleep(20000);
	ok(n == 3 && woken == 1, "wake one, move two (%ld, %d)", n, woken);
	n = futex(&b, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	ok(n == 2, "the two wait at the other word (%ld)", n);
	n = futex(&a, FUTEX_REQUEUE_PRIVATE, 0, (void *)1, &b, 0);
	ok(n == 1, "move one, wake none (%ld)", n);
	n = futex(&a, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	n += futex(&b, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	finish(th, 5);
	ok(n == 2 && woken == 5,
	   "those that were moved are awake (%ld, %d)", n, woken);
}

static void test_wake_op(void)
{
	pthread_t th[3];
	long n;

	woken = 0;
	b = 5;
	start(th, 3, FUTEX_BITSET_MATCH_ANY);
	n = futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b,
		  FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 4));
	ok(n == 1 && b == 8, "wake, add, no match (%ld, %u)", n, b);
	n = futex(&b, FUTEX_WAKE_OP_PRIVATE, 1, (void *)2, &a,
		  FUTEX_OP(FUTEX_OP_XOR, 0, FUTEX_OP_CMP_GE, -1));
	finish(th, 3);
	ok(n == 2 && woken == 3, "wake by the match (%ld, %d)", n, woken);
	b = 0;
	futex(&a, FUTEX_WAKE_OP, 1, (void *)1, &b,
	      FUTEX_OP((FUTEX_OP_SET | 8), 4, FUTEX_OP_CMP_NE, 0));
	ok(b == 16, "the operand as a shift (%u)", b);
	fails(futex(&a, FUTEX_WAKE_OP, 1, (void *)1, &b, 7u << 28), ENOSYS,
	      "no such operator");
}

int main(void)
{
	test_errors();
	test_absolute(FUTEX_WAIT_BITSET, CLOCK_MONOTONIC,
		      "an absolute monotonic timeout");
	test_absolute(FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, CLOCK_REALTIME,
		      "an absolute wall clock timeout");
	test_wake();
	test_bitset();
	test_requeue();
	test_wake_op();
	return done_testing();
}
