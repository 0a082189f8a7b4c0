/*
 * bodies.c - where bodies lie in the windows of one clone
 *
 * Sizes of attached windows: a memory slot costs its tender time in
 * proportion to its size, so the first window is just what its body needs
 * (16 MB at least, for others to share); each further one is at least twice
 * as large as the one before, so that fifteen of them are always enough.
 */
#include "etlfs/region/bodies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE		4096ull
#define HUGE		((uint64_t)WINDOW_BIG)
#define ROUND(n, to)	(((n) + (to) - 1) & ~((to) - 1))
#define SMALL		(256ull << 10)	/* in window 0 up to here */
#define RESIDENT0	(256u << 10)	/* of window 0 stays allocated */
#define FIRST_SIZE	(16ull << 20)

enum window_state { NONE, OPEN, ATTACHED, LEAVING };

struct place {
	enum window_state state;
	struct window *w;
	uint64_t begin, end;		/* areas lie in here */
	struct area areas;		/* head of the ring */
	uint64_t taken[WINDOW_BIGS / 64];	/* 2 MB pages, of the share */
};

struct bodies {
	struct window_pool *pool;
	uint64_t limit, held;
	struct share_part *share;
	uint64_t owner;
	space_attach_fn *attach;
	void *arg;
	struct place place[ETLFS_WINDOWS];
};

static void place_init(struct place *p, enum window_state state,
		       struct window *w)
{
	p->state = state;
	p->w = w;
	p->begin = 0;
	p->end = w ? w->size : 0;
	p->areas.next = p->areas.prev = &p->areas;
	memset(p->taken, 0, sizeof(p->taken));
}

static int is_taken(const struct place *p, uint64_t big)
{
	return p->taken[big / 64] >> big % 64 & 1;
}

/* the 2 MB pages of [from, end) are counted */
static int place_take_memory(struct bodies *s, struct place *p, uint64_t from,
			     uint64_t end)
{
	uint64_t big;

	for (big = from / HUGE; big * HUGE < end; big++) {
		if (is_taken(p, big))
			continue;
		if (share_take(s->share, HUGE) < 0)
			return -ENOMEM;
		p->taken[big / 64] |= 1ull << big % 64;
	}
	return 0;
}

/* all of those that lie within [from, end) */
static void place_give_memory(struct bodies *s, struct place *p, uint64_t from,
			      uint64_t end)
{
	uint64_t big;

	for (big = ROUND(from, HUGE) / HUGE; (big + 1) * HUGE <= end; big++) {
		if (!is_taken(p, big))
			continue;
		p->taken[big / 64] &= ~(1ull << big % 64);
		share_give(s->share, HUGE);
	}
}

static void place_leave(struct bodies *s, struct place *p)
{
	place_give_memory(s, p, 0, ETLFS_WINDOW_STRIDE);
	window_put(s->pool, p->w);
	place_init(p, NONE, NULL);
}

int bodies_create(struct bodies **out, struct window_pool *pool, uint64_t limit,
		  uint64_t owner, space_attach_fn *attach, void *arg)
{
	struct bodies *s = calloc(1, sizeof(*s));
	struct window *w;
	unsigned i;
	int rc;

	if (!s)
		return -ENOMEM;
	s->share = share_join(window_pool_share(pool), owner);
	rc = s->share ? window_create(ETLFS_WINDOW0, &w) : -ENOMEM;
	if (rc < 0) {
		share_leave(s->share);
		free(s);
		return rc;
	}
	w->resident = RESIDENT0;
	s->pool = pool;
	s->limit = limit;
	s->owner = owner;
	s->attach = attach;
	s->arg = arg;
	place_init(&s->place[0], ATTACHED, w);
	for (i = 1; i < ETLFS_WINDOWS; i++)
		place_init(&s->place[i], NONE, NULL);
	bodies_begin(s, ETLFS_EVENT_OFF);
	*out = s;
	return 0;
}

void bodies_destroy(struct bodies *s)
{
	unsigned i;

	if (!s)
		return;
	for (i = 1; i < ETLFS_WINDOWS; i++)
		place_leave(s, &s->place[i]);
	window_destroy(s->place[0].w);
	share_leave(s->share);
	free(s);
}

int bodies_give(struct bodies *s, uint64_t owner)
{
	struct share_part *share = share_join(window_pool_share(s->pool),
					      owner);

	if (!share)
		return -ENOMEM;
	share_leave(s->share);
	s->share = share;
	s->owner = owner;
	return 0;
}

struct window *bodies_window0(struct bodies *s)
{
	return s->place[0].w;
}

void bodies_begin(struct bodies *s, uint64_t off)
{
	s->place[0].begin = ROUND(off, PAGE);
}

/* the first gap of len bytes; 1 when there is one */
static int place_take(struct place *p, struct area *a, uint64_t len)
{
	uint64_t off = p->begin;
	struct area *n;

	for (n = p->areas.next; n != &p->areas; n = n->next) {
		if (n->off >= off && n->off - off >= len)
			break;
		off = n->off + n->len;
	}
	if (n == &p->areas && (off > p->end || p->end - off < len))
		return 0;
	a->off = off;
	a->len = len;
	a->next = n;
	a->prev = n->prev;
	a->prev->next = n->prev = a;
	return 1;
}

static unsigned windows_in_use(const struct bodies *s)
{
	unsigned i, n = 0;

	for (i = 1; i < ETLFS_WINDOWS; i++)
		n += s->place[i].state != NONE;
	return n;
}

static uint64_t place_top(const struct place *p)
{
	const struct area *last = p->areas.prev;

	return last == &p->areas ? p->begin : last->off + last->len;
}

static int place_attach(struct bodies *s, unsigned i)
{
	struct place *p = &s->place[i];
	uint64_t size, least;
	int rc;

	if (p->state != OPEN)
		return 0;
	least = FIRST_SIZE << (windows_in_use(s) - 1);
	size = ROUND(place_top(p), HUGE);
	if (size < least)
		size = least;
	if (size > p->w->size)
		size = p->w->size;
	rc = place_take_memory(s, p, 0, place_top(p));
	if (rc < 0)
		return rc;
	rc = s->attach(s->arg, i, p->w->fd, size);
	if (rc < 0)
		return rc;
	p->end = size;
	p->state = ATTACHED;
	return 0;
}

/* in a window that is there, or in a new one */
static int take_large(struct bodies *s, struct area *a, uint64_t len)
{
	struct window *w;
	unsigned i;
	int rc;

	for (i = 1; i < ETLFS_WINDOWS; i++) {
		a->window = i;
		if ((s->place[i].state == OPEN ||
		     s->place[i].state == ATTACHED) &&
		    place_take(&s->place[i], a, len))
			return 0;
	}
	for (i = 1; i < ETLFS_WINDOWS && s->place[i].state != NONE; i++)
		;
	if (i == ETLFS_WINDOWS || len > ETLFS_WINDOW_STRIDE)
		return -ENOSPC;
	rc = window_get(s->pool, len, s->owner, &w);
	if (rc < 0)
		return rc;
	place_init(&s->place[i], OPEN, w);
	a->window = i;
	return place_take(&s->place[i], a, len) ? 0 : -ENOSPC;
}

static int area_take(struct bodies *s, struct area *a, uint64_t len)
{
	a->window = 0;
	if (len <= SMALL && place_take(&s->place[0], a, len))
		return 0;
	return take_large(s, a, len);
}

int bodies_alloc(struct bodies *s, struct area *a, uint64_t len)
{
	if (len > ETLFS_WINDOW_STRIDE)
		return -ENOSPC;
	return area_take(s, a, ROUND(len ? len : 1, PAGE));
}

int bodies_arrived(struct bodies *s, struct area *a, uint64_t len)
{
	uint64_t more = len > a->charged ? len - a->charged : 0;

	if (more > s->limit || s->held > s->limit - more)
		return -ENOSPC;
	s->held += more;
	a->charged += more;
	return 0;
}

static void area_unlink(struct area *a)
{
	a->prev->next = a->next;
	a->next->prev = a->prev;
}

/* the memory between two areas, where one was, unless the clone has it */
static void place_trim(struct bodies *s, const struct area *gone)
{
	struct place *p = &s->place[gone->window];
	const struct area *prev = gone->prev, *next = gone->next;
	uint64_t from = prev == &p->areas ? p->begin : prev->off + prev->len;
	uint64_t end = next == &p->areas ? ETLFS_WINDOW_STRIDE : next->off;

	if (p->state != OPEN)
		return;
	window_cool(p->w, from, end);
	place_give_memory(s, p, from, end);
}

/* a new place for an area that cannot grow where it is */
static int area_move(struct bodies *s, struct area *a, uint64_t len,
		     uint64_t keep)
{
	uint8_t *from = s->place[a->window].w->map + a->off, *dst;
	struct area to = { .next = NULL };
	int rc;

	rc = area_take(s, &to, len);
	if (rc < 0)
		return rc;
	if (keep) {
		dst = bodies_write(s, &to, 0, keep);
		if (!dst) {
			bodies_free(s, &to);
			return -ENOMEM;
		}
		memcpy(dst, from, keep);
	}
	/* the old one may be a neighbour of the new: out first */
	area_unlink(a);
	place_trim(s, a);
	to.charged = a->charged;
	*a = to;
	a->prev->next = a->next->prev = a;
	return 0;
}

int bodies_resize(struct bodies *s, struct area *a, uint64_t len, uint64_t keep)
{
	struct place *p = &s->place[a->window];
	uint64_t end, pages = ROUND(len ? len : 1, PAGE);

	if (len > ETLFS_WINDOW_STRIDE)
		return -ENOSPC;
	end = a->next == &p->areas ? p->end : a->next->off;
	if (pages > a->len &&
	    (end - a->off < pages || (!a->window && pages > SMALL)))
		return area_move(s, a, pages, keep);
	a->len = pages;
	return 0;
}

int bodies_attach(struct bodies *s, struct area *a)
{
	return place_attach(s, a->window);
}

void bodies_free(struct bodies *s, struct area *a)
{
	if (!a->next)
		return;
	area_unlink(a);
	place_trim(s, a);
	s->held -= a->charged;
	memset(a, 0, sizeof(*a));
}

uint8_t *bodies_write(struct bodies *s, struct area *a, uint64_t off,
		      uint64_t len)
{
	struct place *p = &s->place[a->window];
	uint64_t from = a->off + off, end = from + len;
	struct window *w = p->w;

	if (a->window && (place_take_memory(s, p, from, end) < 0 ||
			  window_warm(w, from, end) < 0))
		return NULL;
	if (w->used < end)
		w->used = end;
	return w->map + a->off + off;
}

uint64_t bodies_offset(const struct area *a)
{
	return a->window * ETLFS_WINDOW_STRIDE + a->off;
}

int bodies_restore(struct bodies *s, unsigned window, uint64_t off,
		   uint64_t len, uint8_t **to)
{
	struct place *p = &s->place[window];
	uint64_t end = off + len;
	struct window *w;
	int rc;

	if (p->state == NONE) {
		/* how much of it comes is not known: addresses cost nothing */
		rc = window_get(s->pool, ETLFS_WINDOW_STRIDE, s->owner, &w);
		if (rc < 0)
			return rc;
		place_init(p, OPEN, w);
	}
	if (end > p->w->size)
		return -EFBIG;
	if (window && (place_take_memory(s, p, off, end) < 0 ||
		       window_warm(p->w, off, end) < 0))
		return -ENOMEM;
	if (p->begin < end)
		p->begin = end;
	if (p->w->used < end)
		p->w->used = end;
	*to = p->w->map + off;
	return 0;
}

int bodies_restored(struct bodies *s)
{
	int rc = 0;

	for (unsigned i = 1; rc == 0 && i < ETLFS_WINDOWS; i++)
		rc = place_attach(s, i);
	return rc;
}

unsigned bodies_reset(struct bodies *s)
{
	unsigned i, leaving = 0;
	struct place *p;

	window_clear(s->place[0].w);
	bodies_begin(s, ETLFS_EVENT_OFF);
	for (i = 1; i < ETLFS_WINDOWS; i++) {
		p = &s->place[i];
		if (p->state == OPEN)
			place_leave(s, p);
		if (p->state == ATTACHED)
			p->state = LEAVING;
		leaving += p->state == LEAVING;
	}
	return leaving;
}

void bodies_released(struct bodies *s)
{
	unsigned i;

	for (i = 1; i < ETLFS_WINDOWS; i++) {
		if (s->place[i].state != LEAVING)
			continue;
		s->place[i].w->owner = s->owner;
		place_leave(s, &s->place[i]);
	}
}
