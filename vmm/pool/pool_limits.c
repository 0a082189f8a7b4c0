/*
 * pool_limits.c - how large a base of packages may be, and who has room for it
 *
 * What functions share does not depend on their limits, so packages may take
 * what the largest of their functions may.  A function whose own limits are less
 * than what they have taken then imports them for itself, by its own limits, as
 * it would where nobody shares.
 */
#include <stdio.h>

#include "vmm/pool/pool_impl.h"

uint64_t pool_limits_memory(const struct function *f)
{
	return f->o.memory ? f->o.memory : f->img->memory;
}

void pool_limits_raise(struct function *base, const struct function *f)
{
	struct image *img = base->img;

	if (base->o.memory < pool_limits_memory(f))
		base->o.memory = pool_limits_memory(f);
	if (img->files < f->img->files)
		img->files = f->img->files;
}

/* limits are in whole large pages, as ram.c has them */
static int has_room(uint64_t limit, uint64_t taken)
{
	return taken < UK_BIG || taken - UK_BIG < limit;
}

const char *pool_limits_unfit(const struct function *f, char text[POOL_UNFIT])
{
	const struct pool_ref *b = f->base->ref;

	/* it said so before f's own reference ended */
	if (b->failed)
		return b->failed;
	if (b->state != REF_READY ||
	    (has_room(pool_limits_memory(f), b->stats.memory) &&
	     has_room(f->img->files, b->stats.files)))
		return NULL;
	snprintf(text, POOL_UNFIT, "shared they have %llu MB of memory and "
		 "%llu MB of files, which is more than its limits allow",
		 (unsigned long long)b->stats.memory >> 20,
		 (unsigned long long)b->stats.files >> 20);
	return text;
}
