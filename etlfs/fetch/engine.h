/*
 * engine.h - transfers of libcurl's multi interface, driven by libev
 *
 * Inside of fetch.h: knows curl handles and the loop, nothing of requests.
 *
 * A transfer is attached (it then has an easy handle), perhaps started, and
 * at last released, by its owner, in `finished` or at any other time outside
 * of a curl callback.  `finished` is called from the loop once for each start
 * or post.  fetch_engine_destroy() calls `drop` of all that are still
 * attached, and each must release itself.
 *
 * Time is kept here and not by curl, which ends all that are due in one call.
 *
 * What transfers of two functions never have in common, and what they share,
 * is in party.h.
 */
#ifndef ETLFS_ENGINE_H
#define ETLFS_ENGINE_H

#include <curl/curl.h>
#include <ev.h>
#include <sys/queue.h>

#include "etlfs/fetch/fetch.h"

/* bytes read from a socket, or sent to one, at a time */
#define ENGINE_BUFFER	(256L << 10)

struct party;

struct transfer {
	CURL *easy;			/* defaults, but with ENGINE_BUFFER */
	/* code is CURLE_OPERATION_TIMEDOUT, too, when waits is still set */
	void (*finished)(struct transfer *t, CURLcode code);
	void (*drop)(struct transfer *t);
	int waits;			/* for a connection of its share */
	int one_address;		/* the owner's word: no name */
	/* the engine's own */
	struct transfer *next, *prev;
	struct party *party;
	int running, posted, paused, queued, ending;
	int looks_up;
	uint64_t deadline_ns;
	uint64_t connect_ns;		/* until it is connected; 0: it is */
	ev_timer due;			/* at the earlier of the two */
	uint64_t turn, spent;
	TAILQ_ENTRY(transfer) queue;	/* of those that wait, or are paused */
	TAILQ_ENTRY(transfer) end;	/* of those that are ending */
};

/* owner: a number of the function's own */
int engine_attach(struct fetch_engine *e, struct transfer *t, uint64_t owner);
void engine_release(struct fetch_engine *e, struct transfer *t);
/* at once or when there is a connection for it; deadline_ns 0: none */
int engine_start(struct fetch_engine *e, struct transfer *t,
		 uint64_t deadline_ns);
/*
 * Ends it with CURLE_OPERATION_TIMEDOUT from the loop, after no more than a few
 * others of its function in each turn.  Until then it goes on.
 */
void engine_end_soon(struct transfer *t);
/* there is a connection: what is left is the time of all */
void engine_connected(struct transfer *t);
/*
 * A name is about to be looked up; -EAGAIN: too many are already.
 * engine_found() says that it is over, if it did not end the transfer.
 */
int engine_look_up(struct fetch_engine *e, struct transfer *t);
void engine_found(struct transfer *t);
/*
 * n bytes were moved.  1: that is enough for this turn of the loop, and the
 * transfer goes on in another; the caller pauses it in both directions.
 */
int engine_spend(struct fetch_engine *e, struct transfer *t, size_t n);
/* calls finished(t, CURLE_OK) from the loop without any transfer */
void engine_post(struct fetch_engine *e, struct transfer *t);
/* CLOCK_MONOTONIC */
uint64_t engine_clock(void);

#endif
