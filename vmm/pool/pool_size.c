/*
 * pool_size.c - how many clones a function has, and of which reference
 *
 * Between min and max of those that take requests, one more where somebody
 * waits; those that are `last` go as soon as others can do their work.
 */
#include <string.h>

#include "vmm/pool/pool_impl.h"

unsigned pool_clones_live(const struct function *f)
{
	return f->n[CLONE_COMING] + f->n[CLONE_IDLE] + f->n[CLONE_BUSY];
}

/* the least recently used of those that should get no more requests */
static struct pool_clone *last_idle(struct function *f)
{
	struct pool_clone *c;

	TAILQ_FOREACH_REVERSE(c, &f->clones[CLONE_IDLE], clone_list, link)
		if (c->last)
			return c;
	return NULL;
}

/*
 * What is `last` goes on until something newer is idle.  Where nothing has to
 * be there, and nobody waits, it ends at once.
 */
static void stop_last(struct function *f)
{
	struct pool_clone *c = TAILQ_FIRST(&f->clones[CLONE_IDLE]);

	while (c && c->last)
		c = TAILQ_NEXT(c, link);
	if (c || !f->o.min)
		while ((c = last_idle(f)))
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

/* to min; for the first of them one that is `last` makes room */
static int top_up(struct function *f)
{
	unsigned n = lasting(f);
	unsigned want = f->o.min > n && !f->given_up ? f->o.min - n : 0;
	struct pool_clone *c;
	int rc;

	if (want && !n && pool_clones_live(f) >= f->o.max &&
	    (c = last_idle(f)))
		pool_clone_stop(c);
	for (; want && pool_clones_live(f) < f->o.max; want--) {
		rc = pool_clone_start(f);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* what was given back waits, but there is no room for a new clone */
static void make_room(struct function *f)
{
	struct pool_clone *c = TAILQ_LAST(&f->clones[CLONE_IDLE], clone_list);

	if (f->head && c && pool_clones_live(f) >= f->o.max &&
	    !f->n[CLONE_COMING])
		pool_clone_stop(c);
}

/* one more when none is idle and none is coming; with fork, one each */
static int for_the_queue(struct function *f)
{
	unsigned coming = f->o.recycle == RECYCLE_FORK ? f->queued : 1;
	int rc;

	make_room(f);
	while (f->head && pool_clones_live(f) < f->o.max &&
	       f->n[CLONE_COMING] < coming) {
		rc = pool_clone_start(f);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void reap(struct function *f, double now)
{
	struct pool_clone *c, *after;
	unsigned live;

	for (c = TAILQ_FIRST(&f->clones[CLONE_IDLE]); c; c = after) {
		after = TAILQ_NEXT(c, link);
		if (c->given_up)
			pool_clone_stop(c);
	}
	live = pool_clones_live(f);

	/* the least recently used are at the tail */
	while (live-- > f->o.min &&
	       (c = TAILQ_LAST(&f->clones[CLONE_IDLE], clone_list)) &&
	       c->since + f->o.idle_ns / 1e9 <= now)
		pool_clone_stop(c);
}

int pool_size_waits(const struct function *f)
{
	const struct pool_ref *r = f->ref;

	return f->base && !f->base_of && !f->retired && (!f->o.min || f->given_up) &&
	       !f->queued &&
	       pool_ref_usable(f) && !r->stored && !r->clones && r->of &&
	       r->of == f->base->ref && pool_base_sealed(r);
}

/* whom nobody has called for a while needs no process at all */
static void store(struct function *f, double now)
{
	struct pool_ref *r = f->ref;

	if (r->clones)
		r->used = now;
	if (pool_size_waits(f) && (f->pool->pressed ||
	    now >= (r->used > r->ready_at ? r->used : r->ready_at) +
	    f->o.idle_ns / 1e9))
		pool_ref_store(r);
}

void pool_size_pump(struct function *f, double now)
{
	int rc = 0;

	reap(f, now);
	store(f, now);
	if (!pool_ref_usable(f))
		return;
	pool_variant_spread(f);
	stop_last(f);
	if (now < f->clone_retry_at)
		return;
	if (!f->retired)
		rc = top_up(f);
	if (rc == 0 && !f->paused)
		rc = for_the_queue(f);
	/* too little of something here; asked again in a while */
	if (rc < 0)
		pool_clone_failed(f, strerror(-rc));
}

/* c's reference has been replaced, or is to go */
static int outdated(const struct pool_clone *c)
{
	const struct function *f = c->ref->proc.f;

	return c->ref != f->ref || (f->variant_of && f->retired);
}

/* they get no further request */
void pool_clone_renew(struct function *f)
{
	struct pool_clone *c;

	f = pool_main(f);
	for (int s = 0; s < CLONE_DYING; s++)
		TAILQ_FOREACH(c, &f->clones[s], link)
			c->last = outdated(c);
	f->clone_failures = 0;
	f->clone_retry_at = 0;
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
	struct function *f = pool_main(r->proc.f);
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
