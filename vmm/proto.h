/*
 * proto.h - what the gateway and its references and clones say to each other
 *
 * One SOCK_STREAM socketpair each.  A message is a struct msg, then len bytes
 * of payload; descriptors ride on the struct's first byte (SCM_RIGHTS).  The
 * gateway trusts a reference or clone with nothing but that function's own
 * requests: every field is checked.
 *
 *   reference:  gateway forks it (ref.h); it boots, may FETCH and LOG, says
 *               READY or DIED, then answers each CLONE by forking.
 *   base:       a reference that answers each BRANCH and SHELL by forking, too.
 *               Either answers a SAVE by a child that writes what it has.
 *   branch:     waits for its PLACE; then it is a reference that has not said
 *               READY, or a clone.
 *   shell:      a branch that will be a clone: says UP once it has done all that
 *               needs no function and is locked, and waits for its PLACE; then it
 *               is a clone, which says UP.
 *   clone:      says UP; then for each INVOKE any number of FETCH, CANCEL,
 *               LOG, and one RESULT or DIED.  After RESULT it rolls back, lets
 *               the guest do what a child of fork(2) does, and reads its next
 *               INVOKE, which may be sent at once; a guest that ends before
 *               that is reported when the INVOKE has come.  After DIED it
 *               exits.  End of file on its socket ends it.
 */
#ifndef VMM_PROTO_H
#define VMM_PROTO_H

#include <stdint.h>

enum msg_type {
	/* gateway to reference: a: process id of its first request; fds:
	   clone's socket, its window 0 */
	MSG_CLONE = 1,
	MSG_BRANCH,		/* to a base; fds: the branch's socket, its
				   window 0 */
	MSG_SHELL,		/* to a base; fds: those of a BRANCH, and a pair
				   of sockets of the shell's own */
	MSG_PLACE,		/* to a branch: a: PLACE_*; of a clone, process
				   id of its first request, and 1 when there
				   will be no other; fds: in the order of
				   PLACE_FD_* */
	MSG_SAVE,		/* to a base, and to a reference that has
				   none; fds: a socket of its own, on which
				   SAVED answers; an empty memfd */
	/* gateway to clone */
	MSG_INVOKE,		/* a: event bytes, timeout ns, INVOKE_* flags,
				      bytes of log, process id of the request
				      after it */
	MSG_SNAPSHOT,		/* in a request, which may be over; fds: a
				   socket of its own, on which SAVED answers;
				   empty memfds of its memory and of its host
				   region.  Without an answer: it was over */
	MSG_KICK,		/* a ticket changed */
	MSG_ATTACH,		/* a: window number 1..15, bytes; fd: its memfd */
	/* to the gateway */
	MSG_READY,		/* a: errno of entering its cgroup, or 0;
				   payload: struct boot_stats, then log text */
	MSG_UP,			/* a: set-up ns, pages populated, the process
				   of a process tender's guest or 0.  From a
				   reference that waits for a debugger, too:
				   it goes on at a KICK */
	MSG_FETCH,		/* a: ticket, method, URL bytes, header bytes,
				      body bytes, timeout ns; payload: URL,
				      headers, struct proto_iov[] */
	MSG_CANCEL,		/* a: ticket */
	MSG_LOG,		/* payload: text */
	MSG_RESULT,		/* a: UK_RESULT_*, result bytes, log bytes, 0,
				   lines of log past INVOKE's limit; payload:
				   struct run_stats, result, log */
	MSG_DIED,		/* a: enum died, report bytes, log bytes,
				   status, lines of log past the limit;
				   payload: struct run_stats, report, log */
	MSG_IDLE,		/* rolled back, windows detached; payload:
				   struct run_stats, then text for
				   INVOKE_PAGES; sent when INVOKE_IDLE was set
				   or a window had been attached */
	MSG_CLONED,		/* reference to gateway: a: pid or -errno; of
				   each CLONE, BRANCH and SHELL, in their order */
	MSG_SAVED,		/* a: errno, or 0: the memfds have it; a
				   reference's is sealed */
};

/* what a branch becomes */
#define PLACE_BOOT	0	/* a reference: it fills the snapshot's memfd,
				   and seals it */
#define PLACE_CLONE	1	/* a clone of what is in there */
#define PLACE_BASE	2	/* a base of packages, likewise; it branches */
#define PLACE_LOAD	3	/* the base that is in there */
#define PLACE_FD_PLACE	0	/* struct place */
#define PLACE_FD_APP	1	/* the file of the image's uppermost layer, */
#define PLACE_FD_SNAPSHOT 2	/* struct snapshot_head, and pages */
#define PLACE_FD_WORKSET 3	/* what clones have written (ram_workset) */
#define PLACE_FD_PACKAGES 4	/* of the one below, or that one again */
#define PLACE_FDS	5

#define INVOKE_IDLE	1	/* say IDLE after the rollback */
#define INVOKE_PAGES	2	/* and in it whose pages were written */

struct msg {
	uint32_t type;
	uint32_t len;		/* payload bytes */
	uint64_t a[6];
};

#define MSG_PAYLOAD_MAX	(64u << 20)

/* why a guest ended */
enum died {
	DIED_EXIT = 1,		/* DB_EXIT: status in a[3] */
	DIED_SIGNAL,		/* fatal signal in the guest: number in a[3] */
	DIED_TIMEOUT,
	DIED_MEMORY,		/* past the limit, and the guest gave up */
	DIED_FAULT,		/* libOS fault, unknown exit, broken ABI */
	DIED_HOST,		/* the tender's own failure */
	DIED_ROLLBACK,		/* the same, before the guest had seen anything
				   of the request, in a rollback for example */
	DIED_KILLED,		/* its process was ended from outside: by a
				   person, or for want of memory */
};

/* body of a FETCH, in the sender's address space: process_vm_readv */
struct proto_iov {
	uint64_t addr, len;
};

struct boot_stats {
	uint64_t boot_ns;	/* fork to READY */
	uint64_t seal_ns;	/* save, close KVM, seal */
	uint64_t exits;
	uint64_t ram_bytes;	/* resident in the snapshot */
	uint64_t memory, files;	/* bytes of these limits that it has taken */
};

struct run_stats {
	uint64_t run_ns;	/* INVOKE read to RESULT ready */
	uint64_t guest_ns;	/* inside KVM_RUN */
	uint64_t rollback_ns;	/* of the rollback before, or in IDLE this one */
	uint64_t exits;
	uint64_t pages_private;	/* written since the clone began, now held */
	uint64_t pages_copied;	/* by the last rollback */
	uint64_t pages_touched;	/* mapped by the tender, read or written */
	uint64_t fetches;
	uint64_t setup_ns;	/* of the clone: fork to first entry */
	uint64_t child_ns;	/* READY to DB_EVENT; 0: in run_ns */
};

#endif
