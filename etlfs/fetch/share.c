/*
 * share.c - something that functions have in common, and its fair use
 */
#include "etlfs/fetch/share.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct share_part *share_join(struct share *s, uint64_t owner)
{
	struct share_part *p;

	for (p = s->parts; p && p->owner != owner; p = p->next)
		;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		p->share = s;
		p->owner = owner;
		p->next = s->parts;
		s->parts = p;
	}
	p->refs++;
	return p;
}

void share_leave(struct share_part *p)
{
	struct share_part **at;

	if (!p || --p->refs)
		return;
	assert(!p->used);
	for (at = &p->share->parts; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	free(p);
}

int share_take(struct share_part *p, uint64_t n)
{
	struct share *s = p->share;
	uint64_t left;

	/* a limit may have been lowered below what is used */
	if (s->limit) {
		left = s->used < s->limit ? s->limit - s->used : 0;
		if (n > left || p->used > left - n)
			return -EAGAIN;
	}
	s->used += n;
	p->used += n;
	return 0;
}

void share_give(struct share_part *p, uint64_t n)
{
	assert(n <= p->used && n <= p->share->used);
	p->used -= n;
	p->share->used -= n;
}
