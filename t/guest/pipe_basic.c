/*
 * pipe_basic.c - pipes: order, capacity, atomicity, ends, descriptors
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t/guest/tap.h"

#define CAPACITY 65536

/* not mapped, and hidden from the compiler */
static void *volatile bad = (void *)8;
static volatile sig_atomic_t sigpipes;

static void on_sigpipe(int sig)
{
	sigpipes++;
}

static int bits(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = (short)events };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void test_bytes(void)
{
	char buf[16];
	struct stat st;
	int p[2], n = -1;

	ok(pipe2(p, O_CLOEXEC) == 0, "pipe2");
	ok(fcntl(p[0], F_GETFD) == FD_CLOEXEC, "close on exec is set");
	ok(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode), "a pipe is a fifo");
	ok((fcntl(p[0], F_GETFL) & O_ACCMODE) == O_RDONLY &&
	   (fcntl(p[1], F_GETFL) & O_ACCMODE) == O_WRONLY, "access modes");
	ok(write(p[1], "hello", 5) == 5, "write");
	ok(ioctl(p[0], FIONREAD, &n) == 0 && n == 5, "FIONREAD");
	ok(read(p[0], buf, 2) == 2 && !memcmp(buf, "he", 2),
	   "a read of a part");
	ok(read(p[0], buf, sizeof(buf)) == 3 && !memcmp(buf, "llo", 3),
	   "a read of the rest");
	ok(write(p[0], "x", 1) < 0 && errno == EBADF, "no write to reader");
	ok(read(p[1], buf, 1) < 0 && errno == EBADF, "no read from writer");
	ok(lseek(p[0], 0, SEEK_CUR) < 0 && errno == ESPIPE, "no seek");
	ok(write(p[1], bad, 4) < 0 && errno == EFAULT, "bad pointer");
	ok(write(p[1], "z", 1) == 1 && close(p[1]) == 0, "close writer");
	ok(bits(p[0], POLLIN) == (POLLIN | POLLHUP), "poll: data and end");
	ok(read(p[0], buf, 4) == 1, "a read of what was left");
	ok(bits(p[0], POLLIN) == POLLHUP, "poll: end");
	ok(read(p[0], buf, 4) == 0, "end of file");
	close(p[0]);
	ok(pipe2(p, 1 << 20) < 0 && errno == EINVAL, "bad flags");
	ok(pipe(bad) < 0 && errno == EFAULT, "pipe: bad pointer");
}

static void test_capacity(void)
{
	static char big[CAPACITY + 1], back[CAPACITY];
	int p[2], i, same = 1;
	ssize_t n;

	for (i = 0; i < CAPACITY; i++)
		big[i] = (char)(i * 7 + i / 251);
	ok(pipe2(p, O_NONBLOCK) == 0, "pipe2 nonblock");
	ok(bits(p[0], POLLIN) == 0, "poll: empty");
	ok(bits(p[1], POLLOUT) == POLLOUT, "poll: room");
	ok(read(p[0], big, 1) < 0 && errno == EAGAIN, "empty: EAGAIN");
	ok(write(p[1], big, sizeof(big)) == CAPACITY, "fills up");
	ok(bits(p[1], POLLOUT) == 0, "poll: full");
	ok(write(p[1], big, 1) < 0 && errno == EAGAIN, "full: EAGAIN");
	n = read(p[0], back, 4096);
	ok(n == 4096 && bits(p[1], POLLOUT) == POLLOUT, "poll: a page free");
	ok(write(p[1], big, PIPE_BUF) == PIPE_BUF, "an atomic write fits");
	n = read(p[0], back, sizeof(back));
	ok(n == CAPACITY, "read all");
	for (i = 0; i < CAPACITY - 4096; i++)
		same &= back[i] == big[i + 4096];
	same &= !memcmp(back + CAPACITY - 4096, big, 4096);
	ok(same, "a full pipe is read in order");
	close(p[0]);
	close(p[1]);
}

static void test_reader_gone(void)
{
	int p[2];

	signal(SIGPIPE, on_sigpipe);
	ok(pipe(p) == 0 && close(p[0]) == 0, "reader gone");
	ok(bits(p[1], POLLOUT) & POLLERR, "poll: error");
	ok(write(p[1], "x", 1) < 0 && errno == EPIPE, "EPIPE");
	ok(sigpipes == 1, "SIGPIPE");
	ok(write(p[1], "", 0) == 0, "an empty write is fine");
	close(p[1]);
}

static void *writer(void *arg)
{
	static char chunk[3 * CAPACITY];
	int fd = *(int *)arg;

	memset(chunk, 'w', sizeof(chunk));
	usleep(20000);
	if (write(fd, "first", 5) != 5 ||
	    write(fd, chunk, sizeof(chunk)) != sizeof(chunk))
		return "short";
	close(fd);
	return NULL;
}

static void test_blocking(void)
{
	static char buf[10000];
	pthread_t t;
	void *res;
	long total = 0;
	int p[2];
	ssize_t n;

	ok(pipe(p) == 0, "pipe");
	pthread_create(&t, NULL, writer, &p[1]);
	ok(read(p[0], buf, 5) == 5 && !memcmp(buf, "first", 5),
	   "a read waits for a writer");
	usleep(20000);
	while ((n = read(p[0], buf, sizeof(buf))) > 0)
		total += n;
	pthread_join(t, &res);
	ok(n == 0 && total == 3 * CAPACITY, "a long write waits for room");
	ok(res == NULL, "a long write is whole");
	close(p[0]);
}

static void test_size(void)
{
	static char buf[CAPACITY];
	int p[2];

	ok(pipe2(p, O_NONBLOCK) == 0 &&
	   fcntl(p[0], F_GETPIPE_SZ) == CAPACITY, "F_GETPIPE_SZ");
	ok(fcntl(p[1], F_SETPIPE_SZ, 5000) == 8192 &&
	   fcntl(p[0], F_SETPIPE_SZ, 1) == 4096 &&
	   fcntl(p[0], F_GETPIPE_SZ) == 4096, "F_SETPIPE_SZ rounds up");
	ok(write(p[1], buf, 5000) == 4096 && bits(p[1], POLLOUT) == 0,
	   "a smaller pipe holds less");
	ok(fcntl(p[0], F_SETPIPE_SZ, 8192) == 8192 &&
	   bits(p[1], POLLOUT) == POLLOUT && write(p[1], buf, 5000) == 4096,
	   "a larger pipe holds more");
	fails(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY,
	      "F_SETPIPE_SZ: not less than is in it");
	ok(read(p[0], buf, sizeof(buf)) == 8192,
	   "F_SETPIPE_SZ: nothing was lost");
	fails(fcntl(0, F_GETPIPE_SZ + 1000), EINVAL, "no such command");
	close(p[0]);
	close(p[1]);
}

static void test_dup(void)
{
	char c;
	int p[2], d = -1;

	ok(pipe(p) == 0 && (d = dup(p[1])) >= 0, "dup of the writer");
	close(p[1]);
	ok(write(d, "d", 1) == 1 && read(p[0], &c, 1) == 1 && c == 'd',
	   "a dup of the writer keeps the pipe open");
	close(d);
	ok(read(p[0], &c, 1) == 0, "the last writer's close ends the pipe");
	close(p[0]);
}

int main(void)
{
	test_bytes();
	test_capacity();
	test_reader_gone();
	test_blocking();
	test_size();
	test_dup();
	return done_testing();
}
