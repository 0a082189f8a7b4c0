/*
 * fetch_test.c - the fetch engine against a real server on loopback
 *
 * What is not to time out has LONG_NS, since others use this machine, too.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "etlfs/fetch/fetch.h"
#include "etlfs/fetch/header.h"
#include "t/unit/server.h"
#include "unikernel/abi.h"

#define LONG_NS		120000000000u

/* one request and all that came of it */
struct call {
	struct fetch_request r;
	struct fetch *f;
	char url[UK_URL_MAX + 64];
	const char *send;		/* body */
	uint64_t limit;			/* of the sink; 0: none */
	int read_error;
	int dones, error;
	unsigned status;
	char reason[4096], final[UK_URL_MAX + 64], head[UK_HEADERS_MAX + 1];
	uint8_t *body;
	uint64_t len, room, total, sent;
};

static struct ev_loop *loop;
static struct fetch_engine *engine;
static struct server server, tls;
static uint64_t turn, moved, moved_most;	/* bytes, in a turn */
static unsigned done_us;		/* what a done takes */
static struct egress *here, *internet;

/* everything on this machine that a test may reach; the rest is refused */
static void make_policy(int port, int tls_port)
{
	char at[4][64];
	char *list[] = {
		at[0], at[1], at[2], at[3], "http://localhost:1",
		"http://nowhere.invalid", NULL,
	};

	snprintf(at[0], 64, "http://127.0.0.1:%d", port);
	snprintf(at[1], 64, "http://localhost:%d", port);
	snprintf(at[2], 64, "https://127.0.0.1:%d", tls_port);
	snprintf(at[3], 64, "https://localhost:%d", tls_port);
	egress_destroy(here);
	if (egress_create(&here, list))
		exit(1);
}

static void count(uint64_t n)
{
	if (turn != ev_iteration(loop))
		moved = 0;
	turn = ev_iteration(loop);
	moved += n;
	if (moved_most < moved)
		moved_most = moved;
}

static ssize_t on_read(void *arg, uint64_t off, void *buf, size_t len)
{
	struct call *c = arg;

	if (c->read_error)
		return -c->read_error;
	if (len > 7)
		len -= len / 3;		/* short reads are normal */
	memcpy(buf, c->send + off, len);
	count(len);
	return len;
}

static void *on_sink(void *arg, uint64_t off, size_t need, uint64_t total,
		     size_t *room)
{
	struct call *c = arg;

	if (c->limit && off + need > c->limit)
		return NULL;
	if (off != c->len)
		ok(0, "offsets of the body are in order");
	if (off + need > c->room) {
		c->room = (off + need) * 2;
		c->body = realloc(c->body, c->room);
	}
	count(need);
	c->total = total;
	c->len = off + need;
	*room = need;
	return c->body + off;
}

static void on_done(void *arg, struct fetch *f)
{
	const struct fetch_result *r = fetch_result(f);
	struct call *c = arg;

	usleep(done_us);
	c->dones++;
	c->error = r->error;
	c->status = r->status;
	c->sent = r->sent_len;
	snprintf(c->reason, sizeof(c->reason), "%s", r->reason);
	snprintf(c->final, sizeof(c->final), "%s", r->url);
	if (r->headers_len)
		memcpy(c->head, r->headers, r->headers_len);
	c->head[r->headers_len] = 0;
	if (!r->error && r->body_len != c->len)
		ok(0, "body_len is what the sink was given");
	ev_break(loop, EVBREAK_ALL);
}

static void call_free(struct call *c)
{
	free(c->body);
	free(c);
}

static struct call *call_new(unsigned method, const char *url)
{
	struct call *c = calloc(1, sizeof(*c));

	snprintf(c->url, sizeof(c->url), url[0] == '/' ?
		 "http://127.0.0.1:%2$d%1$s" : "%s", url, server.port);
	c->r = (struct fetch_request){
		.method = method, .url = c->url, .headers = "",
		.timeout_ns = LONG_NS, .egress = here, .owner = 1,
		.read = on_read, .sink = on_sink, .done = on_done, .arg = c,
	};
	return c;
}

static void call_body(struct call *c, const char *data, size_t len)
{
	c->send = data;
	c->r.has_body = 1;
	c->r.body_len = len;
}

static struct call *call_run(struct call *c)
{
	int err = fetch_submit(engine, &c->r, &c->f);

	if (err || c->dones)
		ok(0, "fetch_submit() queues, and does not call done");
	while (!err && !c->dones)
		ev_run(loop, 0);
	return c;
}

static struct call *get(const char *url)
{
	return call_run(call_new(UK_GET, url));
}

static int body_is(const struct call *c, const char *text)
{
	return c->len && c->len == strlen(text) &&
	       !memcmp(c->body, text, c->len);
}

static int is_pattern(const uint8_t *p, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		if (p[i] != i % 251)
			return 0;
	return 1;
}

/* the request fails with err, and its reason has the text */
static void fails(struct call *c, int err, const char *text)
{
	int good = c->error == -err && strstr(c->reason, text);

	ok(good, "%.200s", c->reason);
	if (!good)
		printf("# error %d, wanted %d and '%s'; status %u: %s\n",
		       c->error, -err, text, c->status, c->reason);
	call_free(c);
}

static void test_bodies(void)
{
	struct call *c;

	c = get("/in.csv");
	ok(!c->error && c->status == 200 && c->len == 48 &&
	   !memcmp(c->body, "name,amount\n", 12), "GET /in.csv");
	ok(c->total == 48, "GET /in.csv: its length was known");
	ok(strstr(c->head, "Content-Type: text/csv; charset=utf-8\n") &&
	   !strchr(c->head, '\r') && !strstr(c->head, "HTTP/1.1 200"),
	   "headers are lines");
	ok(!strcmp(c->final, c->url), "the final URL is the first");
	call_free(c);
	c = get("/big?size=5000001");
	ok(!c->error && c->len == 5000001 && is_pattern(c->body, c->len),
	   "5 MB arrive as they are");
	call_free(c);
	c = get("/big?size=0");
	ok(!c->error && c->status == 200 && !c->len, "an empty body");
	call_free(c);
	c = get("/chunked?size=3000000");
	ok(!c->error && c->len == 3000000 && is_pattern(c->body, c->len) &&
	   !c->total, "a chunked body, of no known length");
	ok(!strstr(c->head, "X-Trailer"),
	   "a chunked body: its trailers are no headers");
	call_free(c);
	c = get("/gzip?size=3000000");
	ok(!c->error && c->len > 2 && c->len < 3000000 &&
	   c->body[0] == 0x1f && c->body[1] == 0x8b && c->total == c->len,
	   "a content-encoding is left as it was sent");
	ok(strstr(c->head, "Content-Encoding: gzip\n") &&
	   strstr(c->head, "Content-Length: "),
	   "a content-encoding is left in the headers");
	call_free(c);
	c = get("/badgzip");
	ok(!c->error && c->len == 500, "a content-encoding is not looked at");
	call_free(c);
	fails(get("/te?coding=gzip"), EPROTO, "transfer-encoding");
	fails(get("/te?coding=gzip,%20chunked"), EPROTO, "transfer-encoding");
	fails(get("/te?coding=chunked,%20gzip"), EPROTO, "transfer-encoding");
	c = call_run(call_new(UK_HEAD, "/in.csv"));
	ok(!c->error && c->status == 200 && !c->len &&
	   strstr(c->head, "Content-Length: 48\n"), "HEAD has no body");
	call_free(c);
	c = get("/status/404");
	ok(!c->error && c->status == 404 && body_is(c, "as asked\n"),
	   "404 is an answer, with a body");
	call_free(c);
	c = get("/status/204");
	ok(!c->error && c->status == 204 && !c->len, "204");
	call_free(c);
}

static void test_uploads(void)
{
	static const struct {
		unsigned method;
		const char *name;
	} with_body[] = {
		{ UK_POST, "POST" }, { UK_PUT, "PUT" }, { UK_PATCH, "PATCH" },
	};
	size_t i, size = 3 << 20;
	char *big = malloc(size), want[128];
	struct call *c;

	for (i = 0; i < size; i++)
		big[i] = i % 251;
	for (i = 0; i < 3; i++) {
		c = call_new(with_body[i].method, "/out");
		c->r.headers = "Content-Type: text/x-test\n"
			       "content-length: 5\nTransfer-Encoding: chunked";
		c->r.headers_len = strlen(c->r.headers);
		call_body(c, big, size - i);
		call_run(c);
		snprintf(want, sizeof(want), "{\"method\": \"%s\", "
			 "\"bytes\": %zu}", with_body[i].name, size - i);
		ok(!c->error && c->status == 201 && body_is(c, want) &&
		   c->sent == size - i, "%s of 3 MB", with_body[i].name);
		call_free(c);
	}
	c = get("/out");
	ok(c->len == size - 2 && is_pattern(c->body, c->len),
	   "the server has what was sent");
	ok(strstr(c->head, "Content-Type: text/x-test\n") != NULL,
	   "the server has the type of what was sent");
	call_free(c);
	c = call_new(UK_POST, "/empty");
	c->r.has_body = 1;
	call_run(c);
	ok(c->status == 201 && strstr((char *)c->body, "\"bytes\": 0"),
	   "POST of nothing");
	call_free(c);
	c = call_run(call_new(UK_DELETE, "/out"));
	ok(!c->error && c->status == 204, "DELETE");
	call_free(c);
	c = call_run(call_new(UK_DELETE, "/out"));
	ok(!c->error && c->status == 404, "DELETE of what is gone");
	call_free(c);
	c = call_new(UK_POST, "/out");
	call_body(c, "abc", 3);
	c->read_error = EFAULT;
	fails(call_run(c), EFAULT, "the request's body could not be read");
	free(big);
}

static struct call *with_headers(const char *url, const char *headers)
{
	struct call *c = call_new(UK_GET, url);

	c->r.headers = headers;
	c->r.headers_len = strlen(headers);
	return call_run(c);
}

static int has(const struct call *c, const char *text)
{
	char *s = strndup((char *)c->body, c->len);
	int found = strstr(s, text) != NULL;

	free(s);
	return found;
}

static void test_headers(void)
{
	char bad[3] = { 'a', ':', 0 };
	char long_head[UK_HEADERS_MAX + 16], host[128];
	struct call *c;

	c = with_headers("/headers", "X-One:  1 \nx-empty:\nCookie: a=b\n"
			 "Connection: close\nExpect: 100-continue\nTE: x\n"
			 "Content_Length: 5\ntransfer_encoding: chunked\n"
			 "Proxy-Authorization: x\nX-High: \xc3\xa9");
	ok(has(c, "[\"X-One\", \"1\"]") && has(c, "[\"x-empty\", \"\"]") &&
	   has(c, "[\"Cookie\", \"a=b\"]") && has(c, "X-High"),
	   "headers are passed on, trimmed");
	ok(!has(c, "Connection") && !has(c, "Expect") && !has(c, "TE\"") &&
	   !has(c, "ontent_") && !has(c, "ransfer_") && !has(c, "Proxy"),
	   "hop-by-hop headers are not passed on");
	ok(has(c, "[\"User-Agent\", \"usetl/" USETL_VERSION "\"]"),
	   "there is a user agent");
	ok(!has(c, "Accept-Encoding"), "no encoding is asked for");
	call_free(c);
	c = with_headers("/headers", "Accept-Encoding: gzip\n"
			 "User-Agent: mine\nAccept: text/x\n");
	ok(has(c, "[\"User-Agent\", \"mine\"]") && !has(c, "usetl/") &&
	   !has(c, "*/*"), "a default gives way");
	ok(has(c, "[\"Accept-Encoding\", \"gzip\"]"),
	   "an encoding is asked for by the request only");
	call_free(c);
	fails(with_headers("/headers", "X: a\rY: b\n"), EINVAL, "control");
	fails(with_headers("/headers", "X: a\n\nGET / HTTP/1.1\n"), EINVAL,
	      "no colon");
	fails(with_headers("/headers", "X Y: a\n"), EINVAL, "token");
	fails(with_headers("/headers", " X: a\n"), EINVAL, "token");
	fails(with_headers("/headers", ": a\n"), EINVAL, "token");
	fails(with_headers("/headers", "X\r: a\n"), EINVAL, "token");
	fails(with_headers("/headers", "Host: a\nHost: b\n"), EINVAL, "Host");
	fails(with_headers("/headers", "Host: a/b\n"), EINVAL, "Host");
	fails(with_headers("/headers", "Host: other.example\n"), EACCES,
	      "refused by the egress policy");
	snprintf(host, sizeof(host), "Host: 127.0.0.1:%d\n", server.port);
	c = with_headers("/headers", host);
	ok(!c->error && c->status == 200, "a Host that is allowed is allowed");
	call_free(c);
	c = call_new(UK_GET, "/headers");
	c->r.headers = bad;
	c->r.headers_len = 3;
	fails(call_run(c), EINVAL, "control");
	memset(long_head, 'a', sizeof(long_head));
	long_head[1] = ':';
	long_head[sizeof(long_head) - 1] = 0;
	fails(with_headers("/headers", long_head), EMSGSIZE, "longer than");
}

static void test_redirects(void)
{
	char url[256], want[128];
	struct call *c;

	c = get("/redirect");
	ok(!c->error && c->status == 200 && c->len == 48, "a redirect");
	snprintf(want, sizeof(want), "http://127.0.0.1:%d/in.csv",
		 server.port);
	ok(!strcmp(c->final, want),
	   "a redirect: the final URL is the last hop's");
	ok(!strstr(c->head, "Location"),
	   "a redirect: the headers are the last hop's");
	call_free(c);
	c = call_new(UK_POST, "/redirect?code=303&to=/headers");
	c->r.headers = "Content-Type: x\nX-Kept: 1";
	c->r.headers_len = strlen(c->r.headers);
	call_body(c, "abc", 3);
	call_run(c);
	ok(!c->error && has(c, "X-Kept") && !has(c, "Content-"),
	   "303: POST becomes GET, without what said what the body is");
	call_free(c);
	c = call_new(UK_POST, "/redirect?code=307&to=/again");
	call_body(c, "abcdef", 6);
	call_run(c);
	ok(!c->error && c->status == 201 && has(c, "\"bytes\": 6"),
	   "307: POST stays POST, the body is sent again");
	call_free(c);
	c = call_new(UK_PUT, "/redirect?code=302&to=/again");
	call_body(c, "abcdefg", 7);
	call_run(c);
	ok(!c->error && has(c, "\"PUT\"") && has(c, "\"bytes\": 7"),
	   "302: PUT stays PUT");
	call_free(c);
	c = with_headers("/redirect?to=/headers", "Authorization: s\n");
	ok(has(c, "Authorization"), "credentials stay with their origin");
	call_free(c);
	snprintf(url, sizeof(url), "/redirect?to=http://localhost:%d/headers",
		 server.port);
	c = with_headers(url, "Authorization: s\nCookie: s\nX-Kept: 1\n");
	ok(!c->error && !has(c, "Authorization") && !has(c, "Cookie") &&
	   has(c, "X-Kept") && has(c, "localhost"),
	   "credentials go to no other host");
	call_free(c);
	fails(get("/loop"), ELOOP, "too many redirects");
	fails(get("/redirect?to=ftp://127.0.0.1/x"), EPROTONOSUPPORT,
	      "redirected to 'ftp://127.0.0.1/x'");
	fails(get("/redirect?to=http://%20/"), EINVAL, "redirected to");
	fails(get("/redirect?to=http://127.0.0.1:1/secret"), EACCES,
	      "redirected to http://127.0.0.1:1/secret: refused by the");
	c = get("/status/304");
	ok(!c->error && c->status == 304, "304 is no redirect");
	call_free(c);
}

static struct call *to_internet(const char *url)
{
	struct call *c = call_new(UK_GET, url);

	c->r.egress = internet;
	return call_run(c);
}

static void test_policy(void)
{
	char url[256];

	fails(get("http://127.0.0.1:1/"), EACCES, "egress policy: not in");
	fails(get("http://127.0.0.1:1/a/..%00/b"), EACCES,
	      "may read its path as one with '..'");
	fails(get("http://example.com/"), EACCES, "egress policy");
	fails(to_internet("/in.csv"), EACCES, "egress policy");
	/* a name says nothing: what it resolves to is looked at */
	snprintf(url, sizeof(url), "http://localhost:%d/in.csv", server.port);
	fails(to_internet(url), EACCES, "is not a public address");
	/* and again when another's connection to it is kept alive */
	call_free(get(url));
	fails(to_internet(url), EACCES, "is not a public address");
	call_free(get("/in.csv"));
	snprintf(url, sizeof(url), "http://0x7f.1:%d/in.csv", server.port);
	fails(to_internet(url), EACCES, "egress policy");
}

static void test_failures(void)
{
	static const char after_what[] = "timed out after ";
	char url[UK_URL_MAX + 32], *after;
	struct call *c;

	fails(get("http://localhost:1/"), ECONNREFUSED, "onnection refused");
	fails(get("http://nowhere.invalid/"), EHOSTUNREACH,
	      "could not resolve host 'nowhere.invalid'");
	fails(get("ftp://localhost/"), EPROTONOSUPPORT, "unsupported scheme");
	fails(get("file:///etc/passwd"), EPROTONOSUPPORT, "unsupported");
	fails(get("no url"), EINVAL, "not a valid URL");
	fails(get("http://a\r\nb/"), EINVAL, "http://a??b/: not a valid URL");
	memset(url, 'a', sizeof(url));
	memcpy(url, "http://localhost/", 17);
	url[sizeof(url) - 1] = 0;
	fails(get(url), ENAMETOOLONG, "longer than 8192");
	fails(get("/truncated"), EIO,
	      "truncated: expected 1000 bytes, got 500");
	fails(get("/truncated?chunked=1"), EIO, "truncated: ");
	fails(get("/truncated?gzip=1"), EIO, "truncated: expected ");
	fails(get("/drop"), ECONNRESET, "without an answer");
	fails(get("/garbage"), EPROTO, "HTTP");
	fails(get("/longhead?size=70000"), EMSGSIZE, "longer than 65536");
	c = call_new(UK_GET, "/slow?seconds=20&head=1");
	c->r.timeout_ns = 200000000;
	call_run(c);
	after = strstr(c->reason, after_what);
	ok(c->error == -ETIMEDOUT && after &&
	   atof(after + strlen(after_what)) >= 0.2,
	   "no sooner than its time: %s", c->reason);
	call_free(c);
	c = call_new(UK_GET, "/slow?seconds=20");
	c->r.timeout_ns = 2000000000;
	fails(call_run(c), ETIMEDOUT, "bytes received");
	c = call_new(UK_GET, "/big?size=100000");
	c->limit = 99999;
	fails(call_run(c), ENOSPC, "no room for a body of 100000 bytes");
	c = call_new(UK_GET, "/chunked?size=100000");
	c->limit = 50000;
	fails(call_run(c), ENOSPC, "no room for a body of more than");
	c = call_new(99, "/");
	ok(fetch_submit(engine, &c->r, &c->f) == -EINVAL, "no such method");
	call_free(c);
	c = get("http://user:secret@localhost:1/");
	ok(c->error && !strstr(c->reason, "secret"),
	   "a password is not in the reason");
	call_free(c);
	c = get("/in.csv");
	ok(!c->error && c->status == 200, "after failures a fetch works");
	call_free(c);
}

static void test_connections(void)
{
	struct call *c[40], *a = get("/connection"), *b = get("/connection");
	int i, good = 0, dones = 0;

	ok(a->len && a->len == b->len && !memcmp(a->body, b->body, a->len),
	   "a connection is kept alive");
	call_free(a);
	call_free(b);
	for (i = 0; i < 40; i++) {
		c[i] = call_new(UK_GET, i % 2 ? "/big?size=300000" :
				"http://127.0.0.1:1/");
		fetch_submit(engine, &c[i]->r, &c[i]->f);
	}
	for (i = 0; i < 40; i += 8) {
		fetch_cancel(c[i]->f);
		fetch_cancel(c[i + 1]->f);
	}
	while (dones < 30) {
		ev_run(loop, 0);
		for (i = dones = 0; i < 40; i++)
			dones += c[i]->dones;
	}
	for (i = 0; i < 40; i++) {
		if (i % 8 < 2)
			good += !c[i]->dones;
		else if (i % 2)
			good += c[i]->len == 300000 && c[i]->dones == 1 &&
				is_pattern(c[i]->body, c[i]->len);
		else
			good += c[i]->dones == 1 && c[i]->error == -EACCES;
		call_free(c[i]);
	}
	ok(good == 40, "forty fetches at once, ten of them cancelled");
}

/* large bodies take many turns of the loop, and others have theirs in each */
static void test_turns(void)
{
	size_t i, size = 24 << 20, dones = 0, good = 0, len = 0;
	char *big = malloc(size), url[64];
	struct call *c[16];
	int still;

	for (i = 0; i < size; i++)
		big[i] = i % 251;
	moved_most = 0;
	for (i = 0; i < 16; i++) {
		snprintf(url, sizeof(url), i % 4 == 0 ? "/up%zu" :
			 i % 4 == 1 ? "/chunked?size=%zu" : "/big?size=%zu",
			 i % 4 ? size - i : i);
		c[i] = call_new(i % 4 ? UK_GET : UK_PUT, url);
		if (i % 4 == 0)
			call_body(c[i], big, size - i);
		c[i]->r.owner = i % 3 + 1;
		if (fetch_submit(engine, &c[i]->r, &c[i]->f))
			exit(1);
	}
	fetch_cancel(c[7]->f);
	while (dones < 15) {
		ev_run(loop, 0);
		for (i = dones = 0; i < 16; i++)
			dones += c[i]->dones;
		if (dones && !c[9]->dones) {
			/* it is paused, perhaps */
			fetch_cancel(c[9]->f);
			c[9]->dones = 1;
			len = c[9]->len;
		}
	}
	still = c[9]->len == len && !c[7]->len;
	for (i = 0; i < 16; i++) {
		good += i == 7 || i == 9 || (!c[i]->error && (i % 4 == 0 ?
			c[i]->sent == size - i : c[i]->len == size - i &&
			is_pattern(c[i]->body, c[i]->len)));
		call_free(c[i]);
	}
	ok(len && still, "of what is cancelled nothing arrives: %zu", len);
	ok(good == 16, "16 large bodies at once, up and down: %zu", good);
	ok(moved_most <= 8 << 20, "16 large bodies: at most %llu KB a turn",
	   (unsigned long long)moved_most >> 10);
	free(big);
}

static unsigned dones(struct call *c[8])
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		n += c[i]->dones;
	return n;
}

/* eight that the server has and does not answer; 0: some were over before */
static int hold_eight(struct call *c[8], uint64_t timeout_ns)
{
	server_says(&server, "/release");
	for (unsigned i = 0; i < 8; i++) {
		c[i] = call_new(UK_GET, "/held");
		c[i]->r.timeout_ns = timeout_ns;
		if (fetch_submit(engine, &c[i]->r, &c[i]->f))
			exit(1);
	}
	while (!dones(c) && server_says(&server, "/holding") != 8)
		ev_run(loop, EVRUN_NOWAIT);
	return !dones(c);
}

/* the most of them that end in a turn of the loop; frees them */
static unsigned most_of_eight(struct call *c[8])
{
	unsigned now = dones(c), before, most = 0;

	while (now < 8) {
		before = now;
		ev_run(loop, EVRUN_NOWAIT);
		now = dones(c);
		if (now - before > most)
			most = now - before;
	}
	for (unsigned i = 0; i < 8; i++)
		call_free(c[i]);
	return most;
}

/* who is woken takes the processor, and a done has taken a turn's time */
static void test_slow_turns(void)
{
	struct call *c[8];
	unsigned most;
	uint64_t ns;

	done_us = 5000;
	if (!hold_eight(c, LONG_NS))
		exit(1);
	/* all are sent when this returns */
	server_says(&server, "/release");
	most = most_of_eight(c);
	ok(most == 1, "a done is slow: %u of 8 answers in a turn", most);
	/* all are to be under way before one is due, however long that takes */
	for (ns = 1000000000; !hold_eight(c, ns) && ns < LONG_NS; ns *= 2)
		most_of_eight(c);
	usleep(ns / 1000);
	most = most_of_eight(c);
	ok(most == 1, "a done is slow: %u of 8 overdue in a turn", most);
	done_us = 0;
}

/* server.key and server.pem in dir, for "localhost" */
static int make_certificate(const char *dir)
{
	char cmd[1024];

	snprintf(cmd, sizeof(cmd), "openssl req -x509 -newkey rsa:2048 -nodes "
		 "-days 2 -subj /CN=localhost -addext "
		 "subjectAltName=DNS:localhost -keyout %s/key -out %s/cert "
		 ">/dev/null 2>&1", dir, dir);
	return system(cmd);
}

static void test_tls(void)
{
	char dir[] = "/tmp/usetl-fetch.XXXXXX", cert[64], key[64], url[128];
	struct call *c;

	if (!mkdtemp(dir) || make_certificate(dir)) {
		ok(1, "https # SKIP openssl made no certificate");
		rmdir(dir);
		return;
	}
	snprintf(cert, sizeof(cert), "%s/cert", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	server_start(&tls, cert, key);
	make_policy(tls.port, tls.port);
	snprintf(url, sizeof(url), "https://localhost:%d/big?size=1000000",
		 tls.port);
	fails(get(url), EPROTO, "certificate was not accepted");
	setenv("SSL_CERT_FILE", cert, 1);
	c = get(url);
	ok(!c->error && c->len == 1000000 && is_pattern(c->body, c->len),
	   "https, with a certificate that SSL_CERT_FILE trusts");
	call_free(c);
	/* 72 bytes come for one, and more than OVERHEAD_MAX in all */
	snprintf(url, sizeof(url), "https://localhost:%d/crumbs?size=70000",
		 tls.port);
	c = get(url);
	ok(!c->error && c->len == 70000 && is_pattern(c->body, c->len),
	   "chunks of a byte in TLS records are no framing without end: %s",
	   c->reason);
	call_free(c);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", tls.port);
	fails(get(url), EPROTO, "certificate was not accepted");
	unsetenv("SSL_CERT_FILE");
	snprintf(url, sizeof(url), "http://localhost:%d/", tls.port);
	c = get(url);
	ok(c->error < 0, "http to an https port: %s", c->reason);
	call_free(c);
	make_policy(server.port, 1);
	server_stop(&tls);
	unlink(cert);
	unlink(key);
	rmdir(dir);
}

int main(void)
{
	struct call *c;

	/* neither of these may be looked at */
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	server_start(&server, NULL, NULL);
	make_policy(server.port, 1);
	if (egress_create(&internet, NULL))
		return 1;
	loop = ev_loop_new(EVFLAG_AUTO);
	if (fetch_engine_create(&engine, loop))
		return 1;
	test_bodies();
	test_uploads();
	test_headers();
	test_redirects();
	test_policy();
	test_failures();
	test_connections();
	test_turns();
	test_slow_turns();
	test_tls();
	/* what is in flight is dropped */
	c = call_new(UK_GET, "/slow");
	fetch_submit(engine, &c->r, &c->f);
	fetch_engine_destroy(engine);
	ok(!c->dones, "the engine ends with a fetch in flight");
	call_free(c);
	egress_destroy(here);
	egress_destroy(internet);
	ev_loop_destroy(loop);
	server_stop(&server);
	return plan();
}
