/*
 * thread_basic.c - pthreads: life and death, thread-local storage, locks,
 * cancellation, robust mutexes
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static __thread int tls = 7;
static int tls_wrong;

static void *add_one(void *arg)
{
	if (tls != 7)
		tls_wrong++;
	tls = (int)(intptr_t)arg;
	sched_yield();
	if (tls != (int)(intptr_t)arg)
		tls_wrong++;
	return (void *)((intptr_t)arg + 1);
}

static void test_many(int at_once, int rounds)
{
	pthread_t th[64];
	pthread_attr_t attr;
	int i, r, wrong = 0;
	void *res;

	/* a guest has no memory to promise stacks of megabytes to each */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 1 << 17);
	for (r = 0; r < rounds; r++) {
		for (i = 0; i < at_once; i++)
			wrong += pthread_create(&th[i], &attr, add_one,
						(void *)(intptr_t)i) != 0;
		for (i = 0; i < at_once; i++) {
			pthread_join(th[i], &res);
			wrong += (intptr_t)res != i + 1;
		}
	}
	ok(!wrong, "%d rounds of %d threads, joined", rounds, at_once);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *count_locked(void *arg)
{
	int i;

	for (i = 0; i < 2000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		if (i % 100 == 0)
			sched_yield();
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void test_mutex(void)
{
	pthread_t th[8];
	int i;

	for (i = 0; i < 8; i++)
		pthread_create(&th[i], NULL, count_locked, NULL);
	for (i = 0; i < 8; i++)
		pthread_join(th[i], NULL);
	ok(counter == 16000, "a mutex under contention (%ld)", counter);
}

static int turn;

static void *pong(void *arg)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < 500; i++) {
		while (turn != 1)
			pthread_cond_wait(&cond, &lock);
		turn = 0;
		pthread_cond_broadcast(&cond);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void test_cond(void)
{
	struct timespec ts;
	pthread_t th;
	int i, rc;

	pthread_create(&th, NULL, pong, NULL);
	pthread_mutex_lock(&lock);
	for (i = 0; i < 500; i++) {
		turn = 1;
		pthread_cond_broadcast(&cond);
		while (turn != 0)
			pthread_cond_wait(&cond, &lock);
	}
	pthread_mutex_unlock(&lock);
	pthread_join(th, NULL);
	ok(turn == 0, "ping-pong over a condition");

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	pthread_mutex_lock(&lock);
	rc = pthread_cond_timedwait(&cond, &lock, &ts);
	pthread_mutex_unlock(&lock);
	ok(rc == ETIMEDOUT, "pthread_cond_timedwait times out (%d)", rc);
}

static sem_t sem;

static void *post_later(void *arg)
{
	usleep(10000);
	sem_post(&sem);
	return NULL;
}

static void test_sem(void)
{
	struct timespec ts;
	pthread_t th;

	sem_init(&sem, 0, 0);
	pthread_create(&th, NULL, post_later, NULL);
	ok(sem_wait(&sem) == 0, "sem_wait until another thread posts");
	pthread_join(th, NULL);
	clock_gettime(CLOCK_REALTIME, &ts);
	fails(sem_timedwait(&sem, &ts), ETIMEDOUT, "sem_timedwait in the past");
}

static pthread_barrier_t barrier;
static int serial;

static void *meet(void *arg)
{
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		__atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void test_barrier(void)
{
	pthread_t th[5];
	int i;

	pthread_barrier_init(&barrier, NULL, 5);
	for (i = 0; i < 5; i++)
		pthread_create(&th[i], NULL, meet, NULL);
	for (i = 0; i < 5; i++)
		pthread_join(th[i], NULL);
	ok(serial == 1, "a barrier of five");
}

static void *die_holding(void *m)
{
	pthread_mutex_lock(m);
	return NULL;
}

static void test_robust(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	pthread_t th;
	int rc;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&m, &attr);
	pthread_create(&th, NULL, die_holding, &m);
	pthread_join(th, NULL);
	rc = pthread_mutex_lock(&m);
	ok(rc == EOWNERDEAD, "a robust mutex of a dead owner (%d)", rc);
	pthread_mutex_consistent(&m);
	pthread_mutex_unlock(&m);
	ok(pthread_mutex_lock(&m) == 0, "a robust mutex is consistent again");
}

static int cleaned;

static void clean(void *arg)
{
	cleaned = 1;
}

static void *sleep_long(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	sleep(100);
	pthread_cleanup_pop(0);
	return NULL;
}

static void test_cancel(void)
{
	pthread_t th;
	void *res;

	pthread_create(&th, NULL, sleep_long, NULL);
	usleep(5000);
	pthread_cancel(th);
	pthread_join(th, &res);
	ok(res == PTHREAD_CANCELED && cleaned, "a sleeping thread cancelled");
}

static void *get_tid(void *arg)
{
	return (void *)(intptr_t)syscall(SYS_gettid);
}

static void *detached(void *arg)
{
	sem_post(&sem);
	return NULL;
}

static void test_tid(void)
{
	pthread_attr_t attr;
	pthread_t th;
	void *tid;
	int i, made = 0;

	ok(syscall(SYS_gettid) == getpid(), "the first thread's tid is the pid");
	pthread_create(&th, NULL, get_tid, NULL);
	pthread_join(th, &tid);
	ok((intptr_t)tid != getpid() && (intptr_t)tid > 0,
	   "another thread's tid is not the pid");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 1 << 17);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (i = 0; i < 20; i++)
		made += pthread_create(&th, &attr, detached, NULL) == 0;
	for (i = 0; i < made; i++)
		sem_wait(&sem);
	ok(made == 20, "twenty detached threads (%d)", made);
	fails(syscall(SYS_tgkill, getpid(), 0x3ffffe, 0), ESRCH,
	      "tgkill of a thread that is not");
}

static void test_no_process(void)
{
	if (!in_guest()) {
		skip("fork is refused", "only in a guest");
		return;
	}
	fails(fork(), ENOSYS, "fork is refused");
	fails(syscall(SYS_clone, 17, 0, 0, 0, 0), ENOSYS,
	      "clone as fork does it is refused");
}

int main(void)
{
	test_many(10, 20);
	test_many(64, 2);
	ok(!tls_wrong, "thread-local storage is each thread's own");
	test_mutex();
	test_cond();
	test_sem();
	test_barrier();
	test_robust();
	test_cancel();
	test_tid();
	test_no_process();
	return done_testing();
}
