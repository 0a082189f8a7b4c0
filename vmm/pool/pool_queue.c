/*
 * pool_queue.c - requests: waiting, dispatched, answered
 *
 * Invariant: a request waits only while no clone that may run it is idle, so
 * the queue and the idle list are never both filled once queue_dispatch()
 * returns, unless the function is not ready, or pauses, or what waits was
 * given back.
 *
 * A request that is given back, because its clone ended and had seen nothing
 * of it, goes to a clone that has come up and run nothing: whoever ran
 * something may be a guest that answers and then refuses its rollback, and
 * would lose it again.  So often as that takes, while it may wait.
 */
#include <errno.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

static struct job *take(struct function *f, struct job **at)
{
	struct job *j = *at;

	*at = j->next;
	if (!*at)
		f->tail = at;
	f->queued--;
	return j;
}

static struct job *pop(struct function *f)
{
	return take(f, &f->head);
}

/* the first that c may run, or NULL */
static struct job *pop_for(struct function *f, const struct pool_clone *c)
{
	struct job **at = &f->head;

	while (*at && c->ran && (*at)->again)
		at = &(*at)->next;
	return *at ? take(f, at) : NULL;
}

void queue_push_back(struct function *f, struct job *j)
{
	j->next = f->head;
	if (!f->head)
		f->tail = &j->next;
	f->head = j;
	f->queued++;
}

void job_finish(struct function *f, struct job *j, const struct job_result *r)
{
	f->requests++;
	if (r->outcome != JOB_OK)
		f->errors++;
	if (r->outcome == JOB_OK || r->outcome == JOB_ERROR)
		f->run_us[f->runs++ % RUN_SAMPLES] = r->stats.run_ns / 1000;
	f->pool->pending--;
	if (r->outcome != JOB_OK && r->outcome != JOB_UNAVAILABLE &&
	    f->pool->o.ops->failed)
		f->pool->o.ops->failed(f->pool->o.arg, f, r);
	j->done(j, r);
}

static void refuse(struct function *f, struct job *j, const char *why)
{
	struct job_result r = {
		.outcome = JOB_UNAVAILABLE, .text = why, .len = strlen(why),
	};

	job_finish(f, j, &r);
}

void queue_fail(struct function *f, const char *why)
{
	while (f->head)
		refuse(f, pop(f), why);
}

/* one more when none is idle and none is coming; with fork, one each */
static int may_clone(const struct function *f)
{
	unsigned live = f->n[CLONE_COMING] + f->n[CLONE_IDLE] +
			f->n[CLONE_BUSY];
	unsigned coming = f->o.recycle == RECYCLE_FORK ? f->queued : 1;

	return live < f->o.max && f->n[CLONE_COMING] < coming &&
	       pool_now(f) >= f->clone_retry_at;
}

/* what was given back waits, but there is no room for a new clone */
static void make_room(struct function *f)
{
	unsigned live = f->n[CLONE_COMING] + f->n[CLONE_IDLE] +
			f->n[CLONE_BUSY];
	struct pool_clone *c = TAILQ_LAST(&f->clones[CLONE_IDLE], clone_list);

	if (f->head && c && live >= f->o.max && !f->n[CLONE_COMING] &&
	    pool_now(f) >= f->clone_retry_at)
		pool_clone_stop(c);
}

void queue_dispatch(struct function *f)
{
	struct pool_clone *c, *after;
	struct job *j;

	if (!pool_ref_usable(f) || f->paused)
		return;
	for (c = TAILQ_FIRST(&f->clones[CLONE_IDLE]); c && f->head; c = after) {
		after = TAILQ_NEXT(c, link);
		j = pop_for(f, c);
		if (j)
			pool_clone_run(c, j);
	}
	make_room(f);
	while (f->head && may_clone(f))
		if (pool_clone_start(f) < 0)
			break;
}

void queue_tick(struct function *f, double now)
{
	double wait = f->pool->o.wait_ns / 1e9;

	while (f->head && f->head->queued + wait <= now)
		refuse(f, pop(f), !pool_ref_usable(f) ?
		       "the function was not ready in time" : f->head->again ?
		       "its clones were killed, one after the other" :
		       "no clone became free in time");
	if (f->head)
		queue_dispatch(f);
}

int pool_submit(struct function *f, struct job *j)
{
	if (f->ref->failed || f->retired)
		return -EHOSTDOWN;
	if (j->event_len > POOL_EVENT_MAX)
		return -E2BIG;
	if (f->queued >= f->pool->o.queue)
		return -EAGAIN;
	j->next = NULL;
	j->again = 0;
	j->queued = pool_now(f);
	*f->tail = j;
	f->tail = &j->next;
	f->queued++;
	f->pool->pending++;
	pool_wake(f->pool);
	queue_dispatch(f);
	return 0;
}
