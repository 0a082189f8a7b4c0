/* share.c - what the callers of one function may hold of what is for all */
#include "cmd/share.h"

void share_set(struct share *s, uint64_t held)
{
	s->of->held += held - s->held;
	s->held = held;
}

int share_passes(const struct share *s, uint64_t more)
{
	uint64_t left = s->of->held < s->of->size ?
			s->of->size - s->of->held : 0;

	return more > left || s->held + more > left - more;
}
