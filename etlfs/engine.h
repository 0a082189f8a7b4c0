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
 */
#ifndef ETLFS_ENGINE_H
#define ETLFS_ENGINE_H

#include <curl/curl.h>

#include "etlfs/fetch.h"

/* bytes read from a socket at a time: the most that curl allows */
#define ENGINE_BUFFER	(512L << 10)

struct transfer {
	CURL *easy;			/* defaults, but with ENGINE_BUFFER */
	void (*finished)(struct transfer *t, CURLcode code);
	void (*drop)(struct transfer *t);
	/* the engine's own */
	struct transfer *next, *prev;
	int running, posted;
	const void *looks_up;		/* for whom; NULL: no name is */
};

int engine_attach(struct fetch_engine *e, struct transfer *t);
void engine_release(struct fetch_engine *e, struct transfer *t);
int engine_start(struct fetch_engine *e, struct transfer *t);
/*
 * A name is about to be looked up for `who`; -EAGAIN: too many are already.
 * engine_found() says that it is over, if it did not end the transfer.
 */
int engine_look_up(struct fetch_engine *e, struct transfer *t,
		   const void *who);
void engine_found(struct transfer *t);
/* calls finished(t, CURLE_OK) from the loop without any transfer */
void engine_post(struct fetch_engine *e, struct transfer *t);

#endif
