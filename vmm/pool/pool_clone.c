/*
 * pool_clone.c - a function's clones: running, stopped (pool_new.c: begun)
 *
 * A stopped one stays, DYING, until its process has ended, because until then
 * it may still read its host windows; only then do they go back to the pool.
 *
 * Invariants: f->n[s] is the length of f->clones[s]; a clone that is not
 * f->ref's has `last` set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/pool/pool_impl.h"

void pool_clone_enter(struct pool_clone *c, enum clone_state s)
{
	struct function *f = c->proc.f;

	TAILQ_REMOVE(&f->clones[c->state], c, link);
	f->n[c->state]--;
	/* most recently used first, but the coming in order */
	if (s == CLONE_COMING)
		TAILQ_INSERT_TAIL(&f->clones[s], c, link);
	else
		TAILQ_INSERT_HEAD(&f->clones[s], c, link);
	f->n[s]++;
	c->state = s;
	c->since = pool_now(f);
}

void pool_clone_free(struct pool_clone *c)
{
	struct function *f = c->proc.f;

	TAILQ_REMOVE(&f->clones[c->state], c, link);
	f->n[c->state]--;
	if (c->asked)
		TAILQ_REMOVE(&c->ref->asked, c, ask);
	c->ref->clones--;
	pool_proc_close(&c->proc);
	free(c);
}

static struct pool_clone *clone_of(struct pool_proc *p)
{
	return (struct pool_clone *)((char *)p -
				     offsetof(struct pool_clone, proc));
}

static void on_ended(struct pool_proc *p)
{
	struct function *f = p->f;

	pool_clone_free(clone_of(p));
	pool_wake(f->pool);
}

void pool_clone_stop(struct pool_clone *c)
{
	if (c->state == CLONE_DYING)
		return;
	pool_clone_enter(c, CLONE_DYING);
	pool_proc_stop(&c->proc);
	/* one that is asked for may get its number yet */
	if (c->proc.pidfd < 0 && !c->asked)
		pool_clone_free(c);
}

/* what a request that this clone was running comes to; frees nothing */
void *job_result_take(const struct job_result *r, size_t *size)
{
	return r->from ? peer_take(r->from, size) : NULL;
}

static void answer(struct pool_clone *c, const struct job_result *r)
{
	struct job *j = c->job;

	c->job = NULL;
	if (j)
		job_finish(c->proc.f, j, r);
}

/* what a request may take */
static uint64_t time_limit(const struct function *f)
{
	if (f->o.debug)
		return DEBUG_S * 1e9;
	return f->o.timeout_ns ? f->o.timeout_ns : f->img->timeout_ns;
}

static void answer_died(struct pool_clone *c, enum died died, const char *why)
{
	struct job_result r = {
		.outcome = died == DIED_TIMEOUT ? JOB_TIMEOUT : JOB_DIED,
		.died = died, .limit_ns = time_limit(c->proc.f),
		.text = why, .len = strlen(why),
	};

	answer(c, &r);
}

/* stop a clone that was not stopped for its own good, and make another */
static void replace(struct pool_clone *c)
{
	struct function *f = c->proc.f;

	pool_clone_stop(c);
	pool_clone_top_up(f);
	queue_dispatch(f);
}

/* its process ended or broke the protocol, or it has to end */
void pool_clone_lost(struct pool_clone *c, enum died died, const char *why)
{
	if (c->state == CLONE_COMING) {
		pool_clone_missed(c, why);
		return;
	}
	if (c->state == CLONE_BUSY)
		answer_died(c, died, why);
	else
		pool_note(c->proc.f, "an idle clone was lost: %s", why);
	replace(c);
}

/* messages */

/* the request is answered; the clone goes on to the next, or ends */
static void next(struct pool_clone *c)
{
	struct function *f = c->proc.f;

	pool_proc_reset(&c->proc);
	c->ran = 1;
	if (c->last || f->o.recycle == RECYCLE_FORK || f->retired) {
		pool_clone_stop(c);
		pool_clone_top_up(f);
	} else {
		pool_clone_enter(c, CLONE_IDLE);
	}
	queue_dispatch(f);
}

static void on_result(struct pool_clone *c, const struct msg *m,
		      const uint8_t *payload)
{
	struct function *f = c->proc.f;
	struct peer_report rep;
	struct job_result r = { .outcome = JOB_OK };
	char text[128];

	if (c->state != CLONE_BUSY || peer_report(m, payload, &rep) < 0) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	pool_proc_log(&c->proc, rep.log, rep.log_len);
	pool_proc_log_lost(&c->proc, rep.log_lost);
	if (c->proc.idle_due < IDLE_DUE_MAX)
		c->proc.idle_due++;
	r.stats = rep.stats;
	r.text = rep.text;
	r.len = rep.text_len;
	r.from = c->proc.peer;
	if (rep.code == UK_RESULT_ERROR)
		r.outcome = JOB_ERROR;
	if (r.len > f->pool->o.response_max) {
		r.outcome = JOB_TOO_LARGE;
		r.len = snprintf(text, sizeof(text), "the result is %zu bytes,"
				 " more than response.max %llu", rep.text_len,
				 (unsigned long long)f->pool->o.response_max);
		r.text = text;
		r.from = NULL;
	}
	/* the answer first: what follows may end the peer, and the payload */
	answer(c, &r);
	next(c);
}

/*
 * Its request was seen by nobody: another clone's.  Where this one had run
 * nothing before, the next may end no better: not at once, then.
 */
static void give_back(struct pool_clone *c, const char *why)
{
	struct function *f = c->proc.f;

	pool_note(f, "a clone was lost: %s", why);
	if (!c->ran)
		pool_clone_back_off(f, c->job->again);
	c->job->again++;
	queue_push_back(f, c->job);
	c->job = NULL;
	replace(c);
}

static void on_died(struct pool_clone *c, const struct msg *m,
		    const uint8_t *payload)
{
	struct peer_report rep;
	struct job_result r = { .outcome = JOB_DIED };
	char why[512];

	if (peer_report(m, payload, &rep) < 0) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	pool_proc_log(&c->proc, rep.log, rep.log_len);
	pool_proc_log_lost(&c->proc, rep.log_lost);
	if (c->state != CLONE_BUSY) {
		snprintf(why, sizeof(why), "%.*s", (int)(rep.text_len < 500 ?
			 rep.text_len : 500), rep.text);
		pool_clone_lost(c, DIED_HOST, why);
		return;
	}
	if (rep.code == DIED_ROLLBACK && c->job && !c->said) {
		snprintf(why, sizeof(why), "%.*s", (int)(rep.text_len < 500 ?
			 rep.text_len : 500), rep.text);
		give_back(c, why);
		return;
	}
	r.died = rep.code;
	r.status = rep.status;
	r.text = rep.text;
	r.len = rep.text_len;
	r.stats = rep.stats;
	r.limit_ns = time_limit(c->proc.f);
	if (rep.code == DIED_TIMEOUT)
		r.outcome = JOB_TIMEOUT;
	answer(c, &r);
	replace(c);
}

static void on_idle(struct pool_clone *c, const struct msg *m,
		    const uint8_t *payload)
{
	struct function *f = c->proc.f;
	struct peer_report rep;

	if (!c->proc.idle_due || peer_report(m, payload, &rep) < 0) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	c->proc.idle_due--;
	host_released(c->proc.host);
	if (f->pool->o.ops->idle)
		f->pool->o.ops->idle(f->pool->o.arg, f, &rep.stats);
}

static void on_message(struct pool_proc *p, const struct msg *m,
		       const uint8_t *payload)
{
	struct pool_clone *c = clone_of(p);
	int r;

	switch (m->type) {
	case MSG_RESULT:
		on_result(c, m, payload);
		return;
	case MSG_DIED:
		on_died(c, m, payload);
		return;
	case MSG_IDLE:
		on_idle(c, m, payload);
		return;
	case MSG_UP:
		pool_clone_up(c, m);
		return;
	}
	/* only what runs has something to say */
	c->said = 1;
	r = c->state == CLONE_BUSY ? pool_proc_message(p, m, payload)
				   : 0;
	if (r <= 0)
		pool_clone_lost(c, DIED_HOST, r == 0 || r == -EPROTO ?
				"it broke the protocol" : strerror(-r));
}

/*
 * Reset: something was sent that it did not read.  That was the request, when
 * nothing else can have been: then nobody has seen it.
 */
static int unread(const struct pool_clone *c)
{
	return c->state == CLONE_BUSY && c->job && !c->said;
}

static void on_closed(struct pool_proc *p, int error)
{
	struct pool_clone *c = clone_of(p);

	if (error == -EPROTO)
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
	else if (c->asked && c->state == CLONE_COMING)
		c->ended = 1;		/* CLONED is to say why */
	else if (error == -ECONNRESET && unread(c))
		give_back(c, "its process ended");
	else if (error == 0 || error == -ECONNRESET)
		/* it says a word whenever it can: somebody killed it */
		pool_clone_lost(c, DIED_KILLED, clone_ended);
	else
		pool_clone_lost(c, DIED_HOST, strerror(-error));
}

const struct pool_proc_ops clone_ops = { on_message, on_closed, on_ended };

/* running */

void pool_clone_run(struct pool_clone *c, struct job *j)
{
	struct function *f = c->proc.f;
	uint64_t limit = time_limit(f);
	struct msg m = {
		.type = MSG_INVOKE,
		.a = { j->event_len, limit,
		       f->o.say_idle ? INVOKE_IDLE : 0 },
	};
	uint64_t off;
	int r;

	pool_clone_enter(c, CLONE_BUSY);
	c->pid = c->next_pid;
	m.a[4] = c->next_pid = pool_clone_pid(f);
	c->job = j;
	c->said = 0;
	c->proc.deadline = c->since + limit / 1e9 + GRACE_S;
	pool_proc_log_limit(&c->proc);
	pool_proc_log_room(&c->proc);
	m.a[3] = c->proc.log_left;
	r = host_event(c->proc.host, j->event, j->event_len, &off);
	if (r == 0)
		r = peer_send(c->proc.peer, &m, NULL, NULL, 0);
	if (r == 0)
		return;
	/* it had ended already, and saw nothing of the request */
	c->job = NULL;
	pool_clone_stop(c);
	queue_push_back(f, j);
	pool_clone_top_up(f);
}

static struct pool_clone *overdue(struct function *f, enum clone_state s,
				  double now)
{
	struct pool_clone *c;

	TAILQ_FOREACH(c, &f->clones[s], link)
		if (now >= c->proc.deadline)
			return c;
	return NULL;
}

void pool_clone_tick(struct function *f, double now)
{
	struct pool_clone *c;

	while ((c = overdue(f, CLONE_COMING, now))) {
		/* not even a word of it: then it is the reference that hangs */
		if (c->asked)
			pool_ref_kill(c->ref);
		pool_clone_lost(c, DIED_HOST, "it did not come up in time");
	}
	while ((c = overdue(f, CLONE_BUSY, now)))
		pool_clone_lost(c, DIED_TIMEOUT, "");
	pool_clone_reap(f, now);
	pool_clone_top_up(f);
	/*
	 * not where it failed: that may be in the middle of a request's start
	 */
	if (f->clone_refused) {
		f->clone_refused = 0;
		pool_clone_give_up(f);
	}
}
