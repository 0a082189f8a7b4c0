/*
 * space.c - where bodies lie in the windows of one clone
 *
 * Sizes of attached windows: a memory slot costs its tender time in
 * proportion to its size, so the first window is just what its body needs
 * (16 MB at least, for others to share); each further one is at least twice
 * as large as the one before, so that fifteen of them are always enough.
 */
#include "etlfs/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE		4096ull
#define HUGE		(2ull << 20)
#define ROUND(n, to)	(((n) + (to) - 1) & ~((to) - 1))
#define SMALL		(256ull << 10)	/* in window 0 up to here */
#define RESIDENT0	(256u << 10)	/* of window 0 stays allocated */
#define FIRST_SIZE	(16ull << 20)

enum state { NONE, OPEN, ATTACHED, LEAVING };

struct place {
	enum state state;
	struct window *w;
	uint64_t begin, end;		/* areas lie in here */
	struct area areas;		/* head of the ring */
};

struct space {
	struct window_pool *pool;
	uint64_t limit, held;
	uint64_t owner;
	space_attach_fn *attach;
	void *arg;
	struct place place[ETLFS_WINDOWS];
};

static void place_init(struct place *p, enum state state, struct window *w)
{
	p->state = state;
	p->w = w;
	p->begin = 0;
	p->end = w ? w->size : 0;
	p->areas.next = p->areas.prev = &p->areas;
}

int space_create(struct space **out, struct window_pool *pool, uint64_t limit,
		 uint64_t owner, space_attach_fn *attach, void *arg)
{
	struct space *s = calloc(1, sizeof(*s));
	struct window *w;
	unsigned i;
	int err;

	if (!s)
		return -ENOMEM;
	err = window_create(ETLFS_WINDOW0, &w);
	if (err) {
		free(s);
		return err;
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
	space_begin(s, ETLFS_EVENT_OFF);
	*out = s;
	return 0;
}

void space_destroy(struct space *s)
{
	unsigned i;

	if (!s)
		return;
	for (i = 1; i < ETLFS_WINDOWS; i++)
		window_put(s->pool, s->place[i].w);
	window_destroy(s->place[0].w);
	window_pool_uncharge(s->pool, s->held);
	free(s);
}

struct window *space_window0(struct space *s)
{
	return s->place[0].w;
}

void space_begin(struct space *s, uint64_t off)
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

static unsigned windows_in_use(const struct space *s)
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

static int place_attach(struct space *s, unsigned i)
{
	struct place *p = &s->place[i];
	uint64_t size, least;
	int err;

	if (p->state != OPEN)
		return 0;
	least = FIRST_SIZE << (windows_in_use(s) - 1);
	size = ROUND(place_top(p), HUGE);
	if (size < least)
		size = least;
	if (size > p->w->size)
		size = p->w->size;
	err = s->attach(s->arg, i, p->w->fd, size);
	if (err < 0)
		return err;
	p->end = size;
	p->state = ATTACHED;
	return 0;
}

/* in a window that is there, or in a new one */
static int take_large(struct space *s, struct area *a, uint64_t len)
{
	struct window *w;
	unsigned i;
	int err;

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
	err = window_get(s->pool, len, s->owner, &w);
	if (err)
		return err;
	place_init(&s->place[i], OPEN, w);
	a->window = i;
	return place_take(&s->place[i], a, len) ? 0 : -ENOSPC;
}

static int area_take(struct space *s, struct area *a, uint64_t len)
{
	a->window = 0;
	if (len <= SMALL && place_take(&s->place[0], a, len))
		return 0;
	return take_large(s, a, len);
}

static int charge(struct space *s, uint64_t more)
{
	int err;

	if (more > s->limit || s->held > s->limit - more)
		return -ENOSPC;
	err = window_pool_charge(s->pool, more);
	if (!err)
		s->held += more;
	return err;
}

static void uncharge(struct space *s, uint64_t less)
{
	s->held -= less;
	window_pool_uncharge(s->pool, less);
}

int space_alloc(struct space *s, struct area *a, uint64_t len, unsigned flags)
{
	uint64_t charged = flags & SPACE_UNCHARGED ? 0 : len;
	int err;

	if (len > ETLFS_WINDOW_STRIDE)
		return -ENOSPC;
	err = charge(s, charged);
	if (err)
		return err;
	err = area_take(s, a, ROUND(len ? len : 1, PAGE));
	if (err) {
		uncharge(s, charged);
		return err;
	}
	a->charged = charged;
	err = flags & SPACE_FIXED ? space_attach(s, a) : 0;
	if (err)
		space_free(s, a);
	return err;
}

static void area_unlink(struct area *a)
{
	a->prev->next = a->next;
	a->next->prev = a->prev;
}

/* a new place for an area that cannot grow where it is */
static int area_move(struct space *s, struct area *a, uint64_t len,
		     uint64_t keep)
{
	uint8_t *from = s->place[a->window].w->map + a->off, *dst;
	struct area to = { .next = NULL };
	int err;

	err = area_take(s, &to, len);
	if (err)
		return err;
	if (keep) {
		dst = space_write(s, &to, 0, keep);
		if (!dst) {
			space_free(s, &to);
			return -ENOMEM;
		}
		memcpy(dst, from, keep);
	}
	/* the old one may be a neighbour of the new: out first */
	area_unlink(a);
	to.charged = a->charged;
	*a = to;
	a->prev->next = a->next->prev = a;
	return 0;
}

int space_resize(struct space *s, struct area *a, uint64_t len, uint64_t keep)
{
	struct place *p = &s->place[a->window];
	uint64_t end, pages = ROUND(len ? len : 1, PAGE);
	uint64_t more = len > a->charged ? len - a->charged : 0;
	int err;

	if (len > ETLFS_WINDOW_STRIDE)
		return -ENOSPC;
	err = charge(s, more);
	if (err)
		return err;
	end = a->next == &p->areas ? p->end : a->next->off;
	if (pages <= a->len ||
	    (end - a->off >= pages && (a->window || pages <= SMALL)))
		a->len = pages;
	else
		err = area_move(s, a, pages, keep);
	if (err) {
		uncharge(s, more);
		return err;
	}
	uncharge(s, a->charged + more - len);
	a->charged = len;
	return 0;
}

int space_attach(struct space *s, struct area *a)
{
	return place_attach(s, a->window);
}

void space_free(struct space *s, struct area *a)
{
	if (!a->next)
		return;
	area_unlink(a);
	uncharge(s, a->charged);
	memset(a, 0, sizeof(*a));
}

uint8_t *space_write(struct space *s, struct area *a, uint64_t off,
		     uint64_t len)
{
	struct window *w = s->place[a->window].w;
	uint64_t end = a->off + off + len;

	if (a->window && window_warm(w, end) < 0)
		return NULL;
	if (w->used < end)
		w->used = end;
	return w->map + a->off + off;
}

uint64_t space_offset(const struct area *a)
{
	return a->window * ETLFS_WINDOW_STRIDE + a->off;
}

unsigned space_reset(struct space *s)
{
	unsigned i, leaving = 0;
	struct place *p;

	window_clear(s->place[0].w);
	space_begin(s, ETLFS_EVENT_OFF);
	for (i = 1; i < ETLFS_WINDOWS; i++) {
		p = &s->place[i];
		if (p->state == OPEN) {
			window_put(s->pool, p->w);
			place_init(p, NONE, NULL);
		}
		if (p->state == ATTACHED)
			p->state = LEAVING;
		leaving += p->state == LEAVING;
	}
	return leaving;
}

void space_released(struct space *s)
{
	unsigned i;

	for (i = 1; i < ETLFS_WINDOWS; i++) {
		if (s->place[i].state != LEAVING)
			continue;
		s->place[i].w->owner = s->owner;
		window_put(s->pool, s->place[i].w);
		place_init(&s->place[i], NONE, NULL);
	}
}
