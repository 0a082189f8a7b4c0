/*
 * pool_refresh.c - another reference now and then, in the place of the one
 *
 * A refresh boots the other of the two beside f->ref, so that clones do not
 * share one address-space layout for ever.  One that fails costs a line for
 * the operator and nothing else: what there is goes on.
 *
 * Functions that branch from a base have its layout, so the base is what is
 * refreshed, as often as the one of them that wants it most; then they are.
 */
#include <stdlib.h>

#include "vmm/pool/pool_impl.h"

#define SPREAD		0.2		/* of refresh: not all at one time */

/* where there are several; a variant's is said of all that it notes */
static const char *layout(const struct function *f)
{
	return LIST_EMPTY(&f->variants) ? "" : "layout 0: ";
}

void pool_refresh_done(struct pool_ref *r)
{
	struct function *f = r->proc.f;

	f->ref = r;
	r->failures = 0;
	f->refreshes++;
	pool_clone_renew(f);
	pool_refresh_arm(f);
	if (f->base_of)
		pool_base_refreshed(f);
	else
		pool_note(f, "%sa new reference took over", layout(f));
	pool_fork_done(f, NULL);
}

static void on_refresh(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct function *f = w->data;

	f->refresh_due = 1;
	function_mark(f);
}

void pool_refresh_pump(struct function *f)
{
	struct pool_ref *next = pool_ref_other(f);
	struct err err = { "" };
	int rc = 0;

	if (!f->refresh_due)
		return;
	f->refresh_due = 0;
	if (f->retired || f->ref->state != REF_READY)
		return;
	/* clones of the one before are still at work: later, then */
	if (next->state == REF_DOWN)
		rc = pool_ref_boot(next, &err);
	else if (f->base && next->state != REF_BOOTING)
		f->refresh_due = 1;
	if (next->state != REF_BOOTING)
		pool_refresh_arm(f);
	if (rc < 0) {
		pool_note(f, "%sno new reference: %s", layout(f), err.msg);
		pool_fork_done(f, err.msg);
	}
}

void pool_refresh_arm(struct function *f)
{
	double every = f->o.refresh_ns / 1e9, after;

	ev_timer_stop(f->pool->loop, &f->refresh);
	/* with its base, if it has one */
	if (!f->o.refresh_ns || f->base || f->ref->state != REF_READY)
		return;
	after = every * (1 - SPREAD / 2 + SPREAD * drand48()) -
		(pool_now(f) - f->ref->ready_at);
	/* not at once when it is overdue: one may just have failed */
	if (after < every * SPREAD / 2)
		after = every * SPREAD / 2;
	ev_timer_set(&f->refresh, after, 0.0);
	ev_timer_start(f->pool->loop, &f->refresh);
}

void pool_refresh_init(struct function *f)
{
	ev_timer_init(&f->refresh, on_refresh, 0.0, 0.0);
	f->refresh.data = f;
}
