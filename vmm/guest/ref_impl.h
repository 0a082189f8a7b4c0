/*
 * ref_impl.h - what a reference and a branch share; nobody else includes it
 *
 *   ref.c     boots, freezes, forks
 *   branch.c  goes on from a base's freeze, in a process of its own
 *   shell.c   the same, and is a clone as far as one can be without a function
 */
#ifndef VMM_REF_IMPL_H
#define VMM_REF_IMPL_H

#include "vmm/guest/chan.h"
#include "vmm/guest/clone.h"
#include "vmm/guest/ref.h"

struct ref {
	const struct ref_opts *o;
	const struct tender_ops *ops;
	int sock, proc;
	struct ram ram;
	struct guest g;
	struct snapshot snap;		/* from READY on */
	struct jail jail, own;		/* a clone's, and this one's */
	const struct place *place;	/* the function, or the packages of a
					   base; NULL: the runtime's base */
	unsigned level;			/* UK_LEVEL_*, where it is frozen */
	const struct place *runtime;	/* what boots */
	pid_t parent;
	struct boot_stats st;
	uint64_t started;
	int collapsed;
	int hide;			/* clone_opts' */
	int file, workset;		/* of a branch's snapshot, or -1 */
	int out;			/* a base's: it is to be there, too */
	int astray;		/* why it is not in its cgroup, -errno */
};

/* DIED, with what the guest has logged; report: one line or more */
void ref_say_died(struct ref *r, enum died why, const char *report);
int ref_say_ready(struct ref *r, const char *log, size_t len);
/* what could not be done: for who killed the guest's process meanwhile? */
enum died ref_host_or_killed(const struct ref *r);
/* those of p's layers that are not there yet, from its image's file */
int ref_map_layers(struct ram *ram, const struct place *p,
		   const int fd[UK_LAYERS]);
struct clone_opts ref_clone_opts(struct ref *r, int sock, int window0,
				 uint64_t guest_pid, uint64_t forked);
/*
 * What stands in memory and processor runs until it is READY, and is frozen; or
 * -errno, which the gateway has been told
 */
int ref_run(struct ref *r, struct err *err);
/* answers the gateway until that is gone */
void ref_serve(struct ref *r);

/*
 * What becomes of a base's process that is to be a branch: of a child that BRANCH
 * has made, or of one that is alone; fds are its socket and window 0.
 * Ends.
 */
void branch_main(struct ref *r, const int fds[CHAN_FDS])
	__attribute__((noreturn));
/* a process of its own, that hears of the gateway by sock */
void branch_begin(struct ref *r, int sock);
/*
 * What comes before all else on its socket: its descriptors, the function as it
 * lies in one of them; or NULL.  Ends with the gateway.
 */
const struct place *branch_recv(int sock, struct msg *m, int fds[CHAN_FDS],
				struct err *err);

/* a child that SHELL has made: the same, and a pair of sockets.  Ends. */
void shell_main(struct ref *r, const int fds[CHAN_FDS])
	__attribute__((noreturn));

#endif
