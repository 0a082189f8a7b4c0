/*
 * pool_size.c - how many clones a function has, and of which reference
 *
 * Between min and max of those that take requests; those that are `last` go
 * as soon as others can do their work.
 */
#include "vmm/pool/pool_impl.h"

/* the least recently used of those that should get no more requests */
static struct pool_clone *last_idle(struct function *f)
{
	struct pool_clone *c;

	TAILQ_FOREACH_REVERSE(c, &f->clones[CLONE_IDLE], clone_list, link)
		if (c->last)
			return c;
	return NULL;
}

/* where something newer is idle, requests need these no more */
void pool_clone_stop_last(struct function *f)
{
	struct pool_clone *c = TAILQ_FIRST(&f->clones[CLONE_IDLE]);

	while (c && c->last)
		c = TAILQ_NEXT(c, link);
	while (c && (c = last_idle(f)))
		pool_clone_stop(c);
}

/* those that can take requests still to come */
static unsigned lasting(const struct function *f)
{
	/* with fork a busy clone is as good as gone: one is made ahead */
	int end = f->o.recycle == RECYCLE_FORK ? CLONE_BUSY : CLONE_DYING;
	const struct pool_clone *c;
	unsigned n = 0;

	for (int s = 0; s < end; s++)
		TAILQ_FOREACH(c, &f->clones[s], link)
			n += !c->last;
	return n;
}

void pool_clone_top_up(struct function *f)
{
	unsigned live = f->n[CLONE_COMING] + f->n[CLONE_IDLE] +
			f->n[CLONE_BUSY];
	unsigned want = lasting(f);

	if (!pool_ref_usable(f) || f->retired ||
	    pool_now(f) < f->clone_retry_at)
		return;
	want = f->o.min > want ? f->o.min - want : 0;
	for (; want && live < f->o.max; want--, live++)
		if (pool_clone_start(f) < 0)
			return;
}

/*
 * What there is goes on until something newer can take its place.  Where
 * there is no room for both, or nobody waits for anything, it ends first.
 */
void pool_clone_renew(struct function *f)
{
	struct pool_clone *c;

	for (int s = 0; s < CLONE_DYING; s++)
		TAILQ_FOREACH(c, &f->clones[s], link)
			c->last = c->ref != f->ref;
	f->clone_failures = 0;
	f->clone_retry_at = 0;
	pool_clone_top_up(f);
	if (!lasting(f) && (c = last_idle(f))) {
		pool_clone_stop(c);
		pool_clone_top_up(f);
	}
	if (!f->o.min)
		while ((c = last_idle(f)))
			pool_clone_stop(c);
}

static void stop_all(struct clone_list *list, const struct pool_ref *r)
{
	struct pool_clone *c, *after;

	for (c = TAILQ_FIRST(list); c; c = after) {
		after = TAILQ_NEXT(c, link);
		if (c->ref == r)
			pool_clone_stop(c);
	}
}

void pool_clone_orphans(struct pool_ref *r)
{
	struct function *f = r->proc.f;
	struct pool_clone *c;

	TAILQ_FOREACH(c, &f->clones[CLONE_BUSY], link)
		c->last |= c->ref == r;
	stop_all(&f->clones[CLONE_IDLE], r);
	/* what has no name by now never gets one */
	while ((c = TAILQ_FIRST(&r->asked))) {
		TAILQ_REMOVE(&r->asked, c, ask);
		c->asked = 0;
		if (c->state == CLONE_DYING)
			pool_clone_free(c);
	}
	stop_all(&f->clones[CLONE_COMING], r);
}

void pool_clone_reap(struct function *f, double now)
{
	unsigned live = f->n[CLONE_COMING] + f->n[CLONE_IDLE] +
			f->n[CLONE_BUSY];
	struct pool_clone *c;

	/* the least recently used are at the tail */
	while (live-- > f->o.min &&
	       (c = TAILQ_LAST(&f->clones[CLONE_IDLE], clone_list)) &&
	       c->since + f->o.idle_ns / 1e9 <= now)
		pool_clone_stop(c);
}
