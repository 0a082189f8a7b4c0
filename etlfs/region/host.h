/*
 * host.h - the gateway's half of one clone's host region
 *
 * This folder: what the gateway writes into a clone's host region and reads
 * from its memory: tickets, bodies, windows.
 *
 * Writes the host table (format.h), events and what FETCH brings, in windows
 * that the clone maps for reading.  A ticket is gen << 6 | slot and chosen by
 * the clone; every FETCH with a usable ticket ends in DONE or FAILED unless
 * it is cancelled.
 *
 * Nothing that the clone sent is trusted: a negative answer of host_fetch()
 * means that it broke the protocol, and its tender should be ended.  A request
 * that is merely wrong (a bad URL, a refused host) is a FAILED ticket with a
 * line of text.
 *
 * The guest reads a ticket's gen first (acquire) and then its state: PENDING
 * is written before a new gen, so a new gen is never seen with an old DONE.
 */
#ifndef ETLFS_HOST_H
#define ETLFS_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "etlfs/fetch/fetch.h"
#include "etlfs/region/window.h"

struct host;

/* a part of a request's body, in the clone's address space */
struct body_part {
	uint64_t addr, len;		/* bytes */
};

/*
 * Called from the loop or from host_*(); none may call host_*() of the same
 * host or fetch_*().
 */
struct host_ops {
	/*
	 * MSG_ATTACH: window 1..15, its memory (read-only; the host keeps
	 * it) and bytes to map.  0 or -errno: then the fetch fails with it.
	 */
	int (*attach)(void *arg, unsigned window, int fd, uint64_t size);
	/* MSG_KICK: a ticket is DONE or FAILED; attach was called before */
	void (*kick)(void *arg);
	/* > 0 bytes at offset off of a request's body, or -errno */
	ssize_t (*read_body)(void *arg, const struct body_part *part, size_t n,
			     uint64_t off, void *buf, size_t len);
};

struct host_counters {
	uint64_t fetches;		/* accepted */
	uint64_t bytes_in;		/* of responses' bodies */
	uint64_t bytes_out;		/* of requests' bodies */
};

/*
 * body_limit: bytes of all bodies that the clone holds at a time; larger
 * ones fail with ENOSPC.  owner: a number of the function's own, not 0; see
 * window_get().  engine, pool and ops outlive the host.
 */
int host_create(struct host **out, struct fetch_engine *engine,
		struct window_pool *pool, uint64_t body_limit, uint64_t owner,
		const struct host_ops *ops, void *arg);
/* only when the clone's process is gone: others get its windows */
void host_destroy(struct host *h);

/* of a clone that has asked for nothing yet: another owner's.  0 or -ENOMEM */
int host_give(struct host *h, uint64_t owner);

/* ETLFS_WINDOW0 bytes; the host's own */
struct window *host_window0(struct host *h);

/*
 * Writes the event of the next invocation; *off is from UK_HOST_BASE.
 * -EMSGSIZE: longer than ETLFS_EVENT_MAX - ETLFS_EVENT_OFF.  -EBUSY: there
 * are tickets, so host_reset() comes first.
 */
int host_event(struct host *h, const void *data, size_t len, uint64_t *off);

/*
 * In the place of an event: what another host had given to a request
 * (hostsaved.h), in fd; fetches that were under way have FAILED.  0 or -errno.
 */
int host_restore(struct host *h, int fd, uint64_t *left_ns);

/* what a clone asks for, as it said it */
struct host_request {
	uint32_t ticket;
	unsigned method;		/* UK_GET and so on */
	const char *url, *headers;	/* need no NUL */
	size_t url_len, headers_len;
	const struct body_part *body;
	size_t parts;
	uint64_t body_len;		/* the sum of its parts */
	uint64_t timeout_ns;		/* 0: none */
	const struct egress *egress;	/* the caller's; outlives the fetch */
};

/*
 * All that r points to is copied, except its egress policy.  -EPROTO: no such
 * ticket or method, or the parts do not add up to body_len; -EBUSY: the slot
 * is in use.
 */
int host_fetch(struct host *h, const struct host_request *r);
/* ends the fetch and frees what it brought; an unknown ticket is ignored */
void host_cancel(struct host *h, uint32_t ticket);

/*
 * The invocation ended: cancels all, zeroes window 0, which is `empty` then.
 * Answers how many windows the clone still has attached, counting those of
 * earlier resets; they are given to others of the same owner after
 * host_released(), which says that the clone has detached them (MSG_IDLE).
 */
unsigned host_reset(struct host *h);
void host_released(struct host *h);

/* since the last host_reset() */
const struct host_counters *host_counters(const struct host *h);

/* host_read.c: a read_body for a process on this machine */
ssize_t host_read_process(pid_t pid, const struct body_part *part, size_t n,
			  uint64_t off, void *buf, size_t len);

#endif
