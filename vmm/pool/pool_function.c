/*
 * pool_function.c - functions: the table of them, and what each is
 *
 * Invariants: names in `current` are unique, and every function there has
 * `current` set; `others` holds those that are to replace one of them and
 * those that are retired.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/guest/place.h"
#include "vmm/pool/pool_impl.h"

/* the table */

struct function *pool_find(struct pool *pool, const char *name)
{
	struct function *f;

	TAILQ_FOREACH(f, &pool->current, link)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

struct function *pool_next(struct pool *pool, struct function *f)
{
	return f ? TAILQ_NEXT(f, link) : TAILQ_FIRST(&pool->current);
}

struct function *pool_next_base(struct pool *pool, struct function *f)
{
	f = f ? TAILQ_NEXT(f, link) : TAILQ_FIRST(&pool->others);
	while (f && !f->base_of)
		f = TAILQ_NEXT(f, link);
	return f;
}

/* what was to become the function of that name, and now never will */
static void supersede(struct pool *pool, const char *name)
{
	struct function *f;

	TAILQ_FOREACH(f, &pool->others, link)
		if (!strcmp(f->name, name) && !f->base_of && !f->variant_of) {
			f->retired = 1;
			function_mark(f);
		}
}

void pool_retire(struct function *f)
{
	struct pool *pool = f->pool;

	if (f->retired)
		return;
	f->retired = 1;
	if (f->current) {
		f->current = 0;
		TAILQ_REMOVE(&pool->current, f, link);
		TAILQ_INSERT_TAIL(&pool->others, f, link);
		supersede(pool, f->name);
	}
	function_mark(f);
}

void function_promote(struct function *f)
{
	struct pool *pool = f->pool;
	struct function *old = pool_find(pool, f->name);

	if (f->current || f->retired)
		return;
	TAILQ_REMOVE(&pool->others, f, link);
	TAILQ_INSERT_TAIL(&pool->current, f, link);
	f->current = 1;
	if (old)
		pool_retire(old);
}

void function_failed(struct function *f, const char *why)
{
	if (!f->current && !f->base_of && !f->variant_of)
		pool_retire(f);
	pool_event(f, POOL_FAILED, why);
}

void function_free(struct function *f)
{
	struct pool *pool = f->pool;

	function_unmark(f);
	pool_snapshot_end(f);
	TAILQ_REMOVE(f->current ? &pool->current : &pool->others, f, link);
	if (f->variant_of) {
		LIST_REMOVE(f, variant);
		function_mark(f->variant_of);
	} else {
		cgroup_remove(pool->o.cgroup, f->name, f->id);
	}
	ev_timer_stop(pool->loop, &f->refresh);
	pool_base_put(f);
	pool_store_end(&f->refs[0]);
	pool_store_end(&f->refs[1]);
	pool_image_end(f);
	egress_destroy(f->egress);
	image_close(f->img);
	free(f->name);
	free(f);
}

void function_settle(struct function *f)
{
	struct pool *pool = f->pool;
	struct pool_clone *c;

	if (!f->retired || f->queued || f->n[CLONE_BUSY])
		return;
	while ((c = TAILQ_FIRST(&f->clones[CLONE_IDLE])))
		pool_clone_stop(c);
	while ((c = TAILQ_FIRST(&f->clones[CLONE_COMING])))
		pool_clone_stop(c);
	/* the reference last: it is what reaps the clones */
	if (pool_shell_end(f, NULL) || f->n[CLONE_DYING] || f->work.running ||
	    f->refs[0].work.running || f->refs[1].work.running ||
	    pool_variant_end(f))
		return;
	/* a variant's are its function's */
	if (f->variant_of && (f->refs[0].clones || f->refs[1].clones))
		return;
	pool_ref_kill(&f->refs[0]);
	pool_ref_kill(&f->refs[1]);
	if (f->refs[0].state != REF_DOWN || f->refs[1].state != REF_DOWN)
		return;
	/* a guest may end after its tender */
	if (f->variant_of ||
	    cgroup_remove(pool->o.cgroup, f->name, f->id) != -EBUSY)
		function_free(f);
}

/* functions */

void function_pause(struct function *f, int paused)
{
	if (f->paused == paused)
		return;
	f->paused = paused;
	function_mark(f);
}

const char *function_name(const struct function *f)
{
	return f->name;
}

const struct image *function_image(const struct function *f)
{
	return f->img;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median_run(const struct function *f)
{
	unsigned n = f->runs < RUN_SAMPLES ? f->runs : RUN_SAMPLES;
	uint32_t v[RUN_SAMPLES];

	if (!n)
		return 0;
	memcpy(v, f->run_us, n * sizeof(v[0]));
	qsort(v, n, sizeof(v[0]), by_value);
	return v[n / 2];
}

void function_info(struct function *f, struct function_info *out)
{
	*out = (struct function_info){
		.name = f->name,
		.handler = f->img->handler,
		.digest = f->img->digest,
		.ready = pool_ref_usable(f),
		.level = f->base_of ? "runtime" : place_fork_point(f->img),
		.id = f->id,
		.base = f->base ? f->base->id : 0,
		.age = f->ref->ready_at ? pool_now(f) - f->ref->ready_at : 0,
		.pages = f->ref->stats.ram_bytes / UK_PAGE,
		.stored_now = f->ref->stored,
		.idle = f->n[CLONE_IDLE],
		.busy = f->n[CLONE_BUSY],
		.coming = f->n[CLONE_COMING],
		.queued = f->queued,
		.shells = pool_shell_waiting(f),
		.requests = f->requests,
		.errors = f->errors,
		.refreshes = f->refreshes,
		.stored = f->ref->stored && f->ref->age > 0,
		.stored_age = f->ref->age,
		.run_us = median_run(f),
		.boot = f->ref->stats,
		.clone_ns = f->clone_ns,
		.clone_pages = f->clone_pages,
		.fetched = f->fetched,
	};
	memcpy(out->starts, f->starts, sizeof(out->starts));
}

static uint64_t memory_of(const struct function_opts *o,
			  const struct image *img)
{
	return o->memory ? o->memory : img->memory;
}

int function_same(const struct function *f, const struct image *img,
		  const struct function_opts *o)
{
	return !strcmp(f->img->digest, img->digest) &&
	       memory_of(&f->o, f->img) == memory_of(o, img) &&
	       f->o.recycle == o->recycle && f->o.trace == o->trace &&
	       f->o.verify == o->verify && f->o.no_store == o->no_store &&
	       !strcmp(f->o.owner, o->owner);
}

void function_set(struct function *f, const struct function_opts *o)
{
	f->o = *o;
	f->o.name = NULL;
	pool_refresh_arm(f);
	if (f->base)
		pool_base_refresh_set(f->base);
	pool_variant_opts(f);
	supersede(f->pool, f->name);
	/* it may have failed by what is set otherwise now */
	for (struct function *b = f; b; b = b->base)
		pool_ref_again(b);
	function_mark(f);
}

struct function *function_new(struct pool *pool, struct image *img,
			      const struct function_opts *o)
{
	struct function *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->name = strdup(o->name ? o->name : img->name);
	if (!f->name || egress_create(&f->egress, img->egress) < 0) {
		free(f->name);
		free(f);
		return NULL;
	}
	f->pool = pool;
	f->id = ++pool->functions;
	f->img = img;
	f->o = *o;
	f->o.name = NULL;
	pool_ref_init(f);
	pool_image_init(f);
	f->tail = &f->head;
	for (int s = 0; s <= CLONE_DYING; s++)
		TAILQ_INIT(&f->clones[s]);
	TAILQ_INIT(&f->shells);
	LIST_INIT(&f->variants);
	return f;
}

int pool_add(struct pool *pool, struct image *img,
	     const struct function_opts *o, struct function **out,
	     struct err *err)
{
	struct function *f;
	int rc = egress_check(img->egress, err);

	if (rc < 0) {
		image_close(img);
		return rc;
	}
	f = function_new(pool, img, o);
	if (!f) {
		image_close(img);
		return err_set(err, -ENOMEM, "out of memory");
	}
	supersede(pool, f->name);
	f->current = !pool_find(pool, f->name);
	TAILQ_INSERT_TAIL(f->current ? &pool->current : &pool->others, f,
			  link);
	rc = pool_base_shares(f) ? pool_base_get(f, err) : 0;
	if (rc == 0)
		rc = pool_image_begin(f, err);
	if (rc < 0) {
		function_free(f);
		return rc;
	}
	function_mark(f);
	if (out)
		*out = f;
	return 0;
}

void function_attached(struct function *f)
{
	pool_boot_attached(f->ref);
	pool_clone_attached(f);
	function_mark(f);
}
