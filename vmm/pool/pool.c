/*
 * pool.c - the table of functions, and the tick that watches over them
 *
 * Invariants: names in `current` are unique, and every function there has
 * `current` set; `others` holds those that are to replace one of them and
 * those that are retired.  The tick runs while there is anything that time
 * can change, and is the only place where a function is freed.
 */
#include "vmm/pool/pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etlfs/fetch/fetch.h"
#include "etlfs/region/window.h"
#include "vmm/pool/pool_impl.h"

#define TICK_S		0.1

double pool_now(const struct function *f)
{
	return f->pool->o.now(f->pool->loop);
}

void pool_event(struct function *f, enum pool_event what, const char *text)
{
	f->pool->o.ops->event(f->pool->o.arg, f, what, text);
}

void pool_note(struct function *f, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pool_event(f, POOL_NOTE, text);
}

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

/* what was to become the function of that name, and now never will */
static void supersede(struct pool *pool, const char *name)
{
	struct function *f;

	TAILQ_FOREACH(f, &pool->others, link)
		if (!strcmp(f->name, name))
			f->retired = 1;
	pool_wake(pool);
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
	pool_wake(pool);
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
	pool_event(f, POOL_FAILED, why);
	if (!f->current)
		pool_retire(f);
}

static void function_free(struct function *f)
{
	struct pool *pool = f->pool;

	TAILQ_REMOVE(f->current ? &pool->current : &pool->others, f, link);
	cgroup_remove(pool->o.cgroup, f->name, f->id);
	ev_timer_stop(pool->loop, &f->refresh);
	image_end(f);
	egress_destroy(f->egress);
	image_close(f->img);
	free(f->name);
	free(f);
}

/* a retired one ends once it has answered; frees it when all is gone */
static void settle(struct function *f)
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
	if (f->n[CLONE_DYING] || f->work.running)
		return;
	pool_ref_kill(&f->refs[0]);
	pool_ref_kill(&f->refs[1]);
	if (f->refs[0].state != REF_DOWN || f->refs[1].state != REF_DOWN)
		return;
	/* a guest may end after its tender */
	if (cgroup_remove(pool->o.cgroup, f->name, f->id) != -EBUSY)
		function_free(f);
}

/* time */

static int needs_tick(struct function *f)
{
	unsigned live = f->n[CLONE_COMING] + f->n[CLONE_IDLE] +
			f->n[CLONE_BUSY];

	return f->retired || f->queued || f->n[CLONE_COMING] ||
	       f->n[CLONE_BUSY] || live != f->o.min ||
	       f->ref->state != REF_READY ||
	       pool_ref_other(f)->state != REF_DOWN;
}

static unsigned tick_list(struct function_list *list, double now)
{
	struct function *f, *after;
	unsigned needed = 0;

	for (f = TAILQ_FIRST(list); f; f = after) {
		after = TAILQ_NEXT(f, link);
		pool_ref_tick(f, now);
		pool_clone_tick(f, now);
		queue_tick(f, now);
		needed += needs_tick(f);
	}
	return needed;
}

static void tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct pool *pool = w->data;
	double now = pool->o.now(loop);
	struct function *f, *after;
	unsigned needed;

	needed = tick_list(&pool->current, now);
	needed += tick_list(&pool->others, now);
	for (f = TAILQ_FIRST(&pool->others); f; f = after) {
		after = TAILQ_NEXT(f, link);
		settle(f);
	}
	if (!needed)
		ev_timer_stop(loop, w);
}

void pool_wake(struct pool *pool)
{
	if (!ev_is_active(&pool->tick))
		ev_timer_again(pool->loop, &pool->tick);
}

unsigned pool_pending(const struct pool *pool)
{
	return pool->pending;
}

/* functions */

void function_pause(struct function *f, int paused)
{
	/* what waits has the tick running: the next one dispatches it */
	f->paused = paused;
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
		.idle = f->n[CLONE_IDLE],
		.busy = f->n[CLONE_BUSY],
		.coming = f->n[CLONE_COMING],
		.queued = f->queued,
		.requests = f->requests,
		.errors = f->errors,
		.refreshes = f->refreshes,
		.run_us = median_run(f),
		.boot = f->ref->stats,
		.clone_ns = f->clone_ns,
		.clone_pages = f->clone_pages,
		.fetched = f->fetched,
	};
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
	       f->o.verify == o->verify;
}

void function_set(struct function *f, const struct function_opts *o)
{
	f->o = *o;
	f->o.name = NULL;
	pool_ref_refresh_arm(f);
	supersede(f->pool, f->name);
}

static struct function *function_new(struct pool *pool, struct image *img,
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
	f->tail = &f->head;
	for (int s = 0; s <= CLONE_DYING; s++)
		TAILQ_INIT(&f->clones[s]);
	return f;
}

int pool_add(struct pool *pool, struct image *img,
	     const struct function_opts *o, struct function **out,
	     struct err *err)
{
	struct function *f;
	int r = egress_check(img->egress, err);

	if (r < 0) {
		image_close(img);
		return r;
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
	r = image_begin(f, err);
	if (r < 0) {
		function_free(f);
		return r;
	}
	if (out)
		*out = f;
	return 0;
}

void function_attached(struct function *f)
{
	pool_ref_attached(f->ref);
	pool_clone_attached(f);
}

/* the pool */

static void set_opts(struct pool *pool, const struct pool_opts *o)
{
	pool->o = *o;
	if (!pool->o.start)
		pool->o.start = ref_start;
	if (!pool->o.verify)
		pool->o.verify = image_verify;
	if (!pool->o.now)
		pool->o.now = ev_now;
}

void pool_set(struct pool *pool, const struct pool_opts *o)
{
	set_opts(pool, o);
	window_pool_limit(pool->windows, o->fetch_total);
}

int pool_prepare(struct pool *pool)
{
	return window_pool_prepare(pool->windows);
}

int pool_create(struct pool **out, struct ev_loop *loop,
		const struct pool_opts *o)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	pool->loop = loop;
	set_opts(pool, o);
	TAILQ_INIT(&pool->current);
	TAILQ_INIT(&pool->others);
	ev_timer_init(&pool->tick, tick, 0.0, TICK_S);
	pool->tick.data = pool;
	r = fetch_engine_create(&pool->engine, loop);
	if (r == 0)
		r = window_pool_create(&pool->windows, o->windows, o->warm);
	if (r < 0) {
		fetch_engine_destroy(pool->engine);
		free(pool);
		return r;
	}
	window_pool_limit(pool->windows, o->fetch_total);
	*out = pool;
	return 0;
}

/* without the loop: kill, wait, free; the reference reaps the clones */
static void function_end(struct function *f)
{
	struct pool_clone *c;

	for (int s = 0; s <= CLONE_DYING; s++)
		while ((c = TAILQ_FIRST(&f->clones[s]))) {
			struct pollfd p = { c->proc.pidfd, POLLIN, 0 };

			if (p.fd >= 0) {
				pool_proc_kill(&c->proc);
				poll(&p, 1, 1000);
			}
			pool_clone_free(c);
		}
	for (struct pool_ref *r = f->refs; r < f->refs + 2; r++) {
		pool_ref_kill(r);
		if (r->state != REF_DYING)
			continue;
		waitpid(r->proc.pid, NULL, 0);
		pool_proc_close(&r->proc);
		r->state = REF_DOWN;
	}
	function_free(f);
}

void pool_destroy(struct pool *pool)
{
	struct function *f;

	if (!pool)
		return;
	while ((f = TAILQ_FIRST(&pool->current)))
		function_end(f);
	while ((f = TAILQ_FIRST(&pool->others)))
		function_end(f);
	ev_timer_stop(pool->loop, &pool->tick);
	window_pool_destroy(pool->windows);
	fetch_engine_destroy(pool->engine);
	free(pool);
}
