/*
 * openpool.h - a pool and what it stands on: for serve, invoke and bake's trial
 *
 * The tender is chosen, the user looked up, and loop, cgroup and pool are made,
 * all by a configuration.  openpool_destroy() undoes it in reverse order.  This
 * process adopts what its children leave, and reaps it by then; one that has
 * children of its own reaps those itself.
 */
#ifndef CMD_OPENPOOL_H
#define CMD_OPENPOOL_H

#include <ev.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/err.h"
#include "vmm/pool/pool.h"

struct openpool_opts {
	const struct conf *conf;	/* the caller's; NULL: its defaults */
	const char *tender;		/* an option's word; NULL: see
					   tenderopt_resolve() */
	/* instead of the configuration's; 0: that */
	uint64_t boot_ns, wait_ns, log_max;
	const char *store;		/* instead of the configuration's */
	int copy_images;		/* see pool_opts */
	int hope;			/* with a store: what the host may
					   refuse is for openpool_doubt() */
	int cgroups;			/* one for each function, if possible */
	struct ev_loop *loop;		/* the caller's; NULL: one of its own */
	/* one line for the operator; NULL: for nobody */
	void (*say)(const char *text);
	const char *or_else;		/* NULL, or what follows an error that
					   there is no tender: "; or ..." */
	/* as pool_opts has it */
	int (*verify)(const struct image *img, struct err *err);
	const struct pool_ops *ops;
	void *arg;
};

struct openpool {
	struct openpool_opts o;
	const struct conf *conf;	/* the caller's, or the defaults */
	struct conf *defaults;		/* NULL: those are not needed */
	struct ev_loop *loop;
	enum tender_kind tender;
	struct cgroup *cgroup;		/* NULL: functions have sessions */
	struct store *store;		/* NULL: nothing is kept */
	int hoped;
	int others;			/* there were children before */
	struct pool *pool;
};

/*
 * 0, or -errno with p all zeros again; err is "" where the number says it all.
 * With cgroups it has to come before there is any other process here, or a
 * thread.
 */
int openpool_create(struct openpool *p, const struct openpool_opts *o,
		    struct err *err);
/* of one that was created, or is all zeros */
void openpool_destroy(struct openpool *p);
/* runs its loop until what booted is in the store, or for so long as is fit */
void openpool_keep(struct openpool *p);
/*
 * Ends all guests before that: for what needs the loop and has to outlive
 * them.
 */
void openpool_stop(struct openpool *p);
/*
 * Something went wrong, and with `hope` nobody has asked whether this host allows
 * what it takes: 0 when it does, or it was asked before.
 */
int openpool_doubt(struct openpool *p, struct err *err);
/*
 * The pool's options by another configuration, for pool_set(): c stays the
 * caller's, and has to stay as long as they are in use.
 */
int openpool_limits(const struct openpool *p, const struct conf *c,
		    struct pool_opts *out, struct err *err);

#endif
