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
	if (f->retired || !pool_ref_usable(f))
		return -EHOSTDOWN;
	o->of = f;
	LIST_INSERT_HEAD(&f->forks, o, link);
	function_mark(f);
	return 0;
}

void function_fork_forget(struct fork_order *o)
{
	if (!o->of)
		return;
	LIST_REMOVE(o, link);
	o->of = NULL;
}

void pool_fork_done(struct function *f, const char *why)
{
	struct fork_order *o;

	while ((o = LIST_FIRST(&f->forks))) {
		function_fork_forget(o);
		o->done(o, why);
	}
}

void pool_fork_pump(struct function *f)
{
	if (LIST_EMPTY(&f->forks))
		return;
	if (f->retired)
		pool_fork_done(f, "it is not served any more");
	/* clones of the one before that may still be at work: then later */
	else if (pool_ref_other(f)->state != REF_BOOTING)
		f->refresh_due = 1;
}
