/*
 * clone.h - a clone: one process, one VM, one request at a time
 *
 * Runs in a child of the reference and does not return.  Each request begins
 * from the snapshot.
 */
#ifndef VMM_CLONE_H
#define VMM_CLONE_H

#include "vmm/guest/guest.h"
#include "vmm/jail/jail.h"
#include "vmm/guest/ref.h"
#include "vmm/guest/snapshot.h"

struct clone_opts {
	const struct place *place;
	const struct tender_ops *ops;
	const struct snapshot *from;
	struct ram *ram;		/* over the snapshot's pages */
	const struct jail *jail;
	int proc;			/* an open /proc */
	int sock, window0;
	int once;			/* it ends with its first answer */
	int hide;			/* from its user's other processes */
	uint32_t pid;			/* the guest's, of its first request */
	int run;			/* it is in that, as `from` has it, and
					   has no other one */
	uint64_t forked;		/* mono ns, just before the fork */
};

void clone_main(const struct clone_opts *o) __attribute__((noreturn));

/*
 * In two steps, for a shell (shell.c): all that can be done over the base, up to
 * the lock, without o->place and o->pid; then, once memory and o->from are the
 * function's, the rest.  w: how a process that is to have the memory hears of
 * it; more: descriptors that stay open, or -1; was, image_end: the memory's
 * layout in the first step.
 */
#define CLONE_MORE	2
void clone_stand(const struct clone_opts *o, const struct tender_wait *w,
		 const int more[CLONE_MORE]);
void clone_placed(const struct clone_opts *o, const struct ram_window *was,
		  uint64_t image_end) __attribute__((noreturn));
/* between them: the gateway is told why */
void clone_failed(const char *why) __attribute__((noreturn));

#endif
