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
	int hide;			/* from its user's other processes */
	uint32_t pid;			/* the guest's, of its first request */
	int run;			/* it is in that, as `from` has it, and
					   has no other one */
	uint64_t forked;		/* mono ns, just before the fork */
};

void clone_main(const struct clone_opts *o) __attribute__((noreturn));

#endif
