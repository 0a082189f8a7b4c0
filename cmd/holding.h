/*
 * holding.h - how much of something shared one function's callers may hold
 *
 * A store is a number of bytes, or of places.  A function may hold as much of
 * it as it leaves free for all others: alone it gets half, two get a third
 * each, and so on.  So there is always room for the next function, as much as
 * for those that hold most, and the number of functions need not be known.
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

/* Sets what it holds, even if that is more than its share. */
void holding_set(struct holding *s, uint64_t held);
/* whether it would hold more than its share with so much more */
int holding_passes(const struct holding *s, uint64_t more);

#endif
