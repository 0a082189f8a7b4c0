/*
 * asynclog.c - lines to a descriptor that nobody may be reading, or a full disk
 *
 * A pipe or terminal is opened anew, so that other processes do not get its
 * O_NONBLOCK; where that is not allowed, no more is written than poll(2)
 * promises room for.  Invariants: the watcher runs exactly while something
 * waits and the last write did not fail; after a failure the timer tries again,
 * whatever the error: a full disk may get room, a pipe another reader.  The
 * timer runs while there is something to try again, or an owner lost lines by
 * its rate and no line has said so yet.
 */
#include "cmd/asynclog.h"

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

#include "cmd/backlog.h"

#define LAST_MS		1000	/* for writing what waits, at the end */
#define RETRY_S		1.0
#define BURST_S		10.0	/* seconds of its rate, at once */
#define SAY_S		5.0	/* between lines about lines over a rate */

struct asynclog {
	struct ev_loop *loop;
	struct ev_io io;
	struct ev_timer timer;
	struct backlog b;
	struct owner *server;
	struct asynclog *elsewhere;
	const char *who;
	int fd;
	int is_socket, may_block;
	/* errno of the last write; 0: it succeeded */
	int error;
	double rate;			/* bytes per second; 0: unlimited */
};

/* bytes that the descriptor took, 0 or -errno */
static ssize_t put(struct asynclog *s, const char *text, size_t len)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	ssize_t n;

	if (s->may_block) {
		if (poll(&p, 1, 0) <= 0)
			return 0;
		/* pipe(7): poll(2) promises room for PIPE_BUF bytes */
		if (len > PIPE_BUF)
			len = PIPE_BUF;
	}
	n = s->is_socket ? send(s->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			 : write(s->fd, text, len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

static void write_as(struct asynclog *s, struct owner *o, const char *text,
		     size_t len);

/* the line about lines that were lost */

static size_t lost_line(const struct asynclog *s, char *line, size_t size,
			const char *whose, unsigned long long lost,
			const char *why)
{
	int n = snprintf(line, size, "%s: %s%s%llu line%s lost: %s\n", s->who,
			 whose, *whose ? ": " : "", lost,
			 lost == 1 ? "" : "s", why);

	return n < (int)size ? (size_t)n : size - 1;
}

static const char *reason(const struct owner *o)
{
	return o->why ? strerror(o->why) : "nobody read them in time";
}

/* says it where lines are missing, before the owner's next one */
static void say_lost(struct asynclog *s, struct owner *o)
{
	char line[256];
	size_t n = lost_line(s, line, sizeof(line), o->whose, o->lost,
			     reason(o));

	o->lost = 0;
	backlog_first_of_all(&s->b, s->server, line, n);
}

static void say_over(struct asynclog *s, struct owner *o)
{
	char line[256];
	size_t n = lost_line(s, line, sizeof(line), o->whose, o->over,
			     "more than log.rate");

	o->over = 0;
	write_as(s, s->server, line, n);
}

static void tell_elsewhere(struct asynclog *s, const char *text)
{
	char line[160];
	int n = snprintf(line, sizeof(line), "%s: %s\n", s->who, text);

	if (s->elsewhere)
		asynclog_write(s->elsewhere, NULL, line, (size_t)n);
}

/* writing */

static void fail(struct asynclog *s, int error)
{
	char text[128];

	ev_io_stop(s->loop, &s->io);
	if (!s->error) {
		snprintf(text, sizeof(text), "cannot write the log: %s; its "
			 "lines wait", strerror(error));
		tell_elsewhere(s, text);
	}
	s->error = error;
	if (!ev_is_active(&s->timer))
		ev_timer_again(s->loop, &s->timer);
}

static void succeed(struct asynclog *s)
{
	if (s->error)
		tell_elsewhere(s, "the log is written again");
	s->error = 0;
}

/* for owners that have no line waiting, at which it would be said */
static int say_all_lost(struct asynclog *s)
{
	struct owner *o;
	int n = 0;

	LIST_FOREACH(o, &s->b.owners, link)
		if (o->lost) {
			say_lost(s, o);
			n++;
		}
	return n;
}

static void flush(struct asynclog *s)
{
	const char *text;
	struct owner *o;
	size_t len;
	ssize_t n;

	do {
		while ((len = backlog_next(&s->b, &text))) {
			n = put(s, text, len);
			if (n < 0)
				fail(s, (int)-n);
			if (n <= 0)
				goto out;
			succeed(s);
			o = backlog_took(&s->b, (size_t)n);
			if (o->lost && TAILQ_EMPTY(&o->pieces))
				say_lost(s, o);
		}
	} while (say_all_lost(s));
out:
	if (!len)
		ev_io_stop(s->loop, &s->io);
	else if (!s->error)
		ev_io_start(s->loop, &s->io);
}

static void on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	flush(w->data);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct asynclog *s = w->data;
	double now = ev_now(loop);
	struct owner *o;
	int left = 0;

	LIST_FOREACH(o, &s->b.owners, link) {
		if (o->over && now - o->since >= SAY_S)
			say_over(s, o);
		left += o->over != 0;
	}
	if (s->error)
		flush(s);
	if (!left && !s->error)
		ev_timer_stop(loop, w);
}

/* the rate of an owner */

static void fill(struct asynclog *s, struct owner *o)
{
	double now = ev_now(s->loop), full = s->rate * BURST_S;

	o->tokens += (now - o->filled) * s->rate;
	if (!o->filled || o->tokens > full)
		o->tokens = full;
	o->filled = now;
}

uint64_t asynclog_room(struct asynclog *s, const char *whose)
{
	struct owner *o = backlog_owner(&s->b, whose);

	if (!o || o == s->server || !s->rate)
		return UINT64_MAX;
	fill(s, o);
	return o->tokens > 0 ? (uint64_t)o->tokens : 0;
}

void asynclog_lost(struct asynclog *s, const char *whose, uint64_t lines)
{
	struct owner *o = backlog_owner(&s->b, whose);

	if (!o || !lines)
		return;
	if (!o->over)
		o->since = ev_now(s->loop);
	if (__builtin_add_overflow(o->over, lines, &o->over))
		o->over = UINT64_MAX;
	if (!ev_is_active(&s->timer))
		ev_timer_again(s->loop, &s->timer);
}

static void write_as(struct asynclog *s, struct owner *o, const char *text,
		     size_t len)
{
	const char *from = text, *unused;
	ssize_t n;

	while (len && !s->error && !backlog_next(&s->b, &unused)) {
		n = put(s, text, len);
		if (n < 0)
			fail(s, (int)-n);
		if (n <= 0)
			break;
		text += n;
		len -= (size_t)n;
	}
	if (!len)
		return;
	backlog_add(&s->b, o, text, len, text > from && text[-1] != '\n',
		    s->error);
	if (!s->error)
		ev_io_start(s->loop, &s->io);
}

void asynclog_write(struct asynclog *s, const char *whose, const char *text,
		    size_t len)
{
	struct owner *o = backlog_owner(&s->b, whose);

	if (!o) {
		s->server->lost += backlog_lines(text, len);
		s->server->why = ENOMEM;
		return;
	}
	if (o != s->server && s->rate) {
		fill(s, o);
		o->tokens -= (double)len;
	}
	write_as(s, o, text, len);
}

void asynclog_take(struct asynclog *s, struct asynclog *from)
{
	flush(from);
	backlog_merge(&s->b, &from->b);
	ev_io_stop(from->loop, &from->io);
	if (!ev_is_active(&s->timer))
		ev_timer_again(s->loop, &s->timer);
	if (!s->error)
		flush(s);
}

void asynclog_rate(struct asynclog *s, uint64_t rate)
{
	s->rate = (double)rate;
}

/* opens the file of fd once more */
static int open_again(struct asynclog *s, int fd)
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

int asynclog_create(struct asynclog **out, struct ev_loop *loop, int fd,
		    const char *who, struct asynclog *elsewhere)
{
	struct asynclog *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	backlog_init(&s->b);
	s->server = backlog_owner(&s->b, NULL);
	rc = s->server ? open_again(s, fd) : -ENOMEM;
	if (rc < 0) {
		backlog_free(&s->b);
		free(s);
		return rc;
	}
	s->loop = loop;
	s->who = who;
	s->elsewhere = elsewhere;
	ev_io_init(&s->io, on_writable, s->fd, EV_WRITE);
	ev_timer_init(&s->timer, on_timer, 0.0, RETRY_S);
	s->io.data = s->timer.data = s;
	*out = s;
	return 0;
}

/* counts what cannot be written, and tells the other log */
static void give_up(struct asynclog *s)
{
	struct owner *o;
	char line[256];
	size_t n;

	backlog_give_up(&s->b, s->error);
	LIST_FOREACH(o, &s->b.owners, link) {
		if (!o->lost || !s->elsewhere)
			continue;
		n = lost_line(s, line, sizeof(line), o->whose, o->lost,
			      reason(o));
		asynclog_write(s->elsewhere, NULL, line, n);
	}
}

void asynclog_destroy(struct asynclog *s)
{
	struct pollfd p = { .events = POLLOUT };
	struct owner *o;
	const char *unused;
	int left = LAST_MS / 10;

	if (!s)
		return;
	LIST_FOREACH(o, &s->b.owners, link)
		if (o->over)
			say_over(s, o);
	p.fd = s->fd;
	for (flush(s); backlog_next(&s->b, &unused) && !s->error && left > 0;
	     flush(s))
		if (poll(&p, 1, 10) == 0)
			left--;
	give_up(s);
	ev_io_stop(s->loop, &s->io);
	ev_timer_stop(s->loop, &s->timer);
	backlog_free(&s->b);
	close(s->fd);
	free(s);
}
