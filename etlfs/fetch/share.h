/*
 * share.h - something that functions have in common, and its fair use
 *
 * Connections, look-ups of names and memory for bodies are each a share.  A
 * function may take more as long as it then holds no more than was free:
 * alone at most half of all, two greedy ones a third each, and n of them
 * leave one part in n + 1.  So what others have free is never nothing, no
 * number has to be set for each function, and none is reserved for functions
 * that do not ask.  (Choudhury and Hahne's dynamic thresholds, with which
 * switches share their buffers.)
 *
 * What is asked for at once should be small beside the limit.
 */
#ifndef ETLFS_SHARE_H
#define ETLFS_SHARE_H

#include <stdint.h>

struct share_part;

struct share {
	uint64_t limit;			/* 0: none */
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
 * The part of that owner, a number of the function's own; NULL: no memory.
 * Each join ends in a leave, at which the last one's part is empty.
 */
struct share_part *share_join(struct share *s, uint64_t owner);
void share_leave(struct share_part *p);		/* takes NULL */

/* 0, or -EAGAIN: the others' share begins there */
int share_take(struct share_part *p, uint64_t n);
void share_give(struct share_part *p, uint64_t n);

#endif
