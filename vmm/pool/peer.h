/*
 * peer.h - the gateway's end of a reference's or clone's socket (proto.h)
 *
 * Nonblocking, on a libev loop.  Sends go out at once; what the socket does
 * not take waits in a bounded queue.  Receiving is one recv() per wake-up, of
 * 256 KB at most, out of which whole messages are handed up.  What comes in is
 * hostile: a length past its bound, a type that only the gateway sends, or a
 * payload that does not fit its message ends the peer, never the gateway.
 * In one turn of the loop a peer is heard for PEER_TURN messages, then others
 * are, and who costs too much is heard later (peer_hold()): nothing is lost,
 * its socket fills, and its sends wait.
 * No descriptor is ever accepted: recv() without a control buffer drops them.
 */
#ifndef VMM_PEER_H
#define VMM_PEER_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "etlfs/region/host.h"
#include "vmm/proto.h"

#define PEER_FDS	5		/* most descriptors on one message */
#define PEER_TURN	64		/* messages handed up in one turn */
#define PEER_QUEUE_MAX	(1u << 20)	/* bytes that may wait to be sent */
#define PEER_LOG_MAX	(64u << 10)	/* bytes of log in one message */
#define PEER_REPORT_MAX	(16u << 10)	/* and of what a guest died of */
#define PEER_RESULT_MAX	(MSG_PAYLOAD_MAX / 2)

struct peer;

/*
 * Both may call peer_destroy().  The payload is the peer's and ends with the
 * call, also where that destroyed the peer, unless it is taken.  closed is
 * called once: error is 0 for an end of file at a message's boundary,
 * otherwise -errno (-EPROTO: the peer broke the protocol).
 */
struct peer_ops {
	void (*message)(void *arg, const struct msg *m,
			const uint8_t *payload);
	void (*closed)(void *arg, int error);
};

/* owns fd from here on, also when it fails; makes it nonblocking */
int peer_create(struct peer **out, struct ev_loop *loop, int fd,
		const struct peer_ops *ops, void *arg);
void peer_destroy(struct peer *p);

/*
 * m->len bytes of payload follow m; fds (nfds <= PEER_FDS) stay the caller's.
 * 0, or -errno after which the peer is of no more use: -ENOBUFS when it does
 * not read, -EPIPE when it is gone.
 */
int peer_send(struct peer *p, const struct msg *m, const void *payload,
	      const int *fds, unsigned nfds);

/*
 * From `message`, of a large payload: the block that holds it, of *size bytes,
 * which is the caller's to free() from then on.  NULL: it is small, or there is
 * no memory.  Allowed after peer_destroy(), too.
 */
void *peer_take(struct peer *p, size_t *size);

/* nothing more is handed up, nor its end noticed, for so many seconds */
void peer_hold(struct peer *p, double seconds);

/*
 * First whole message in buf[0, len): the bytes it takes, 0 when more are
 * needed, -EPROTO.  *m is a copy; *payload points into buf.
 */
int64_t peer_parse(const uint8_t *buf, size_t len, struct msg *m,
		   const uint8_t **payload);

/* what a RESULT, DIED or IDLE carries; text and log point into the payload */
struct peer_report {
	struct run_stats stats;
	uint64_t code;			/* UK_RESULT_* or enum died */
	uint64_t status;		/* DIED: exit status or signal */
	const char *text;		/* result or report */
	size_t text_len;
	const char *log;
	size_t log_len;
	uint64_t log_lost;		/* lines past its limit: its word */
};

/* 0 or -EPROTO; m's type must be one of those named */
int peer_report(const struct msg *m, const uint8_t *payload,
		struct peer_report *out);
int peer_ready(const struct msg *m, const uint8_t *payload,
	       struct boot_stats *stats, const char **log, size_t *log_len);
/*
 * A FETCH, but for its egress policy.  url and headers point into the payload,
 * the body's parts are copied to part, which has room for UK_EXTENTS.
 */
int peer_fetch(const struct msg *m, const uint8_t *payload,
	       struct host_request *out, struct body_part *part);

#endif
