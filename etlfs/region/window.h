/*
 * window.h - memory that the gateway writes and a clone reads
 *
 * A window is a memfd, mapped shared and writable here, shared and read-only
 * in the clone's tender, where it becomes part of the guest's host region.
 * Window 0 of a clone (ETLFS_WINDOW0 bytes) holds the host table, the event
 * and small bodies; large bodies go to windows from the pool, which keeps
 * some of them resident, on 2 MB pages where the kernel can.
 *
 * Invariants: a window handed out by window_get() reads as zeros.  `fd` is
 * open for reading only and its size is sealed, so whoever receives it can
 * neither write the memory nor pull it from under the gateway.
 */
#ifndef ETLFS_WINDOW_H
#define ETLFS_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "etlfs/format.h"
#include "etlfs/fetch/share.h"

#define WINDOW_BIG	((size_t)2 << 20)	/* a huge page */
#define WINDOW_BIGS	(ETLFS_WINDOW_STRIDE / WINDOW_BIG)

struct window {
	int fd;
	uint8_t *map;			/* on a 2 MB boundary */
	size_t size;			/* bytes mapped, sparse */
	size_t used;			/* bytes from 0 that may be non-zero */
	size_t resident;		/* bytes from 0 that stay allocated */
	size_t huge;			/* bytes made by window_warm() ... */
	uint64_t warm[WINDOW_BIGS / 64];	/* ... and where */
	uint64_t owner;			/* whose tenders may still read it */
	struct window *next;		/* in the pool's free list */
	struct window_pool *pool;	/* as it goes back, to be kept or not */
	int kept;
};

struct window_pool;

/*
 * keep: windows kept when returned; warm: bytes of each that stay resident
 * on huge pages.  window_pool_prepare() makes and zeroes them, when idle
 * (about 4 ms per 64 MB); what it has not done, window_get() does.  Each is
 * ETLFS_WINDOW_STRIDE bytes of address space and costs memory only where it
 * was written or warmed.
 */
int window_pool_create(struct window_pool **out, unsigned keep, size_t warm);
void window_pool_destroy(struct window_pool *pool);
int window_pool_prepare(struct window_pool *pool);

/*
 * A window of at least size bytes; the caller's until window_put().  -EFBIG
 * past ETLFS_WINDOW_STRIDE.  A caller that puts one which a process may yet
 * have mapped, with only that process's word that it has not, sets w->owner
 * to what it gives here (not 0): such a window goes to that owner alone, for
 * ever; others get new memory instead.
 */
int window_get(struct window_pool *pool, size_t size, uint64_t owner,
	       struct window **out);
void window_put(struct window_pool *pool, struct window *w);

/*
 * Bytes of windows that all users of the pool have in use, of at most limit
 * (0: none), in shares of each owner.  Whoever writes to a window takes of it
 * first.
 */
struct share *window_pool_share(struct window_pool *pool);
void window_pool_limit(struct window_pool *pool, uint64_t limit);

/* one outside any pool, e.g. a clone's window 0 */
int window_create(size_t size, struct window **out);
void window_destroy(struct window *w);
/* zeroes [0, used): memset where resident, hole punched elsewhere */
void window_clear(struct window *w);
/*
 * Allocates the 2 MB pages that [from, end) touches, small ones where that
 * fails: 50 us per 2 MB instead of 5 us per 4 KB at the first write.  -ENOMEM
 * when memory is short, where a plain write would be a SIGBUS.
 */
int window_warm(struct window *w, size_t from, size_t end);
/* the opposite, for whole 2 MB pages that are not among the resident ones */
void window_cool(struct window *w, size_t from, size_t end);

#endif
