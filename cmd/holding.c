/* holding.c - how much of something shared one function's callers may hold */
#include "cmd/holding.h"

void holding_set(struct holding *s, uint64_t held)
{
	s->of->held += held - s->held;
	s->held = held;
}

int holding_passes(const struct holding *s, uint64_t more)
{
	uint64_t left = s->of->held < s->of->size ?
			s->of->size - s->of->held : 0;

	return more > left || s->held + more > left - more;
}
