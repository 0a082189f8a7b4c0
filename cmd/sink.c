/*
 * sink.c - lines to a descriptor that nobody may be reading
 *
 * A pipe or terminal is opened anew, so that O_NONBLOCK is this sink's alone;
 * where that is not allowed, no more is written than poll(2) promises room
 * for.  Invariants: buf[at, len) waits; the watcher runs exactly while
 * something does; `lost` lines followed what waits.
 */
#include "cmd/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAITING_MAX	((size_t)1 << 20)	/* bytes */
#define LAST_MS		1000			/* for them, at the end */

struct sink {
	struct ev_loop *loop;
	struct ev_io io;
	const char *who;
	int fd;
	int is_socket, may_block;
	char *buf;
	size_t at, len;
	unsigned long long lost;	/* lines */
};

/* bytes that it took, 0 or -errno */
static ssize_t put(struct sink *s, const char *text, size_t len)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	ssize_t n;

	if (s->may_block) {
		if (poll(&p, 1, 0) <= 0)
			return 0;
		/* pipe(7): so much fits, or none of it was free */
		if (len > PIPE_BUF)
			len = PIPE_BUF;
	}
	n = s->is_socket ? send(s->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			 : write(s->fd, text, len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

static void drop(struct sink *s)
{
	ev_io_stop(s->loop, &s->io);
	s->at = s->len = 0;
}

static void say_lost(struct sink *s)
{
	char line[160];
	int n;

	if (!s->lost)
		return;
	n = snprintf(line, sizeof(line), "%s: %llu lines lost: nobody read "
		     "them in time\n", s->who, s->lost);
	s->lost = 0;
	sink_write(s, line, (size_t)n);
}

static void flush(struct sink *s)
{
	while (s->at < s->len) {
		ssize_t n = put(s, s->buf + s->at, s->len - s->at);

		if (n == 0)
			return;
		if (n < 0) {
			drop(s);	/* nobody ever will */
			s->lost = 0;
			return;
		}
		s->at += (size_t)n;
	}
	drop(s);
	say_lost(s);
}

static void on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	flush(w->data);
}

static unsigned long long lines(const char *text, size_t len)
{
	unsigned long long n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* bytes of the lines that end within len */
static size_t whole(const char *text, size_t len)
{
	const char *end = memrchr(text, '\n', len);

	return end ? (size_t)(end - text) + 1 : 0;
}

static void wait_for_room(struct sink *s, const char *text, size_t len)
{
	size_t fits = len;

	if (s->at) {
		memmove(s->buf, s->buf + s->at, s->len - s->at);
		s->len -= s->at;
		s->at = 0;
	}
	if (s->lost)
		fits = 0;
	else if (fits > WAITING_MAX - s->len)
		fits = whole(text, WAITING_MAX - s->len);
	s->lost += lines(text + fits, len - fits);
	memcpy(s->buf + s->len, text, fits);
	s->len += fits;
	ev_io_start(s->loop, &s->io);
}

void sink_write(struct sink *s, const char *text, size_t len)
{
	while (len && s->at == s->len && !s->lost) {
		ssize_t n = put(s, text, len);

		if (n < 0)
			return;
		if (n == 0)
			break;
		text += n;
		len -= (size_t)n;
	}
	if (len)
		wait_for_room(s, text, len);
}

/* a descriptor of our own for the same */
static int open_again(struct sink *s, int fd)
{
	struct stat st;
	char path[32];

	if (fstat(fd, &st) < 0)
		return -errno;
	s->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		s->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY |
			     O_CLOEXEC);
		if (s->fd >= 0)
			return 0;
		s->may_block = 1;
	}
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return s->fd < 0 ? -errno : 0;
}

int sink_create(struct sink **out, struct ev_loop *loop, int fd,
		const char *who)
{
	struct sink *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->buf = malloc(WAITING_MAX);
	r = s->buf ? open_again(s, fd) : -ENOMEM;
	if (r < 0) {
		free(s->buf);
		free(s);
		return r;
	}
	s->loop = loop;
	s->who = who;
	ev_io_init(&s->io, on_writable, s->fd, EV_WRITE);
	s->io.data = s;
	*out = s;
	return 0;
}

void sink_destroy(struct sink *s)
{
	struct pollfd p = { .events = POLLOUT };
	int left = LAST_MS / 10;

	if (!s)
		return;
	p.fd = s->fd;
	for (flush(s); s->at < s->len && left > 0; flush(s)) {
		if (poll(&p, 1, 10) == 0)
			left--;
	}
	drop(s);
	close(s->fd);
	free(s->buf);
	free(s);
}
