/*
 * fuzz_hosttable.c - a FETCH as a hostile clone may write it, and its answer
 *
 * The input is a struct msg and its payload: URL, header lines, iovecs.  The
 * egress policy allows nothing, so nothing is ever connected to, and every
 * ticket must end as FAILED with a line of printable text inside window 0;
 * or the message is refused, and the table does not change.
 *
 * The same bytes then go through the parsers alone, whose promises are
 * checked: no line break or NUL leaves header_list(), and a URL that the
 * policy lets pass has a host that is the policy's.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etlfs/format.h"
#include "etlfs/fetch/header.h"
#include "etlfs/region/host.h"
#include "etlfs/fetch/url.h"
#include "t/fuzz/fuzz.h"
#include "unikernel/abi.h"
#include "vmm/pool/peer.h"

const unsigned fuzz_runs = 60000;

static struct ev_loop *loop;
static struct fetch_engine *engine;
static struct window_pool *windows;
static struct egress *nothing, *listed;
static struct host *host;

static int on_attach(void *arg, unsigned window, int fd, uint64_t size)
{
	abort();		/* there are no bodies */
}

static void on_kick(void *arg)
{
}

static ssize_t on_read(void *arg, const struct body_part *part, size_t n,
		       uint64_t off, void *buf, size_t len)
{
	abort();		/* nothing is sent */
}

static const struct host_ops ops = { on_attach, on_kick, on_read };

static void setup(void)
{
	char *none[] = { "none", NULL };
	char *list[] = { "http://a.example/in", NULL };

	loop = ev_loop_new(EVFLAG_AUTO);
	if (!loop || fetch_engine_create(&engine, loop) ||
	    window_pool_create(&windows, 0, 0) ||
	    egress_create(&nothing, none) || egress_create(&listed, list) ||
	    host_create(&host, engine, windows, 1 << 20, 1, &ops, NULL))
		exit(1);
}

static void check_failed(const uint8_t *region, uint32_t t)
{
	const struct etlfs_host *h = (const void *)region;
	const struct etlfs_ticket *k = &h->ticket[t % ETLFS_TICKETS];
	uint32_t i;

	MUST(k->state == ETLFS_FAILED && k->gen == t / ETLFS_TICKETS);
	MUST(k->error && k->error < 4096 && k->head_len && !k->body_len);
	MUST(k->head_off >= ETLFS_EVENT_OFF && k->head_off < ETLFS_WINDOW0 &&
	     k->head_len <= ETLFS_WINDOW0 - k->head_off);
	for (i = 0; i < k->head_len; i++)
		MUST(region[k->head_off + i] >= 0x20);
}

/* as the pool does */
static int fetch(const struct msg *m, const uint8_t *payload)
{
	struct body_part part[UK_EXTENTS];
	struct host_request r;

	if (peer_fetch(m, payload, &r, part) < 0)
		return -EPROTO;
	r.egress = nothing;
	return host_fetch(host, &r);
}

static void try_message(const struct msg *m, const uint8_t *payload)
{
	const uint8_t *region = host_window0(host)->map;
	static struct etlfs_host before;
	const struct etlfs_host *h = (const void *)region;
	uint32_t t = m->a[0];

	before = *h;
	if (fetch(m, payload) < 0) {
		MUST(!memcmp(&before, h, sizeof(before)));
		return;
	}
	while (h->ticket[t % ETLFS_TICKETS].state == ETLFS_PENDING)
		ev_run(loop, EVRUN_ONCE);
	check_failed(region, t);
	MUST(fetch(m, payload) == -EBUSY);
	host_cancel(host, t);
	MUST(h->ticket[t % ETLFS_TICKETS].state == ETLFS_FREE);
	MUST(!host_reset(host));
}

static void try_headers(const char *text, size_t len)
{
	struct curl_slist *list, *l;
	struct header_block head = { NULL, 0, 0 };
	const char *why = NULL, *p, *end;

	if (!header_check(text, len, &why)) {
		MUST(!header_list(text, len, HEADER_NO_ORIGIN, &list));
		for (l = list; l; l = l->next)
			MUST(!strpbrk(l->data, "\r\n") &&
			     strncasecmp(l->data, "Content-Length:", 15) &&
			     strncasecmp(l->data, "Cookie:", 7));
		curl_slist_free_all(list);
	} else {
		MUST(why);
	}
	/* as a response's: line by line */
	for (p = text; p < text + len; p = end) {
		end = memchr(p, '\n', text + len - p);
		end = end ? end + 1 : text + len;
		if (head_add(&head, p, end - p) < 0)
			break;
	}
	MUST(head.len <= UK_HEADERS_MAX);
	head_free(&head);
}

static void try_url(const char *text, size_t len)
{
	char *s = strndup(text, len);
	struct url u, v;

	if (!s)
		exit(1);
	if (!url_parse(&u, NULL, s)) {
		/* what was made of it is read the same again */
		MUST(!url_parse(&v, NULL, u.text));
		MUST(url_same_origin(&u, &v) && !strcmp(u.path, v.path));
		url_free(&v);
		if (egress_allows(listed, s, NULL))
			MUST(!strcasecmp(u.host, "a.example") &&
			     u.port == 80 && !strncmp(u.path, "/in", 3));
		url_free(&u);
	}
	if (!url_parse(&u, "http://a.example/b/c", s))
		url_free(&u);
	MUST(!egress_allows(nothing, s, NULL));
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg m;

	if (!host)
		setup();
	if (size >= sizeof(m)) {
		memcpy(&m, data, sizeof(m));
		/* what pool and peer make sure of */
		m.len = size - sizeof(m);
		try_message(&m, data + sizeof(m));
	}
	try_headers((const char *)data, size);
	try_url((const char *)data, size);
	if (size > sizeof(m))
		try_url((const char *)data + sizeof(m), size - sizeof(m));
	return 0;
}

static size_t make(uint8_t *out, unsigned slot, const char *url,
		   const char *headers, unsigned iovs)
{
	struct msg m = { .type = MSG_FETCH, .a = {
		3 * ETLFS_TICKETS + slot, slot % 6, strlen(url),
		strlen(headers), iovs * 10, 1000000000 } };
	struct proto_iov iov = { 0x200000000, 10 };
	uint8_t *p = out + sizeof(m);

	p = mempcpy(p, url, strlen(url));
	p = mempcpy(p, headers, strlen(headers));
	while (iovs--)
		p = mempcpy(p, &iov, sizeof(iov));
	m.len = p - out - sizeof(m);
	memcpy(out, &m, sizeof(m));
	return p - out;
}

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	switch (n) {
	case 0:
		return make(out, 0, "http://user:pw@a.example/in/x",
			    "X-Test: 1\n", 0);
	case 1:
		return make(out, 2, "http://a.example/in/../x/%2e%2e/?q#f",
			    "Host: b\nCookie: x=y\nX-Empty:\n y: z", 3);
	case 2:
		return make(out, 63, "http://[::1%25lo]:80/in", "", 1);
	default:
		return 0;
	}
}
