/*
 * poll_basic.c - poll, ppoll, select, pselect: bits, timeouts, signals
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "t/guest/tap.h"

/* not mapped, and hidden from the compiler */
static void *volatile bad = (void *)8;
static int p[2];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *later(void *arg)
{
	usleep(20000);
	return write(p[1], "x", 1) == 1 ? NULL : arg;
}

static void on_signal(int sig)
{
}

static void *interrupt(void *arg)
{
	usleep(20000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void test_poll(void)
{
	struct pollfd f[3];
	pthread_t t;
	double start;
	char c;

	memset(f, 0, sizeof(f));
	f[0].fd = p[0];
	f[0].events = POLLIN | POLLRDNORM;
	f[1].fd = p[1];
	f[1].events = POLLOUT | POLLWRNORM;
	f[2].fd = -1;
	f[2].events = POLLIN;
	f[2].revents = 99;
	ok(poll(f, 3, 0) == 1 && f[0].revents == 0 &&
	   f[1].revents == (POLLOUT | POLLWRNORM) && f[2].revents == 0,
	   "poll: bits");
	f[2].fd = 999;
	ok(poll(f, 3, 0) == 2 && f[2].revents == POLLNVAL, "POLLNVAL");
	start = now();
	ok(poll(f, 1, 30) == 0 && now() - start >= 0.029, "times out");
	ok(poll(NULL, 0, 10) == 0, "no descriptors: a sleep");
	pthread_create(&t, NULL, later, NULL);
	ok(poll(f, 1, -1) == 1 && f[0].revents == (POLLIN | POLLRDNORM),
	   "woken by a write");
	pthread_join(t, NULL);
	ok(read(p[0], &c, 1) == 1, "drained");
	ok(poll(bad, 1, 0) < 0 && errno == EFAULT, "EFAULT");
}

static void test_files(void)
{
	struct pollfd f = { .events = POLLIN | POLLOUT };

	f.fd = open("/", O_RDONLY | O_DIRECTORY);
	ok(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLOUT),
	   "a directory is always ready");
	close(f.fd);
	f.fd = open("/dev/null", O_RDWR);
	ok(poll(&f, 1, 0) == 1 && f.revents == (POLLIN | POLLOUT),
	   "/dev/null is always ready");
	close(f.fd);
}

static void test_ppoll(void)
{
	struct pollfd f = { .fd = p[0], .events = POLLIN };
	struct timespec ts = { 0, 20000000 };
	struct sigaction sa = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), t;
	sigset_t none, set;

	ok(ppoll(&f, 1, &ts, NULL) == 0, "ppoll times out");
	ts.tv_nsec = 1000000000;
	ok(ppoll(&f, 1, &ts, NULL) < 0 && errno == EINVAL, "bad timespec");
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, interrupt, &self);
	ok(poll(&f, 1, 5000) < 0 && errno == EINTR, "poll: EINTR");
	pthread_join(t, NULL);
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	ok(poll(&f, 1, 0) == 0, "blocked: not interrupted");
	ok(ppoll(&f, 1, NULL, &none) < 0 && errno == EINTR,
	   "ppoll's mask lets it in");
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	ok(sigismember(&set, SIGUSR1) == 1, "ppoll's mask is undone");
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void test_select(void)
{
	struct timeval tv = { 0, 20000 };
	struct timespec ts = { 0, 10000000 };
	fd_set in, out;
	pthread_t t;
	int n = (p[0] > p[1] ? p[0] : p[1]) + 1;
	char c;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(p[0], &in);
	FD_SET(p[1], &out);
	ok(select(n, &in, &out, NULL, NULL) == 1 && !FD_ISSET(p[0], &in) &&
	   FD_ISSET(p[1], &out), "select: out");
	FD_SET(p[0], &in);
	ok(select(n, &in, NULL, NULL, &tv) == 0 && !FD_ISSET(p[0], &in) &&
	   tv.tv_sec == 0 && tv.tv_usec == 0, "times out, time is used up");
	FD_SET(p[0], &in);
	tv.tv_sec = 10;
	pthread_create(&t, NULL, later, NULL);
	ok(select(n, &in, NULL, NULL, &tv) == 1 && FD_ISSET(p[0], &in) &&
	   tv.tv_sec == 9, "woken by a write, time left");
	pthread_join(t, NULL);
	ok(read(p[0], &c, 1) == 1, "drained");
	FD_SET(p[0], &in);
	ok(pselect(n, &in, NULL, NULL, &ts, NULL) == 0 && ts.tv_nsec != 0,
	   "pselect times out");
	FD_ZERO(&in);
	FD_SET(60, &in);
	tv.tv_sec = 0;
	ok(select(61, &in, NULL, NULL, &tv) < 0 && errno == EBADF, "EBADF");
	ok(select(-1, NULL, NULL, NULL, &tv) < 0 && errno == EINVAL,
	   "EINVAL");
}

/* expires more often than anyone can look, and nobody asks about it */
static void test_busy_timer(void)
{
	struct itimerspec its = { { 0, 1 }, { 0, 1 } };
	struct pollfd f = { .fd = p[0], .events = POLLIN };
	int tm = timerfd_create(CLOCK_MONOTONIC, 0);

	timerfd_settime(tm, 0, &its, NULL);
	ok(poll(&f, 1, 20) == 0, "a busy timer does not keep poll for ever");
	close(tm);
}

int main(void)
{
	ok(pipe(p) == 0, "pipe");
	test_poll();
	test_files();
	test_ppoll();
	test_select();
	test_busy_timer();
	return done_testing();
}
