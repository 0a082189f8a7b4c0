/*
 * pace.h - how much transfers move in one turn of the loop
 *
 * Inside of engine.h.  A transfer moves 512 KB in a turn, and all of them
 * together not many more than 2 MB; one that has had enough is paused and goes
 * on in a later turn, a few in each, the functions in turn.  Without that curl
 * reads up to a hundred buffers from a socket that is always ready, and nobody
 * else is served meanwhile.
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
/* as engine_spend() */
int pace_spend(struct pace *pace, struct transfer *t, size_t n);
/* the transfer ends, paused or not */
void pace_forget(struct transfer *t);

#endif
