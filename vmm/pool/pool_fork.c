/*
 * pool_fork.c - an operator's word that a snapshot be made anew
 *
 * The same that a refresh does by the clock (pool_refresh.c): another reference
 * boots beside f->ref and takes its place.  Here somebody waits to hear how it
 * went.
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

/* that of all layouts is new, or of one cannot be made */
void pool_fork_done(struct function *f, const char *why)
{
	struct fork_order *o;
	struct function *v;

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

void pool_fork_pump(struct function *f)
{
	if (!f->forking || LIST_EMPTY(&pool_main(f)->forks))
		return;
	if (f->variant_of && (f->retired || f->ref->failed))
		pool_fork_done(f, NULL);	/* there is none to be new */
	else if (f->retired)
		pool_fork_done(f, "it is not served any more");
	/* clones of the one before that may still be at work: then later */
	else if (pool_ref_other(f)->state != REF_BOOTING)
		f->refresh_due = 1;
}
