/*
 * pool.c - the pool: made, set, ended
 */
#include "vmm/pool/pool.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "etlfs/fetch/fetch.h"
#include "etlfs/region/window.h"
#include "vmm/pool/pool_impl.h"

double pool_now(const struct function *f)
{
	return f->pool->o.now(f->pool->loop);
}

void pool_event(struct function *f, enum pool_event what, const char *text)
{
	if (f->base_of)
		pool_base_event(f, what, text);
	else if (f->variant_of)
		pool_variant_event(f, what, text);
	else
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

unsigned pool_pending(const struct pool *pool)
{
	return pool->pending;
}

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
	pool_memory_set(pool);
	pool_shell_mark(pool);
	pool_variant_set(pool);
}

/* what it cannot do now, whoever needs a window tries again */
static void on_fetching(struct ev_loop *loop, struct ev_idle *w, int revents)
{
	struct pool *pool = w->data;

	ev_idle_stop(loop, w);
	window_pool_prepare(pool->windows);
}

void pool_fetching(struct pool *pool)
{
	if (!pool->fetched)
		ev_idle_start(pool->loop, &pool->fetching);
	pool->fetched = 1;
}

int pool_create(struct pool **out, struct ev_loop *loop,
		const struct pool_opts *o)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int rc;

	if (!pool)
		return -ENOMEM;
	pool->loop = loop;
	set_opts(pool, o);
	TAILQ_INIT(&pool->current);
	TAILQ_INIT(&pool->others);
	pool_pump_init(pool);
	pool_memory_init(pool);
	ev_idle_init(&pool->fetching, on_fetching);
	pool->fetching.data = pool;
	rc = fetch_engine_create(&pool->engine, loop);
	/* who serves for long is not to load it in the midst of a request */
	if (rc == 0 && o->copy_images)
		rc = fetch_engine_begin(pool->engine);
	if (rc == 0)
		rc = window_pool_create(&pool->windows, o->windows, o->warm);
	if (rc < 0) {
		fetch_engine_destroy(pool->engine);
		free(pool);
		return rc;
	}
	window_pool_limit(pool->windows, o->fetch_total);
	pool_memory_set(pool);
	*out = pool;
	return 0;
}

static void kill_and_poll(struct pool_proc *proc)
{
	struct pollfd p = { proc->pidfd, POLLIN, 0 };

	if (proc->from) {
		TAILQ_REMOVE(&proc->from->branching, proc, branch);
		proc->from = NULL;
	}
	if (p.fd < 0)
		return;
	pool_proc_kill(proc);
	poll(&p, 1, 1000);
}

/* a branch is not our child, nor is a clone */
static void ended_wait(struct pool_ref *r)
{
	if (r->proc.f->base)
		kill_and_poll(&r->proc);
	else
		waitpid(r->proc.pid, NULL, 0);
}

/* without the loop: kill, wait, free; the reference reaps the clones */
static void function_end(struct function *f)
{
	struct pool_clone *c;
	struct function *v;

	queue_drop(f);
	for (int s = 0; s <= CLONE_DYING; s++)
		while ((c = TAILQ_FIRST(&f->clones[s]))) {
			kill_and_poll(&c->proc);
			job_drop(c->job);
			pool_clone_free(c);
		}
	while ((v = LIST_FIRST(&f->variants)))
		function_end(v);
	pool_shell_destroy(f, kill_and_poll);
	for (struct pool_ref *r = f->refs; r < f->refs + 2; r++) {
		pool_ref_kill(r);
		if (r->state != REF_DYING)
			continue;
		ended_wait(r);
		pool_proc_close(&r->proc);
		pool_base_files_close(r);
		r->state = REF_DOWN;
	}
	function_free(f);
}

/*
 * A base after those that branch from it, which may be bases, too; variants end
 * with their function, which has their clones
 */
static struct function *first_to_end(const struct function_list *list)
{
	struct function *f;

	/* the first one it counts is itself */
	TAILQ_FOREACH(f, list, link)
		if (f->base_of <= 1 && !f->variant_of)
			return f;
	return TAILQ_FIRST(list);
}

void pool_destroy(struct pool *pool)
{
	struct function *f;

	if (!pool)
		return;
	while ((f = TAILQ_FIRST(&pool->current)))
		function_end(f);
	while ((f = first_to_end(&pool->others)))
		function_end(f);
	pool_pump_end(pool);
	ev_idle_stop(pool->loop, &pool->fetching);
	ev_timer_stop(pool->loop, &pool->memory);
	window_pool_destroy(pool->windows);
	fetch_engine_destroy(pool->engine);
	free(pool);
}
