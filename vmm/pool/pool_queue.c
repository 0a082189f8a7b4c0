/*
 * pool_queue.c - requests: waiting, given, answered
 *
 * Invariant: a request waits only while no clone that may run it is idle, so
 * the queue and the idle list are never both filled once queue_give()
 * returns, unless the function is not ready, or pauses, or what waits was
 * given back.
 *
 * A request that is given back, because its clone ended and had seen nothing
 * of it, goes to a clone that has come up and run nothing: whoever ran
 * something may be a guest that answers and then refuses its rollback, and
 * would lose it again.  So often as that takes, while it may wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

static struct job *take(struct function *f, struct job **at)
{
	struct job *j = *at;

	*at = j->next;
	if (!*at)
		f->tail = at;
	f->queued--;
	if (!--f->pool->queued)
		pool_shell_quiet(f->pool);
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
	j->refused = NULL;
	j->next = f->head;
	if (!f->head)
		f->tail = &j->next;
	f->head = j;
	f->queued++;
	f->pool->queued++;
}

/* the one place where an event is freed */
void job_drop(struct job *j)
{
	if (!j)
		return;
	free(j->event);
	j->event = NULL;
}

void queue_drop(struct function *f)
{
	while (f->head)
		job_drop(pop(f));
}

void job_finish(struct function *f, struct job *j, const struct job_result *r)
{
	job_drop(j);
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

/* why j, the head, is to wait no longer; NULL: it is */
static const char *refusal(const struct function *f, const struct job *j,
			   double now)
{
	if (f->ref->failed)
		return f->ref->failed;
	if (j->queued + f->pool->o.wait_ns / 1e9 <= now)
		return !pool_ref_usable(f) ?
		       "the function was not ready in time" : j->again ?
		       "its clones were killed, one after the other" :
		       "no clone became free in time";
	return j->refused;
}

void queue_give_up(struct function *f, const char *why)
{
	for (struct job *j = f->head; j; j = j->next)
		j->refused = why;
}

void queue_refuse(struct function *f, double now)
{
	struct job *out = NULL, **tail = &out, *j;
	const char *why;

	while (f->head && (why = refusal(f, f->head, now))) {
		*tail = pop(f);
		(*tail)->refused = why;
		tail = &(*tail)->next;
		*tail = NULL;
	}
	/* whoever hears of it may come again */
	while ((j = out)) {
		struct job_result r = {
			.outcome = JOB_UNAVAILABLE, .text = j->refused,
			.len = strlen(j->refused),
		};

		out = j->next;
		job_finish(f, j, &r);
	}
}

void queue_give(struct function *f)
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
}

int pool_submit(struct function *f, struct job *j)
{
	if (f->ref->failed || f->retired)
		return -EHOSTDOWN;
	if (j->event_len > POOL_EVENT_MAX)
		return -E2BIG;
	/* what came in this turn may have made room */
	if (f->queued >= f->pool->o.queue)
		queue_give(f);
	if (f->queued >= f->pool->o.queue)
		return -EAGAIN;
	j->next = NULL;
	j->again = 0;
	j->refused = NULL;
	j->queued = pool_now(f);
	*f->tail = j;
	f->tail = &j->next;
	f->queued++;
	f->pool->queued++;
	f->pool->pending++;
	f->given_up = 0;
	function_mark(f);
	queue_give(f);
	return 0;
}
