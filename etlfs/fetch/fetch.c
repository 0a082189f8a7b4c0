/*
 * fetch.c - HTTP on behalf of guests: a chain of hops with a policy
 *
 * A fetch has one hop at a time.  Before each, the URL is checked against the
 * function's egress policy.  A failure before anything is sent is reported from
 * the loop like any other, so a caller has one place for errors.
 *
 * A hop belongs to its fetch, starts all zero, and is freed before the next.
 */
#include "etlfs/fetch/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/nstime.h"
#include "etlfs/fetch/header.h"
#include "etlfs/fetch/hop.h"
#include "etlfs/fetch/hop_why.h"
#include "unikernel/abi.h"

struct fetch {
	struct hop hop;
	struct fetch_request req;	/* url and headers are our copies */
	struct fetch_result result;
	char *url, *headers;
	/* the URL asked for, without password */
	char *first;
	uint64_t deadline_ns;		/* 0: none */
	unsigned hops;
	uint64_t sent_len;		/* bytes sent by earlier hops */
	char *reason;
};

static void fetch_free(struct fetch *f)
{
	hop_free(&f->hop);
	free(f->reason);
	free(f->first);
	free(f->headers);
	free(f->url);
	free(f);
}

/* reason strings are one line of limited length, whatever the URL holds */
static char *printable(const char *s)
{
	char *copy = strndup(s, 512), *p;

	for (p = copy; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return copy;
}

static void make_reason(struct fetch *f)
{
	const char *method = hop_method(f->req.method);
	const char *first = f->first ? f->first : "";
	const char *now = f->hop.url.shown;
	char *text = NULL;
	int n;

	if (f->hops && now)
		n = asprintf(&text, "%s %.512s: redirected to %.512s: %s",
			     method, first, now, f->hop.why);
	else
		n = asprintf(&text, "%s %.512s: %s", method, first,
			     f->hop.why);
	if (n < 0)
		return;
	for (n = 0; text[n]; n++)
		if ((unsigned char)text[n] < 0x20 || text[n] == 0x7f)
			text[n] = ' ';
	f->reason = text;
}

static void fetch_finish(struct fetch *f)
{
	struct hop *h = &f->hop;
	struct fetch_result *r = &f->result;

	r->error = h->error;
	if (r->error)
		make_reason(f);
	r->reason = r->error ? f->reason ? f->reason : "out of memory" : "";
	r->status = h->status;
	r->url = h->url.shown ? h->url.shown : f->first ? f->first : "";
	r->headers = h->head.text ? h->head.text : "";
	r->headers_len = h->head.len;
	r->body_len = h->body_len;
	r->sent_len = f->sent_len + h->sent_len;
	f->req.done(f->req.arg, f);
	fetch_free(f);
}

/* a Host header may only name a host that the URL could have named */
static int host_allowed(struct fetch *f)
{
	struct hop *h = &f->hop;
	const char *host;
	char *url = NULL;
	size_t len;
	int ok;

	host = header_find(f->headers, f->req.headers_len, "Host", &len);
	if (!host || h->leave_out & HEADER_NO_ORIGIN)
		return 1;
	if (asprintf(&url, "%s://%.*s%s", h->url.scheme, (int)len, host,
		     h->url.path) < 0)
		return 0;
	ok = egress_allows(f->req.egress, url, NULL);
	free(url);
	return ok;
}

static void url_failed(struct hop *h, int err)
{
	if (err == -EPROTONOSUPPORT)
		hop_fail(h, err, "unsupported scheme: only http and https");
	else if (err == -EINVAL)
		hop_fail(h, err, "not a valid URL");
	else
		hop_fail(h, err, "%s", strerror(-err));
}

/* sets the hop's error when the policy refuses it */
static void check_policy(struct fetch *f)
{
	struct hop *h = &f->hop;

	if (!egress_allows(f->req.egress, h->url.text, &h->named))
		hop_fail(h, -EACCES, "refused by the egress policy: %s",
			 h->url.may_leave ? "a server may read its path as one "
			 "with '..', which no entry of [egress] allow permits" :
			 "not in [egress] allow of function.ini");
	else if (!host_allowed(f))
		hop_fail(h, -EACCES, "refused by the egress policy: its Host "
			 "header names another host");
}

/* puts the hop on the wire, or sets its error */
static void hop_send(struct fetch *f)
{
	struct hop *h = &f->hop;
	int rc;

	check_policy(f);
	if (!h->error && f->deadline_ns && nstime_now() >= f->deadline_ns)
		hop_fail(h, -ETIMEDOUT, "timed out after %.3g s",
			 f->req.timeout_ns / 1e9);
	h->deadline_ns = f->deadline_ns;
	if (h->error)
		return;
	rc = hop_start(h);
	if (rc < 0)
		hop_fail(h, rc, "%s", strerror(-rc));
}

static void on_drop(struct transfer *t)
{
	struct hop *h = (struct hop *)((char *)t -
				       offsetof(struct hop, transfer));

	fetch_free((struct fetch *)((char *)h - offsetof(struct fetch, hop)));
}

/* how the next request differs from the one that was redirected */
static void next_request(struct hop *next, const struct hop *h)
{
	int to_get = h->status == 303 ? h->method != UK_HEAD :
		     (h->status == 301 || h->status == 302) &&
		     h->method == UK_POST;

	next->method = to_get ? UK_GET : h->method;
	next->has_body = !to_get && h->has_body;
	next->leave_out = h->leave_out | (to_get ? HEADER_NO_CONTENT : 0);
	if (!url_same_origin(&next->url, &h->url))
		next->leave_out |= HEADER_NO_ORIGIN;
}

/* makes the URL of the next hop, or sets the hop's error */
static void hop_follow(struct hop *h, struct hop *next)
{
	const char *location, *why;
	char *text, *shown;
	size_t len;
	int rc;

	location = header_find(h->head.text, h->head.len, "Location", &len);
	if (len > UK_URL_MAX) {
		hop_fail(h, -ENAMETOOLONG, "redirected to a URL that is "
			 "longer than %d bytes", UK_URL_MAX);
		return;
	}
	text = strndup(location, len);
	rc = text ? url_parse(&next->url, h->url.text, text) : -ENOMEM;
	if (rc < 0) {
		why = rc == -EINVAL ? "not a valid URL" :
		      rc == -EPROTONOSUPPORT ?
		      "only http and https are supported" : strerror(-rc);
		shown = text ? printable(text) : NULL;
		hop_fail(h, rc, "redirected to '%.200s': %s",
			 shown ? shown : "", why);
		free(shown);
	}
	free(text);
}

static void on_hop_done(struct hop *h)
{
	struct fetch *f = (struct fetch *)((char *)h -
					   offsetof(struct fetch, hop));
	struct hop next = {
		.engine = h->engine, .req = h->req, .done = on_hop_done,
	};

	if (!h->error && h->redirect && f->hops == FETCH_REDIRECTS)
		hop_fail(h, -ELOOP, "too many redirects (more than %d)",
			 FETCH_REDIRECTS);
	if (!h->error && h->redirect)
		hop_follow(h, &next);
	if (h->error || !h->redirect) {
		fetch_finish(f);
		return;
	}
	next_request(&next, h);
	f->hops++;
	f->sent_len += h->sent_len;
	hop_free(h);
	*h = next;
	h->transfer.drop = on_drop;
	hop_send(f);
	if (h->error)
		fetch_finish(f);
}

static void on_posted(struct transfer *t, CURLcode code)
{
	struct hop *h = (struct hop *)((char *)t -
				       offsetof(struct hop, transfer));

	fetch_finish((struct fetch *)((char *)h - offsetof(struct fetch, hop)));
}

static int fetch_copy(struct fetch *f, const struct fetch_request *req)
{
	f->req = *req;
	f->url = strdup(req->url);
	f->headers = calloc(1, req->headers_len + 1);
	if (!f->url || !f->headers)
		return -ENOMEM;
	if (req->headers_len)
		memcpy(f->headers, req->headers, req->headers_len);
	f->req.url = f->url;
	f->req.headers = f->headers;
	return 0;
}

static void fetch_check(struct fetch *f)
{
	struct hop *h = &f->hop;
	const char *why = "";
	int rc;

	rc = url_parse(&h->url, NULL, f->url);
	f->first = rc ? printable(f->url) : strdup(h->url.shown);
	if (rc < 0)
		url_failed(h, rc);
	else if (strlen(f->url) > UK_URL_MAX)
		hop_fail(h, -ENAMETOOLONG, "the URL is longer than %d bytes",
			 UK_URL_MAX);
	else if (f->req.headers_len > UK_HEADERS_MAX)
		hop_fail(h, -EMSGSIZE, "the headers are longer than %d bytes",
			 UK_HEADERS_MAX);
	else if (header_check(f->headers, f->req.headers_len, &why) < 0)
		hop_fail(h, -EINVAL, "%s", why);
}

int fetch_submit(struct fetch_engine *e, const struct fetch_request *req,
		 struct fetch **out)
{
	struct fetch *f;
	struct hop *h;
	int rc;

	if (!hop_method(req->method))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	h = &f->hop;
	h->engine = e;
	rc = fetch_copy(f, req);
	if (rc == 0)
		rc = engine_attach(e, &h->transfer, req->owner);
	if (rc < 0) {
		fetch_free(f);
		return rc;
	}
	h->req = &f->req;
	h->method = req->method;
	h->has_body = req->has_body && req->method != UK_HEAD;
	h->done = on_hop_done;
	h->transfer.drop = on_drop;
	if (req->timeout_ns)
		f->deadline_ns = nstime_now() + req->timeout_ns;
	fetch_check(f);
	if (!h->error)
		hop_send(f);
	if (h->error) {
		/*
		 * The caller has no handle yet, so the loop reports this later.
		 */
		h->transfer.finished = on_posted;
		engine_post(e, &h->transfer);
	}
	*out = f;
	return 0;
}

const struct fetch_result *fetch_result(const struct fetch *f)
{
	return &f->result;
}

static void on_cancelled(struct hop *h)
{
	fetch_free((struct fetch *)((char *)h - offsetof(struct fetch, hop)));
}

/* removing a transfer from curl is slow, so it is left to the loop */
void fetch_cancel(struct fetch *f)
{
	if (!f)
		return;
	if (!f->hop.transfer.running) {
		fetch_free(f);
		return;
	}
	f->hop.done = on_cancelled;
	hop_cancel(&f->hop);
}
