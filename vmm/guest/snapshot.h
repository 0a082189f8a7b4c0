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
 * A snapshot over another one, its base, is a file: struct snapshot_head, with
 * all of this but the base, and from SNAPSHOT_HEAD bytes on the pages of its
 * delta.  Any process that has the base, as each branch of it does, makes clones
 * of the same from that file, snapshot_load().  Who wrote it ran the guest: what
 * it says is checked, and can do no more than the guest could.  What is over a
 * base may be the base of others in turn.  A base of none is such a
 * file, too, with all of its pages that hold anything: snapshot_write(), from
 * which another process has the same base, with clones of whom the same
 * functions go on: snapshot_read().
 */
#ifndef VMM_SNAPSHOT_H
#define VMM_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "unikernel/abi.h"
#include "vmm/memory/ram.h"
#include "vmm/tender/tender.h"

struct guest;

#define SNAPSHOT_MAGIC	0x33706e736c746573ull	/* "setlsnp3" */
#define SNAPSHOT_HEAD	0x10000

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
	/*
	 * What is added to the host's monotonic clock, which begins anew when
	 * the host does: the guest's never goes back.  ns, not in the file.
	 */
	uint64_t mono_add;
	/*
	 * Its own name, and that of what it is over, its own when that is
	 * nothing: drawn as each was taken, so that no other has it
	 */
	uint8_t id[16], base[16];
};

struct snapshot_head {
	uint64_t magic;
	uint32_t abi;			/* UK_ABI_VERSION */
	uint32_t runs;			/* of the delta, or of all */
	uint32_t is_base;		/* it is over none */
	uint32_t zero;
	uint64_t processor;		/* tender_cpu.signature */
	uint8_t base[16], id[16];
	uint64_t span[RAM_WINDOWS];
	uint32_t ticket_gen[UK_TICKETS];
	uint64_t entropy_gen, mono;
	struct cpu_state cpu;
	struct ram_run run[];
};
_Static_assert(sizeof(struct snapshot_head) + RAM_RUNS * sizeof(struct ram_run)
	       <= SNAPSHOT_HEAD, "a snapshot's head holds its runs");
_Static_assert(offsetof(struct snapshot_head, run) ==
	       sizeof(struct snapshot_head), "runs follow the head");

/*
 * g has rung READY.  Its tender ends, its memory is sealed and what warm-up
 * fetched is gone; clones of it may be forked from here on.  Where g has begun
 * as a clone of *s, the snapshot is of that one's base, with one more delta,
 * in fd, which is an empty memfd, and ram's then; it is sealed.
 */
int snapshot_take(struct snapshot *s, struct guest *g, int fd, struct err *err);
/*
 * Of a guest that goes on: what differs from the snapshot that it began as a
 * clone of, in fd, an empty memfd that stays the caller's.  Not sealed.
 */
int snapshot_save(const struct snapshot *s, struct ram *ram, int fd);
/*
 * In a process where *s is the base and ram its memory, with the limits of the
 * function: the snapshot that fd, taken over, has; also laid.
 */
int snapshot_load(struct snapshot *s, struct ram *ram, int fd, struct err *err);
/* the same, where a tender stands over the base, whose memory is laid already */
int snapshot_place(struct snapshot *s, struct ram *ram, int fd,
		   struct err *err);
/*
 * *s is a base, ram its memory: all of it into fd, an empty memfd that stays the
 * caller's; it is sealed.
 */
int snapshot_write(const struct snapshot *s, struct ram *ram, int fd,
		   struct err *err);
/* in the place of one that cannot be written: an empty file, sealed */
void snapshot_none(int fd);
/*
 * In a process whose ram was created, and whose tender is initialized, and which
 * has run no guest: the base that fd has.  -ESTALE: of another processor;
 * -EINVAL: it is none.  map: its pages are not read but mapped, so ram was
 * created cold, fd is taken over, and it is to be laid (ram_base_map()); else
 * that stays the caller's.
 */
int snapshot_read(struct snapshot *s, struct ram *ram, int fd, int map,
		  struct err *err);
/* what a file says that it is, as far as that is known without a base; fd is at
   any place: 0 or -EINVAL */
int snapshot_head(int fd, struct snapshot_head *h);
/* in a new clone, before its tender: the layout of its memory */
void snapshot_layout(const struct snapshot *s, struct ram *ram);
/* what a guest, whose memory and vCPU are as they were, is to go on from */
void snapshot_begin(const struct snapshot *s, struct guest *g);
/* are these the registers of the snapshot? */
int snapshot_cpu_same(const struct snapshot *s, const struct cpu_state *now);

#endif
