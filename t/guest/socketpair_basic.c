/*
 * socketpair_basic.c - AF_UNIX pairs: stream, datagram, seqpacket, rights
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "t/guest/tap.h"

static char buf[65536];
static volatile sig_atomic_t sigpipes;

static void on_sigpipe(int sig)
{
	sigpipes++;
}

static int bits(int fd)
{
	struct pollfd p = {
		.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP
	};

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void test_stream(void)
{
	struct stat st;
	int s[2], n;

	ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0,
	   "stream pair");
	ok(fstat(s[0], &st) == 0 && S_ISSOCK(st.st_mode),
	   "a stream pair is of sockets");
	ok(write(s[0], "abc", 3) == 3 && send(s[0], "def", 3, 0) == 3,
	   "write and send");
	ok(ioctl(s[1], FIONREAD, &n) == 0 && n == 6, "FIONREAD");
	ok(recv(s[1], buf, 4, MSG_PEEK) == 4 && !memcmp(buf, "abcd", 4),
	   "peek");
	ok(recv(s[1], buf, 100, 0) == 6 && !memcmp(buf, "abcdef", 6),
	   "a stream has no seams");
	ok(recv(s[1], buf, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "empty");
	ok(bits(s[0]) == POLLOUT, "poll: out");
	ok(write(s[1], "back", 4) == 4 && read(s[0], buf, 9) == 4,
	   "a stream pair goes both ways");
	ok(shutdown(s[0], SHUT_WR) == 0 && read(s[1], buf, 1) == 0,
	   "shutdown ends the stream");
	ok(bits(s[1]) == (POLLIN | POLLOUT | POLLRDHUP), "poll: half closed");
	ok(write(s[1], "y", 1) == 1 && read(s[0], buf, 1) == 1,
	   "shutdown of one way: the other goes on");
	ok(send(s[0], "n", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE &&
	   sigpipes == 0, "EPIPE, no signal");
	ok(send(s[0], "n", 1, 0) < 0 && errno == EPIPE && sigpipes == 1,
	   "EPIPE and SIGPIPE");
	close(s[0]);
	ok(bits(s[1]) & POLLHUP, "poll: hang-up");
	ok(read(s[1], buf, 1) == 0, "end of file");
	close(s[1]);
}

static void test_reset(void)
{
	int s[2];

	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "pair");
	ok(write(s[0], "unread", 6) == 6 && close(s[1]) == 0,
	   "closed with data unread");
	ok(read(s[0], buf, 1) < 0 && errno == ECONNRESET, "ECONNRESET");
	ok(read(s[0], buf, 1) == 0, "ECONNRESET comes once");
	close(s[0]);
}

static void test_full(void)
{
	long total = 0, back = 0;
	int s[2];
	ssize_t n;

	ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0,
	   "nonblocking pair");
	memset(buf, 'f', sizeof(buf));
	while ((n = write(s[0], buf, sizeof(buf))) > 0)
		total += n;
	ok(n < 0 && errno == EAGAIN && total >= 65536, "fills up");
	ok((bits(s[0]) & POLLOUT) == 0, "poll: full");
	while ((n = read(s[1], buf, sizeof(buf))) > 0)
		back += n;
	ok(back == total, "a full pair: all of it arrives");
	ok(bits(s[0]) & POLLOUT, "poll: room again");
	close(s[0]);
	close(s[1]);
}

static void test_packets(int type, const char *name)
{
	struct iovec iov[2] = { { buf, 2 }, { buf + 100, 3 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	int s[2];

	printf("# %s\n", name);
	ok(socketpair(AF_UNIX, type, 0, s) == 0, "pair");
	ok(send(s[0], "one", 3, 0) == 3 && send(s[0], "second", 6, 0) == 6 &&
	   send(s[0], "", 0, 0) == 0, "three packets");
	ok(recv(s[1], buf, 100, 0) == 3, "three packets: the first");
	ok(recvmsg(s[1], &m, 0) == 5 && (m.msg_flags & MSG_TRUNC) &&
	   !memcmp(buf, "se", 2) && !memcmp(buf + 100, "con", 3),
	   "second, scattered and cut off");
	ok(recv(s[1], buf, 100, MSG_DONTWAIT) == 0,
	   "three packets: the third is empty");
	ok(recv(s[1], buf, 100, MSG_DONTWAIT) < 0 && errno == EAGAIN,
	   "three packets: no fourth");
	ok(send(s[0], "longer", 6, 0) == 6 &&
	   recv(s[1], buf, 2, MSG_TRUNC) == 6, "MSG_TRUNC tells its length");
	close(s[1]);
	ok(send(s[0], "x", 1, MSG_NOSIGNAL) < 0 &&
	   errno == (type == SOCK_DGRAM ? ECONNREFUSED : EPIPE),
	   "nobody there");
	close(s[0]);
}

static int send_fd(int s, int fd, const char *text)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return (int)sendmsg(s, &m, 0);
}

/* bytes received; *fd is -1 when none came along */
static int recv_fd(int s, int *fd, size_t max, int flags, int *out)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { buf, max };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c;
	int n = (int)recvmsg(s, &m, flags);

	*fd = -1;
	c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if (out)
		*out = m.msg_flags;
	return n;
}

static void test_rights(void)
{
	int s[2], p[2], fd, flags;
	struct stat a, b;
	char c;

	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0,
	   "pair and pipe");
	ok(write(s[0], "ab", 2) == 2 && send_fd(s[0], p[0], "cd") == 2 &&
	   write(s[0], "ef", 2) == 2, "a descriptor in mid-stream");
	fstat(p[0], &a);
	close(p[0]);
	ok(recv_fd(s[1], &fd, 100, MSG_CMSG_CLOEXEC, &flags) == 4 && fd >= 0 &&
	   !memcmp(buf, "abcd", 4), "read up to and with it");
	ok(fstat(fd, &b) == 0 && a.st_ino == b.st_ino,
	   "a descriptor that was sent: the same file");
	ok(fcntl(fd, F_GETFD) == FD_CLOEXEC, "closed on exec as asked");
	ok(write(p[1], "!", 1) == 1 && read(fd, &c, 1) == 1 && c == '!',
	   "a descriptor that was sent works");
	close(fd);
	ok(recv_fd(s[1], &fd, 100, 0, NULL) == 2 && fd < 0,
	   "what follows a descriptor: bytes alone");
	ok(send_fd(s[0], 999, "x") < 0 && errno == EBADF,
	   "sending a bad descriptor: EBADF");
	ok(send_fd(s[0], p[1], "x") == 1 && read(s[1], buf, 9) == 1,
	   "read() drops a descriptor that was sent");
	ok(send_fd(s[0], p[1], "x") == 1,
	   "a descriptor is left in flight at the close");
	close(p[1]);
	close(s[0]);
	close(s[1]);
}

static void test_no_room(void)
{
	struct iovec iov = { buf, 10 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int s[2];

	ok(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0, "pair");
	ok(send_fd(s[0], s[0], "x") == 1, "send itself");
	ok(recvmsg(s[1], &m, 0) == 1 && (m.msg_flags & MSG_CTRUNC),
	   "MSG_CTRUNC without room");
	close(s[0]);
	close(s[1]);
}

static void test_options(void)
{
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	struct timeval tv = { 0, 20000 };
	struct ucred cred;
	int s[2], p[2], v = -1;

	ok(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0 && pipe(p) == 0,
	   "pair");
	ok(getsockname(s[0], (struct sockaddr *)&un, &len) == 0 &&
	   len == 2 && un.sun_family == AF_UNIX, "getsockname");
	len = sizeof(un);
	ok(getpeername(s[0], (struct sockaddr *)&un, &len) == 0 && len == 2,
	   "getpeername");
	len = sizeof(v);
	ok(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &len) == 0 &&
	   v == SOCK_SEQPACKET, "SO_TYPE");
	ok(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &len) == 0 &&
	   v == AF_UNIX, "SO_DOMAIN");
	ok(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &len) == 0 && v == 0,
	   "SO_ERROR");
	len = sizeof(cred);
	ok(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	   cred.pid == getpid(), "SO_PEERCRED");
	ok(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0 &&
	   recv(s[0], buf, 1, 0) < 0 && errno == EAGAIN, "SO_RCVTIMEO");
	ok(setsockopt(s[0], SOL_SOCKET, 9999, &v, sizeof(v)) < 0 &&
	   errno == ENOPROTOOPT, "unknown option");
	ok(getsockopt(p[0], SOL_SOCKET, SO_TYPE, &v, &len) < 0 &&
	   errno == ENOTSOCK, "getsockopt of what is no socket: ENOTSOCK");
	ok(getsockopt(999, SOL_SOCKET, SO_TYPE, &v, &len) < 0 &&
	   errno == EBADF, "getsockopt of what is not open: EBADF");
	ok(connect(s[0], (struct sockaddr *)&un, sizeof(un)) < 0,
	   "connect of a pair's end fails");
	close(p[0]);
	close(p[1]);
	close(s[0]);
	close(s[1]);
}

static void test_lone(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), s[2];

	ok(fd >= 0, "a lone socket");
	strcpy(un.sun_path, "/nonexistent/daemon");
	ok(connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 &&
	   errno == ENOENT, "connect to nobody's path: ENOENT");
	memcpy(un.sun_path, "\0nobody", 7);
	ok(connect(fd, (struct sockaddr *)&un, 9) < 0 &&
	   errno == ECONNREFUSED,
	   "connect to nobody's abstract name: ECONNREFUSED");
	ok(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == ENOTCONN,
	   "send on a lone socket: ENOTCONN");
	ok(read(fd, buf, 1) < 0 && errno == EINVAL,
	   "read of a lone socket: EINVAL");
	ok(listen(fd, 1) < 0 && errno == EINVAL, "listen: not bound");
	ok(shutdown(fd, SHUT_RDWR) == 0, "shutdown of a lone one");
	close(fd);
	ok(socket(AF_UNIX, 77, 0) < 0 && errno == EINVAL, "bad type");
	ok(socketpair(AF_UNIX, SOCK_STREAM, 99, s) < 0 &&
	   errno == EPROTONOSUPPORT, "bad protocol");
}

static void *answer(void *arg)
{
	int fd = *(int *)arg;
	char c;

	while (read(fd, &c, 1) == 1)
		if (write(fd, &c, 1) != 1)
			break;
	close(fd);
	return NULL;
}

static void test_threads(void)
{
	pthread_t t;
	int s[2], i, same = 1;
	char c;

	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "pair");
	pthread_create(&t, NULL, answer, &s[1]);
	for (i = 0; i < 200; i++) {
		c = (char)i;
		same &= write(s[0], &c, 1) == 1 && read(s[0], &c, 1) == 1 &&
			c == (char)i;
	}
	ok(same, "200 round trips");
	ok(recv(s[0], buf, 4, MSG_DONTWAIT) < 0,
	   "200 round trips, and no more");
	shutdown(s[0], SHUT_WR);
	ok(recv(s[0], buf, 4, MSG_WAITALL) == 0, "end");
	pthread_join(t, NULL);
	close(s[0]);
}

static void on_alarm(int sig)
{
}

/* it would begin with the whole timeout again */
static void test_timeout_signal(void)
{
	struct sigaction sa = { .sa_handler = on_alarm,
				.sa_flags = SA_RESTART };
	struct itimerval it = { { 0, 0 }, { 0, 20000 } };
	struct timeval tv = { 5, 0 };
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	ok(read(s[0], buf, 1) < 0 && errno == EINTR,
	   "with a timeout no call begins again");
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	signal(SIGPIPE, on_sigpipe);
	test_stream();
	test_reset();
	test_full();
	test_packets(SOCK_SEQPACKET, "seqpacket");
	test_packets(SOCK_DGRAM, "datagram");
	test_rights();
	test_no_room();
	test_options();
	test_lone();
	test_threads();
	test_timeout_signal();
	return done_testing();
}
