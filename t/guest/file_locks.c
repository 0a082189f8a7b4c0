/*
 * file_locks.c - flock between open files and threads, ranges of record locks
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "t/guest/tap.h"

static int again(void)
{
	return open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void test_flock(void)
{
	int a = again(), b = again(), c = dup(a), p[2];

	ok(flock(a, LOCK_EX) == 0, "an exclusive lock");
	fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK,
	      "an exclusive lock: another open file has to wait");
	fails(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK,
	      "an exclusive lock: none share it");
	ok(flock(c, LOCK_EX | LOCK_NB) == 0,
	   "an exclusive lock: a descriptor of the same file has it");
	ok(flock(c, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0,
	   "a lock made shared is shared");
	fails(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK,
	      "a shared lock: exclusive is not to be had");
	ok(flock(b, LOCK_EX | LOCK_NB) == 0,
	   "a shared lock: asking for more lost it");
	ok(flock(b, LOCK_UN) == 0 && flock(b, LOCK_UN) == 0,
	   "a lock is unlocked, twice");
	ok(flock(a, LOCK_EX) == 0 && close(a) == 0,
	   "a lock: one descriptor of two closes");
	fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK,
	      "a lock: the other descriptor keeps it");
	close(c);
	ok(flock(b, LOCK_EX | LOCK_NB) == 0,
	   "a lock: the last descriptor gives it up");
	close(b);
	fails(flock(b, LOCK_EX), EBADF, "flock of no file");
	fails(flock(0, 7), EINVAL, "flock of no kind");
	ok(pipe(p) == 0 && flock(p[0], LOCK_EX) == 0, "flock of a pipe");
	close(p[0]);
	close(p[1]);
	if (in_guest())
		ok(flock(0, LOCK_EX) == 0 && flock(1, LOCK_EX) == 0,
		   "the console's ends are not one thing");
	else
		skip("the console's ends", "may be one file here");
	flock(0, LOCK_UN);
	flock(1, LOCK_UN);
}

enum { ROUNDS = 200, WORKERS = 4 };
static int inside, most, sum;

/* each with an open file of its own: what a lock file is for */
static void *worker(void *arg)
{
	int fd = again(), i, seen;

	for (i = 0; i < ROUNDS; i++) {
		if (flock(fd, LOCK_EX) < 0)
			return "flock";
		inside++;
		most = inside > most ? inside : most;
		seen = sum;
		if (i % 20 == 0)
			usleep(100);
		sum = seen + 1;
		inside--;
		flock(fd, LOCK_UN);
	}
	close(fd);
	return NULL;
}

static void test_threads(void)
{
	pthread_t t[WORKERS];
	void *why, *any = NULL;
	int i;

	for (i = 0; i < WORKERS; i++)
		pthread_create(&t[i], NULL, worker, NULL);
	for (i = 0; i < WORKERS; i++) {
		pthread_join(t[i], &why);
		any = why ? why : any;
	}
	ok(!any && most == 1 && sum == ROUNDS * WORKERS,
	   "a lock: one thread at a time (%d, %d)", most, sum);
}

static void on_signal(int sig)
{
}

static volatile int ended;

static void *waiter(void *arg)
{
	int fd = again();
	long r = flock(fd, LOCK_EX) < 0 ? errno : 0;

	ended = 1;
	close(fd);
	return (void *)r;
}

static void test_interrupt(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int fd = again(), i;
	pthread_t t;
	void *r;

	sigaction(SIGUSR1, &sa, NULL);
	flock(fd, LOCK_EX);
	pthread_create(&t, NULL, waiter, NULL);
	for (i = 0; !ended && i < 1000; i++) {
		usleep(10000);
		pthread_kill(t, SIGUSR1);
	}
	pthread_join(t, &r);
	ok((long)r == EINTR,
	   "a signal ends the wait for a lock (%ld)", (long)r);
	ended = 0;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, waiter, NULL);
	for (i = 0; i < 5; i++) {
		usleep(10000);
		pthread_kill(t, SIGUSR1);
	}
	ok(!ended, "SA_RESTART: the wait for a lock begins again");
	close(fd);
	pthread_join(t, &r);
	ok((long)r == 0, "SA_RESTART: the lock is had in the end");
}

static void test_ranges(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = -5 };
	int fd = again();

	fails(fcntl(fd, F_SETLK, &l), EINVAL,
	      "a record lock before the file's beginning");
	l.l_start = 3;
	l.l_len = -4;
	fails(fcntl(fd, F_SETLK, &l), EINVAL,
	      "a record lock back past the beginning");
	l.l_len = LONG_MAX;
	fails(fcntl(fd, F_SETLK, &l), EOVERFLOW,
	      "a record lock past the end of all files");
	l.l_len = -3;
	ok(fcntl(fd, F_SETLK, &l) == 0, "a record lock of a negative length");
	close(fd);
}

int main(void)
{
	char dir[] = "/tmp/file_locks.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	test_flock();
	test_threads();
	test_interrupt();
	test_ranges();
	unlink("lock");
	ok(chdir("/") == 0 && rmdir(dir) == 0, "nothing is left");
	return done_testing();
}
