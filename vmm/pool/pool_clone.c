/*
 * pool_clone.c - a function's clones: idle, lost, stopped (pool_new.c: begun)
 *
 * A stopped one stays, DYING, until its process has ended, because until then
 * it may still read its host windows; only then do they go back to the pool.
 *
 * Invariants: f->n[s] is the length of f->clones[s]; a clone that is not
 * f->ref's has `last` set.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	if (s == CLONE_BUSY)
		c->given_up = f->given_up = 0;
	c->since = pool_now(f);
}

void pool_clone_free(struct pool_clone *c)
{
	struct function *f = c->proc.f;

	TAILQ_REMOVE(&f->clones[c->state], c, link);
	f->n[c->state]--;
	if (c->asked)
		TAILQ_REMOVE(&c->ref->asked, c, ask);
	if (c->proc.from)
		TAILQ_REMOVE(&c->proc.from->branching, &c->proc, branch);
	c->ref->clones--;
	pool_proc_close(&c->proc);
	free(c);
}

static void on_ended(struct pool_proc *p)
{
	pool_clone_free(pool_clone_of(p));
}

void pool_clone_stop(struct pool_clone *c)
{
	if (c->state == CLONE_DYING)
		return;
	pool_clone_enter(c, CLONE_DYING);
	pool_proc_stop(&c->proc);
	/* one that is asked for may get its number yet */
	if (c->proc.pidfd < 0 && !c->asked && !c->proc.from)
		pool_clone_free(c);
}

int pool_clone_comes(const struct pool_clone *c)
{
	return c->state == CLONE_COMING ||
	       (c->ahead && !c->up && c->state != CLONE_DYING);
}

void pool_clone_lost(struct pool_clone *c, enum died died, const char *why)
{
	struct function *f = c->proc.f;
	const char *cut = pool_alone_cut(c);
	struct job *j = c->job;

	if (cut) {
		died = DIED_HOST;
		why = cut;
	}
	if (pool_clone_comes(c)) {
		pool_clone_missed(c, why);
		return;
	}
	c->job = NULL;
	pool_clone_stop(c);
	if (j)
		pool_run_died(f, j, died, why);
	else
		pool_note(f, "an idle clone was lost: %s", why);
}

/* messages */

static void on_idle(struct pool_clone *c, const struct msg *m,
		    const uint8_t *payload)
{
	struct function *f = c->proc.f;
	struct peer_report rep;

	if (!c->proc.idle_due || peer_report(m, payload, &rep) < 0 ||
	    (rep.text_len && !f->o.say_pages)) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	c->proc.idle_due--;
	host_released(c->proc.host);
	if (f->pool->o.ops->idle)
		f->pool->o.ops->idle(f->pool->o.arg, f, &rep.stats, rep.text,
				     rep.text_len);
}

static void on_message(struct pool_proc *p, const struct msg *m,
		       const uint8_t *payload)
{
	struct pool_clone *c = pool_clone_of(p);
	int rc;

	/* what it says may come of pages that are none of the snapshot's */
	if (pool_alone_cut(c)) {
		pool_clone_lost(c, DIED_HOST, "");
		return;
	}
	switch (m->type) {
	case MSG_RESULT:
		pool_run_result(c, m, payload);
		return;
	case MSG_DIED:
		pool_run_report(c, m, payload);
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
	rc = c->state == CLONE_BUSY && !pool_clone_comes(c) ?
	     pool_proc_message(p, m, payload) : 0;
	if (rc <= 0)
		pool_clone_lost(c, DIED_HOST, rc == 0 || rc == -EPROTO ?
				"it broke the protocol" : strerror(-rc));
}

/*
 * Reset: something was sent that it did not read.  That was the request, when
 * nothing else can have been: then nobody has seen it.
 */
static int unread(const struct pool_clone *c)
{
	return c->state == CLONE_BUSY && !c->said && !pool_clone_comes(c);
}

static void on_closed(struct pool_proc *p, int error)
{
	struct pool_clone *c = pool_clone_of(p);

	if (error == -EPROTO)
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
	else if ((c->asked || c->proc.from) && c->state == CLONE_COMING)
		c->ended = 1;		/* CLONED is to say why */
	else if (error == -ECONNRESET && unread(c))
		pool_run_give_back(c, "its process ended");
	else if (error == 0 || error == -ECONNRESET)
		/* it says a word whenever it can: somebody killed it */
		pool_clone_lost(c, DIED_KILLED, pool_clone_ended);
	else
		pool_clone_lost(c, DIED_HOST, strerror(-error));
}

const struct pool_proc_ops pool_clone_ops = {
	on_message, on_closed, on_ended, pool_clone_branched,
};

static struct pool_clone *overdue(struct function *f, enum clone_state s,
				  double now)
{
	struct pool_clone *c;

	TAILQ_FOREACH(c, &f->clones[s], link)
		if (now >= c->proc.deadline)
			return c;
	return NULL;
}

void pool_clone_expire(struct function *f, double now)
{
	struct pool_clone *c;

	while ((c = overdue(f, CLONE_COMING, now))) {
		/* not even a word of it: then it is the reference that hangs */
		if (c->asked)
			pool_ref_kill(c->ref);
		if (c->proc.from)
			pool_ref_kill(c->proc.from);
		pool_clone_lost(c, DIED_HOST, "it did not come up in time");
	}
	while ((c = overdue(f, CLONE_BUSY, now)))
		pool_clone_lost(c, DIED_TIMEOUT, pool_clone_comes(c) ?
				"it did not come up in time" : "");
}
