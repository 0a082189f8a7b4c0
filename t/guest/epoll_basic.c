/*
 * epoll_basic.c - epoll: level, edge, one-shot, sets of sets, errors
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "t/guest/tap.h"

static struct epoll_event ev[8];

static int add(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static int mod(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

static int look(int ep)
{
	return epoll_wait(ep, ev, 8, 0);
}

static void put(int fd)
{
	ok(write(fd, "x", 1) == 1, "write");
}

static void test_level(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
	char c;

	ok(ep >= 0 && pipe(p) == 0, "epoll_create1");
	ok(add(ep, p[0], EPOLLIN, 0x123456789abcull) == 0, "add");
	ok(look(ep) == 0, "nothing yet");
	put(p[1]);
	ok(look(ep) == 1 && ev[0].events == EPOLLIN &&
	   ev[0].data.u64 == 0x123456789abcull, "in, with its data");
	ok(look(ep) == 1, "level: again");
	ok(mod(ep, p[0], EPOLLIN, 5) == 0 && look(ep) == 1 &&
	   ev[0].data.u64 == 5, "changed data");
	ok(mod(ep, p[0], 0, 5) == 0 && look(ep) == 0, "no events");
	mod(ep, p[0], EPOLLIN, 5);
	ok(read(p[0], &c, 1) == 1 && look(ep) == 0, "drained");
	close(p[1]);
	ok(look(ep) == 1 && ev[0].events == EPOLLHUP, "hang-up unasked");
	close(p[0]);
	ok(look(ep) == 0, "a closed file leaves the set");
	close(ep);
}

static void test_edge(void)
{
	int ep = epoll_create(1), p[2];
	char buf[8];

	ok(pipe2(p, O_NONBLOCK) == 0, "pipe");
	put(p[1]);
	ok(add(ep, p[0], EPOLLIN | EPOLLET, 1) == 0 && look(ep) == 1,
	   "edge: ready when added");
	ok(look(ep) == 0, "edge: once");
	put(p[1]);
	ok(look(ep) == 1, "edge: a further write is another");
	ok(look(ep) == 0, "edge: once again");
	ok(read(p[0], buf, 1) == 1 && look(ep) == 0, "a read is none");
	ok(mod(ep, p[0], EPOLLIN | EPOLLET, 1) == 0 && look(ep) == 1,
	   "a change looks anew");
	ok(read(p[0], buf, 8) == 1, "drained");
	close(p[0]);
	close(p[1]);
	close(ep);
}

static void test_oneshot(void)
{
	int ep = epoll_create1(0), fd = eventfd(1, 0);

	ok(add(ep, fd, EPOLLIN | EPOLLONESHOT, 1) == 0, "one-shot: added");
	ok(look(ep) == 1, "one-shot: ready at first");
	ok(look(ep) == 0, "one-shot: not a second time");
	ok(mod(ep, fd, EPOLLIN | EPOLLONESHOT, 2) == 0 && look(ep) == 1 &&
	   ev[0].data.u64 == 2, "one-shot: a change arms it again");
	close(fd);
	close(ep);
}

static void test_many(void)
{
	int ep = epoll_create1(0), fd[4], i, seen = 0;

	for (i = 0; i < 4; i++) {
		fd[i] = eventfd(1, 0);
		add(ep, fd[i], EPOLLIN, (uint64_t)i);
	}
	for (i = 0; i < 4; i++)
		if (epoll_wait(ep, ev, 1, 0) == 1)
			seen |= 1 << ev[0].data.u32;
	ok(seen == 15, "a set: all get their turn");
	ok(look(ep) == 4, "a set: all at once");
	ok(epoll_ctl(ep, EPOLL_CTL_DEL, fd[0], NULL) == 0 && look(ep) == 3,
	   "removed");
	for (i = 0; i < 4; i++)
		close(fd[i]);
	ok(look(ep) == 0, "a set: all closed");
	close(ep);
}

static void test_dup(void)
{
	int ep = epoll_create1(0), fd = eventfd(1, 0), d = dup(fd);

	ok(add(ep, fd, EPOLLIN, 1) == 0 && add(ep, d, EPOLLIN, 2) == 0,
	   "a duplicate is another item");
	ok(look(ep) == 2, "a duplicate: both are ready");
	close(fd);
	ok(look(ep) == 2, "a duplicate keeps a closed descriptor's item");
	close(d);
	ok(look(ep) == 0, "a duplicate: items end with the last descriptor");
	close(ep);
}

static void test_nested(void)
{
	int a = epoll_create1(0), b = epoll_create1(0), fd = eventfd(0, 0);
	uint64_t one = 1;

	ok(add(a, b, EPOLLIN, 7) == 0 && add(b, fd, EPOLLIN, 8) == 0,
	   "a set in a set");
	ok(look(a) == 0, "nothing");
	ok(write(fd, &one, 8) == 8 && look(a) == 1 && ev[0].data.u64 == 7,
	   "seen from outside");
	ok(add(b, a, EPOLLIN, 9) < 0 && errno == ELOOP, "no circle");
	ok(add(a, a, EPOLLIN, 9) < 0 && errno == EINVAL,
	   "a set does not take itself");
	close(fd);
	close(a);
	close(b);
}

static void test_errors(void)
{
	int ep = epoll_create1(0), fd = eventfd(0, 0), p[2];
	int dir = open("/", O_RDONLY | O_DIRECTORY);

	ok(pipe(p) == 0, "pipe");
	ok(add(ep, dir, EPOLLIN, 1) < 0 && errno == EPERM, "EPERM");
	ok(add(ep, 999, EPOLLIN, 1) < 0 && errno == EBADF, "EBADF");
	ok(add(fd, p[0], EPOLLIN, 1) < 0 && errno == EINVAL,
	   "add to what is no set: EINVAL");
	ok(add(ep, fd, EPOLLIN, 1) == 0 && add(ep, fd, EPOLLIN, 1) < 0 &&
	   errno == EEXIST, "EEXIST");
	ok(mod(ep, p[0], EPOLLIN, 1) < 0 && errno == ENOENT, "ENOENT");
	ok(epoll_ctl(ep, 77, fd, ev) < 0 && errno == EINVAL, "bad operation");
	ok(epoll_wait(ep, ev, 0, 0) < 0 && errno == EINVAL, "no room");
	ok(epoll_wait(fd, ev, 1, 0) < 0 && errno == EINVAL, "wait: not a set");
	ok(epoll_wait(ep, ev, 8, 20) == 0, "times out");
	close(p[0]);
	close(p[1]);
	close(dir);
	close(fd);
	close(ep);
}

static void *later(void *arg)
{
	uint64_t one = 1;

	usleep(20000);
	return write(*(int *)arg, &one, 8) == 8 ? NULL : arg;
}

static void test_waiting(void)
{
	struct itimerspec its = { .it_value = { 0, 20000000 } };
	int ep = epoll_create1(0), fd = eventfd(0, 0);
	int tm = timerfd_create(CLOCK_MONOTONIC, 0);
	pthread_t t;

	add(ep, fd, EPOLLIN | EPOLLET, 1);
	add(ep, tm, EPOLLIN | EPOLLET, 2);
	pthread_create(&t, NULL, later, &fd);
	ok(epoll_wait(ep, ev, 8, -1) == 1 && ev[0].data.u64 == 1,
	   "woken by another thread");
	pthread_join(t, NULL);
	timerfd_settime(tm, 0, &its, NULL);
	ok(epoll_pwait(ep, ev, 8, 5000, NULL) == 1 && ev[0].data.u64 == 2,
	   "woken by a timer");
	ok(look(ep) == 0, "a timer's edge is used up");
	close(tm);
	close(fd);
	close(ep);
}

static void test_signal(void)
{
	struct signalfd_siginfo si;
	int ep = epoll_create1(0), fd;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK);
	add(ep, fd, EPOLLIN | EPOLLET, 1);
	ok(look(ep) == 0, "a signalfd without a signal");
	raise(SIGUSR1);
	ok(look(ep) == 1 && ev[0].events == EPOLLIN, "a signal is an edge");
	ok(look(ep) == 0, "used up");
	ok(read(fd, &si, sizeof(si)) == sizeof(si) && look(ep) == 0, "read");
	kill(getpid(), SIGUSR1);
	ok(look(ep) == 1, "a next signal is another edge");
	ok(read(fd, &si, sizeof(si)) == sizeof(si), "read");
	close(fd);
	close(ep);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void test_socket(void)
{
	int ep = epoll_create1(0), s[2];

	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "socketpair");
	add(ep, s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP, 1);
	ok(look(ep) == 1 && ev[0].events == EPOLLOUT, "writable");
	put(s[1]);
	ok(look(ep) == 1 && ev[0].events == (EPOLLIN | EPOLLOUT), "readable");
	shutdown(s[1], SHUT_WR);
	ok(look(ep) == 1 &&
	   ev[0].events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP), "half closed");
	close(s[1]);
	ok(look(ep) == 1 && (ev[0].events & EPOLLHUP), "closed");
	close(s[0]);
	close(ep);
}

int main(void)
{
	test_level();
	test_edge();
	test_oneshot();
	test_many();
	test_dup();
	test_nested();
	test_errors();
	test_waiting();
	test_socket();
	test_signal();
	return done_testing();
}
