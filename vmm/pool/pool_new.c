/*
 * pool_new.c - a function's new clones: asked for, come up, or not
 *
 * A clone is usable once its own UP and CLONED have both come, in either order.
 * CLONED is its reference's, or its base's where that is stored.  Invariant: a
 * clone in `asked`, or in `branching`, is freed by CLONED or by the end of whom
 * that is asked of, no sooner.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

#define RETRY_S		0.1		/* after a failed clone, doubled each */
#define RETRY_MAX_S	10.0
#define GIVE_UP		3		/* failures until requests get 503 */

const char pool_clone_ended[] = "its process ended without a word";

void pool_clone_back_off(struct function *f, unsigned failures)
{
	double delay = RETRY_S * (1 << (failures < 7 ? failures : 7));

	f->clone_retry_at = pool_now(f) + (delay < RETRY_MAX_S ? delay :
					   RETRY_MAX_S);
}

void pool_clone_failed(struct function *f, const char *why)
{
	pool_clone_back_off(f, f->clone_failures++);
	if (f->clone_failures >= GIVE_UP && !pool_clones_live(f))
		queue_give_up(f, "no clone can be made");
	function_mark(f);
	pool_note(f, "cannot clone: %s", why);
}

void pool_clone_missed(struct pool_clone *c, const char *why)
{
	struct function *f = c->proc.f;

	if (c->alone) {
		pool_alone_failed(c, why);
		return;
	}
	pool_clone_stop(c);
	if (c->shell) {
		pool_shell_missed(f, why);
		return;
	}
	pool_clone_failed(f, why);
}

/* what it says of itself, and what its reference says */

static void maybe_usable(struct pool_clone *c)
{
	struct function *f = c->proc.f;

	if (!c->up || c->asked || c->proc.from)
		return;
	if (c->guest) {
		if (!pool_proc_is_child(&c->proc, (uint64_t)c->guest)) {
			pool_clone_lost(c, DIED_HOST,
					"it has no process of that "
					"number");
			return;
		}
		c->proc.deadline = pool_now(f) + DEBUG_S;
		f->pool->o.ops->attach(f->pool->o.arg, f, c->guest);
		return;
	}
	f->clone_ns = (ev_time() - c->asked_at) * 1e9;
	f->clone_failures = 0;
	if (!c->ahead)
		pool_clone_enter(c, CLONE_IDLE);
}

void pool_clone_up(struct pool_clone *c, const struct msg *m)
{
	if (c->up) {
		pool_clone_lost(c, DIED_HOST, "it came up twice");
		return;
	}
	c->up = 1;
	if (c->state == CLONE_BUSY)
		c->proc.deadline = pool_run_until(c, c->limit);
	c->proc.f->clone_pages = m->a[1];
	if (c->proc.f->o.debug)
		c->guest = (pid_t)m->a[2];
	maybe_usable(c);
}

void pool_clone_attached(struct function *f)
{
	struct pool_clone *c, *after;

	for (c = TAILQ_FIRST(&f->clones[CLONE_COMING]); c; c = after) {
		after = TAILQ_NEXT(c, link);
		if (!c->up)
			continue;
		c->guest = 0;
		maybe_usable(c);
	}
}

void pool_clone_cloned(struct pool_ref *ref, const struct msg *m)
{
	struct pool_clone *c = TAILQ_FIRST(&ref->asked);
	int64_t pid = (int64_t)m->a[0];
	int rc;

	if (!c) {
		pool_ref_kill(ref);
		return;
	}
	TAILQ_REMOVE(&ref->asked, c, ask);
	c->asked = 0;
	rc = pid <= 0 ? -EAGAIN
		     : pool_proc_identify(&c->proc, pid, ref->proc.pid);
	if (c->state == CLONE_DYING) {
		/* stopped before it had a name */
		if (rc < 0)
			pool_clone_free(c);
		else
			pool_proc_stop(&c->proc);
		return;
	}
	if (rc == -ESRCH || (rc == 0 && c->ended))
		pool_clone_missed(c, pool_clone_ended);
	else if (rc == -EPERM)
		pool_ref_kill(ref);	/* it named what is not its child */
	else if (rc < 0)
		pool_clone_missed(c, pid <= 0 && pid > -4096 ?
			       strerror((int)-pid) : strerror(-rc));
	else
		maybe_usable(c);
}

void pool_clone_branched(struct pool_proc *p, int rc)
{
	struct pool_clone *c = pool_clone_of(p);

	if (c->state == CLONE_DYING) {
		if (p->pidfd < 0)
			pool_clone_free(c);
		else
			pool_proc_stop(p);
		return;
	}
	if (rc == -ESRCH || (rc == 0 && c->ended))
		pool_clone_missed(c, pool_clone_ended);
	else if (rc < 0)
		pool_clone_missed(c, strerror(-rc));
	else if (pool_base_clone(p, c->ref, c->next_pid, 0) < 0)
		pool_clone_missed(c, "it cannot be placed");
}

static int pid_lives(const struct function *f, uint32_t pid)
{
	const struct pool_clone *c;

	for (int s = 0; s <= CLONE_DYING; s++)
		TAILQ_FOREACH(c, &f->clones[s], link)
			if (c->pid == pid || c->next_pid == pid)
				return 1;
	return 0;
}

uint32_t pool_clone_pid(struct function *f)
{
	do {
		if (f->pid < UK_PID_FIRST || f->pid >= UK_PID_LAST)
			f->pid = UK_PID_FIRST;
		else
			f->pid++;
	} while (pid_lives(f, f->pid));
	return f->pid;
}

static int ask(struct pool_clone *c)
{
	struct msg m = { .type = MSG_CLONE, .a = { c->next_pid } };
	int rc = pool_proc_ask(&c->proc, &c->ref->proc, &m);

	if (rc == 0) {
		c->asked = 1;
		TAILQ_INSERT_TAIL(&c->ref->asked, c, ask);
	}
	return rc;
}

void pool_clone_begin(struct pool_clone *c, struct function *f,
		      struct pool_ref *r)
{
	c->ref = r;
	c->ref->clones++;
	r->proc.f->turn_taken = ++f->turns;
	c->state = CLONE_COMING;
	c->since = pool_now(f);
	c->asked_at = ev_time();
	c->next_pid = pool_clone_pid(f);
	c->proc.deadline = c->since + CLONE_S;
	TAILQ_INSERT_TAIL(&f->clones[CLONE_COMING], c, link);
	f->n[CLONE_COMING]++;
}

int pool_clone_start(struct function *f)
{
	struct function *v = pool_variant_next(f);
	struct pool_clone *c;
	int rc;

	if (pool_shell_take(f, v))
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	rc = pool_proc_open(&c->proc, f, &pool_clone_ops);
	if (rc < 0) {
		free(c);
		return rc;
	}
	pool_clone_begin(c, f, v->ref);
	rc = !c->ref->stored ? ask(c) : pool_alone(c->ref->of) ?
	     pool_alone_start(c) :
	     pool_base_ask(&c->proc, c->ref->of, MSG_BRANCH);
	if (rc < 0)
		pool_clone_free(c);
	return rc;
}
