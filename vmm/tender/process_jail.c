/* process_jail.c - system calls of the process tender, each with its reason */
#include "vmm/tender/process_impl.h"

#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>

static const struct jail_rule clone_rules[] = {
	JAIL_CALL(futex),		/* wake the child, wait for it */
	JAIL_CALL(wait4),		/* has it died? */
	JAIL_CALL(pidfd_send_signal),	/* a tick; the one pidfd is its own */
	JAIL_CALL(sched_yield),		/* until it sleeps */
	JAIL_CALL(getcpu),		/* where the vDSO cannot */
	/* that one process and this on one processor (process_pin.c) */
	JAIL_ARG(sched_setaffinity, 0, 0),
	JAIL_ARG(sched_setaffinity, 0, JAIL_REMOTE),
	/* results, requests, of that one process */
	JAIL_ARG(process_vm_readv, 0, JAIL_REMOTE),
};

/* for the child, and what that does until its lock */
static const struct jail_rule ref_rules[] = {
	JAIL_ARG(clone, 0, CLONE_PIDFD | SIGCHLD),
	JAIL_CALL(getpid),		/* is who forked it still there? */
	JAIL_CALL(getppid),
	JAIL_CALL(wait4),		/* has it died? */
	JAIL_CALL(pidfd_send_signal),	/* a tick, the end: of children only */
	JAIL_CALL(sched_yield),		/* until it sleeps */
	JAIL_CALL(process_vm_readv),	/* results, requests */
	JAIL_CALL(getcpu),		/* both on one processor */
	JAIL_CALL(sched_getaffinity),
	JAIL_CALL(sched_setaffinity),
	JAIL_CALL(memfd_create),	/* what both see; large windows */
	JAIL_ARG(prctl, 0, PR_SET_PDEATHSIG), /* it ends with its tender */
	JAIL_CALL(rseq),		/* leave the C library's area */
	JAIL_CALL(mprotect),		/* the guest's code is executable */
	JAIL_CALL(sigaltstack),		/* of the stub page's handlers */
	JAIL_CALL(futex),		/* the doorbell, from both ends */
};

static const struct jail_rule debug_rules[] = {
	JAIL_ARG(prctl, 0, PR_SET_PTRACER), /* who is no forebear of it may */
};

const struct tender_jail process_jail = {
	.clone = JAIL_LIST(clone_rules),
	.ref = JAIL_LIST(ref_rules),
	.debug = JAIL_LIST(debug_rules),
	.guest_inherits = 1,
};
