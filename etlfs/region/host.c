/*
 * host.c - the gateway's half of one clone's host region
 *
 * One slot per ticket.  A slot in use has a fetch in flight, or is settled:
 * DONE or FAILED in the table, its body and text in areas of the windows,
 * until the clone cancels it or the invocation ends.  The table is only ever
 * written; what the gateway must remember is in the slots.
 */
#include "etlfs/region/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "etlfs/region/bodies.h"
#include "etlfs/region/hostsaved.h"
#include "unikernel/abi.h"

#define PAGE		4096u
#define UNKNOWN_FIRST	(64u << 10)	/* for a body of unknown length */
#define UNKNOWN_LEAST	(1u << 20)	/* when there is not room for more */
#define UNKNOWN_MOVED	(16u << 20)	/* longer ones are moved but once */

struct slot {
	struct host *host;
	int used;
	uint32_t gen;
	struct fetch *fetch;		/* in flight */
	struct body_part *body_part;	/* of the request's body */
	size_t parts;
	struct area body, text;
	int room_error;		/* why there was no room */
};

struct host {
	struct fetch_engine *engine;
	struct bodies *bodies;
	const struct host_ops *ops;
	void *arg;
	uint64_t body_limit, owner;
	struct host_counters counters;
	struct slot slot[ETLFS_TICKETS];
};

static struct etlfs_host *host_table(struct host *h)
{
	return (struct etlfs_host *)bodies_window0(h->bodies)->map;
}

static struct etlfs_ticket *slot_ticket(struct slot *s)
{
	return &host_table(s->host)->ticket[s - s->host->slot];
}

static void set_state(struct slot *s, uint32_t state)
{
	__atomic_store_n(&slot_ticket(s)->state, state, __ATOMIC_RELEASE);
}

static void set_empty(struct host *h, uint32_t empty)
{
	__atomic_store_n(&host_table(h)->empty, empty, __ATOMIC_RELEASE);
	/* taken back before anything that follows is there */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void table_init(struct host *h)
{
	struct etlfs_host *t = host_table(h);

	t->version = ETLFS_VERSION;
	t->tickets = ETLFS_TICKETS;
	t->magic = ETLFS_HOST_MAGIC;
	bodies_window0(h->bodies)->used = ETLFS_EVENT_OFF;
	set_empty(h, 1);
}

int host_create(struct host **out, struct fetch_engine *engine,
		struct window_pool *pool, uint64_t body_limit, uint64_t owner,
		const struct host_ops *ops, void *arg)
{
	struct host *h = calloc(1, sizeof(*h));
	unsigned i;
	int rc;

	if (!h)
		return -ENOMEM;
	rc = bodies_create(&h->bodies, pool, body_limit, owner, ops->attach,
			   arg);
	if (rc < 0) {
		free(h);
		return rc;
	}
	h->engine = engine;
	h->ops = ops;
	h->arg = arg;
	h->body_limit = body_limit;
	h->owner = owner;
	for (i = 0; i < ETLFS_TICKETS; i++)
		h->slot[i].host = h;
	table_init(h);
	*out = h;
	return 0;
}

int host_give(struct host *h, uint64_t owner)
{
	int rc = bodies_give(h->bodies, owner);

	if (rc == 0)
		h->owner = owner;
	return rc;
}

static void slot_clear(struct slot *s)
{
	struct host *h = s->host;

	fetch_cancel(s->fetch);
	free(s->body_part);
	bodies_free(h->bodies, &s->body);
	bodies_free(h->bodies, &s->text);
	memset(s, 0, sizeof(*s));
	s->host = h;
}

static void clear_slots(struct host *h)
{
	unsigned i;

	for (i = 0; i < ETLFS_TICKETS; i++)
		slot_clear(&h->slot[i]);
}

void host_destroy(struct host *h)
{
	if (!h)
		return;
	clear_slots(h);
	bodies_destroy(h->bodies);
	free(h);
}

struct window *host_window0(struct host *h)
{
	return bodies_window0(h->bodies);
}

int host_event(struct host *h, const void *data, size_t len, uint64_t *off)
{
	struct window *w = bodies_window0(h->bodies);
	unsigned i;

	if (len > ETLFS_EVENT_MAX - ETLFS_EVENT_OFF)
		return -EMSGSIZE;
	for (i = 0; i < ETLFS_TICKETS; i++)
		if (h->slot[i].used)
			return -EBUSY;
	set_empty(h, 0);
	if (len)
		memcpy(w->map + ETLFS_EVENT_OFF, data, len);
	if (w->used < ETLFS_EVENT_OFF + len)
		w->used = ETLFS_EVENT_OFF + len;
	bodies_begin(h->bodies, ETLFS_EVENT_OFF + len);
	*off = ETLFS_EVENT_OFF;
	return 0;
}

/*
 * Head and URL, or a reason, one after the other.  Text that finds no room
 * is left out: the numbers in the ticket still say what happened.
 */
static void slot_text(struct slot *s, const char *head, size_t head_len,
		      const char *url, size_t url_len)
{
	struct etlfs_ticket *t = slot_ticket(s);
	struct bodies *bodies = s->host->bodies;
	uint8_t *p;

	t->head_len = t->url_len = 0;
	if (bodies_alloc(bodies, &s->text, head_len + url_len) < 0 ||
	    bodies_attach(bodies, &s->text) < 0)
		return;
	p = bodies_write(bodies, &s->text, 0, head_len + url_len);
	if (!p)
		return;
	memcpy(p, head, head_len);
	memcpy(p + head_len, url, url_len);
	t->head_off = bodies_offset(&s->text);
	t->head_len = head_len;
	t->url_off = t->head_off + head_len;
	t->url_len = url_len;
}

static void slot_failed(struct slot *s, int err, const char *reason)
{
	struct etlfs_ticket *t = slot_ticket(s);

	bodies_free(s->host->bodies, &s->body);
	t->status = 0;
	t->error = -err;
	t->body_off = t->body_len = 0;
	slot_text(s, reason, strlen(reason), "", 0);
	set_state(s, ETLFS_FAILED);
	s->host->ops->kick(s->host->arg);
}

static int runs_place(struct host *h, int fd, const struct hostsaved *s)
{
	uint8_t *to;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < s->runs; i++) {
		const struct hostsaved_run *r = &s->run[i];

		rc = bodies_restore(h->bodies, (unsigned)(r->off /
				    ETLFS_WINDOW_STRIDE),
				    r->off % ETLFS_WINDOW_STRIDE, r->len, &to);
		if (rc == 0 && pread(fd, to, r->len, (off_t)r->at) !=
		    (ssize_t)r->len)
			rc = -EIO;
	}
	return rc;
}

/* each that is not free ends as a fetch of this host's would */
static void slots_restore(struct host *h)
{
	for (unsigned i = 0; i < ETLFS_TICKETS; i++) {
		struct slot *s = &h->slot[i];
		struct etlfs_ticket *t = slot_ticket(s);

		if (t->state == ETLFS_FREE)
			continue;
		s->used = 1;
		s->gen = t->gen;
		if (t->state != ETLFS_DONE && t->state != ETLFS_FAILED)
			slot_failed(s, -ECONNABORTED, "the fetch did not come "
				    "along with the snapshot");
	}
}

int host_restore(struct host *h, int fd, uint64_t *left_ns)
{
	struct hostsaved s;
	int rc = hostsaved_read(fd, &s);

	if (rc < 0)
		return rc;
	rc = runs_place(h, fd, &s);
	if (rc == 0)
		rc = bodies_restored(h->bodies);
	if (rc < 0)
		return rc;
	/* the table is as this host has it, but for the tickets */
	host_table(h)->magic = ETLFS_HOST_MAGIC;
	host_table(h)->version = ETLFS_VERSION;
	host_table(h)->tickets = ETLFS_TICKETS;
	set_empty(h, 0);
	slots_restore(h);
	*left_ns = s.left_ns;
	return 0;
}

/* cuts the area to the body, whose last page must read as zeros behind it */
static int body_settle(struct slot *s, uint64_t len)
{
	struct bodies *bodies = s->host->bodies;
	uint8_t *p;
	int rc;

	if (!s->body.next)
		return 0;
	rc = bodies_resize(bodies, &s->body, len, len);
	if (rc == 0)
		rc = bodies_attach(bodies, &s->body);
	if (rc < 0)
		return rc;
	if (len % PAGE) {
		p = bodies_write(bodies, &s->body, len, PAGE - len % PAGE);
		if (!p)
			return -ENOMEM;
		memset(p, 0, PAGE - len % PAGE);
	}
	return 0;
}

static void slot_done(struct slot *s, const struct fetch_result *r)
{
	struct etlfs_ticket *t = slot_ticket(s);

	t->status = r->status;
	t->error = 0;
	t->body_off = s->body.next ? bodies_offset(&s->body) : 0;
	t->body_len = r->body_len;
	slot_text(s, r->headers, r->headers_len, r->url, strlen(r->url));
	if (r->headers_len && !t->head_len) {
		slot_failed(s, -ENOSPC, "no room for the response's headers");
		return;
	}
	set_state(s, ETLFS_DONE);
	s->host->ops->kick(s->host->arg);
}

static void on_done(void *arg, struct fetch *f)
{
	const struct fetch_result *r = fetch_result(f);
	struct slot *s = arg;
	struct host *h = s->host;
	char text[2048];
	int rc = r->error;

	s->fetch = NULL;
	free(s->body_part);
	s->body_part = NULL;
	h->counters.bytes_in += r->body_len;
	h->counters.bytes_out += r->sent_len;
	if (rc == -ENOSPC && s->room_error == -ENOSPC) {
		snprintf(text, sizeof(text), "%s; the limit is %llu bytes for "
			 "all bodies that are held", r->reason,
			 (unsigned long long)h->body_limit);
		slot_failed(s, rc, text);
		return;
	}
	if (rc == -ENOSPC && s->room_error) {
		rc = s->room_error;
		snprintf(text, sizeof(text), "%s: %s", r->reason,
			 rc == -ENOMEM ? "the gateway's memory for bodies, "
			 "or this function's share of it, is full" :
			 strerror(-rc));
		slot_failed(s, rc, text);
		return;
	}
	if (rc < 0) {
		slot_failed(s, rc, r->reason);
		return;
	}
	rc = body_settle(s, r->body_len);
	if (rc < 0) {
		snprintf(text, sizeof(text), "%.1500s: the body could not be "
			 "given to the function: %s", r->url, strerror(-rc));
		slot_failed(s, rc, text);
		return;
	}
	slot_done(s, r);
}

/* of one clone's limit, or of what all clones may hold */
static int is_full(int err)
{
	return err == -ENOSPC || err == -ENOMEM;
}

/*
 * More than is needed at once, as long as there is so much; all of a window,
 * before there is much to be copied.
 */
static int body_grow(struct slot *s, uint64_t need, uint64_t keep)
{
	struct bodies *bodies = s->host->bodies;
	uint64_t more = s->body.len * 4;
	int rc = -ENOSPC;

	if (more < need)
		more = need;
	if (more > UNKNOWN_MOVED)
		rc = bodies_resize(bodies, &s->body, ETLFS_WINDOW_STRIDE, keep);
	if (is_full(rc) && more <= ETLFS_WINDOW_STRIDE)
		rc = bodies_resize(bodies, &s->body, more, keep);
	if (is_full(rc))
		rc = bodies_resize(bodies, &s->body, need + UNKNOWN_LEAST,
				   keep);
	if (is_full(rc))
		rc = bodies_resize(bodies, &s->body, need, keep);
	return rc;
}

static int body_begin(struct slot *s, uint64_t need, uint64_t total)
{
	struct bodies *bodies = s->host->bodies;

	if (total > s->host->body_limit)
		return -ENOSPC;
	if (total >= need)
		return bodies_alloc(bodies, &s->body, total);
	return bodies_alloc(bodies, &s->body,
			    need > UNKNOWN_FIRST ? need : UNKNOWN_FIRST);
}

static void *on_sink(void *arg, uint64_t off, size_t need, uint64_t total,
		     size_t *room)
{
	struct slot *s = arg;
	struct bodies *bodies = s->host->bodies;
	uint8_t *p = NULL;
	int rc = 0;

	if (!s->body.next)
		rc = body_begin(s, need, total);
	if (rc == 0)
		rc = bodies_arrived(bodies, &s->body, off + need);
	if (!rc && off + need > s->body.len)
		rc = body_grow(s, off + need, off);
	if (!rc) {
		p = bodies_write(bodies, &s->body, off, need);
		rc = p ? 0 : -ENOMEM;
	}
	s->room_error = rc;
	*room = need;
	return p;
}

static ssize_t on_read(void *arg, uint64_t off, void *buf, size_t len)
{
	struct slot *s = arg;

	return s->host->ops->read_body(s->host->arg, s->body_part, s->parts,
				       off, buf, len);
}

static int parts_add_up(const struct body_part *part, size_t n, uint64_t len)
{
	size_t i;

	if (n > UK_EXTENTS)
		return 0;
	for (i = 0; i < n; i++) {
		if (part[i].len > len)
			return 0;
		len -= part[i].len;
	}
	return len == 0;
}

/* 0, or why the request cannot be made, in words */
static const char *request_flaw(const struct host_request *r)
{
	if (r->url_len > UK_URL_MAX)
		return "the URL is too long";
	if (!r->url_len || memchr(r->url, 0, r->url_len))
		return "not a valid URL";
	if (r->headers_len > UK_HEADERS_MAX)
		return "the headers are too long";
	return NULL;
}

static int slot_submit(struct slot *s, const struct host_request *r)
{
	char *url = strndup(r->url, r->url_len);
	struct fetch_request f = {
		.method = r->method, .url = url, .headers = r->headers,
		.headers_len = r->headers_len, .body_len = r->body_len,
		.has_body = r->body_len > 0, .timeout_ns = r->timeout_ns,
		.egress = r->egress, .owner = s->host->owner, .read = on_read,
		.sink = on_sink, .done = on_done, .arg = s,
	};
	int rc = url ? fetch_submit(s->host->engine, &f, &s->fetch) : -ENOMEM;

	free(url);
	return rc;
}

static void slot_begin(struct slot *s, uint32_t gen)
{
	struct etlfs_ticket *t = slot_ticket(s);

	set_empty(s->host, 0);
	s->used = 1;
	s->gen = gen;
	set_state(s, ETLFS_PENDING);
	__atomic_store_n(&t->gen, gen, __ATOMIC_RELEASE);
	s->host->counters.fetches++;
}

/* its body's parts, for as long as the fetch may read them */
static int slot_keep_body(struct slot *s, const struct host_request *r)
{
	size_t size = r->parts * sizeof(*r->body);

	if (!r->parts)
		return 0;
	s->body_part = malloc(size);
	if (!s->body_part)
		return -ENOMEM;
	memcpy(s->body_part, r->body, size);
	s->parts = r->parts;
	return 0;
}

int host_fetch(struct host *h, const struct host_request *r)
{
	struct slot *s = &h->slot[r->ticket % ETLFS_TICKETS];
	uint32_t gen = r->ticket / ETLFS_TICKETS;
	const char *flaw;
	int rc;

	if (!gen || r->method > UK_PATCH ||
	    !parts_add_up(r->body, r->parts, r->body_len))
		return -EPROTO;
	if (s->used)
		return -EBUSY;
	slot_begin(s, gen);
	flaw = request_flaw(r);
	if (flaw) {
		slot_failed(s, -EINVAL, flaw);
		return 0;
	}
	rc = slot_keep_body(s, r);
	if (rc == 0)
		rc = slot_submit(s, r);
	if (rc < 0)
		slot_failed(s, rc, strerror(-rc));
	return 0;
}

void host_cancel(struct host *h, uint32_t ticket)
{
	struct slot *s = &h->slot[ticket % ETLFS_TICKETS];

	if (!s->used || s->gen != ticket / ETLFS_TICKETS)
		return;
	set_state(s, ETLFS_FREE);
	slot_clear(s);
}

unsigned host_reset(struct host *h)
{
	unsigned leaving;

	clear_slots(h);
	leaving = bodies_reset(h->bodies);
	memset(&h->counters, 0, sizeof(h->counters));
	table_init(h);
	return leaving;
}

void host_released(struct host *h)
{
	bodies_released(h->bodies);
}

const struct host_counters *host_counters(const struct host *h)
{
	return &h->counters;
}
