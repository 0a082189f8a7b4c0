/*
 * pool_impl.h - what the parts of the pool share; nobody else includes it
 *
 *   pool.c        the table of functions, the tick
 *   pool_queue.c  requests: waiting, dispatched, answered
 *   pool_ref.c    a function's references: boot, back-off, refresh
 *   pool_image.c  what they boot: copied, verified
 *   pool_new.c    its new clones: asked for, come up, or not
 *   pool_clone.c  its clones: running, stopped
 *   pool_size.c   how many of them there are
 *   pool_proc.c   what both are: a process, its socket, its host region
 *
 * A function is freed by the tick alone, so no callback need fear for it; a
 * clone by pool_clone_stop(), pool_clone_free() and what calls them.
 */
#ifndef VMM_POOL_IMPL_H
#define VMM_POOL_IMPL_H

#include <pthread.h>
#include <sys/queue.h>

#include "etlfs/fetch/fetch.h"
#include "etlfs/region/host.h"
#include "etlfs/region/window.h"
#include "unikernel/abi.h"
#include "vmm/pool/peer.h"
#include "vmm/pool/pool.h"

#define RUN_SAMPLES	64		/* run times kept for the median */
#define CLONE_S		10.0		/* and a clone up */
#define IDLE_DUE_MAX	(ETLFS_WINDOWS + 1) /* of those that were not said */
#define GRACE_S		1.0		/* over what a clone enforces */
#define DEBUG_S		1e9		/* all of them, with a debugger */

/* one process under the pool */
struct pool_proc {
	struct function *f;
	struct peer *peer;		/* NULL once stopped */
	struct host *host;
	pid_t pid;			/* 0: not known */
	int pidfd;			/* -1: not known */
	struct ev_io exited;		/* on pidfd */
	struct ev_prepare kick;		/* while there is a KICK to send */
	double deadline;		/* of its boot, set-up or request */
	uint64_t log_left;		/* bytes, in this request */
	int log_over;			/* there were more */
	int log_short;			/* log_left was less than log.max */
	int log_torn;			/* a line without end was lost */
	uint64_t log_lost;		/* line ends that were, when short */
	unsigned idle_due;		/* IDLEs that it may yet say */
};

enum clone_state { CLONE_COMING, CLONE_IDLE, CLONE_BUSY, CLONE_DYING };

struct pool_clone {
	struct pool_proc proc;		/* first: proc.c hands it back */
	struct pool_ref *ref;		/* whose child it is, or will be */
	TAILQ_ENTRY(pool_clone) link;	/* in f->clones[state] */
	TAILQ_ENTRY(pool_clone) ask;	/* in ref->asked, while `asked` */
	enum clone_state state;
	int asked;			/* its CLONED has not come */
	int up;
	pid_t guest;			/* DEBUG: its process, until attached */
	int ended;			/* so its socket said, while asked */
	uint32_t pid, next_pid;		/* of this request's process, and of
					   the next one's; 0: none yet */
	int last;			/* no request after this one */
	int ran;			/* a request, to its end */
	int said;			/* something, in this request */
	double since;			/* in this state */
	double asked_at;
	struct job *job;		/* of BUSY */
};

TAILQ_HEAD(clone_list, pool_clone);

enum ref_state {
	REF_DOWN,			/* boots at retry_at, unless failed */
	REF_BOOTING,
	REF_READY,
	REF_DYING,			/* killed, not reaped */
};

struct pool_ref {
	struct pool_proc proc;		/* first, as in a clone */
	enum ref_state state;
	struct clone_list asked;	/* in the order of MSG_CLONE */
	unsigned clones;		/* that are not freed yet */
	double retry_at;		/* of DOWN */
	double ready_at;
	unsigned failures;		/* in a row */
	int failed;			/* the last boot; requests refused */
	struct boot_stats stats;
};

/* a thread that copies or verifies an image, at most one per function */
struct image_work {
	struct ev_async done;
	pthread_t thread;
	int running;			/* it is not joined */
	int copy;			/* it copies, into folder dir or NULL */
	char *dir;
	int answer;			/* the thread's, ours once joined */
	struct err err;
};

struct function {
	struct pool *pool;
	TAILQ_ENTRY(function) link;	/* in pool->current or ->others */
	char *name;
	uint64_t id;			/* never 0, never used again */
	struct image *img;
	struct egress *egress;
	struct function_opts o;
	int current;			/* in the table, takes requests */
	int retired;
	int was_ready;			/* once */

	/*
	 * One is f->ref, which clones come from.  The other is DOWN but
	 * during a refresh: first it boots, then it becomes f->ref and the
	 * one that was lives on, unused, until its last clone has ended.
	 */
	struct pool_ref refs[2], *ref;
	struct ev_timer refresh;	/* runs while f->ref is READY */
	struct image_work work;		/* on f->img */
	int copied;			/* f->img is nobody else's to change */
	int verify_result;		/* 1: not known yet; 0, -errno */

	struct clone_list clones[CLONE_DYING + 1];
	unsigned n[CLONE_DYING + 1];
	unsigned clone_failures;	/* in a row */
	int clone_refused;		/* by this process's own limits */
	double clone_retry_at;

	struct job *head, **tail;	/* waiting */
	unsigned queued;
	int paused;			/* none of them is run */

	uint32_t pid;			/* the last process id given */
	double asks, asked_at;		/* what its guests may still ask, and
					   when that was so: pool_proc.c */
	uint64_t turn;			/* of the loop, and what they had the
					   loop do in it */
	double turn_asks;

	uint64_t requests, errors, refreshes, fetched;
	uint32_t run_us[RUN_SAMPLES];
	unsigned runs;
	uint64_t clone_ns, clone_pages;
};

TAILQ_HEAD(function_list, function);

struct pool {
	struct ev_loop *loop;
	struct pool_opts o;
	struct fetch_engine *engine;
	struct window_pool *windows;
	struct ev_timer tick;
	struct function_list current, others;	/* others: coming, retired */
	unsigned pending;
	uint64_t functions;		/* ever made */
};

/* pool.c */
double pool_now(const struct function *f);
void pool_wake(struct pool *pool);	/* there is something to watch */
void pool_event(struct function *f, enum pool_event what, const char *text);
void pool_note(struct function *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* the new one of its name is ready: the old one retires */
void function_promote(struct function *f);
/* it cannot boot: one that was to replace another goes away */
void function_failed(struct function *f, const char *why);

/* pool_queue.c */
void queue_dispatch(struct function *f);
void queue_fail(struct function *f, const char *why);
void queue_push_back(struct function *f, struct job *j);	/* the head */
void queue_tick(struct function *f, double now);
void job_finish(struct function *f, struct job *j,
		const struct job_result *r);

/* pool_ref.c */
void pool_ref_init(struct function *f);
int pool_ref_boot(struct pool_ref *r, struct err *err);
void pool_ref_kill(struct pool_ref *r);
struct pool_ref *pool_ref_other(struct function *f);	/* the one not f->ref */
int pool_ref_usable(const struct function *f);	/* ready and verified */
void pool_ref_refresh_arm(struct function *f);	/* as f->o says */
void pool_ref_tick(struct function *f, double now);
/* nothing but a verified image is ever served: said by pool_image.c */
void pool_ref_verified(struct function *f);
void pool_ref_image_failed(struct function *f, const char *why);
void pool_ref_attached(struct pool_ref *r);

/* pool_image.c: copied where the pool wants that, then booted and verified */
int image_begin(struct function *f, struct err *err);
void image_end(struct function *f);	/* waits for the thread */

/*
 * pool_new.c
 *
 * A process id that no request of f had, until all have been used; then one
 * that no clone of f has or will have.
 */
uint32_t pool_clone_pid(struct function *f);
extern const char clone_ended[];
int pool_clone_start(struct function *f);
void pool_clone_cloned(struct pool_ref *r, const struct msg *m);
void pool_clone_up(struct pool_clone *c, const struct msg *m);
void pool_clone_attached(struct function *f);
/* it did not come up; requests are refused after some of these in a row */
void pool_clone_missed(struct pool_clone *c, const char *why);
void pool_clone_give_up(struct function *f);
/* no other one before some time, the longer the more there were */
void pool_clone_back_off(struct function *f, unsigned failures);

/* pool_clone.c */
extern const struct peer_ops clone_ops;
void pool_clone_enter(struct pool_clone *c, enum clone_state s);
void pool_clone_run(struct pool_clone *c, struct job *j);
void pool_clone_stop(struct pool_clone *c);
void pool_clone_await_end(struct pool_clone *c);
/* its process ended or broke the protocol, or it has to end */
void pool_clone_lost(struct pool_clone *c, enum died died, const char *why);
void pool_clone_tick(struct function *f, double now);
void pool_clone_free(struct pool_clone *c);

/* pool_size.c */
void pool_clone_top_up(struct function *f);	/* to min */
void pool_clone_reap(struct function *f, double now);	/* idle, over min */
void pool_clone_orphans(struct pool_ref *r);	/* the reference is gone */
void pool_clone_renew(struct function *f);	/* f->ref is another one now */
void pool_clone_stop_last(struct function *f);	/* where others are idle */

/* pool_proc.c */
int pool_proc_open(struct pool_proc *p,
		   struct function *f); /* its host region */
int pool_proc_connect(struct pool_proc *p, int sock,
		      const struct peer_ops *ops);
/* the pid is the other side's word: checked to be parent's child; parent 0:
   it is our own, not reaped, and counts also when it has ended */
int pool_proc_identify(struct pool_proc *p, pid_t pid, pid_t parent);
/* is it what p says that it is, p's child? */
int pool_proc_is_child(const struct pool_proc *p, uint64_t pid);
void pool_proc_watch(struct pool_proc *p,
		     void (*cb)(struct ev_loop *, struct ev_io *, int));
void pool_proc_kill(struct pool_proc *p);
void pool_proc_close(struct pool_proc *p);
/* the request is over: what it fetched is gone */
void pool_proc_reset(struct pool_proc *p);
/* FETCH, CANCEL, LOG of what runs: 1 when it was one, 0 when not, -EPROTO */
int pool_proc_message(struct pool_proc *p, const struct msg *m,
		      const uint8_t *payload);

/* pool_log.c */
/* of a boot or a request that begins: log.max; and no more than has room now */
void pool_proc_log_limit(struct pool_proc *p);
void pool_proc_log_room(struct pool_proc *p);
void pool_proc_log(struct pool_proc *p, const char *text, size_t len);
/* a report says that so many lines stayed in the clone */
void pool_proc_log_lost(struct pool_proc *p, uint64_t lines);
/* the request is over: what was lost is told */
void pool_proc_log_end(struct pool_proc *p);

#endif
