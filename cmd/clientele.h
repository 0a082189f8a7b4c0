/*
 * clientele.h - the callers of one function, and what they hold
 *
 * What callers send and do not take is memory, and callers are connections:
 * of both each function has a share (holding.h), so that those of one function
 * cannot shut the others.  Where one's share is short it takes no new requests
 * and callers of it who are slow go; where it is used up, nothing is run until
 * some of it is free.
 *
 * A clientele goes by the function's name and outlives a struct function: it
 * is there for as long as it has requests.
 */
#ifndef CMD_CLIENTELE_H
#define CMD_CLIENTELE_H

#include <sys/queue.h>

#include "cmd/holding.h"
#include "vmm/pool/pool.h"

struct clientele {
	LIST_ENTRY(clientele) link;
	struct clienteles *of;
	char *name;
	unsigned requests;
	struct holding bytes, places;
};

/* of all functions of a pool */
struct clienteles {
	struct pool *pool;		/* NULL: it is gone */
	struct store bytes, places;	/* who owns this sets their sizes */
	LIST_HEAD(, clientele) list;
};

/* that of a function, with one request more; NULL: out of memory */
struct clientele *clientele_get(struct clienteles *all, const char *function);
/* one request less; frees it with the last */
void clientele_put(struct clientele *c);
/* it holds so many bytes now; its function pauses where that is too many */
void clientele_hold(struct clientele *c, uint64_t bytes);
/* so much that new requests are refused: half, that what has begun can end */
int clientele_is_crowded(const struct clientele *c);
/* for shares that have changed because others' have */
void clienteles_pause(struct clienteles *all);

#endif
