/*
 * request.h - one HTTP request, from its head until its answer is sent
 *
 * What came (its head, its body as it arrives), whose it is and what it may
 * take, and its answer.  What it is for is its route's to know (route.h).
 *
 * Owner and life: it is the daemon's, which has it made when a head has come,
 * and freed when its answer was sent or its caller is gone.  Routes only borrow
 * it: what one keeps with a request is `own`, which its `free` frees just
 * before.  While it is suspended it is not freed, so who has suspended a
 * request always has it until he resumes it, and has to.
 *
 * Invariants: it is in requests.list for all of its life; it is suspended
 * exactly while it is REQUEST_RUNS.  What the clienteles hold is the sum of
 * what their requests do.
 *
 * Functions that answer an int say 0, or -errno: then the connection ends
 * without a word.
 */
#ifndef CMD_REQUEST_H
#define CMD_REQUEST_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cmd/clientele.h"
#include "cmd/framing.h"
#include "conf/err.h"

struct http;
struct request;

enum request_phase {
	REQUEST_READS,			/* its body comes */
	REQUEST_RUNS,			/* its route works on its answer */
	REQUEST_ANSWERED,		/* that is there, and is sent */
};

/* what a route does with a request that goes on after its head */
struct request_ops {
	/* a part of its body, within its limits; not kept by the daemon */
	int (*body)(struct request *r, const char *data, size_t len);
	/* its body is whole, or it has none: answers it or suspends it */
	int (*end)(struct request *r);
	/* it is suspended, and the pool is gone: resumes it */
	void (*stop)(struct request *r);
	/* frees its `own` */
	void (*free)(struct request *r);
};

/* fields that routes read, but for the last two, which they set */
struct request {
	LIST_ENTRY(request) link;
	struct requests *of;
	struct MHD_Connection *conn;	/* request.c's alone */
	/* what came */
	struct request_head head;
	int64_t length;			/* of its body; -1: not known yet */
	char *body;			/* request_gather()'s; NULL: given away */
	size_t came, size;		/* bytes of it so far; allocated */
	int arriving;			/* a part is being handled */
	/* its caller */
	struct clientele *clientele;	/* NULL: it is for no function */
	size_t held;			/* bytes, of those */
	double since;			/* of reading, being answered */
	enum request_phase phase;
	/* its answer */
	struct MHD_Response *answer;	/* once it was resumed */
	unsigned status;
	/* its route's */
	const struct request_ops *ops;	/* NULL: answered by its head alone */
	void *own;
};

/* all requests of a daemon, and what they may take */
struct requests {
	struct ev_loop *loop;
	struct http *http;
	struct clienteles clienteles;
	uint64_t body_max;		/* bytes; may change meanwhile */
	LIST_HEAD(, request) list;
	struct ev_timer tick;		/* runs while there are requests */
	/* a sound head has come: answers, or sets ops and own */
	int (*head)(void *arg, struct request *r);
	/* there are none any more */
	void (*none)(void *arg);
	void *arg;
};

/*
 * Listens on fd, which is http_bind()'s and http's from here on, also when
 * this fails.  rs has its loop, pool, head, none and arg.
 */
int requests_open(struct requests *rs, int fd, struct err *err);
/* the pool is gone: answers who waits for it, and ends all connections */
void requests_close(struct requests *rs);

/*
 * For routes with a body, after they have set ops: it is for that function,
 * and counts among its callers.  Refuses what is too large or too much.
 */
int request_enter(struct request *r, const char *function);
/* for ops->body: keeps a part of the body in r->body */
int request_gather(struct request *r, const char *data, size_t len);

/* answers now; r is given up, NULL: out of memory */
int request_answer(struct request *r, unsigned status,
		   struct MHD_Response *answer);
/*
 * An error, after which the connection is closed: whatever of a body comes
 * behind it is not looked at.
 */
int request_refuse(struct request *r, unsigned status, const char *type,
		   const char *text);
/* 413, by the limit that there is now */
int request_too_large(struct request *r);
/* 503: later, perhaps; the connection goes on */
int request_unavailable(struct request *r, const char *text);
/* from ops->end: the answer comes later */
int request_suspend(struct request *r);
/*
 * It has come: of len bytes, for which `held` bytes are taken until it was
 * sent.  NULL: out of memory, and the connection ends.
 */
void request_resume(struct request *r, unsigned status,
		    struct MHD_Response *answer, size_t len, size_t held);

#endif
