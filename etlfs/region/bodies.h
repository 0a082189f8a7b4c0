/*
 * bodies.h - where bodies lie in the windows of one clone
 *
 * An area is a range of one window, on a page boundary.  Small ones lie in
 * window 0 behind the event, others share windows 1..15 that come from the
 * pool as they are needed; each window has its list of areas in order of
 * offset, and a new area takes the first gap.
 *
 * A window other than 0 is open (its size not yet fixed, the clone does not
 * have it), then attached, then, after bodies_reset(), leaving: the clone may
 * still have it mapped, so it goes back to the pool only when
 * bodies_released() says that it has not.  That is the clone's word, so the
 * window stays its owner's.
 *
 * Addresses cost nothing, so an area may be as long as a server promises.  Two
 * things are counted, both as bytes arrive: those of the clone's bodies, by
 * bodies_arrived(), and the memory of its windows, in its function's share of
 * the pool's, by 2 MB pages.  A clone can read all of a window that it has,
 * and what it reads is memory; so holes are counted when it gets one, and
 * nothing is given back while it has it.
 */
#ifndef ETLFS_BODIES_H
#define ETLFS_BODIES_H

#include <stdint.h>

#include "etlfs/format.h"
#include "etlfs/region/window.h"

struct bodies;

struct area {
	struct area *next, *prev;	/* in its window; NULL: no area */
	unsigned window;
	uint64_t off, len;		/* in the window, whole pages */
	uint64_t charged;		/* to the limit: what has arrived */
};

typedef int space_attach_fn(void *arg, unsigned window, int fd, uint64_t size);

/*
 * limit: bytes of all bodies; owner: see window_get().  Makes window 0, which
 * reads as zeros.
 */
int bodies_create(struct bodies **out, struct window_pool *pool, uint64_t limit,
		  uint64_t owner, space_attach_fn *attach, void *arg);
/* every area is gone, and so is the clone */
void bodies_destroy(struct bodies *s);

/* it is another owner's from now on; it has no areas.  0 or -ENOMEM */
int bodies_give(struct bodies *s, uint64_t owner);

struct window *bodies_window0(struct bodies *s);
/* areas in window 0 begin at off or later: there is an event before it */
void bodies_begin(struct bodies *s, uint64_t off);

/*
 * a is all zero.  0, -ENOSPC (more than the limit, or no addresses left) or
 * -ENOMEM.
 */
int bodies_alloc(struct bodies *s, struct area *a, uint64_t len);
/* longer or shorter; moves the area, and keep bytes, when it must */
int bodies_resize(struct bodies *s, struct area *a, uint64_t len,
		  uint64_t keep);
/* of a body the first len bytes have arrived: 0, or -ENOSPC, the limit */
int bodies_arrived(struct bodies *s, struct area *a, uint64_t len);
/*
 * The clone gets the area's window, if it has not got it yet.  0, -ENOMEM
 * (as bodies_write()), or what attach said.
 */
int bodies_attach(struct bodies *s, struct area *a);
void bodies_free(struct bodies *s, struct area *a);

/*
 * Bytes [off, off + len) of an area, to be written; NULL: no memory, or none
 * in the share of this function.
 */
uint8_t *bodies_write(struct bodies *s, struct area *a, uint64_t off,
		      uint64_t len);
/* from the start of the host region, as a guest counts */
uint64_t bodies_offset(const struct area *a);

/*
 * Into a host that is new: bytes [off, off + len) of a window, whole pages, which
 * nothing else is put into; *to is where they are to be written.  When all are
 * there, the clone gets the windows: bodies_restored().  0 or -errno.
 */
int bodies_restore(struct bodies *s, unsigned window, uint64_t off,
		   uint64_t len, uint8_t **to);
int bodies_restored(struct bodies *s);

/*
 * Every area is gone: zeroes window 0, and answers how many windows are
 * leaving.
 */
unsigned bodies_reset(struct bodies *s);
void bodies_released(struct bodies *s);

#endif
