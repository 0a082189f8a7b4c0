/*
 * ram.h - guest memory on the host's side
 *
 * This folder: guest memory, the snapshot of it, and how a clone's is rolled
 * back.
 *
 * One reservation of UK_END bytes; a guest address is base + address.  RAM
 * is a memfd whose offsets are guest addresses (sparse).  Life:
 *
 *   ram_create     mapped shared: the reference boots in it
 *   ram_seal       the memfd is sealed, and given to who asked for it: the
 *                  snapshot's pages.  RAM is now a private mapping of it,
 *                  snap a read-only shared one
 *   fork           a clone's writes stay its own
 *   ram_rollback   what the clone wrote is copied back from snap
 *
 * Invariant after ram_rollback: every byte of RAM equals the snapshot's.
 *
 * A snapshot is a base, that memfd, and deltas over it (delta.c).  A guest
 * that goes on from a snapshot, in a process of its own, is sealed again by
 * ram_delta_take(): the pages that it has written since are in a file of the
 * delta's own.  ram_lay() shows them where they belong, in RAM and in snap, so
 * that nobody else has to know which memfd a page of the snapshot is in.
 */
#ifndef VMM_RAM_H
#define VMM_RAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/err.h"
#include "unikernel/abi.h"

/* windows of RAM: the growing arenas first, so UK_ARENA_* index them */
#define RAM_SYS		UK_ARENAS
#define RAM_STACK	(UK_ARENAS + 1)
#define RAM_WINDOWS	(UK_ARENAS + 2)

/*
 * Bytes from base: span is what the guest may use now, top the most that it
 * ever could in this process (and what the tender has mapped), sealed the
 * span of the snapshot, cap what the host mapping covers: as much as the limits
 * could let it have, or top, when that is more.  span <= top <= cap,
 * sealed <= top.
 */
struct ram_window {
	uint64_t base, span, top, sealed, cap;
};

/*
 * The snapshot's pages are mapped so far from the guest's, modulo ALIAS: the
 * first-level cache of AMD's Zen takes two lines for one whose addresses have
 * the same bits 12 to 27, and a copy from one to the other misses at each.
 * On 2 MB pages both.
 */
#define RAM_ASIDE	(37ull * UK_BIG)
#define RAM_ALIAS	(1ull << 28)

struct ram_workset;

/* pages by number (address / UK_PAGE), ascending */
struct ram_list {
	uint32_t *page;
	size_t n, cap;
};

struct ram_ops;

/* pages [page, page + n) by number, in a file as its pages from `at` on */
struct ram_run {
	uint32_t page, n, at;
};

/* pages that differ from the snapshot below, and the file that has them */
struct ram_delta {
	int fd;
	struct ram_run *run;		/* ascending, apart from each other */
	uint32_t n;
};
#define RAM_DELTAS	4
#define RAM_RUNS	4096		/* of a delta, at most */

struct ram {
	uint8_t *base;			/* UK_END bytes reserved */
	const uint8_t *snap;		/* the snapshot; NULL before ram_seal */
	int torn;			/* mapping failed half way: the guest's
					   pages are not to be touched */
	int memfd;			/* until ram_seal */
	int pagemap;		/* of the guest's process, -1 until opened */
	struct ram_window win[RAM_WINDOWS];
	uint64_t mem_limit;		/* spans of EXEC + HEAP + DATA */
	uint64_t files_limit;		/* span of USF */
	struct uk_layer layer[UK_LAYERS];	/* of the image, mapped */
	uint64_t host_size[16];		/* host windows mapped, by number */
	struct ram_delta delta[RAM_DELTAS]; /* of the snapshot, lowest first */
	unsigned deltas;
	/*
	 * Set before ram_lay() by who will never roll back: the snapshot shows in
	 * RAM alone, but for the pages that the tender writes, which takes half as
	 * many mappings.  there: RAM not either, since the guest's process lays the
	 * deltas itself, which need not be mapped here, forked and moved then.
	 */
	int once, there;
	unsigned base_deltas;		/* 1: the lowest is the base itself */
	unsigned laid, snap_laid;	/* of them, over RAM and over snap */
	const struct ram_ops *ops;	/* who has the pages; the tender's */
	void *own;			/* what these keep besides */
	int waits;			/* a process that is to have them can
					   be given more mappings yet, but for */
	uint64_t apart, apart_end;	/* what this one maps as well */

	/* in what was a shell: private before the function came, and what was
	   copied of its delta since, which stays private; ahead.c */
	struct ram_list ahead, copied;
	int ahead_sys;			/* SYS, too */
	int moved;			/* this is the guest's own process: base
					   is 0, snap where it has that */

	/* rollback, in a clone */
	struct ram_list list;		/* private pages, at the last scan */
	long faults;			/* of the guest's process, by then */
	unsigned calm, since, patience;	/* rollbacks; see rollback.c:tidy() */
	struct ram_workset *ws;	/* shared by all clones of a reference */
	struct ram_workset *base_ws;	/* and by all that is over its base */
};

int ram_create(struct ram *ram, uint64_t mem_limit, uint64_t files_limit,
	       struct err *err);
/* the same without 2 MB pages, for who maps a base: what it touches is little */
int ram_create_cold(struct ram *ram, uint64_t mem_limit, uint64_t files_limit,
		    struct err *err);
void ram_destroy(struct ram *ram);

/*
 * Other limits for a clone, rounded up to 2 MB, from the next ram_grow() on;
 * uk_ctl has to say the same.  What is there stays: with less than the spans
 * have, none grows.  A process tender's child can get no more mappings once it
 * is the guest, so larger ones come before that, to both: -EBUSY after it.
 * -EINVAL before ram_seal(), -ENOMEM.
 */
int ram_limit(struct ram *ram, uint64_t mem_limit, uint64_t files_limit);
/* of what the memory limit is for: bytes that the guest has taken */
uint64_t ram_spans(const struct ram *ram);
/* bytes that a guest within its limits can write, all windows together */
uint64_t ram_most(const struct ram *ram);

/* host address of guest [addr, addr + len), or NULL when not all of it is
   the guest's to read (write: to write) */
void *ram_ptr(const struct ram *ram, uint64_t addr, uint64_t len, int write);
/* ram_ptr to read, and what lies there is the guest's, now; until it runs */
const void *ram_pull(struct ram *ram, uint64_t addr, uint64_t len);
/* the same for the tender's own use: SYS too */
static inline void *ram_sys(const struct ram *ram, uint64_t addr)
{
	return ram->base + addr;
}

/* is this address an arena's, and one that the limits cannot let it have? */
int ram_beyond(const struct ram *ram, uint64_t addr);
/*
 * Raise an arena's span: 1 when [*from, top) is newly to be mapped by the
 * tender, 0 when it already is, -ENOMEM past the limit, -EINVAL.
 */
int ram_grow(struct ram *ram, unsigned arena, uint64_t span, uint64_t *from);

/*
 * Gives [addr, addr + len) 2 MB pages at once where the kernel can: a tenth
 * of a millisecond each, where 512 first touches cost several.  Only before
 * ram_seal; nothing happens after it, or where the kernel cannot.
 */
void ram_warm(struct ram *ram, uint64_t addr, uint64_t len);

/*
 * Layer n of the image: its bytes are those of fd from off on, whole pages.  It
 * must lie behind the lower layers, and none may be there above it.
 */
int ram_map_layer(struct ram *ram, unsigned n, const struct uk_layer *layer,
		  int fd, uint64_t off);
/* the end of the uppermost layer; UK_IMAGE_BASE when there is none */
uint64_t ram_image_end(const struct ram *ram);
int ram_map_host(struct ram *ram, unsigned window, int fd, uint64_t size);
void ram_unmap_host(struct ram *ram, unsigned window);

/* the sealed memfd, which is the caller's now, or -errno */
int ram_seal(struct ram *ram, struct err *err);
/*
 * delta.c.  In a process that goes on from a snapshot, while the guest and its
 * tender are there and it does not run: what it has written is a further delta,
 * and spans are sealed as they are.  It shows once ram_lay() has laid it.  Its
 * pages are written to fd, a memfd, behind `head` bytes that are the caller's;
 * it is ram's from then on, also when that fails, and the caller's to seal.
 * -E2BIG: it has written to more than RAM_RUNS ranges of 2 MB.
 */
int ram_delta_take(struct ram *ram, int fd, uint64_t head, struct err *err);
/*
 * The same of a guest that goes on, where nothing changes: fd stays the caller's,
 * the list is his to free.
 */
int ram_delta_write(struct ram *ram, int fd, uint64_t head,
		    struct ram_run **run, uint32_t *n);
/*
 * The same delta, in another process over the same base; fd is taken over.
 * Whoever wrote the list is not to be trusted: -EINVAL when it is none, or a
 * run is not in ram's spans, or not in the file.
 */
int ram_delta_add(struct ram *ram, int fd, const struct ram_run *run,
		  uint32_t n, uint64_t head);
/*
 * base.c.  A base in a file of the same kind, whose runs are all of its pages that hold
 * anything.  Of one that is sealed, in that memfd; fd stays the caller's, the
 * list is his to free.
 */
int ram_base_write(struct ram *ram, int memfd, int fd, uint64_t head,
		   struct ram_run **run, uint32_t *n, struct err *err);
/*
 * Its pages, into memory that was created and is not sealed; fd stays the
 * caller's.  -EINVAL and what is not to be trusted as ram_delta_add() has it.
 */
int ram_base_read(struct ram *ram, int fd, const struct ram_run *run, uint32_t n,
		  uint64_t head);
/*
 * The same base without reading it, in memory that was created cold: sealed and
 * empty below, the file as the first delta over it.  fd is taken over.  The
 * caller trusts whoever can write the file, or cut it short: pages are read from
 * it whenever they are touched, once ram_lay() has laid it.  The sealed memfd, or
 * -errno.
 */
int ram_base_map(struct ram *ram, int fd, const struct ram_run *run, uint32_t n,
		 uint64_t head, struct err *err);
/*
 * The guest's tender is gone: RAM and snap are the base, of that memfd, and the
 * deltas; nothing is private in RAM any more.
 */
int ram_lay(struct ram *ram, int base, struct err *err);
/*
 * The same, where all of it was laid but the last delta, and the spans were those
 * of `was`.  snap has it from the first rollback on, for which the file must be
 * open still; RAM not, where another process waits to have it.
 */
int ram_lay_last(struct ram *ram, int base, const struct ram_window *was,
		 struct err *err);
/* what snap has not got yet; the files are closed.  0 or -errno */
int ram_lay_snap(struct ram *ram);
/* what a delta has of its file, pages [from, to) */
void ram_delta_extent(const struct ram_delta *d, uint32_t *from, uint32_t *to);
/* its run that has this page, or NULL */
const struct ram_run *ram_delta_run(const struct ram_delta *d, uint32_t page);
/* in pages of its uppermost delta, where that is not the base */
uint64_t ram_delta_bytes(const struct ram *ram);
/*
 * ahead.c.  In a shell, before its process forks if it has one: which pages are
 * private ahead, of those that clones over the base have learned.  sys: also of
 * SYS.
 */
int ram_ahead(struct ram *ram, int sys);
/* they are, in this process */
void ram_ahead_populate(const struct ram *ram);
/* where the next mapping of RAM or snap begins, behind guest address addr */
uint64_t ram_lay_next(const struct ram *ram, uint64_t addr);
/* make the sealed memfd's pages huge where they can be; slow, when idle */
void ram_collapse(const struct ram *ram, int memfd);
/* bytes resident in it, before it is sealed; and in one that was */
uint64_t ram_resident(const struct ram *ram);
uint64_t ram_resident_in(int memfd);

/*
 * Before the first clone: what these learn, in memory that all of them share;
 * fd: a memfd of ram_workset_size() bytes for that, or -1: who is forked shares.
 * What was there is the base's, then: the first of all that is over that tells
 * its shells.
 */
int ram_workset_init(struct ram *ram, int fd);
uint64_t ram_workset_size(void);
/* in a new clone, once it has its tender; proc: an open /proc */
int ram_clone_init(struct ram *ram, int proc);
/*
 * In a new clone: what earlier ones wrote is present before it is touched.
 * The number of pages, whoever does it: ram_populate(), or who has the pages
 * as it is made, RAM being mapped at base.
 */
uint64_t ram_populate(struct ram *ram);
uint64_t ram_populate_at(struct ram *ram, uint8_t *base);

struct ram_stats {
	uint64_t pages_private, pages_copied, pages_dropped;
};
int ram_rollback(struct ram *ram, struct ram_stats *st);
/*
 * Before a rollback, of a guest that rests: fn for each page that it holds of
 * its own, with what is there and what the snapshot has.  0 or -errno.
 */
int ram_written(struct ram *ram,
		void (*fn)(void *arg, uint64_t addr, const uint8_t *now,
			   const uint8_t *was), void *arg);
/* publish what this clone wrote, for ram_populate() in later ones */
void ram_learn(struct ram *ram);
/* 0, or -EUCLEAN and the first address that differs from the snapshot */
int ram_verify(const struct ram *ram, uint64_t *addr);
/* pages that are mapped, private or not */
uint64_t ram_touched(const struct ram *ram);

#endif
