/*
 * ref.h - a function's reference: booted once, frozen at READY, then forked
 *
 * ref_start() forks the reference process.  Its side of the socket speaks
 * proto.h; window0 is its host region while it boots (warm-up may FETCH).
 * The caller owns *sock and reaps *pid.  The image stays the caller's and
 * must be open until the reference is gone.
 *
 * A base is a reference of the runtime alone.  It is asked for branches, which
 * are processes that wait until a function is placed in them (place.h); then
 * each of them is that function's reference.
 */
#ifndef VMM_REF_H
#define VMM_REF_H

#include <stdint.h>
#include <sys/types.h>

#include "conf/err.h"
#include "conf/words.h"
#include "etlfs/image/image.h"
#include "vmm/memory/ram.h"
#include "vmm/tender/tender.h"

/* guests that wait for a debugger: a process tender's, see pool_ops.attach */
enum debug { DEBUG_NONE, DEBUG_CLONES, DEBUG_BOOT };

struct ref_opts {
	const struct image *img;
	uint64_t memory;		/* bytes; 0: the image's */
	int window0;			/* memfd of ETLFS_WINDOW0 bytes */
	enum tender_kind tender;
	enum recycle recycle;
	int trace;			/* system calls to the log */
	int trial;			/* the runtime says what it notices */
	int verify;			/* compare everything after a rollback */
	int base;			/* it stops at UK_LEVEL_RUNTIME, and
					   branches, each of one function */
	/* of a base, both the caller's, or -1: */
	int from;			/* it does not boot, but is the one
					   that this file has: snapshot.h; also
					   of a function, whose deltas over that
					   are in: */
	int over[RAM_DELTAS];		/* the caller's; `overs` of them */
	unsigned overs;
	int run;			/* the last of them is a request's: each
					   clone goes on with that */
	int map;			/* that file is trusted not to change
					   meanwhile: it is mapped, not read */
	int alone;			/* and there are to be no branches: this
					   process is the only one, which its
					   socket tells what is placed */
	int file;			/* an empty memfd that has it once that
					   is sealed, when there is time */
	enum debug debug;		/* BOOT: wait before the first instruction */
	uint64_t boot_timeout_ns;
	uint64_t log_max;		/* bytes of log of the boot */
	int cgroup;			/* what it enters, by cgroup_enter(), or
					   -1; the caller's */
	uid_t uid;			/* who it and its clones run as when the
					   gateway is root; 0: do not change */
};

int ref_start(const struct ref_opts *o, int *sock, pid_t *pid,
	      struct err *err);

#endif
