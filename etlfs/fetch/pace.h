/*
 * pace.h - how much transfers move in one turn of the loop
 *
 * Used by engine.c only.  A transfer moves 512 KB in a turn, and all of them
 * together not many more than 2 MB; one that has moved its part is paused.  In
 * each turn a few paused ones are resumed, the functions taking turns.  Without
 * that curl reads up to a hundred buffers from a socket that is always ready,
 * and nothing else is served meanwhile.
 */
#ifndef ETLFS_PACE_H
#define ETLFS_PACE_H

#include <ev.h>
#include <stdint.h>

#include "etlfs/fetch/party.h"

struct pace {
	struct ev_loop *loop;
	struct parties *parties;
	ev_timer resume;		/* runs once, when some are paused */
	uint64_t turn, spent;
};

void pace_init(struct pace *pace, struct ev_loop *loop,
	       struct parties *parties);
void pace_stop(struct pace *pace);
/* see engine_spend() */
int pace_spend(struct pace *pace, struct transfer *t, size_t n);
/* to call when a transfer ends, whether paused or not */
void pace_forget(struct transfer *t);

#endif
