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

	ok(flock(a, LOCK_EX) == 0, "exclusive");
	fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK,
	      "another open file has to wait");
	fails(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK, "to share it, too");
	ok(flock(c, LOCK_EX | LOCK_NB) == 0, "a descriptor of the same has it");
	ok(flock(c, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0,
	   "made shared, it is shared");
	fails(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK,
	      "exclusive is not for those who share");
	ok(flock(b, LOCK_EX | LOCK_NB) == 0, "and asking lost what it had");
	ok(flock(b, LOCK_UN) == 0 && flock(b, LOCK_UN) == 0, "unlocked, twice");
	ok(flock(a, LOCK_EX) == 0 && close(a) == 0, "one descriptor closes");
	fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK, "and keeps the lock");
	close(c);
	ok(flock(b, LOCK_EX | LOCK_NB) == 0, "the last one gives it up");
	close(b);
	fails(flock(b, LOCK_EX), EBADF, "of no file");
	fails(flock(0, 7), EINVAL, "of no kind");
	ok(pipe(p) == 0 && flock(p[0], LOCK_EX) == 0, "of a pipe");
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
	   "one thread at a time (%d, %d)", most, sum);
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
	ok((long)r == EINTR, "a signal ends the wait (%ld)", (long)r);
	ended = 0;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, waiter, NULL);
	for (i = 0; i < 5; i++) {
		usleep(10000);
		pthread_kill(t, SIGUSR1);
	}
	ok(!ended, "unless the call begins again");
	close(fd);
	pthread_join(t, &r);
	ok((long)r == 0, "and has it in the end");
}

static void test_ranges(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = -5 };
	int fd = again();

	fails(fcntl(fd, F_SETLK, &l), EINVAL, "before the file's beginning");
	l.l_start = 3;
	l.l_len = -4;
	fails(fcntl(fd, F_SETLK, &l), EINVAL, "back past it");
	l.l_len = LONG_MAX;
	fails(fcntl(fd, F_SETLK, &l), EOVERFLOW, "past the end of all files");
	l.l_len = -3;
	ok(fcntl(fd, F_SETLK, &l) == 0, "a length may be negative");
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
