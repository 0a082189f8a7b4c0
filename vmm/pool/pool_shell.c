/*
 * pool_shell.c - what waits to be a clone of any function of a base
 *
 * A shell (vmm/guest/shell.c) is a clone that has no function yet.  It is in
 * base->shells and counts as none of the base's clones, which has none; placed,
 * it is in its function's and never comes back.
 *
 * Each base has one, and pool.shells of them as long as it is used: one at a
 * time is made, whenever nobody waits for a clone of any function.  For the
 * gateway that is when it has just given a request to its clone: it has nothing
 * else to do then, and a call that follows at once finds the next one.  Shells
 * are of the base's reference: they end with that, and go first where memory is
 * short.
 *
 * Whatever goes wrong with one costs that one: the request goes on to wait, and
 * its function has its next clones made the usual way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

#define PLACED_S	2.0	/* until one that is placed is up */
#define AVOID_S		10.0	/* a function that one has failed */
#define RETRY_S		0.1	/* after one that did not come up, doubled */
#define RETRY_MAX_S	10.0
#define TELL		3	/* so many in a row are told of */

static void leave(struct pool_clone *c)
{
	struct function *base = c->proc.f;

	TAILQ_REMOVE(&base->shells, c, link);
	base->n_shells--;
	if (c->state == CLONE_COMING)
		base->shells_coming--;
	c->ref->clones--;
}

static void release(struct pool_clone *c)
{
	if (c->proc.from)
		TAILQ_REMOVE(&c->proc.from->branching, &c->proc, branch);
	leave(c);
	pool_proc_close(&c->proc);
	free(c);
}

static void set_state(struct pool_clone *c, enum clone_state s)
{
	struct function *base = c->proc.f;

	base->shells_coming -= c->state == CLONE_COMING;
	c->state = s;
	c->since = pool_now(base);
}

static void stop(struct pool_clone *c)
{
	if (c->state == CLONE_DYING)
		return;
	set_state(c, CLONE_DYING);
	pool_proc_stop(&c->proc);
	/* one that is asked for may get its number yet */
	if (c->proc.pidfd < 0 && !c->proc.from)
		release(c);
}

static void lost(struct pool_clone *c, const char *why)
{
	struct function *base = c->proc.f;
	unsigned n = base->shell_failures++;
	double delay = RETRY_S * (1 << (n < 7 ? n : 7));

	if (c->state == CLONE_DYING)
		return;
	base->shell_at = pool_now(base) + (delay < RETRY_MAX_S ? delay :
					   RETRY_MAX_S);
	stop(c);
	if (n + 1 == TELL)
		pool_note(base, "its shells end: %s", why);
}

/* what it says, and what is said of it */

static void on_message(struct pool_proc *p, const struct msg *m,
		       const uint8_t *payload)
{
	struct pool_clone *c = pool_clone_of(p);
	struct function *base = p->f;

	if (m->type != MSG_UP || c->up) {
		lost(c, m->type == MSG_DIED ? "it cannot be set up" :
		     "it broke the protocol");
		return;
	}
	c->up = 1;
	c->guest = (pid_t)m->a[2];
	if (!p->from)
		set_state(c, CLONE_IDLE);
	base->shell_failures = 0;
}

static void on_closed(struct pool_proc *p, int error)
{
	struct pool_clone *c = pool_clone_of(p);

	if (p->from && error != -EPROTO)
		c->ended = 1;		/* CLONED is to say why */
	else
		lost(c, error == -EPROTO ? "it broke the protocol" :
		     pool_clone_ended);
}

static void on_ended(struct pool_proc *p)
{
	release(pool_clone_of(p));
}

static void on_branched(struct pool_proc *p, int rc)
{
	struct pool_clone *c = pool_clone_of(p);

	if (c->state == CLONE_DYING) {
		/* stopped before it had a number */
		if (p->pidfd < 0)
			release(c);
		else
			pool_proc_stop(p);
	} else if (rc < 0 || c->ended) {
		lost(c, rc == -ESRCH || rc == 0 ? pool_clone_ended :
		     strerror(-rc));
	} else if (c->up) {
		set_state(c, CLONE_IDLE);
	}
}

static const struct pool_proc_ops ops = {
	on_message, on_closed, on_ended, on_branched,
};

/* one is made */

static int make(struct function *base)
{
	struct pool_clone *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	rc = pool_proc_open(&c->proc, base, &ops);
	if (rc < 0) {
		free(c);
		return rc;
	}
	c->shell = 1;
	c->ref = base->ref;
	c->ref->clones++;
	c->state = CLONE_COMING;
	c->since = pool_now(base);
	c->proc.deadline = c->since + CLONE_S;
	TAILQ_INSERT_TAIL(&base->shells, c, link);
	base->n_shells++;
	base->shells_coming++;
	rc = pool_base_ask(&c->proc, c->ref, MSG_SHELL);
	if (rc < 0)
		release(c);
	return rc;
}

static int waits(const struct pool_clone *c)
{
	return c->state == CLONE_IDLE && c->ref == c->proc.f->ref;
}

static struct pool_clone *waiting(struct function *base)
{
	struct pool_clone *c;

	TAILQ_FOREACH(c, &base->shells, link)
		if (waits(c))
			return c;
	return NULL;
}

unsigned pool_shell_waiting(const struct function *base)
{
	const struct pool_clone *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &base->shells, link)
		n += (unsigned)waits(c);
	return n;
}

pid_t pool_shell_sample(struct function *base)
{
	const struct pool_clone *c = waiting(base);

	return c ? c->proc.pid : 0;
}

/* one is taken */

static int may_take(const struct function *f, const struct function *v)
{
	const struct pool_ref *r = v->ref;

	return v->base && f->pool->o.shells && f->queued &&
	       r->of && r->of == v->base->ref &&
	       pool_ref_usable(v->base) && pool_base_sealed(r);
}

static int hand_over(struct pool_clone *c, struct function *f,
		     struct pool_ref *r, double now)
{
	int rc = host_give(c->proc.host, f->id);

	leave(c);
	c->proc.f = f;
	c->proc.ops = &pool_clone_ops;
	pool_clone_begin(c, f, r);
	c->proc.deadline = now + PLACED_S;
	c->up = 0;
	if (c->guest && f->pool->o.cgroup &&
	    pool_proc_is_child(&c->proc, (uint64_t)c->guest))
		pool_base_enter_cgroup(f, c->guest);
	c->guest = 0;
	return rc == 0 ? pool_base_clone(&c->proc, c->ref, c->next_pid, 0) : rc;
}

int pool_shell_take(struct function *f, struct function *v)
{
	struct function *base = v->base;
	double now = pool_now(f), until = now + f->o.idle_ns / 1e9;
	struct pool_clone *c;

	if (!may_take(f, v))
		return 0;
	if (base->shells_until < until)
		base->shells_until = until;
	c = now < f->shell_at ? NULL : waiting(base);
	if (!c)
		return 0;
	if (hand_over(c, f, v->ref, now) == 0)
		return 1;
	f->shell_at = now + AVOID_S;
	pool_clone_stop(c);
	return 0;
}

void pool_shell_missed(struct function *f, const char *why)
{
	f->shell_at = pool_now(f) + AVOID_S;
	function_mark(f);
	pool_note(f, "a shell was lost: %s", why);
}

/* how many there are */

static unsigned target(const struct function *base, double now)
{
	unsigned most = base->pool->o.shells;

	if (base->retired || !pool_ref_usable(base) || base->pool->tight)
		return 0;
	return now < base->shells_until || !most ? most : 1;
}

static unsigned live(const struct function *base)
{
	const struct pool_clone *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &base->shells, link)
		n += c->state != CLONE_DYING;
	return n;
}

static void expire(struct function *base, double now)
{
	struct pool_clone *c, *after;

	for (c = TAILQ_FIRST(&base->shells); c; c = after) {
		after = TAILQ_NEXT(c, link);
		if (c->state != CLONE_COMING || now < c->proc.deadline)
			continue;
		/* not even a word of it: then it is the base that hangs */
		if (c->proc.from)
			pool_ref_kill(c->proc.from);
		lost(c, "it did not come up in time");
	}
}

/* is anybody in the way of it, or it in anybody's? */
static int quiet(const struct function *base)
{
	return !base->pool->queued && TAILQ_EMPTY(&base->ref->branching);
}

void pool_shell_pump(struct function *base, double now)
{
	struct pool_clone *c, *after;
	unsigned want = target(base, now), n;

	expire(base, now);
	n = live(base);
	for (c = TAILQ_FIRST(&base->shells); c; c = after) {
		after = TAILQ_NEXT(c, link);
		if (c->state == CLONE_DYING)
			continue;
		if (c->ref == base->ref && n <= want)
			continue;
		stop(c);
		n--;
	}
	if (n < want && !base->shells_coming && now >= base->shell_at &&
	    quiet(base) && make(base) < 0)
		base->shell_at = now + RETRY_MAX_S;
}

int pool_shell_waits(const struct function *base)
{
	unsigned n = live(base), want = target(base, pool_now(base));

	return base->n_shells != n || base->shells_coming || n > 1 || n < want;
}

int pool_shell_end(struct function *base, const struct pool_ref *r)
{
	struct pool_clone *c, *after;

	for (c = TAILQ_FIRST(&base->shells); c; c = after) {
		after = TAILQ_NEXT(c, link);
		if (!r || c->ref == r)
			stop(c);
	}
	return base->n_shells != 0;
}

void pool_shell_destroy(struct function *base,
			void (*end)(struct pool_proc *p))
{
	struct pool_clone *c;

	while ((c = TAILQ_FIRST(&base->shells))) {
		end(&c->proc);
		release(c);
	}
}

/* memory */

static unsigned stop_waiting(struct function *base)
{
	struct pool_clone *c, *after;
	unsigned n = 0;

	for (c = TAILQ_FIRST(&base->shells); c; c = after) {
		after = TAILQ_NEXT(c, link);
		n += c->state == CLONE_IDLE;
		if (c->state == CLONE_IDLE)
			stop(c);
	}
	function_mark(base);
	return n;
}

uint64_t pool_shell_memory(struct pool *pool, uint64_t used)
{
	struct function *f;
	uint64_t want = 0, gone = 0;

	TAILQ_FOREACH(f, &pool->others, link)
		if (f->base_of && !f->retired)
			want += f->clone_bytes * pool->o.shells;
	if (used <= pool->o.memory) {
		/* as many as there may be have room again */
		if (pool->tight && used + want <= pool->o.memory)
			pool->tight = 0;
		return 0;
	}
	pool->tight = 1;
	TAILQ_FOREACH(f, &pool->others, link)
		if (f->base_of)
			gone += f->clone_bytes * stop_waiting(f);
	return gone < used ? gone : used;
}

void pool_shell_mark(struct pool *pool)
{
	struct function *f;

	TAILQ_FOREACH(f, &pool->others, link)
		if (f->base_of)
			function_mark(f);
}

void pool_shell_quiet(struct pool *pool)
{
	struct function *f;

	TAILQ_FOREACH(f, &pool->others, link)
		if (f->base_of && live(f) < target(f, pool_now(f)))
			function_mark(f);
}
