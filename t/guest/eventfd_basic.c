/*
 * eventfd_basic.c - eventfd, timerfd and signalfd
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "t/guest/tap.h"

static int bits(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, ms) < 0 ? -1 : p.revents;
}

static int in_within(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

static void test_counter(void)
{
	uint64_t v = 0;
	int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);

	ok(fd >= 0, "eventfd");
	ok(bits(fd, 0) == (POLLIN | POLLOUT), "poll: both");
	ok(read(fd, &v, 8) == 8 && v == 3, "initial value");
	ok(read(fd, &v, 8) < 0 && errno == EAGAIN, "empty: EAGAIN");
	ok(bits(fd, 0) == POLLOUT, "poll: out");
	ok(read(fd, &v, 4) < 0 && errno == EINVAL, "short read");
	v = UINT64_MAX;
	ok(write(fd, &v, 8) < 0 && errno == EINVAL, "-1 is refused");
	v = UINT64_MAX - 1;
	ok(write(fd, &v, 8) == 8, "up to the top");
	ok(bits(fd, 0) == POLLIN, "poll: in only");
	v = 1;
	ok(write(fd, &v, 8) < 0 && errno == EAGAIN, "full: EAGAIN");
	ok(read(fd, &v, 8) == 8 && v == UINT64_MAX - 1, "eventfd: all at once");
	close(fd);
	fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	ok(read(fd, &v, 8) == 8 && v == 1, "semaphore: one");
	ok(read(fd, &v, 8) == 8 && v == 1, "semaphore: two");
	ok(read(fd, &v, 8) < 0 && errno == EAGAIN, "semaphore: empty");
	close(fd);
	ok(eventfd(0, 1 << 20) < 0 && errno == EINVAL, "bad flags");
}

static void *poster(void *arg)
{
	uint64_t one = 1;

	usleep(20000);
	return write(*(int *)arg, &one, 8) == 8 ? NULL : arg;
}

static void test_waiting(void)
{
	uint64_t v = 0;
	pthread_t t;
	int fd = eventfd(0, 0);

	pthread_create(&t, NULL, poster, &fd);
	ok(read(fd, &v, 8) == 8 && v == 1, "a read waits");
	pthread_join(t, NULL);
	pthread_create(&t, NULL, poster, &fd);
	ok(in_within(fd, 5000), "poll waits");
	pthread_join(t, NULL);
	close(fd);
}

static void test_timer(void)
{
	struct itimerspec its = { .it_value = { 0, 20000000 } }, now;
	struct timespec ts;
	uint64_t v = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

	ok(fd >= 0, "timerfd");
	ok(read(fd, &v, 8) < 0 && errno == EAGAIN,
	   "timerfd: not armed, EAGAIN");
	ok(timerfd_settime(fd, 0, &its, NULL) == 0, "settime");
	ok(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_sec == 0 &&
	   now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 20000000,
	   "gettime");
	ok(bits(fd, 0) == 0, "timerfd: not yet");
	ok(in_within(fd, 5000), "poll wakes at its expiry");
	ok(read(fd, &v, 8) == 8 && v == 1, "timerfd: one expiry");
	ok(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_nsec == 0,
	   "disarmed");
	its.it_value.tv_nsec = 1000000;
	its.it_interval.tv_nsec = 5000000;
	timerfd_settime(fd, 0, &its, NULL);
	usleep(30000);
	ok(read(fd, &v, 8) == 8 && v >= 5, "several expiries of an interval");
	memset(&its, 0, sizeof(its));
	ok(timerfd_settime(fd, 0, &its, &now) == 0 &&
	   now.it_interval.tv_nsec == 5000000, "disarm, old value");
	close(fd);
	fd = timerfd_create(CLOCK_REALTIME, 0);
	clock_gettime(CLOCK_REALTIME, &ts);
	its.it_value = ts;
	its.it_value.tv_nsec += 10000000;
	if (its.it_value.tv_nsec >= 1000000000) {
		its.it_value.tv_nsec -= 1000000000;
		its.it_value.tv_sec++;
	}
	ok(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL) == 0,
	   "absolute wall clock time");
	ok(read(fd, &v, 8) == 8 && v == 1, "a read waits for it");
	its.it_value.tv_nsec = 1000000000;
	ok(timerfd_settime(fd, 0, &its, NULL) < 0 && errno == EINVAL,
	   "bad nanoseconds");
	close(fd);
	ok(timerfd_create(1234, 0) < 0 && errno == EINVAL, "bad clock");
	fd = eventfd(0, 0);
	ok(timerfd_gettime(fd, &now) < 0 && errno == EINVAL,
	   "timerfd_gettime: not a timer");
	close(fd);
}

static void test_signal(void)
{
	struct signalfd_siginfo si;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK);
	ok(fd >= 0, "signalfd");
	ok(read(fd, &si, sizeof(si)) < 0 && errno == EAGAIN,
	   "signalfd: none pending");
	ok(bits(fd, 0) == 0, "poll: none");
	raise(SIGUSR1);
	ok(in_within(fd, 1000), "poll: pending");
	ok(read(fd, &si, sizeof(si)) == sizeof(si) &&
	   si.ssi_signo == SIGUSR1 && si.ssi_pid == (unsigned)getpid(),
	   "read it");
	ok(read(fd, &si, sizeof(si)) < 0 && errno == EAGAIN, "taken");
	close(fd);
}

int main(void)
{
	test_counter();
	test_waiting();
	test_timer();
	test_signal();
	return done_testing();
}
