/*
 * pool_impl.h - what the parts of the pool share; nobody else includes it
 *
 *   pool.c           the pool: made, set, ended
 *   pool_pump.c      what follows from what happened; what may run where
 *   pool_function.c  the table of functions, and what each is
 *   pool_queue.c     requests: waiting, given, answered
 *   pool_ref.c       a function's references, as processes: started, ended
 *   pool_boot.c      their boots: how they went, and what follows
 *   pool_base.c      the runtime that functions share: what they branch from
 *   pool_shell.c     what waits to be a clone of any function of a base
 *   pool_store.c     references that are on disk
 *   pool_variant.c   a function's references of other layouts
 *   pool_refresh.c   another reference in the place of the one
 *   pool_fork.c      the same on command
 *   pool_snapshot.c  a function's snapshot for somebody else
 *   pool_image.c     what they boot: copied, verified
 *   pool_trust.c     or verified before
 *   pool_new.c       its new clones: asked for, come up, or not
 *   pool_clone.c     its clones: idle, lost, stopped
 *   pool_run.c       a request in a clone
 *   pool_size.c      how many of them there are
 *   pool_memory.c    and for how many there is memory
 *   pool_proc.c      what both are: a process, its socket, its host region
 *   pool_log.c       what they may log
 *
 * A function is freed by its pump alone, so no callback need fear for it; a
 * clone by pool_clone_stop(), pool_clone_free() and what calls them.
 */
#ifndef VMM_POOL_IMPL_H
#define VMM_POOL_IMPL_H

#include <pthread.h>
#include <stddef.h>
#include <sys/queue.h>

#include "etlfs/fetch/fetch.h"
#include "etlfs/region/host.h"
#include "etlfs/region/window.h"
#include "unikernel/abi.h"
#include "vmm/guest/snapshot.h"
#include "vmm/pool/peer.h"
#include "vmm/pool/pool.h"

#define RUN_SAMPLES	64		/* run times kept for the median */
#define CLONE_S		10.0		/* and a clone up */
#define IDLE_DUE_MAX	(ETLFS_WINDOWS + 1) /* of those that were not said */
#define GRACE_S		1.0		/* over what a clone enforces */
#define DEBUG_S		1e9		/* all of them, with a debugger */

struct pool_proc;

/*
 * What the owner of a process hears of it.  Each may stop and close it;
 * message and closed are as those of peer_ops.
 */
struct pool_proc_ops {
	void (*message)(struct pool_proc *p, const struct msg *m,
			const uint8_t *payload);
	void (*closed)(struct pool_proc *p, int error);
	void (*ended)(struct pool_proc *p);	/* after pool_proc_stop() */
	/*
	 * It is a branch, and waits to be placed; or -errno: it has no number
	 * and never will, or its base is gone
	 */
	void (*branched)(struct pool_proc *p, int rc);
};

/* one process under the pool */
struct pool_proc {
	struct function *f;
	const struct pool_proc_ops *ops;
	struct peer *peer;		/* NULL once stopped */
	struct host *host;
	pid_t pid;			/* 0: not known */
	int own;			/* it is our child, to be reaped */
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
	/* a branch that is asked for: whose, and its place among these */
	struct pool_ref *from;
	TAILQ_ENTRY(pool_proc) branch;
};

enum clone_state { CLONE_COMING, CLONE_IDLE, CLONE_BUSY, CLONE_DYING };

struct pool_clone {
	struct pool_proc proc;
	struct pool_ref *ref;		/* whose child it is, or will be */
	TAILQ_ENTRY(pool_clone) link;	/* in f->clones[state] */
	TAILQ_ENTRY(pool_clone) ask;	/* in ref->asked, while `asked` */
	enum clone_state state;
	int asked;			/* its CLONED has not come */
	int alone;			/* nobody's child but ours */
	int ahead;			/* alone, and given its one request before
					   it is up: pool_alone.c */
	int up;
	pid_t guest;			/* DEBUG: its process, until attached */
	int ended;			/* so its socket said, while asked */
	uint32_t pid, next_pid;		/* of this request's process, and of
					   the next one's; 0: none yet */
	int last;			/* no request after this one */
	int given_up;			/* it is to end: pool_memory.c */
	int ran;			/* a request, to its end */
	int said;			/* something, in this request */
	int shell;			/* it is one, or was: pool_shell.c */
	double since;			/* in this state */
	double asked_at;
	enum pool_start start;		/* of BUSY: what its request found */
	struct job *job;		/* of BUSY, else NULL */
	uint64_t limit;			/* of that, ns */
};

TAILQ_HEAD(clone_list, pool_clone);

static inline struct pool_clone *pool_clone_of(struct pool_proc *p)
{
	return (struct pool_clone *)((char *)p -
				     offsetof(struct pool_clone, proc));
}

enum ref_state {
	REF_DOWN,			/* boots at retry_at, unless failed */
	REF_BOOTING,
	REF_READY,
	REF_DYING,			/* killed, not reaped */
};

/* a thread that reads or writes a reference's file in the store */
struct store_work {
	struct ev_async done;
	pthread_t thread;
	int running;			/* it is not joined */
	int maps;			/* there is none: the answer is the
					   store's own file */
	uint64_t len;			/* of what was found, bytes */
	int saves;			/* else it looks for one */
	struct store *store;
	char key[STORE_DIGEST];
	char old[STORE_DIGEST];		/* saves: what it takes the place of */
	char what[STORE_WHAT];		/* saves: for people */
	uint64_t max_age_ns;		/* 0: any age */
	int over;			/* it is to be over the base of this id */
	uint8_t id[16];
	int fd;				/* saves: what, a descriptor of its own;
					   else the answer */
	double age;			/* of what was found, s */
	struct snapshot_head head;
	int rc;
	struct err err;
};

struct pool_ref {
	struct pool_proc proc;
	enum ref_state state;
	struct clone_list asked;	/* in the order of MSG_CLONE */
	unsigned clones;		/* that are not freed yet */
	double retry_at;		/* of DOWN */
	double ready_at;		/* 0: it is not, or was not */
	int tried;			/* to boot */
	unsigned failures;		/* in a row */
	const char *failed;		/* why requests are refused, or NULL */
	struct boot_stats stats;
	/* of a base: what is asked for, in the order of MSG_BRANCH */
	TAILQ_HEAD(, pool_proc) branching;
	/* of what has a base: a function, or packages */
	struct pool_ref *of;		/* what it is a branch of */
	int file, workset;		/* its snapshot and what clones have
					   written: memfds, or -1 */
	int stored;			/* its process has ended: clones come
					   from the file */
	double used;			/* when it had a clone last */
	/* the store */
	struct store_work work;
	int looked;			/* for it there */
	int kept;			/* it is there, or that was tried */
	double age;			/* since it was made, as it was found */
	int from;			/* of a base: the file that it has, or
					   -1 */
	int needed;			/* of a base: as a process */
	uint8_t id[16];			/* of a base that is there: its name */
	int has_id;
};

enum image_state {
	IMAGE_COPYING,
	IMAGE_UNVERIFIED,
	IMAGE_VERIFYING,
	IMAGE_GOOD,
	IMAGE_BAD,			/* neither booted nor served any more */
};

/* a thread that copies or verifies an image, at most one per function */
struct image_work {
	struct ev_async done;
	pthread_t thread;
	int running;			/* it is not joined */
	int copies;			/* else it verifies */
	char *dir;			/* that it copies into, or NULL */
	int (*verify)(const struct image *img, struct err *err);
	struct store *store;		/* that knows what was verified */
	int answer;			/* the thread's, ours once joined */
	struct err err;
};

struct function {
	struct pool *pool;
	TAILQ_ENTRY(function) link;	/* in pool->current or ->others */
	TAILQ_ENTRY(function) mark;	/* in pool->marked, while `marked` */
	int marked;
	int ticked;			/* by the tick: is anything late? */
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
	int refresh_due;		/* it has run out */
	LIST_HEAD(, fork_order) forks;	/* who has asked for another */
	int forking;			/* it is to have one for that; of a
					   base: one of its functions is */
	/* pool_variant.c; of a base only which layout it is */
	unsigned layout;		/* 0, or a variant's number */
	struct function *variant_of;	/* whose clones are its clones */
	LIST_HEAD(, function) variants;
	LIST_ENTRY(function) variant;
	int no_variants;		/* one cannot be made, which was said */
	uint64_t turn_taken;		/* by the last clone that began here */
	enum image_state image;		/* of f->img */
	struct image_work work;
	char kept_key[STORE_DIGEST];	/* of what the store has of it, or "" */
	int copied;			/* f->img is nobody else's to change */
	struct function *base;		/* what it branches from, or NULL */
	int alone;			/* its packages are imported by it
					   alone: those of a base failed */
	uint64_t source;		/* of a base: whose image that was */
	unsigned base_of;		/* 0: it is no base; else how many
					   branch from it, and one more */
	/* of a base: its shells, of which so many wait; pool_shell.c */
	struct clone_list shells;
	unsigned n_shells, shells_coming, shell_failures;
	double shells_until;		/* it is used */
	/* of a base: none is made before that; of a function: none taken */
	double shell_at;

	struct clone_list clones[CLONE_DYING + 1];
	unsigned n[CLONE_DYING + 1];
	unsigned clone_failures;	/* in a row */
	double clone_retry_at;
	uint64_t clone_bytes;		/* of an idle one; 0: not known */
	double measured_at;
	int given_up;			/* one of them was, and nobody has
					   called since */

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
	uint64_t starts[STARTS];
	uint32_t run_us[RUN_SAMPLES];
	unsigned runs;
	uint64_t clone_ns, clone_pages;
	uint64_t turns;			/* clones that ever began */
};

TAILQ_HEAD(function_list, function);

struct pool {
	struct ev_loop *loop;
	struct pool_opts o;
	struct fetch_engine *engine;
	struct window_pool *windows;
	struct ev_prepare pump;		/* both run while any is marked */
	struct ev_idle awake;
	struct ev_timer tick;		/* while time changes anything */
	struct function_list current, others;	/* others: coming, retired */
	struct function_list marked;
	unsigned pending;		/* of it so many wait for a clone: */
	unsigned queued;
	uint64_t functions;		/* ever made */
	struct snapshot_order *snapshot; /* that is being written */
	struct ev_timer memory;
	int tight;			/* no shells are made: there is no
					   memory for them */
	int pressed;			/* no clone is left to be given up, and
					   that was not enough */
	int fetched;			/* something; windows may be wanted: */
	struct ev_idle fetching;	/* made when there is time */
};

/* pool.c */
double pool_now(const struct function *f);
void pool_event(struct function *f, enum pool_event what, const char *text);
void pool_note(struct function *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* a guest fetches: large bodies may follow */
void pool_fetching(struct pool *pool);

/* pool_pump.c */
/* something happened to f: it is pumped before the loop sleeps */
void function_mark(struct function *f);
void function_unmark(struct function *f);
/* decides what follows from f's state; may free it */
void function_pump(struct function *f);
void pool_pump_init(struct pool *pool);
void pool_pump_end(struct pool *pool);

/* pool_function.c */
/* the new one of its name is ready: the old one retires */
void function_promote(struct function *f);
/* it cannot boot: one that was to replace another goes away */
void function_failed(struct function *f, const char *why);
/* a retired one ends once it has answered; frees it when all is gone */
void function_settle(struct function *f);
void function_free(struct function *f);

struct function *function_new(struct pool *pool, struct image *img,
			      const struct function_opts *o);

/* pool_queue.c */
void queue_give(struct function *f);	/* to those that are idle */
void queue_refuse(struct function *f, double now);	/* who waits in vain */
void queue_give_up(struct function *f, const char *why);	/* all who wait */
void queue_push_back(struct function *f, struct job *j);	/* the head */
void job_finish(struct function *f, struct job *j,
		const struct job_result *r);
void job_drop(struct job *j);		/* nobody hears of it; NULL: none */
void queue_drop(struct function *f);	/* all of them */

/* pool_alone.c */
/* the store's files are mapped, by f or by what branches from it */
int pool_alone_maps(const struct function *f);
/* base b has its file, and no process that anybody needs */
int pool_alone(const struct pool_ref *b);
/* and f's clones can do without */
int pool_alone_serves(const struct pool_ref *b, const struct function *f);
void pool_alone_need(struct pool_ref *b);
/* c's process, of c->ref's file over that of the base, and tells it */
int pool_alone_start(struct pool_clone *c);
/* a line, when what c has mapped is not there any more, else NULL */
const char *pool_alone_cut(const struct pool_clone *c);
/* it crashed: a file that was damaged is not used again, which is said */
void pool_alone_doubt(struct pool_clone *c);
/* it did not come up: neither file is used again */
void pool_alone_failed(struct pool_clone *c, const char *why);

/* pool_ref.c */
void pool_ref_init(struct function *f);
int pool_ref_boot(struct pool_ref *r, struct err *err);
void pool_ref_kill(struct pool_ref *r);
struct pool_ref *pool_ref_other(struct function *f);	/* the one not f->ref */
int pool_ref_usable(const struct function *f);	/* ready and verified */
void pool_ref_again(struct function *f);	/* failed, it tries at once */
/*
 * Killed, or out of memory, rather than the function's own doing, which was
 * ready before: requests wait for another attempt, as long as they may.
 */
int pool_ref_vanished(const struct pool_ref *r);
void pool_ref_expire(struct function *f, double now);	/* hung boots */
void pool_ref_pump(struct function *f, double now);

/* nobody needs its process: it ends, and its snapshot stays */
void pool_ref_store(struct pool_ref *r);
/* its host region, before a boot; and that one has begun */
int pool_ref_open(struct pool_ref *r);
void pool_ref_booting(struct pool_ref *r);
struct ref_opts pool_ref_opts(const struct pool_ref *r);

/* pool_limits.c */
#define POOL_UNFIT	160

/* what f may have in memory, bytes */
uint64_t pool_limits_memory(const struct function *f);
/* f is to share base, of packages, which may be as large as f from its next
   boot on */
void pool_limits_raise(struct function *base, const struct function *f);
/* NULL, or why f is not to have the packages that it shares, perhaps in text */
const char *pool_limits_unfit(const struct function *f, char text[POOL_UNFIT]);

/* pool_base.c */
int pool_base_shares(const struct function *f);
/* f->base, made if there is none for f; or -errno */
int pool_base_get(struct function *f, struct err *err);
/* is f a base over another, of packages? */
static inline int pool_base_is_packages(const struct function *f)
{
	return f->base_of && f->base;
}
/* its image was not good: by whose is it? */
void pool_base_bad(struct function *base, const char *why);
/* 0 also where its base is not ready yet: f is pumped once it is */
int pool_base_branch(struct pool_ref *r, struct err *err);
void pool_base_put(struct function *f);		/* it branches no more */
/* as often as that of its functions which wants it most */
void pool_base_refresh_set(struct function *base);
/* what became of a base, told to those that it is for */
void pool_base_event(struct function *base, enum pool_event what,
		     const char *text);
void pool_base_cloned(struct pool_ref *b, const struct msg *m);
void pool_base_orphans(struct pool_ref *b);	/* that one is gone */
/* what r is placed as; the caller's to free().  NULL with err */
struct place *pool_base_place(const struct pool_ref *r, struct err *err);
/* p, with a region and no process, is to be a branch of b; 0 or -errno */
int pool_base_ask(struct pool_proc *p, struct pool_ref *b, enum msg_type type);
void pool_base_enter_cgroup(struct function *f, pid_t pid);
/* r has branched, and becomes a reference; rc: as branched() has it */
int pool_base_boot(struct pool_ref *r, int rc, struct err *err);
/* p has branched, and becomes a clone of r's snapshot; pid: its guest's; once:
   for one request */
int pool_base_clone(struct pool_proc *p, struct pool_ref *r, uint32_t pid,
		    int once);
/* r is gone, and what its snapshot needed of the gateway */
void pool_base_files_close(struct pool_ref *r);
/* r's snapshot is whole, and nobody can change it */
int pool_base_sealed(const struct pool_ref *r);
void pool_base_refreshed(struct function *base); /* its users, too, then */
/* another reference of it was ordered for its users, and there is none */
void pool_base_not_forked(struct function *base, const char *why);

/*
 * pool_shell.c
 *
 * 1: one was there, and is f's clone that comes, over the reference of v, which
 * is f or a variant of it
 */
int pool_shell_take(struct function *f, struct function *v);
/* one that was placed has not come up as f's clone */
void pool_shell_missed(struct function *f, const char *why);
/* of a base: as many as there are to be */
void pool_shell_pump(struct function *base, double now);
int pool_shell_waits(const struct function *base); /* time changes that */
void pool_shell_mark(struct pool *pool);	/* what they depend on is so */
void pool_shell_quiet(struct pool *pool);	/* no request waits */
/* all of them, or those of one reference, end; 0: none is there any more */
int pool_shell_end(struct function *base, const struct pool_ref *r);
/* without the loop */
void pool_shell_destroy(struct function *base,
			void (*end)(struct pool_proc *p));
unsigned pool_shell_waiting(const struct function *base); /* so many wait */
pid_t pool_shell_sample(struct function *base);	/* one that waits, or 0 */
/* all functions have so many bytes: how many of these are given up */
uint64_t pool_shell_memory(struct pool *pool, uint64_t used);

/*
 * pool_store.c
 *
 * 1: it is looked for in the store, and is pumped when that is over
 */
int pool_store_look(struct pool_ref *r);
/* r is to boot: of a base, r->file is what it is to write */
void pool_store_begin(struct pool_ref *r);
/* the base has read its file, and needs it no more */
void pool_store_read(struct pool_ref *r);
/* what it is of there is known no more */
void pool_store_forget(struct pool_ref *r);
void pool_store_bad(struct pool_ref *r);	/* it was, and was no good */
void pool_store_pump(struct function *f);
int pool_store_waits(const struct function *f);	/* time may yet put it there */
void pool_store_init(struct pool_ref *r);
void pool_store_end(struct pool_ref *r);	/* waits for the thread */

/* pool_boot.c */
/* it is ready, however it came to that */
void pool_boot_is_ready(struct pool_ref *r);
void pool_boot_failed(struct pool_ref *r, const char *why);
/* nothing but a verified image is ever served: said by pool_image.c */
void pool_boot_verified(struct function *f);
void pool_boot_image_failed(struct function *f, const char *why);
void pool_boot_attached(struct pool_ref *r);
/* messages; UP: it waits for a debugger to come, or to go */
void pool_boot_up(struct pool_ref *r, const struct msg *m);
void pool_boot_ready(struct pool_ref *r, const struct msg *m,
		     const uint8_t *payload);
void pool_boot_died(struct pool_ref *r, const struct msg *m,
		    const uint8_t *payload);

/* pool_refresh.c */
void pool_refresh_init(struct function *f);
void pool_refresh_arm(struct function *f);	/* as f->o says */
void pool_refresh_pump(struct function *f);
/* r has booted beside another, and takes its place */
void pool_refresh_done(struct pool_ref *r);

/* pool_variant.c */
/* whose clones are those of f's references: f's own, but for a variant */
static inline struct function *pool_main(const struct function *f)
{
	return f->variant_of ? f->variant_of : (struct function *)f;
}
/* where f's next clone is to begin: f, which is usable, or a variant of it */
struct function *pool_variant_next(struct function *f);
/* clones of f that are too many of one layout get no further request */
void pool_variant_spread(struct function *f);
/* f, which is no variant, gets those that it is to have, one after the other */
void pool_variant_pump(struct function *f);
/* what became of one, for the function that it is of */
void pool_variant_event(struct function *v, enum pool_event what,
			const char *text);
/* all of f's go; 0: none is there any more */
int pool_variant_end(struct function *f);
void pool_variant_opts(struct function *f);	/* f->o is another */
void pool_variant_set(struct pool *pool);	/* pool->o is */
void pool_variant_mark(struct pool *pool);	/* all of all functions */

/* pool_fork.c: whoever has ordered one hears how it went */
void pool_fork_done(struct function *f, const char *why);
void pool_fork_pump(struct function *f);

/* pool_snapshot.c: f is not served any more */
void pool_snapshot_end(struct function *f);

/* pool_trust.c */
/* it said that it is good of the same file before: s, which may be NULL, knows */
int pool_trust_knows(struct store *s, const struct image *img);
/* what verify() says, for s to know */
int pool_trust_verify(struct store *s,
		      int (*verify)(const struct image *img, struct err *err),
		      const struct image *img, struct err *err);

/* pool_image.c: copied where the pool wants that, then booted and verified */
void pool_image_init(struct function *f);
int pool_image_begin(struct function *f, struct err *err);
void pool_image_pump(struct function *f);
void pool_image_end(struct function *f);	/* waits for the thread */

/*
 * pool_new.c
 *
 * A process id that no request of f had, until all have been used; then one
 * that no clone of f has or will have.
 */
uint32_t pool_clone_pid(struct function *f);
extern const char pool_clone_ended[];
int pool_clone_start(struct function *f);	/* it calls nobody back */
/* c, which has a process and a region, is coming as a clone of f's, of r */
void pool_clone_begin(struct pool_clone *c, struct function *f,
		      struct pool_ref *r);
void pool_clone_cloned(struct pool_ref *r, const struct msg *m);
void pool_clone_branched(struct pool_proc *p, int rc);
void pool_clone_up(struct pool_clone *c, const struct msg *m);
void pool_clone_attached(struct function *f);
/* it did not come up; requests are refused after some of these in a row */
void pool_clone_missed(struct pool_clone *c, const char *why);
void pool_clone_failed(struct function *f, const char *why);
/* no other one before some time, the longer the more there were */
void pool_clone_back_off(struct function *f, unsigned failures);

/* pool_clone.c */
extern const struct pool_proc_ops pool_clone_ops;
void pool_clone_enter(struct pool_clone *c, enum clone_state s);
void pool_clone_stop(struct pool_clone *c);
/* its process ended or broke the protocol, or it has to end */
void pool_clone_lost(struct pool_clone *c, enum died died, const char *why);
int pool_clone_comes(const struct pool_clone *c);	/* it is not up yet */
void pool_clone_expire(struct function *f, double now);	/* what is late */
void pool_clone_free(struct pool_clone *c);

/* pool_run.c */
void pool_clone_run(struct pool_clone *c, struct job *j);
/* when that is to be over, if it begins now */
double pool_run_until(const struct pool_clone *c, uint64_t limit);
void pool_run_died(struct function *f, struct job *j, enum died died,
		   const char *why);
void pool_run_give_back(struct pool_clone *c, const char *why);
/* messages: RESULT, DIED */
void pool_run_result(struct pool_clone *c, const struct msg *m,
		     const uint8_t *payload);
void pool_run_report(struct pool_clone *c, const struct msg *m,
		     const uint8_t *payload);

/* pool_size.c */
/* those that take requests, or will */
unsigned pool_clones_live(const struct function *f);
void pool_size_pump(struct function *f, double now);
void pool_clone_orphans(struct pool_ref *r);	/* the reference is gone */
/* f->ref, or that of a variant, is another one now */
void pool_clone_renew(struct function *f);

/*
 * pool_memory.c
 *
 * bytes that all functions have, as far as that is known
 */
uint64_t pool_memory_used(struct pool *pool);
void pool_memory_set(struct pool *pool);	/* as pool->o says */
void pool_memory_init(struct pool *pool);

/* time may yet store its reference */
int pool_size_waits(const struct function *f);

/* pool_proc.c */
/* its host region */
int pool_proc_open(struct pool_proc *p, struct function *f,
		   const struct pool_proc_ops *ops);
int pool_proc_connect(struct pool_proc *p, int sock);
/*
 * p, which has a region and no process, is what m asks `of` to fork: it gets
 * the other end of p's socket, and its window 0
 */
int pool_proc_ask(struct pool_proc *p, struct pool_proc *of,
		  const struct msg *m);
/* the pid is the other side's word: checked to be parent's child; parent 0:
   it is our own, not reaped, and counts also when it has ended */
int pool_proc_identify(struct pool_proc *p, pid_t pid, pid_t parent);
/* our own child; sock, its other end, is taken over.  What fails is gone */
int pool_proc_hold(struct pool_proc *p, int sock, pid_t pid, struct err *err);
/* is it what p says that it is, p's child? */
int pool_proc_is_child(const struct pool_proc *p, uint64_t pid);
void pool_proc_kill(struct pool_proc *p);
/* nothing more is heard of it but its end: killed, where it has a number */
void pool_proc_stop(struct pool_proc *p);
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
