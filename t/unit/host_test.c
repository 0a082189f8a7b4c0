/*
 * host_test.c - one clone's host region, seen through the clone's mappings
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "etlfs/format.h"
#include "etlfs/region/host.h"
#include "t/unit/server.h"
#include "unikernel/abi.h"
#include "vmm/pool/peer.h"

#define MB	((uint64_t)1 << 20)
#define LIMIT	(96 * MB)
#define LONG_NS	120000000000u		/* what is not to be overdue */

/* what a clone has: read-only mappings, and the bodies that it sends */
struct clone {
	const uint8_t *view[ETLFS_WINDOWS];
	uint64_t size[ETLFS_WINDOWS];
	int attaches, kicks, refuse;
};

static struct ev_loop *loop;
static struct fetch_engine *engine;
static struct window_pool *pool;
static struct egress *policy;
static struct server server;
static struct host *host;
static struct clone clone;

static int on_attach(void *arg, unsigned window, int fd, uint64_t size)
{
	struct clone *c = arg;
	void *p;

	if (c->refuse)
		return -EPIPE;
	if (!window || window >= ETLFS_WINDOWS || c->view[window])
		return -EINVAL;
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	c->view[window] = p;
	c->size[window] = size;
	c->attaches++;
	return 0;
}

static void on_kick(void *arg)
{
	clone.kicks++;
	ev_break(loop, EVBREAK_ALL);
}

static ssize_t on_read(void *arg, const struct body_part *part, size_t n,
		       uint64_t off, void *buf, size_t len)
{
	return host_read_process(getpid(), part, n, off, buf, len);
}

static const struct host_ops ops = {
	.attach = on_attach, .kick = on_kick, .read_body = on_read,
};

/* the clone's end of a rollback: it has no window but 0 any more */
static void detach(void)
{
	unsigned i;

	for (i = 1; i < ETLFS_WINDOWS; i++)
		if (clone.view[i])
			munmap((void *)clone.view[i], clone.size[i]);
	memset(&clone.view[1], 0, sizeof(clone.view) - sizeof(clone.view[0]));
	clone.attaches = 0;
}

static const struct etlfs_ticket *ticket(uint32_t t)
{
	const struct etlfs_host *h = (const void *)clone.view[0];

	return &h->ticket[t % ETLFS_TICKETS];
}

static uint32_t state(uint32_t t)
{
	return __atomic_load_n(&ticket(t)->state, __ATOMIC_ACQUIRE);
}

/* a range of the host region in the clone's own view, or NULL */
static const uint8_t *at(uint64_t off, uint64_t len)
{
	unsigned w = off / ETLFS_WINDOW_STRIDE;

	off %= ETLFS_WINDOW_STRIDE;
	if (w >= ETLFS_WINDOWS || !clone.view[w] || off > clone.size[w] ||
	    len > clone.size[w] - off)
		return NULL;
	return clone.view[w] + off;
}

static int text_is(uint64_t off, uint64_t len, const char *want)
{
	const uint8_t *p = at(off, len);

	return p && len == strlen(want) && !memcmp(p, want, len);
}

static int text_has(uint64_t off, uint64_t len, const char *want)
{
	const uint8_t *p = at(off, len);

	return p && memmem(p, len, want, strlen(want));
}

static int is_pattern(const uint8_t *p, uint64_t len)
{
	uint64_t i;

	if (!p)
		return 0;
	for (i = 0; i < len; i++)
		if (p[i] != i % 251)
			return 0;
	return 1;
}

static int submit(uint32_t t, unsigned method, const char *path,
		  const struct body_part *part, size_t n, uint64_t len)
{
	char url[512];

	snprintf(url, sizeof(url), path[0] == '/' ?
		 "http://127.0.0.1:%2$d%1$s" : "%s", path, server.port);
	return host_fetch(host, &(struct host_request){
		.ticket = t, .method = method, .url = url,
		.url_len = strlen(url), .headers = "X-Test: 1\n",
		.headers_len = 10, .body = part, .parts = n, .body_len = len,
		.timeout_ns = LONG_NS, .egress = policy,
	});
}

static void wait_for(uint32_t t)
{
	while (state(t) == ETLFS_PENDING)
		ev_run(loop, 0);
}

/* state of the ticket when the GET has ended */
static uint32_t get(uint32_t t, const char *path)
{
	if (submit(t, UK_GET, path, NULL, 0, 0) < 0)
		return 99;
	wait_for(t);
	return state(t);
}

/* DONE, and the body is len bytes of the pattern, zeros behind it */
static int body_is(uint32_t t, uint64_t len)
{
	const struct etlfs_ticket *k = ticket(t);
	uint64_t pages = (len + 4095) & ~4095ull;
	const uint8_t *p = at(k->body_off, pages);
	uint64_t i;

	if (state(t) != ETLFS_DONE || k->body_len != len || k->error ||
	    k->gen != t / ETLFS_TICKETS || k->status != 200 ||
	    k->body_off % 4096 || !is_pattern(p, len))
		return 0;
	for (i = len; i < pages; i++)
		if (p[i])
			return 0;
	return 1;
}

static void failed(uint32_t t, int err, const char *why)
{
	const struct etlfs_ticket *k = ticket(t);
	const uint8_t *p = at(k->head_off, k->head_len);
	int good = state(t) == ETLFS_FAILED && k->error == (uint32_t)err &&
		   text_has(k->head_off, k->head_len, why);

	ok(good, "%.*s", p ? (int)k->head_len : 0, p ? (char *)p : "");
	if (!good)
		printf("# state %u, error %u, wanted %d and '%s'\n", state(t),
		       k->error, err, why);
}

static int region_is_clear(void)
{
	const uint8_t *p = clone.view[0];
	const struct etlfs_host *h = (const void *)p;
	size_t i, from = offsetof(struct etlfs_host, ticket);

	for (i = from; i < ETLFS_WINDOW0 && !p[i]; i++)
		;
	return i == ETLFS_WINDOW0 && h->magic == ETLFS_HOST_MAGIC && h->empty &&
	       h->version == ETLFS_VERSION && h->tickets == ETLFS_TICKETS;
}

#define T(gen, slot)	((gen) * ETLFS_TICKETS + (slot))

static void test_event(void)
{
	static char big[ETLFS_EVENT_MAX - ETLFS_EVENT_OFF + 1];
	uint64_t off = 0;

	ok(region_is_clear(), "a new region has an empty table");
	ok(!host_event(host, "{\"a\": 1}", 8, &off) &&
	   off == ETLFS_EVENT_OFF && text_is(off, 8, "{\"a\": 1}") &&
	   !((const struct etlfs_host *)(const void *)clone.view[0])->empty,
	   "an event is there, and the region not empty");
	ok(host_event(host, big, sizeof(big), &off) == -EMSGSIZE,
	   "an event that is too long is refused");
	memset(big, 'x', sizeof(big));
	ok(!host_event(host, big, sizeof(big) - 1, &off),
	   "an event as long as may be");
	ok(get(T(1, 0), "/big?size=5000") == ETLFS_DONE &&
	   body_is(T(1, 0), 5000) && clone.view[0][ETLFS_EVENT_MAX - 1] == 'x',
	   "a body does not touch it");
	ok(host_event(host, big, 1, &off) == -EBUSY, "one event at a time");
	ok(host_reset(host) == 0 && region_is_clear(), "reset: all zero");
	ok(!host_event(host, NULL, 0, &off), "an empty event");
	host_reset(host);
}

static void test_small(void)
{
	const struct etlfs_ticket *k = ticket(0);
	char url[128];
	uint64_t first;

	ok(submit(T(7, 0), UK_GET, "/big?size=100000", NULL, 0, 0) == 0 &&
	   state(T(7, 0)) == ETLFS_PENDING && k->gen == 7,
	   "a ticket is pending, with its generation");
	wait_for(T(7, 0));
	ok(body_is(T(7, 0), 100000) && k->body_off < ETLFS_WINDOW0 &&
	   !clone.attaches, "100 KB go to window 0");
	ok(text_has(k->head_off, k->head_len,
		    "Content-Type: application/octet-stream\n"),
	   "a ticket has its headers");
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/big?size=100000",
		 server.port);
	ok(text_is(k->url_off, k->url_len, url), "a ticket has its URL");
	ok(submit(T(8, 0), UK_GET, "/in.csv", NULL, 0, 0) == -EBUSY,
	   "a slot in use is busy");
	first = k->body_off;
	host_cancel(host, T(6, 0));
	ok(state(0) == ETLFS_DONE, "cancelling an old ticket changes nothing");
	host_cancel(host, T(7, 0));
	ok(state(0) == ETLFS_FREE, "cancelling a ticket frees its slot");
	ok(get(T(8, 0), "/big?size=3") == ETLFS_DONE && body_is(T(8, 0), 3) &&
	   k->body_off == first, "cancelling a ticket frees its room");
	ok(get(T(1, 1), "/redirect") == ETLFS_DONE &&
	   ticket(1)->status == 200 && text_has(ticket(1)->url_off,
					     ticket(1)->url_len, "/in.csv"),
	   "after a redirect the URL is the final one");
	ok(get(T(1, 2), "/status/404") == ETLFS_DONE &&
	   ticket(2)->status == 404, "404 is an answer");
	ok(get(T(1, 3), "/big?size=0") == ETLFS_DONE && !ticket(3)->body_len,
	   "an empty body");
	ok(host_counters(host)->fetches == 5 &&
	   host_counters(host)->bytes_in == 100000 + 3 + 48 + 9,
	   "bytes are counted");
	ok(!host_reset(host) && region_is_clear(), "reset");
	ok(!host_counters(host)->bytes_in, "reset: the counters, too");
}

static void test_large(void)
{
	ok(get(T(1, 5), "/big?size=5000001") == ETLFS_DONE &&
	   body_is(T(1, 5), 5000001) && clone.attaches == 1 &&
	   ticket(5)->body_off == ETLFS_WINDOW_STRIDE,
	   "5 MB get a window");
	ok(get(T(1, 6), "/big?size=6000000") == ETLFS_DONE &&
	   body_is(T(1, 6), 6000000) && clone.attaches == 1,
	   "6 MB more find room in that window");
	ok(get(T(1, 7), "/big?size=40000000") == ETLFS_DONE &&
	   body_is(T(1, 7), 40000000) && clone.attaches == 2,
	   "40 MB get another window");
	ok(get(T(1, 8), "/chunked?size=30000") == ETLFS_DONE &&
	   body_is(T(1, 8), 30000) && ticket(8)->body_off < ETLFS_WINDOW0,
	   "30 KB of unknown length stay in window 0");
	ok(get(T(1, 9), "/chunked?size=9000000") == ETLFS_DONE &&
	   body_is(T(1, 9), 9000000) &&
	   ticket(9)->body_off >= ETLFS_WINDOW_STRIDE,
	   "9 MB of unknown length move to a window");
	ok(get(T(1, 10), "/chunked?size=1500000") == ETLFS_DONE &&
	   body_is(T(1, 10), 1500000),
	   "1.5 MB of unknown length move to a window");
	ok(get(T(1, 11), "/gzip?size=1500000") == ETLFS_DONE &&
	   ticket(11)->body_len < 1500000 &&
	   text_has(ticket(11)->body_off, 2, "\x1f\x8b"),
	   "what is compressed stays so");
	ok(body_is(T(1, 5), 5000001) && body_is(T(1, 6), 6000000) &&
	   body_is(T(1, 7), 40000000) && body_is(T(1, 8), 30000),
	   "bodies beside those that move are as they were");
	ok(host_reset(host) == (unsigned)clone.attaches && region_is_clear(),
	   "reset: the windows are leaving");
	detach();
	host_released(host);
	ok(host_reset(host) == 0, "released: they are gone");
	ok(get(T(1, 0), "/chunked?size=5000000") == ETLFS_DONE &&
	   body_is(T(1, 0), 5000000) && clone.attaches == 1 &&
	   clone.size[1] == 16 * MB, "a first window of unknown length");
	host_reset(host);
	ok(get(T(2, 0), "/big?size=3000000") == ETLFS_DONE &&
	   body_is(T(2, 0), 3000000) && ticket(0)->body_off ==
	   2 * ETLFS_WINDOW_STRIDE, "a leaving window is not used again");
	host_reset(host);
	detach();
	host_released(host);
}

/* a window's earlier content is another function's: it must not be there */
static void test_window_is_clean(void)
{
	const uint8_t *p;
	uint64_t i;

	ok(get(T(1, 0), "/big?size=20000000") == ETLFS_DONE, "20 MB");
	host_reset(host);
	detach();
	host_released(host);
	ok(get(T(1, 0), "/big?size=300000") == ETLFS_DONE &&
	   body_is(T(1, 0), 300000), "300 KB in a window that held 20 MB");
	p = at(ticket(0)->body_off, 16 * MB);
	for (i = 300000; p && i < 16 * MB && !p[i]; i++)
		;
	ok(i == 16 * MB, "the rest of a window used again is zero");
	host_reset(host);
	detach();
	host_released(host);
}

static void test_gather(void)
{
	unsigned i, good = 0;

	for (i = 0; i < ETLFS_TICKETS; i++)
		submit(T(1, i), UK_GET, i % 2 ? "/big?size=1000000" :
		       "/chunked?size=700000", NULL, 0, 0);
	for (i = 0; i < ETLFS_TICKETS; i++) {
		wait_for(T(1, i));
		good += body_is(T(1, i), i % 2 ? 1000000 : 700000);
	}
	ok(good == ETLFS_TICKETS, "64 bodies at once: %u", good);
	for (i = 0; i < ETLFS_TICKETS; i += 2)
		host_cancel(host, T(1, i));
	for (i = 0; i < ETLFS_TICKETS; i += 2)
		submit(T(2, i), UK_GET, "/big?size=1500000", NULL, 0, 0);
	for (i = good = 0; i < ETLFS_TICKETS; i++) {
		wait_for(T(i % 2 ? 1 : 2, i));
		good += i % 2 ? body_is(T(1, i), 1000000) :
				body_is(T(2, i), 1500000);
	}
	ok(good == ETLFS_TICKETS, "64 bodies, half of them replaced: %u", good);
	for (i = 0; i < ETLFS_TICKETS; i++)
		host_cancel(host, T(i % 2 ? 1 : 2, i));
	for (i = 0; i < 8; i++)
		submit(T(3, i), UK_GET, "/slow", NULL, 0, 0);
	ev_run(loop, EVRUN_NOWAIT);
	host_reset(host);
	ok(region_is_clear(), "reset ends what is in flight");
	detach();
	host_released(host);
}

static void test_upload(void)
{
	static char a[3000], b[70000], c[5];
	struct body_part part[4] = {
		{ (uintptr_t)a, sizeof(a) }, { 0, 0 },
		{ (uintptr_t)b, sizeof(b) }, { (uintptr_t)c, sizeof(c) },
	};
	uint64_t i, len = sizeof(a) + sizeof(b) + sizeof(c);

	for (i = 0; i < len; i++)
		*(i < 3000 ? &a[i] : i < 73000 ? &b[i - 3000] :
		  &c[i - 73000]) = i % 251;
	ok(!submit(T(1, 0), UK_PUT, "/up", part, 4, len), "PUT of an iovec");
	wait_for(T(1, 0));
	ok(ticket(0)->status == 201 &&
	   host_counters(host)->bytes_out == len, "the iovec of a PUT is sent");
	ok(get(T(1, 1), "/up") == ETLFS_DONE && body_is(T(1, 1), len),
	   "the iovec of a PUT arrives, in order");
	part[2].addr = 4096;
	ok(!submit(T(1, 2), UK_PUT, "/up", part, 4, len),
	   "PUT of memory that is not there");
	wait_for(T(1, 2));
	failed(T(1, 2), EFAULT, "the request's body could not be read");
	ok(submit(T(1, 3), UK_PUT, "/up", part, 4, len - 1) == -EPROTO &&
	   submit(T(1, 3), UK_PUT, "/up", part, 4, len + 1) == -EPROTO &&
	   submit(T(1, 3), UK_PUT, "/up", NULL, 0, 1) == -EPROTO,
	   "a length that is not the sum: EPROTO");
	part[0].len = UINT64_MAX - 10;
	ok(submit(T(1, 3), UK_PUT, "/up", part, 4, 100) == -EPROTO,
	   "a length that wraps around: EPROTO");
	host_reset(host);
}

static void test_failures(void)
{
	char big[64];

	get(T(1, 0), "http://127.0.0.1:1/x");
	failed(T(1, 0), EACCES, "GET http://127.0.0.1:1/x: refused");
	get(T(1, 1), "/truncated");
	failed(T(1, 1), EIO, "expected 1000 bytes, got 500");
	snprintf(big, sizeof(big), "/big?size=%llu",
		 (unsigned long long)LIMIT + 1);
	get(T(1, 2), big);
	failed(T(1, 2), ENOSPC, "the limit is 100663296 bytes");
	snprintf(big, sizeof(big), "/chunked?size=%llu",
		 (unsigned long long)LIMIT + 1);
	get(T(1, 3), big);
	failed(T(1, 3), ENOSPC, "no room for a body of more than");
	snprintf(big, sizeof(big), "/chunked?size=%llu",
		 (unsigned long long)LIMIT);
	ok(get(T(1, 4), big) == ETLFS_DONE && body_is(T(1, 4), LIMIT),
	   "a body as large as the limit");
	get(T(1, 5), "/big?size=10000");
	failed(T(1, 5), ENOSPC, "for all bodies that are held");
	host_cancel(host, T(1, 4));
	ok(get(T(1, 6), "/big?size=10000") == ETLFS_DONE,
	   "a body that is freed makes room");
	host_reset(host);
	detach();
	host_released(host);
	clone.refuse = 1;
	get(T(1, 0), "/big?size=1000000");
	failed(T(1, 0), EPIPE, "roken pipe");
	get(T(1, 1), "/chunked?size=1000000");
	failed(T(1, 1), EPIPE, "roken pipe");
	clone.refuse = 0;
	host_reset(host);
}

/* a MSG_FETCH as a hostile clone may make it */
static int message(uint64_t t, uint64_t method, const char *url,
		   uint64_t url_len, uint64_t headers_len, uint64_t body_len,
		   uint32_t len)
{
	static char payload[1 << 18];
	struct body_part part[UK_EXTENTS];
	struct host_request r;
	struct msg m = {
		.type = MSG_FETCH, .len = len,
		.a = { t, method, url_len, headers_len, body_len, 0 },
	};

	memset(payload, 0, sizeof(payload));
	memcpy(payload, url, strlen(url));
	if (peer_fetch(&m, (const uint8_t *)payload, &r, part) < 0)
		return -EPROTO;
	r.timeout_ns = LONG_NS;
	r.egress = policy;
	return host_fetch(host, &r);
}

static void test_messages(void)
{
	char url[128];
	int n = snprintf(url, sizeof(url), "http://127.0.0.1:%d/in.csv",
			 server.port);

	ok(!message(T(1, 0), UK_GET, url, n, 0, 0, n), "a message is a fetch");
	wait_for(T(1, 0));
	ok(state(0) == ETLFS_DONE && ticket(0)->body_len == 48,
	   "the fetch of a message is done");
	ok(message(T(1, 1), UK_GET, url, n, 0, 0, n - 1) == -EPROTO &&
	   message(T(1, 1), UK_GET, url, n, 1, 0, n) == -EPROTO &&
	   message(T(1, 1), UK_GET, url, n, UINT64_MAX, 0, n) == -EPROTO &&
	   message(T(1, 1), UK_GET, url, UINT64_MAX, n + 1, 0, n) == -EPROTO,
	   "lengths that are not the payload's: EPROTO");
	ok(message(T(1, 1), UK_GET, url, n, 0, 0, n + 1) == -EPROTO,
	   "a message that ends in half an iovec: EPROTO");
	ok(message(T(1, 1), UK_GET, url, n, 0, 0, n + 16 * (UK_EXTENTS + 1)) ==
	   -EPROTO, "a message of too many iovecs: EPROTO");
	ok(message(T(0, 1), UK_GET, url, n, 0, 0, n) == -EPROTO &&
	   message(1ull << 32 | T(1, 1), UK_GET, url, n, 0, 0, n) == -EPROTO &&
	   message(T(1, 1), 6, url, n, 0, 0, n) == -EPROTO &&
	   message(T(1, 1), 1ull << 32, url, n, 0, 0, n) == -EPROTO,
	   "no such ticket, no such method");
	ok(!message(T(1, 1), UK_GET, "", 0, 0, 0, 0), "an empty URL");
	failed(T(1, 1), EINVAL, "not a valid URL");
	ok(!message(T(1, 2), UK_GET, url, n + 1, 0, 0, n + 1),
	   "a NUL in a URL");
	failed(T(1, 2), EINVAL, "not a valid URL");
	ok(!message(T(1, 3), UK_GET, url, UK_URL_MAX + 1, 0, 0,
		    UK_URL_MAX + 1), "a URL that is too long");
	failed(T(1, 3), EINVAL, "too long");
	ok(!message(T(1, 4), UK_GET, url, n, UK_HEADERS_MAX + 1, 0,
		    n + UK_HEADERS_MAX + 1), "headers that are too long");
	failed(T(1, 4), EINVAL, "too long");
	ok(!message(T(1, 5), UK_GET, url, n, 3, 0, n + 3), "NULs in headers");
	wait_for(T(1, 5));
	failed(T(1, 5), EINVAL, "no colon");
	ok(host_reset(host) == 0 && region_is_clear(), "reset");
	host_cancel(host, 12345);
	host_released(host);
}

int main(void)
{
	char url[64], *list[] = { url, NULL };

	server_start(&server, NULL, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	loop = ev_loop_new(EVFLAG_AUTO);
	if (egress_create(&policy, list) ||
	    fetch_engine_create(&engine, loop) ||
	    window_pool_create(&pool, 2, 8 * MB) ||
	    window_pool_prepare(pool) ||
	    host_create(&host, engine, pool, LIMIT, 1, &ops, &clone))
		return 1;
	clone.view[0] = mmap(NULL, ETLFS_WINDOW0, PROT_READ, MAP_SHARED,
			     host_window0(host)->fd, 0);
	clone.size[0] = ETLFS_WINDOW0;
	test_event();
	test_small();
	test_large();
	test_window_is_clean();
	test_gather();
	test_upload();
	test_failures();
	test_messages();
	submit(T(1, 0), UK_GET, "/slow", NULL, 0, 0);
	host_destroy(host);
	host_destroy(NULL);
	window_pool_destroy(pool);
	fetch_engine_destroy(engine);
	egress_destroy(policy);
	ev_loop_destroy(loop);
	server_stop(&server);
	return plan();
}
