/*
 * engine.h - transfers of libcurl's multi interface, driven by libev
 *
 * Used by fetch.c and hop.c only.  The engine knows curl handles and the loop,
 * nothing of requests.
 *
 * A transfer is attached (it then has an easy handle), perhaps started, and at
 * last released by its owner, in `finished` or at any other time outside of a
 * curl callback.  `finished` is called from the loop once for each start or
 * post.  fetch_engine_destroy() calls `drop` of all that are still attached,
 * and each must release itself.
 *
 * Deadlines are kept here and not by curl, which would end all transfers that
 * are due in one call.
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
	/* curl's defaults, but with ENGINE_BUFFER */
	CURL *easy;
	/*
	 * With CURLE_OPERATION_TIMEDOUT and waits still set, the time ran out
	 * before a connection was free.
	 */
	void (*finished)(struct transfer *t, CURLcode code);
	void (*drop)(struct transfer *t);
	int waits;			/* for a connection of its share */
	/* set by the owner: no name to look up */
	int one_address;
	/* the engine's own fields from here */
	struct transfer *next, *prev;
	struct party *party;
	int running, posted, paused, queued, ending;
	int looks_up;
	uint64_t deadline_ns;
	/* when a connect must be done; 0: it is */
	uint64_t connect_ns;
	ev_timer due;			/* at the earlier of both deadlines */
	uint64_t turn, spent;
	TAILQ_ENTRY(transfer) queue;	/* of those that wait or are paused */
	TAILQ_ENTRY(transfer) end;	/* of those that are ending */
};

/* owner: the number of the function */
int engine_attach(struct fetch_engine *e, struct transfer *t, uint64_t owner);
void engine_release(struct fetch_engine *e, struct transfer *t);
/* Starts at once, or when a connection is free.  deadline_ns 0: none. */
int engine_start(struct fetch_engine *e, struct transfer *t,
		 uint64_t deadline_ns);
/*
 * Ends the transfer with CURLE_OPERATION_TIMEDOUT from the loop.  Only a few of
 * a function end in a turn; until its turn the transfer goes on.
 */
void engine_end_soon(struct transfer *t);
/* it has a connection: from now on only deadline_ns counts */
void engine_connected(struct transfer *t);
/*
 * To call before a name is looked up; -EAGAIN when too many are already.
 * engine_found() says that the lookup is over, unless the transfer ended.
 */
int engine_look_up(struct fetch_engine *e, struct transfer *t);
void engine_found(struct transfer *t);
/*
 * Accounts for n bytes that were moved.  1 when the transfer has had enough in
 * this turn of the loop: the caller pauses it in both directions, and it is
 * resumed in a later one.
 */
int engine_spend(struct fetch_engine *e, struct transfer *t, size_t n);
/* calls finished(t, CURLE_OK) from the loop without any transfer */
void engine_post(struct fetch_engine *e, struct transfer *t);

#endif
