/*
 * fuzz_peer.c - what a hostile clone may send to the gateway
 *
 * The input's first byte says where the stream is cut in two; the rest goes
 * through a real socket into a real peer, and each message to what takes it
 * apart in the pool: reports, boot figures, and the host region with its
 * tickets.  The egress policy is "none", so nothing ever connects.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "etlfs/fetch/fetch.h"
#include "etlfs/region/host.h"
#include "t/fuzz/fuzz.h"
#include "unikernel/abi.h"
#include "vmm/pool/peer.h"

const unsigned fuzz_runs = 12000;

static struct ev_loop *loop;
static struct fetch_engine *engine;
static struct window_pool *windows;
static struct egress *egress;

struct target {
	struct peer *peer;
	struct host *host;
	unsigned sum;
	int closed;
};

static int on_attach(void *arg, unsigned window, int fd, uint64_t size)
{
	return 0;
}

static void on_kick(void *arg)
{
}

static ssize_t on_read(void *arg, const struct body_part *part, size_t n,
		       uint64_t off, void *buf, size_t len)
{
	return -ESRCH;
}

static const struct host_ops host_ops = { on_attach, on_kick, on_read };

/* reads every byte that a reader of the answer may read */
static void touch(struct target *t, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		t->sum += (unsigned char)p[i];
}

static void on_message(void *arg, const struct msg *m, const uint8_t *payload)
{
	struct target *t = arg;
	struct body_part part[UK_EXTENTS];
	struct host_request fetch;
	struct boot_stats boot;
	struct peer_report r;
	const char *log;
	size_t len;

	switch (m->type) {
	case MSG_READY:
		if (peer_ready(m, payload, &boot, &log, &len) == 0)
			touch(t, log, len);
		break;
	case MSG_RESULT:
	case MSG_DIED:
	case MSG_IDLE:
		if (peer_report(m, payload, &r) < 0)
			break;
		touch(t, r.text, r.text_len);
		touch(t, r.log, r.log_len);
		if (m->type == MSG_IDLE)
			host_released(t->host);
		else
			host_reset(t->host);
		break;
	case MSG_FETCH:
		if (peer_fetch(m, payload, &fetch, part) < 0)
			break;
		fetch.timeout_ns = 1;
		fetch.egress = egress;
		host_fetch(t->host, &fetch);
		break;
	case MSG_CANCEL:
		host_cancel(t->host, m->a[0]);
		break;
	case MSG_LOG:
		touch(t, (const char *)payload, m->len);
		break;
	case MSG_UP:
	case MSG_CLONED:
		break;
	default:
		abort();		/* a foreign type came through */
	}
}

static void on_closed(void *arg, int error)
{
	struct target *t = arg;

	t->closed = 1;
	peer_destroy(t->peer);
	t->peer = NULL;
}

static const struct peer_ops ops = { on_message, on_closed };

static void set_up(void)
{
	static char none[] = "none";
	static char *const prefixes[] = { none, NULL };

	signal(SIGPIPE, SIG_IGN);
	loop = ev_loop_new(0);
	if (!loop || fetch_engine_create(&engine, loop) < 0 ||
	    window_pool_create(&windows, 0, 0) < 0 ||
	    egress_create(&egress, prefixes) < 0)
		abort();
}

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		ev_run(loop, EVRUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target t = { 0 };
	size_t cut;
	int sv[2];

	if (!loop)
		set_up();
	/* what one socket buffer takes, so that no write blocks */
	if (size < 1 || size > 65536)
		return 0;
	cut = data[0] * (size - 1) / 255;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0 ||
	    host_create(&t.host, engine, windows, 1 << 20, 1, &host_ops, &t) < 0 ||
	    peer_create(&t.peer, loop, sv[0], &ops, &t) < 0)
		abort();
	if (write(sv[1], data + 1, cut) != (ssize_t)cut)
		abort();
	turn();
	if (!t.closed && size - 1 - cut &&
	    write(sv[1], data + 1 + cut, size - 1 - cut) < 0)
		abort();
	turn();
	close(sv[1]);
	for (int i = 0; i < 64 && !t.closed; i++)
		turn();
	/* the end of the stream must have been seen */
	if (!t.closed)
		abort();
	host_destroy(t.host);
	return 0;
}

static uint8_t *put(uint8_t *p, struct msg m, const void *payload, size_t len)
{
	m.len = len;
	memcpy(p, &m, sizeof(m));
	memcpy(p + sizeof(m), payload, len);
	return p + sizeof(m) + len;
}

/* a clone's whole life: two requests, fetches in both, then a death */
static size_t life(uint8_t *out)
{
	struct proto_iov iov = { 4096, 5 };
	uint8_t report[sizeof(struct run_stats) + 8] = { 0 };
	uint8_t get[8 + 5 + sizeof(iov)] = "http://xA: b\n";
	uint8_t *p = out;

	memcpy(get + 13, &iov, sizeof(iov));
	*p++ = 128;
	p = put(p, (struct msg){ .type = MSG_READY }, report,
		sizeof(struct boot_stats) + 4);
	p = put(p, (struct msg){ .type = MSG_UP, .a = { 1, 2 } }, "", 0);
	for (int i = 1; i < 3; i++) {
		p = put(p, (struct msg){ .type = MSG_FETCH, .a = { i * 64, 2,
			8, 5, 5, 0 } }, get, sizeof(get));
		p = put(p, (struct msg){ .type = MSG_FETCH, .a = { i * 64 + 1,
			0, 8, 5, 0, 9 } }, get, 13);
		p = put(p, (struct msg){ .type = MSG_LOG }, "log\n", 4);
		p = put(p, (struct msg){ .type = MSG_CANCEL, .a = { i * 64 } },
			"", 0);
		p = put(p, (struct msg){ .type = MSG_RESULT, .a = { 0, 5, 3 }
			}, report, sizeof(report));
		p = put(p, (struct msg){ .type = MSG_IDLE }, report,
			sizeof(struct run_stats));
	}
	p = put(p, (struct msg){ .type = MSG_CLONED, .a = { 77 } }, "", 0);
	p = put(p, (struct msg){ .type = MSG_DIED, .a = { 2, 8, 0, 11 } },
		report, sizeof(report));
	return p - out;
}

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	return n ? 0 : life(out);
}
