/*
 * snapshot.h - all that a clone starts from
 *
 * A guest that has rung READY, with nothing of who ran it: its memory, its
 * processor, and the numbers of its tender's that have to go on where they
 * were.  snapshot_take() makes it of a running guest, which ends by that.
 *
 * Owner: the reference, for as long as it lives.  Clones have by fork(2) what
 * it had then: the snapshot itself, which they only read, and struct ram,
 * whose mappings show the pages (ram_seal()) and are private to each.
 *
 * Invariant: nothing in it changes after snapshot_take(), the pages are
 * sealed, and each child of fork(2) that the guest becomes begins as
 * snapshot_begin() and the tender's load() of cpu make it.  So what belongs to
 * one clone or request is not here: the process number that the child is told
 * (clone_opts, MSG_INVOKE), its entropy, the time of day, the host windows.
 *
 * It is no tender's but for what that wrote to the pages before the first
 * instruction (tender_ops.stubs), and for the size of vector state, which is
 * that of the processor (tender_cpu).  Whoever loads a snapshot by another
 * tender, or on another processor, has to put the first in its place before
 * load() and to refuse the second; no clone does, they are of one process.
 *
 * A file format, once there is one, is written and read beside snapshot_take()
 * in snapshot.c, from these fields alone: a head with cpu, layout and numbers,
 * then the pages of memfd that have data.
 */
#ifndef VMM_SNAPSHOT_H
#define VMM_SNAPSHOT_H

#include <stdint.h>

#include "conf/err.h"
#include "unikernel/abi.h"
#include "vmm/memory/ram.h"
#include "vmm/tender/tender.h"

struct guest;

struct snapshot {
	/* layout of memory; spans are those of READY, and sealed */
	struct ram_window win[RAM_WINDOWS];
	/* those it booted with; a clone may have others: ram_limit() */
	uint64_t mem_limit, files_limit;
	/* its pages: offsets are guest addresses, holes are zeros */
	int memfd;
	/* behind READY's doorbell; what that returns is yet to be said */
	struct cpu_state cpu;
	/* of each slot's last ticket: the libOS knows those by number */
	uint32_t ticket_gen[UK_TICKETS];
	uint64_t entropy_gen;
	/* what the guest's monotonic clock had come to, ns */
	uint64_t mono;
};

/*
 * g has rung READY.  Its tender ends, its memory is sealed and what warm-up
 * fetched is gone; clones of it may be forked from here on.
 */
int snapshot_take(struct snapshot *s, struct guest *g, struct err *err);
/* in a new clone, before its tender: the layout of its memory */
void snapshot_layout(const struct snapshot *s, struct ram *ram);
/* what a guest, whose memory and vCPU are as they were, is to go on from */
void snapshot_begin(const struct snapshot *s, struct guest *g);
/* are these the registers of the snapshot? */
int snapshot_cpu_same(const struct snapshot *s, const struct cpu_state *now);

#endif
