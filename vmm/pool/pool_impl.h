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
 * clone by clone_stop(), clone_free() and what calls them.
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
struct proc {
	struct function *f;
	struct peer *peer;		/* NULL once stopped */
	struct host *host;
	pid_t pid;			/* 0: not known */
	int pidfd;			/* -1: not known */
	struct ev_io exited;		/* on pidfd */
	double deadline;		/* of its boot, set-up or request */
	uint64_t log_left;		/* bytes, in this request */
	int log_over;			/* there were more */
	int log_short;			/* log_left was less than log.max */
	int log_torn;			/* a line without end was lost */
	uint64_t log_lost;		/* line ends that were, when short */
	unsigned idle_due;		/* IDLEs that it may yet say */
};

enum clone_state { CLONE_COMING, CLONE_IDLE, CLONE_BUSY, CLONE_DYING };

struct clone {
	struct proc proc;		/* first: proc.c hands it back */
	struct ref *ref;		/* whose child it is, or will be */
	TAILQ_ENTRY(clone) link;	/* in f->clones[state] */
	TAILQ_ENTRY(clone) ask;		/* in ref->asked, while `asked` */
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

TAILQ_HEAD(clone_list, clone);

enum ref_state {
	REF_DOWN,			/* boots at retry_at, unless failed */
	REF_BOOTING,
	REF_READY,
	REF_DYING,			/* killed, not reaped */
};

struct ref {
	struct proc proc;		/* first, as in a clone */
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
	struct ref refs[2], *ref;
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
void ref_init(struct function *f);
int ref_boot(struct ref *r, struct err *err);
void ref_kill(struct ref *r);
struct ref *ref_other(struct function *f);	/* the one not f->ref */
int ref_usable(const struct function *f);	/* ready and verified */
void ref_refresh_arm(struct function *f);	/* as f->o says */
void ref_tick(struct function *f, double now);
/* nothing but a verified image is ever served: said by pool_image.c */
void ref_verified(struct function *f);
void ref_image_failed(struct function *f, const char *why);
void ref_attached(struct ref *r);

/* pool_image.c: copied where the pool wants that, then booted and verified */
int image_begin(struct function *f, struct err *err);
void image_end(struct function *f);	/* waits for the thread */

/*
 * pool_new.c
 *
 * A process id that no request of f had, until all have been used; then one
 * that no clone of f has or will have.
 */
uint32_t clone_pid(struct function *f);
extern const char clone_ended[];
int clone_start(struct function *f);
void clone_cloned(struct ref *r, const struct msg *m);
void clone_up(struct clone *c, const struct msg *m);
void clone_attached(struct function *f);
/* it did not come up; requests are refused after some of these in a row */
void clone_missed(struct clone *c, const char *why);
void clone_give_up(struct function *f);
/* no other one before some time, the longer the more there were */
void clone_back_off(struct function *f, unsigned failures);

/* pool_clone.c */
extern const struct peer_ops clone_ops;
void clone_enter(struct clone *c, enum clone_state s);
void clone_run(struct clone *c, struct job *j);
void clone_stop(struct clone *c);
void clone_await_end(struct clone *c);
/* its process ended or broke the protocol, or it has to end */
void clone_lost(struct clone *c, enum died died, const char *why);
void clone_tick(struct function *f, double now);
void clone_free(struct clone *c);

/* pool_size.c */
void clone_top_up(struct function *f);	/* to min */
void clone_reap(struct function *f, double now);	/* idle, over min */
void clone_orphans(struct ref *r);	/* the reference is gone */
void clone_renew(struct function *f);	/* f->ref is another one now */
void clone_stop_last(struct function *f);	/* where others are idle */

/* pool_proc.c */
int proc_open(struct proc *p, struct function *f);	/* its host region */
int proc_connect(struct proc *p, int sock, const struct peer_ops *ops);
/* the pid is the other side's word: checked to be parent's child; parent 0:
   it is our own, not reaped, and counts also when it has ended */
int proc_identify(struct proc *p, pid_t pid, pid_t parent);
/* is it what p says that it is, p's child? */
int proc_is_child(const struct proc *p, uint64_t pid);
void proc_watch(struct proc *p, void (*cb)(struct ev_loop *, struct ev_io *,
					   int));
void proc_kill(struct proc *p);
void proc_close(struct proc *p);
/* the request is over: what it fetched is gone */
void proc_reset(struct proc *p);
/* FETCH, CANCEL, LOG of what runs: 1 when it was one, 0 when not, -EPROTO */
int proc_message(struct proc *p, const struct msg *m, const uint8_t *payload);

/* pool_log.c */
/* of a boot or a request that begins: log.max; and no more than has room now */
void proc_log_limit(struct proc *p);
void proc_log_room(struct proc *p);
void proc_log(struct proc *p, const char *text, size_t len);
/* a report says that so many lines stayed in the clone */
void proc_log_lost(struct proc *p, uint64_t lines);
/* the request is over: what was lost is told */
void proc_log_end(struct proc *p);

#endif
