/*
 * pool_fork.c - an operator's word that a snapshot be made anew
 *
 * The same that a refresh does by the clock (pool_refresh.c): another reference
 * boots beside f->ref and takes its place.  Here somebody waits to hear how it
 * went.
 *
 * Packages that functions share go on when the runtime that they began in has
 * ended, but no whole snapshot has that below it any more.  So a function over
 * such packages orders another of these first, which is over the runtime there
 * is now.
 */
#include <errno.h>

#include "vmm/pool/pool_impl.h"

int function_fork(struct function *f, struct fork_order *o)
{
	struct function *v;

	if (f->retired || !pool_ref_usable(f))
		return -EHOSTDOWN;
	o->of = f;
	LIST_INSERT_HEAD(&f->forks, o, link);
	f->forking = 1;
	function_mark(f);
	LIST_FOREACH(v, &f->variants, variant) {
		v->forking = 1;
		function_mark(v);
	}
	return 0;
}

void function_fork_forget(struct fork_order *o)
{
	if (!o->of)
		return;
	LIST_REMOVE(o, link);
	o->of = NULL;
}

static int any_forking(const struct function *f)
{
	const struct function *v;

	if (f->forking)
		return 1;
	LIST_FOREACH(v, &f->variants, variant)
		if (v->forking)
			return 1;
	return 0;
}

/* base is there, and something that it lies over is not */
static int cut_off(const struct function *base)
{
	const struct pool_ref *r = base->ref;

	if (r->state != REF_READY)
		return 0;
	while (r && r->proc.f->base)
		r = r->of;
	return !r;
}

/* its users go on by themselves, unless there is none for them */
static void base_done(struct function *base, const char *why)
{
	int ordered = base->forking;

	base->forking = 0;
	if (ordered && why)
		pool_base_not_forked(base, why);
}

/* that of all layouts is new, or of one cannot be made */
void pool_fork_done(struct function *f, const char *why)
{
	struct fork_order *o;
	struct function *v;

	if (f->base_of) {
		base_done(f, why);
		return;
	}
	f->forking = 0;
	f = pool_main(f);
	if (!why && any_forking(f))
		return;
	f->forking = 0;
	LIST_FOREACH(v, &f->variants, variant)
		v->forking = 0;
	while ((o = LIST_FIRST(&f->forks))) {
		function_fork_forget(o);
		o->done(o, why);
	}
}

static int is_ordered(const struct function *f)
{
	return f->forking && (f->base_of || !LIST_EMPTY(&pool_main(f)->forks));
}

void pool_fork_pump(struct function *f)
{
	if (!is_ordered(f))
		return;
	if (f->base_of && !cut_off(f)) {
		f->forking = 0;		/* it has booted anew by itself */
	} else if (f->variant_of && (f->retired || f->ref->failed)) {
		pool_fork_done(f, NULL);	/* there is none to be new */
	} else if (f->retired) {
		pool_fork_done(f, "it is not served any more");
	} else if (f->base && cut_off(f->base)) {
		f->base->forking = 1;
		function_mark(f->base);
	/* clones of the one before that may still be at work: then later */
	} else if (pool_ref_other(f)->state != REF_BOOTING) {
		f->refresh_due = 1;
	}
}
