/*
 * share.h - something that functions have in common, and its fair use
 *
 * Connections, look-ups of names and memory for bodies are each a share.  A
 * function may take more as long as it then holds no more than is left free:
 * one function gets at most half of all, two get a third each, and n of them
 * leave one part in n + 1 free.  So something is always free for others, no
 * limit has to be set for each function, and nothing is reserved for functions
 * that do not ask.  (Choudhury and Hahne's dynamic thresholds, with which
 * switches share their buffers.)
 *
 * A single request should be small compared with the limit.
 */
#ifndef ETLFS_SHARE_H
#define ETLFS_SHARE_H

#include <stdint.h>

struct share_part;

struct share {
	uint64_t limit;			/* 0: no limit */
	uint64_t used;
	struct share_part *parts;
};

/* what one function holds */
struct share_part {
	struct share_part *next;
	struct share *share;
	uint64_t owner;
	uint64_t used;
	unsigned refs;
};

/*
 * The part of that owner (a function's number), or NULL for lack of memory.
 * Each join is undone by a leave; at the last one the part must be empty.
 */
struct share_part *share_join(struct share *s, uint64_t owner);
void share_leave(struct share_part *p);		/* takes NULL */

/* 0, or -EAGAIN when the rest is left for others */
int share_take(struct share_part *p, uint64_t n);
void share_give(struct share_part *p, uint64_t n);

#endif
