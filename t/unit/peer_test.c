/*
 * peer_test.c - the gateway's end of a socket: framing, fds, back pressure
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "t/unit/server.h"
#include "unikernel/abi.h"
#include "vmm/pool/peer.h"

struct seen {
	struct ev_loop *loop;
	struct peer *peer;
	int fd;				/* the peer's own */
	unsigned messages, closed;
	int error;
	struct msg last;
	size_t sum;			/* of the payloads' bytes */
	int destroy;			/* from inside the callback */
	int early;			/* and before it looks at anything */
	double hold;			/* s, after each message */
	unsigned lost;			/* that came out of order */
	int take;			/* a payload that can be */
	uint8_t *taken, *payload;
	size_t size;			/* of what was taken */
};

static void on_message(void *arg, const struct msg *m, const uint8_t *payload)
{
	struct seen *s = arg;
	struct peer *peer = s->peer;

	if (s->early) {
		peer_destroy(peer);
		s->peer = NULL;
	}
	if (m->type == MSG_CANCEL)
		s->lost += m->a[0] != s->messages;
	s->messages++;
	s->last = *m;
	if (s->hold > 0)
		peer_hold(s->peer, s->hold);
	for (uint32_t i = 0; i < m->len; i++)
		s->sum += payload[i];
	if (s->take) {
		s->taken = peer_take(peer, &s->size);
		s->payload = (uint8_t *)payload;
	}
	if (s->destroy) {
		peer_destroy(s->peer);
		s->peer = NULL;
	}
}

static void on_closed(void *arg, int error)
{
	struct seen *s = arg;

	s->closed++;
	s->error = error;
	peer_destroy(s->peer);
	s->peer = NULL;
}

static const struct peer_ops ops = { on_message, on_closed };

static int begin(struct seen *s)
{
	int sv[2];

	memset(s, 0, sizeof(*s));
	s->loop = ev_loop_new(0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0 ||
	    peer_create(&s->peer, s->loop, sv[0], &ops, s) < 0)
		exit(1);
	s->fd = sv[0];
	return sv[1];
}

static void end(struct seen *s, int fd)
{
	if (fd >= 0)
		close(fd);
	peer_destroy(s->peer);
	ev_loop_destroy(s->loop);
}

static void turn(struct seen *s)
{
	for (int i = 0; i < 20; i++)
		ev_run(s->loop, EVRUN_NOWAIT);
}

static void put(int fd, const void *p, size_t len)
{
	if (write(fd, p, len) != (ssize_t)len)
		exit(1);
}

static void test_framing(void)
{
	struct msg up = { .type = MSG_UP, .a = { 1, 2 } };
	struct msg log = { .type = MSG_LOG, .len = 3 };
	uint8_t buf[2 * sizeof(up) + 3];
	struct seen s;
	int fd = begin(&s);

	memcpy(buf, &up, sizeof(up));
	memcpy(buf + sizeof(up), &log, sizeof(log));
	memset(buf + 2 * sizeof(up), 1, 3);
	put(fd, buf, sizeof(buf));
	turn(&s);
	ok(s.messages == 2 && s.sum == 3, "two messages in one write");
	for (size_t i = 0; i < sizeof(buf); i++) {
		put(fd, buf + i, 1);
		turn(&s);
	}
	ok(s.messages == 4 && s.sum == 6, "two messages, byte by byte");
	ok(s.last.type == MSG_LOG, "two messages come in their order");
	close(fd);
	turn(&s);
	ok(s.closed == 1 && s.error == 0, "an end at a boundary");
	end(&s, -1);

	fd = begin(&s);
	put(fd, buf, sizeof(up) + 10);
	close(fd);
	turn(&s);
	ok(s.messages == 1 && s.closed == 1 && s.error == -EPROTO,
	   "an end inside a message");
	end(&s, -1);

	fd = begin(&s);
	s.destroy = 1;
	put(fd, buf, sizeof(buf));
	turn(&s);
	ok(s.messages == 1 && !s.closed,
	   "a peer is destroyed by its own callback");
	end(&s, fd);
}

/* a result of ones */
static void put_large(struct seen *s, int fd, size_t len)
{
	struct msg m = { .type = MSG_RESULT, .len = len };
	uint8_t *payload = malloc(len);
	size_t at = 0;

	memset(payload, 1, len);
	put(fd, &m, sizeof(m));
	while (at < len) {
		ssize_t n = send(fd, payload + at, len - at, MSG_DONTWAIT);

		if (n > 0)
			at += n;
		turn(s);
	}
	free(payload);
	turn(s);
}

static void test_large(void)
{
	size_t len = 5u << 20;
	struct msg m = { .type = MSG_UP };
	struct seen s;
	int fd = begin(&s);

	put_large(&s, fd, len);
	ok(s.messages == 1 && s.sum == len, "a large payload");
	put(fd, &m, sizeof(m));
	turn(&s);
	ok(s.messages == 2, "what follows a large payload comes");
	end(&s, fd);
}

static void test_take(void)
{
	struct msg log = { .type = MSG_LOG, .len = 3 }, up = { .type = MSG_UP };
	size_t len = 5u << 20, ones = 0;
	uint8_t small[sizeof(log) + 3];
	struct seen s;
	int fd = begin(&s);

	s.take = 1;
	memset(small, 1, sizeof(small));
	memcpy(small, &log, sizeof(log));
	put(fd, small, sizeof(small));
	turn(&s);
	ok(s.messages == 1 && !s.taken, "a small payload is not given away");
	for (int i = 0; i < 2; i++) {
		put_large(&s, fd, len);
		for (size_t at = 0; s.taken && at < len; at++)
			ones += s.payload[at];
		free(s.taken);
	}
	ok(s.messages == 3 && ones == 2 * len && s.size >= len,
	   "a large payload, twice");
	put(fd, small, sizeof(small));
	put(fd, &up, sizeof(up));
	turn(&s);
	ok(s.messages == 5 && s.last.type == MSG_UP && !s.taken,
	   "what follows a large payload twice comes");
	end(&s, fd);
}

/* what a result's sender has put into the socket is received by and by */
static void test_bytes_of_turn(void)
{
	struct msg m = { .type = MSG_RESULT, .len = 4 << 20 };
	int room = 4 << 20, before = 0, now, all, most = 0;
	char some[4096] = "";
	struct seen s;
	int fd = begin(&s);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	put(fd, &m, sizeof(m));
	/* a part of it */
	for (int i = 0; i < 300 && write(fd, some, sizeof(some)) > 0; i++)
		;
	if (ioctl(s.fd, FIONREAD, &before) < 0)
		exit(1);
	all = before;
	for (int i = 0; before && i < 100; i++, before = now) {
		ev_run(s.loop, EVRUN_NOWAIT);
		if (ioctl(s.fd, FIONREAD, &now) < 0)
			exit(1);
		if (before - now > most)
			most = before - now;
	}
	/* the first 32 KB go into what it keeps for receiving */
	if (all <= (256 + 32) << 10)
		ok(1, "a turn's bytes # SKIP a socket holds only %d", all);
	else
		ok(!before && most == 256 << 10, "of a result, %d bytes, %d "
		   "are received in one turn", all, most);
	end(&s, fd);
}

/* who hears of a payload may be done with its peer, and not yet with it */
static void test_take_late(void)
{
	size_t len = 5u << 20, ones = 0;
	struct seen s;
	int fd = begin(&s);

	s.take = s.early = 1;
	put_large(&s, fd, len);
	for (size_t at = 0; s.taken && at < len; at++)
		ones += s.payload[at];
	ok(s.messages == 1 && s.sum == len && ones == len && !s.closed,
	   "a payload outlives its peer until its callback returns, and is "
	   "taken then");
	free(s.taken);
	end(&s, fd);
}

static void test_refused(void)
{
	static const struct { uint32_t type, len; const char *what; } bad[] = {
		{ 0, 0, "type 0" },
		{ MSG_CLONE, 0, "what only the gateway sends" },
		{ MSG_INVOKE, 0, "an INVOKE" },
		{ MSG_SAVED + 1, 0, "an unknown type" },
		{ MSG_UP, 1, "an UP with a payload" },
		{ MSG_LOG, PEER_LOG_MAX + 1, "a log too long" },
		{ MSG_RESULT, MSG_PAYLOAD_MAX + 1, "a result too long" },
		{ MSG_IDLE, sizeof(struct run_stats) + PEER_REPORT_MAX + 1,
		  "an IDLE too long" },
		{ MSG_FETCH, 1u << 30, "a fetch too long" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct msg m = { .type = bad[i].type, .len = bad[i].len };
		struct seen s;
		int fd = begin(&s);

		put(fd, &m, sizeof(m));
		turn(&s);
		ok(!s.messages && s.closed == 1 && s.error == -EPROTO,
		   "refused: %s", bad[i].what);
		end(&s, fd);
	}
}

/* the payload's parts must fill it exactly */
static void test_report(void)
{
	uint8_t payload[sizeof(struct run_stats) + 10] = { 0 };
	struct msg m = { .type = MSG_RESULT, .len = sizeof(payload),
			 .a = { UK_RESULT_OK, 6, 4 } };
	struct peer_report r;

	ok(peer_report(&m, payload, &r) == 0 && r.text_len == 6 &&
	   r.log_len == 4 && r.log == r.text + 6, "result and log");
	m.type = MSG_IDLE;
	ok(peer_report(&m, payload, &r) == 0 && r.text_len == 10 &&
	   r.text == (const char *)payload + sizeof(r.stats) && !r.log_len,
	   "the text of an IDLE");
	m.type = MSG_RESULT;
	m.a[1] = 7;
	ok(peer_report(&m, payload, &r) == -EPROTO, "more than there is");
	m.a[1] = 6, m.a[2] = 3;
	ok(peer_report(&m, payload, &r) == -EPROTO, "less than there is");
	m.a[1] = UINT64_MAX, m.a[2] = 11;
	ok(peer_report(&m, payload, &r) == -EPROTO, "a sum that wraps");
	m.a[1] = 6, m.a[2] = 4, m.a[0] = 2;
	ok(peer_report(&m, payload, &r) == -EPROTO, "an unknown kind");
	m.type = MSG_DIED;
	ok(peer_report(&m, payload, &r) == 0 && r.code == 2, "a death");
	m.len = sizeof(struct run_stats) - 1;
	ok(peer_report(&m, payload, &r) == -EPROTO,
	   "a death too short for its figures");
}

static int take_fd(int fd, struct msg *m)
{
	char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec v = { m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int got = -1;

	if (recvmsg(fd, &h, MSG_CMSG_CLOEXEC) != sizeof(*m))
		return -1;
	c = CMSG_FIRSTHDR(&h);
	if (c)
		memcpy(&got, CMSG_DATA(c), sizeof(got));
	return got;
}

static void test_send(void)
{
	struct msg m = { .type = MSG_ATTACH, .a = { 1, 4096 } }, got;
	char drop[4096];
	struct seen s;
	int p[2], fd = begin(&s), r = 0, theirs;
	unsigned sent = 0, came = 0;

	if (pipe(p) < 0)
		exit(1);
	ok(peer_send(s.peer, &m, NULL, &p[1], 1) == 0, "a descriptor");
	theirs = take_fd(fd, &got);
	ok(theirs >= 0 && got.type == MSG_ATTACH && got.a[1] == 4096,
	   "a descriptor arrives");
	ok(write(theirs, "x", 1) == 1 && read(p[0], drop, 1) == 1,
	   "a descriptor is the one that was sent");
	close(theirs);

	/* nobody reads: the socket fills, then the queue, then an error */
	for (; sent < 200000 && r == 0; sent++) {
		m.a[2] = sent;
		r = peer_send(s.peer, &m, NULL, &p[1], sent % 97 == 0);
	}
	ok(r == -ENOBUFS && sent > PEER_QUEUE_MAX / sizeof(m),
	   "a peer that does not read: %d after %u", r, sent);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2000000 && came < sent - 1; i++) {
		theirs = -1;
		got.a[2] = UINT64_MAX;
		theirs = take_fd(fd, &got);
		if (got.a[2] == UINT64_MAX) {
			ev_run(s.loop, EVRUN_NOWAIT);
			continue;
		}
		if (got.a[2] != came || (theirs >= 0) != (came % 97 == 0))
			break;
		came++;
		if (theirs >= 0)
			close(theirs);
	}
	ok(came == sent - 1,
	   "a peer that reads late reads all in order: %u", came);
	close(fd);
	turn(&s);
	ok(s.closed == 1, "a peer whose other end closed is gone");
	close(p[0]);
	close(p[1]);
	end(&s, -1);
}

/* descriptors that a clone sends are dropped, not kept */
static void test_gift(void)
{
	struct msg m = { .type = MSG_UP };
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec v = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	struct seen s;
	int p[2], fd = begin(&s);
	char buf;

	if (pipe(p) < 0)
		exit(1);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &p[1], sizeof(int));
	if (sendmsg(fd, &h, 0) != sizeof(m))
		exit(1);
	close(p[1]);
	turn(&s);
	ok(s.messages == 1 && read(p[0], &buf, 1) == 0,
	   "a descriptor from a clone is dropped");
	close(p[0]);
	end(&s, fd);
}

/* as many messages as the socket takes, numbered; returns how many */
static unsigned flood(int fd, unsigned from)
{
	struct msg m = { .type = MSG_CANCEL, .a = { from } };

	while (send(fd, &m, sizeof(m), MSG_DONTWAIT) == sizeof(m))
		m.a[0]++;
	return m.a[0] - from;
}

/* one that never stops talking leaves room for others, and loses nothing */
static void test_turns(void)
{
	struct msg m = { .type = MSG_UP };
	struct seen s, other = { .loop = NULL };
	int fd = begin(&s), sv[2];
	unsigned sent, before, most = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0 ||
	    peer_create(&other.peer, s.loop, sv[0], &ops, &other) < 0)
		exit(1);
	sent = flood(fd, 0);
	for (unsigned i = 1; i <= 20; i++) {
		put(sv[1], &m, sizeof(m));
		before = s.messages;
		while (other.messages < i) {
			unsigned was = s.messages;

			ev_run(s.loop, EVRUN_ONCE);
			if (s.messages - was > most)
				most = s.messages - was;
		}
		if (s.messages - before > 4 * PEER_TURN)
			break;
	}
	ok(other.messages == 20 && most && most <= PEER_TURN,
	   "a peer that floods is heard %u messages a turn", most);
	for (int i = 0; i < 100000 && s.messages < sent; i++)
		ev_run(s.loop, EVRUN_ONCE);
	ok(s.messages == sent && !s.lost && sent > 2 * PEER_TURN,
	   "a peer that floods: of %u none is lost", sent);
	peer_destroy(other.peer);
	close(sv[1]);

	/* held: nothing comes, its end neither */
	s.hold = 1e6;
	sent += flood(fd, sent);
	before = s.messages;
	close(fd);
	turn(&s);
	ok(s.messages == before + 1 && !s.closed, "a peer that is held is not "
	   "heard");
	end(&s, -1);

	fd = begin(&s);
	s.hold = 1e6;
	for (int i = 0; i < 10; i++) {
		before = flood(fd, sent);
		sent += before;
		turn(&s);
	}
	ok(s.messages == 1 && !before, "what a held peer sends waits in "
	   "its socket");
	end(&s, fd);

	fd = begin(&s);
	s.hold = 0.0005;
	sent = flood(fd, 0);
	close(fd);
	for (int i = 0; i < 100000 && !s.closed; i++)
		ev_run(s.loop, EVRUN_ONCE);
	ok(s.messages == sent && !s.lost && s.closed == 1 && s.error == 0,
	   "what a held peer sent comes, then its end");
	end(&s, -1);

	fd = begin(&s);
	s.hold = 1e6;
	flood(fd, 0);
	turn(&s);
	peer_destroy(s.peer);
	s.peer = NULL;
	turn(&s);
	ok(s.messages == 1 && !s.closed,
	   "a peer that is held can be destroyed");
	end(&s, fd);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_framing();
	test_large();
	test_take();
	test_bytes_of_turn();
	test_take_late();
	test_refused();
	test_report();
	test_send();
	test_gift();
	test_turns();
	return plan();
}
