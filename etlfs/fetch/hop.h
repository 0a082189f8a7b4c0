/*
 * hop.h - one request and its response, on the wire
 *
 * Inside of fetch.h: a fetch is a chain of hops, each but the last answered
 * by a redirect.  The owner fills the first part, calls hop_start(), and
 * finds the second part filled when `done` is called from the loop; then
 * hop_free(), which may also be called at any earlier time outside of a
 * callback.
 */
#ifndef ETLFS_HOP_H
#define ETLFS_HOP_H

#include "etlfs/fetch/engine.h"
#include "etlfs/fetch/header.h"
#include "etlfs/fetch/party.h"
#include "etlfs/fetch/url.h"

struct hop {
	struct fetch_engine *engine;
	const struct fetch_request *req;  /* read, sink, headers, body_len */
	struct url url;			/* the hop's own */
	unsigned method;
	int has_body;
	unsigned leave_out;		/* HEADER_* */
	int named;			/* any address is allowed */
	uint64_t deadline_ns;		/* by engine_clock(); 0: none */
	void (*done)(struct hop *h);

	int error;			/* 0 or -errno, then why */
	char why[384];
	int redirect;			/* a Location to follow is in head */
	unsigned status;
	struct header_block head;
	uint64_t body_len, sent_len;

	/* hop.c's own */
	struct transfer transfer;
	struct curl_slist *headers;
	int head_done, cancelled;
	int opened, stale;		/* its own connection; a kept one's end */
	int64_t total;			/* of the body as sent, -1 unknown */
	uint64_t read_off, dropped;
	uint64_t trailers;		/* bytes of them */
	unsigned calls;			/* of on_progress() */
	int socket;			/* where its request went, or -1: */
	struct party_ends ends;		/* between these, or it is gone */
	uint64_t pieces;		/* of the body, as they came */
	uint64_t wire_before;		/* bytes that had come by it before */
	uint64_t started_ns;
	char error_text[CURL_ERROR_SIZE];
};

/* h is all zero but for its first part; 0 or -errno, then done is not called */
int hop_start(struct hop *h);
void hop_free(struct hop *h);
/*
 * Of one that was started: nothing is sent any more, req is not used any more,
 * and `done` is called soon, among those whose time is over.
 */
void hop_cancel(struct hop *h);
/* "GET"; NULL when there is no such method */
const char *hop_method(unsigned method);

#endif
