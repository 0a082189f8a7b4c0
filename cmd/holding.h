/*
 * holding.h - what the callers of one function may hold of what there is for
 * all
 *
 * A store is a number of bytes, or of places.  A function may hold of it as
 * much as is left for all others: alone it gets half, two get a third each,
 * and so on.  There is always room for who comes next, as much as for those
 * who take the most, and nobody has to be told how many there are.
 */
#ifndef CMD_HOLDING_H
#define CMD_HOLDING_H

#include <stdint.h>

struct store {
	uint64_t size, held;		/* held: the sum of its shares */
};

struct holding {
	struct store *of;
	uint64_t held;
};

/* from now on it holds so much; it may be more than there is */
void holding_set(struct holding *s, uint64_t held);
/* would it hold more than its share, with so much more? */
int holding_passes(const struct holding *s, uint64_t more);

#endif
