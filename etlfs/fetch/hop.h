/*
 * hop.h - one request and its response, on the wire
 *
 * Used by fetch.c only: a fetch is a chain of hops, each but the last answered
 * by a redirect.  The owner fills the first part, calls hop_start(), and finds
 * the second part filled when `done` is called from the loop; then hop_free(),
 * which may also be called at any earlier time outside of a callback.
 */
#ifndef ETLFS_HOP_H
#define ETLFS_HOP_H

#include "etlfs/fetch/engine.h"
#include "etlfs/fetch/header.h"
#include "etlfs/fetch/party.h"
#include "etlfs/fetch/url.h"

struct hop {
	struct fetch_engine *engine;
	/* uses read, sink, headers, body_len */
	const struct fetch_request *req;
	struct url url;			/* the hop's own */
	unsigned method;
	int has_body;
	unsigned leave_out;		/* HEADER_* */
	/* the list names the host: any address */
	int named;
	uint64_t deadline_ns;		/* by nstime_now(); 0: none */
	void (*done)(struct hop *h);

	int error;			/* 0 or -errno, then why */
	char why[384];
	int redirect;			/* head has a Location to follow */
	unsigned status;
	struct header_block head;
	uint64_t body_len, sent_len;

	/* hop.c's own */
	struct transfer transfer;
	struct curl_slist *headers;
	int head_done, cancelled;
	int opened, stale;		/* own connection; kept one is stale */
	int64_t total;			/* of the body as sent, -1 unknown */
	uint64_t read_off, dropped;
	uint64_t trailers;		/* bytes of trailers */
	unsigned calls;			/* calls of on_progress() */
	int socket;			/* its connection's, or -1 */
	struct party_ends ends;		/* valid while these are its ends */
	uint64_t pieces;		/* writes of the body by curl */
	uint64_t wire_before;		/* bytes received before this request */
	uint64_t started_ns;
	char error_text[CURL_ERROR_SIZE];
};

/*
 * h is all zero but for its first part.  0, or -errno and done is not called.
 */
int hop_start(struct hop *h);
void hop_free(struct hop *h);
/*
 * Cancels a hop that was started: nothing more is sent, req is not used any
 * more, and `done` is called soon, from the loop, as for one whose time is
 * over.
 */
void hop_cancel(struct hop *h);
/* "GET" etc., or NULL when there is no such method */
const char *hop_method(unsigned method);

#endif
