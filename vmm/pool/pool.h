/*
 * pool.h - functions: each a reference, its clones and a queue of requests
 *
 * This folder: functions as the gateway sees them: their processes, queues and
 * sockets.
 *
 * One pool per gateway, on one libev loop and one thread (image_verify()
 * alone runs beside it).  A function is booted once; a request goes to the
 * most recently used idle clone, or waits while one is made.  Clones that
 * die, hang or break the protocol are killed and replaced; a reference that
 * dies is booted again with back-off.  Now and then another reference boots
 * beside the one there is and takes its place; no request waits for that.
 *
 * A request given to pool_submit() is always answered exactly once, from the
 * loop, unless the pool is destroyed first.
 */
#ifndef VMM_POOL_H
#define VMM_POOL_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "conf/err.h"
#include "conf/value.h"
#include "etlfs/image/image.h"
#include "etlfs/store/store.h"
#include "vmm/host/cgroup.h"
#include "vmm/proto.h"
#include "vmm/guest/ref.h"
#include "vmm/guest/saved.h"

#define POOL_EVENT_MAX	(ETLFS_EVENT_MAX - ETLFS_EVENT_OFF)	/* bytes */
#define POOL_LAYOUTS_MAX 64

struct pool;
struct function;

enum outcome {
	JOB_OK,				/* text: JSON, the result */
	JOB_ERROR,			/* text: JSON, what was raised */
	JOB_DIED,			/* died, status; text: report */
	JOB_TIMEOUT,			/* text: report, may be empty */
	JOB_TOO_LARGE,			/* text: one line */
	JOB_UNAVAILABLE,		/* text: one line; try again later */
};

/* what a request found: */
enum pool_start {
	START_WARM,			/* a clone that was there */
	START_SHELL,			/* a shell was there, and it was placed */
	START_CLONE,			/* a clone was made for it */
	START_SNAPSHOT,			/* the same, of one that has no process */
	START_BOOT,			/* and before that its reference */
	STARTS
};

/*
 * Valid during the call that brings it.  The text is the pool's, and goes with
 * that call, unless it is taken.
 */
struct job_result {
	enum outcome outcome;
	enum died died;			/* of JOB_DIED */
	uint64_t status;		/* exit status or signal */
	uint64_t limit_ns;		/* of JOB_TIMEOUT: the time it had */
	const char *text;		/* not NUL-terminated */
	size_t len;
	struct run_stats stats;
	struct peer *from;		/* NULL, or see job_result_take() */
};

/*
 * From `done`: the block that holds text, of *size bytes, the caller's to
 * free() from then on; NULL: text has to be copied to be kept.
 */
void *job_result_take(const struct job_result *r, size_t *size);

/*
 * The struct is the caller's memory, the pool's to use from pool_submit() until
 * done is called.  Its event is malloc()ed, and the job's own from the
 * pool_submit() that returns 0: it is freed with the job's end, before done is
 * called, or by pool_destroy().  One that is not submitted stays the caller's.
 */
struct job {
	char *event;			/* JSON; NULL: freed */
	size_t event_len;
	void (*done)(struct job *j, const struct job_result *r);
	int last;			/* its clone is of no use afterwards */
	/* the pool's */
	struct job *next;
	double queued;
	unsigned again;			/* clones that ended before reading it */
	const char *refused;		/* why, once it is */
};

enum pool_event {
	POOL_READY,			/* booted and verified; text: "" */
	POOL_FAILED,			/* cannot boot; text: why, with log */
	POOL_NOTE,			/* text: one line for the operator */
};

/*
 * These and job.done may call the pool, pool_destroy() apart: what follows from
 * that is decided later, before the loop sleeps.  log, log_room and log_lost
 * may not.
 */
struct pool_ops {
	/* the function's own log; any bytes, whole lines or not */
	void (*log)(void *arg, struct function *f, const char *text,
		    size_t len);
	void (*event)(void *arg, struct function *f, enum pool_event what,
		      const char *text);
	/*
	 * May be NULL: a clone has rolled back (function_opts.say_idle); with
	 * say_pages there is text of whose pages the request wrote.
	 */
	void (*idle)(void *arg, struct function *f,
		     const struct run_stats *st, const char *pages,
		     size_t len);
	/*
	 * function_opts.debug: a guest of this process is there and has not
	 * run yet; it does after function_attached().
	 */
	void (*attach)(void *arg, struct function *f, pid_t guest);
	/* may be NULL: bytes of log that it has room for now */
	uint64_t (*log_room)(void *arg, struct function *f);
	/* with log_room: lines that were lost, since there was no more */
	void (*log_lost)(void *arg, struct function *f, uint64_t lines);
	/*
	 * May be NULL: a request has ended its clone (JOB_DIED, _TIMEOUT), or
	 * its handler has raised (JOB_ERROR) or said too much
	 * (JOB_TOO_LARGE).
	 */
	void (*failed)(void *arg, struct function *f,
		       const struct job_result *r);
};

struct pool_opts {
	uint64_t response_max;		/* bytes of a result */
	uint64_t log_max;		/* bytes of log per request */
	unsigned queue;			/* requests that wait, per function */
	uint64_t wait_ns;		/* longest that one waits */
	uint64_t boot_ns;		/* a reference is ready by then */
	uint64_t fetch_timeout_ns;
	uint64_t memory;		/* bytes that functions may have while
					   nobody calls them; 0: any */
	uint64_t fetch_max;		/* bytes of bodies that a clone holds */
	uint64_t fetch_total;		/* that all of them do; 0: no limit */
	/*
	 * Boot each image from a copy that nobody else can change, in folder
	 * `copies` (NULL: see image_copy()).  0: from the file itself.
	 */
	int copy_images;
	/*
	 * Functions whose runtime and environment are equal are booted from
	 * one runtime.  With copy_images alone.
	 */
	int share;
	unsigned shells;		/* that each runtime has, ahead of need,
					   while it is used; 0: none */
	/*
	 * References that each function has side by side, each booted with
	 * random numbers of its own; POOL_LAYOUTS_MAX at most, 0: one.  With
	 * copy_images alone.
	 */
	unsigned layouts;
	const char *copies;		/* the caller's, until pool_set() */
	/* where what functions that share are is kept; NULL: nowhere.  The
	   caller's, as long as the pool is there */
	struct store *store;
	unsigned windows;		/* see etlfs/region/window.h */
	uint64_t warm;
	uid_t uid;			/* see ref_opts */
	enum tender_kind tender;
	struct cgroup *cgroup;		/* below which each function has one;
					   the caller's, NULL: sessions */
	const struct pool_ops *ops;
	void *arg;
	/* another's in their place, for tests; NULL: as named here */
	int (*start)(const struct ref_opts *o, int *sock, pid_t *pid,
		     struct err *err);			/* ref_start() */
	int (*verify)(const struct image *img,
		      struct err *err);			/* image_verify() */
	ev_tstamp (*now)(struct ev_loop *loop);		/* ev_now() */
};

struct function_opts {
	const char *name;		/* NULL: the image's; copied */
	unsigned min, max;		/* clones; max >= 1 */
	uint64_t idle_ns;		/* after which one over min is reaped */
	uint64_t timeout_ns;		/* 0: the image's */
	uint64_t memory;		/* bytes; 0: the image's */
	uint64_t refresh_ns;		/* age of a reference, about, when
					   another replaces it; 0: never */
	enum recycle recycle;
	char owner[VALUE_NAME_MAX + 1];	/* functions of different ones have
					   no memory in common; "": one, too */
	int trace, trial, verify;	/* see ref_opts */
	int no_store;			/* nothing of it is kept on disk */
	int say_idle;			/* ask for a report of each rollback */
	int say_pages;			/* which says what was written */
	int once;			/* do not boot again after a failure */
	enum debug debug;		/* not NONE: no deadlines */
	const struct saved *from;	/* it does not boot, but goes on from
					   there; the caller's */
};

/*
 * An operator's word that a function's snapshot be made anew.  The struct is
 * the caller's memory, zeros at first, and the pool's until done is called, which
 * is once, or until it is forgotten.
 */
struct fork_order {
	/* why: NULL, and clones are of the new one from here on; or one line,
	   and all is as it was */
	void (*done)(struct fork_order *o, const char *why);
	/* the pool's */
	struct function *of;
	LIST_ENTRY(fork_order) link;
};

/*
 * The same that its snapshot be written for somebody else.  One at a time in a
 * pool.
 */
struct snapshot_order {
	int ready;			/* of what clones start from, although
					   one of them has a request */
	/* why: NULL, and head and fd[] are the parts that saved_write() wants,
	   the caller's to close; or one line */
	void (*done)(struct snapshot_order *o, const char *why);
	struct saved_head head;
	int fd[SAVED_PARTS];		/* -1: there is none */
	/* the pool's */
	struct function *of;
	struct peer *peer, *clone;	/* whose answers are awaited */
	struct ev_timer timer;
};

struct function_info {
	const char *name, *handler;
	const char *digest;		/* of what runs, once that is ready */
	int ready;
	const char *level;		/* where its clones start: a word of
					   function.ini's fork, or "runtime" */
	uint64_t id, base;		/* its number, and that of the runtime
					   that it shares, or 0 */
	double age;			/* of its snapshot, s; of one ready */
	uint64_t pages;			/* 4 KB, that its snapshot has of its
					   own */
	int stored_now;			/* it has no process; clones come
					   from a file */
	unsigned idle, busy, coming, queued;
	unsigned shells;		/* of a runtime: those that wait */
	uint64_t requests, errors;
	uint64_t refreshes;		/* references that were replaced */
	uint64_t starts[STARTS];	/* how many of them found what */
	int stored;			/* its reference came from the store, */
	double stored_age;		/* where it was for so long, s */
	uint64_t run_us;		/* median of the last ones */
	struct boot_stats boot;
	uint64_t clone_ns;		/* from the order to UP, the last one */
	uint64_t clone_pages;		/* populated in it */
	uint64_t fetched;		/* bytes, into all clones */
};

/* one of the references that a function has side by side */
struct layout_info {
	unsigned layout;		/* which: 0 is that of function_info */
	uint64_t base;			/* as that has it */
	uint64_t pages;
	int ready, stored_now;
	unsigned clones;		/* idle, busy and coming */
};

int pool_create(struct pool **out, struct ev_loop *loop,
		const struct pool_opts *o);
/* kills what runs; requests in flight are not answered, their events freed */
void pool_destroy(struct pool *pool);
/* new limits; windows and warm stay as they were */
void pool_set(struct pool *pool, const struct pool_opts *o);
/* is something yet to be put into the store? */
int pool_keeping(const struct pool *pool);
/* requests running or waiting */
unsigned pool_pending(const struct pool *pool);

/*
 * Takes img over, also when it fails.  Where a function of that name is
 * there, it goes on serving until the new one is ready, and stays if the new
 * one fails.
 */
int pool_add(struct pool *pool, struct image *img,
	     const struct function_opts *o, struct function **out,
	     struct err *err);
/* no new requests; it goes away when the last one is answered */
void pool_retire(struct function *f);
/* the one that takes requests, or NULL; it may not be ready yet */
struct function *pool_find(struct pool *pool, const char *name);
/* each that takes requests: NULL for the first; NULL after the last */
struct function *pool_next(struct pool *pool, struct function *f);
/* the same of the runtimes that they share, which take no requests */
struct function *pool_next_base(struct pool *pool, struct function *f);

/*
 * 0: j->event is the job's; -EAGAIN: the queue is full, -EHOSTDOWN: it cannot
 * boot, -E2BIG
 */
int pool_submit(struct function *f, struct job *j);

/*
 * While it pauses, its requests that wait go on waiting, as long as they may:
 * for a caller that has no room for more answers.
 */
void function_pause(struct function *f, int paused);
/* another snapshot of it, beside the one that is there; 0, or -EHOSTDOWN */
int function_fork(struct function *f, struct fork_order *o);
/* nobody waits for it any more; also of one that is over, or was none */
void function_fork_forget(struct fork_order *o);
/*
 * Its snapshot, for somebody else; 0, and done is called later.  -EHOSTDOWN; -EBUSY:
 * another one is being written; -ESTALE: its runtime has ended since
 */
int function_snapshot(struct function *f, struct snapshot_order *o);
/* nobody waits for it; fds that are the caller's already stay so */
void function_snapshot_forget(struct snapshot_order *o);
/* a debugger is there: what waited for it goes on */
void function_attached(struct function *f);

const char *function_name(const struct function *f);
const struct image *function_image(const struct function *f);
void function_info(struct function *f, struct function_info *out);
/* all of them; how many there are */
unsigned function_layouts(struct function *f,
			  struct layout_info out[POOL_LAYOUTS_MAX]);
/* would img and o boot the same reference? then function_set() is enough */
int function_same(const struct function *f, const struct image *img,
		  const struct function_opts *o);
void function_set(struct function *f, const struct function_opts *o);

#endif
