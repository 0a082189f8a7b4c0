/*
 * ram_ops.h - where the pages of a guest's RAM are, and how they come back
 *
 * Either this process has them, at ram->base, as a virtual machine's
 * (ram_local.c); or the guest's own process has, at the guest's addresses,
 * and what is at ram->base here is its snapshot (ram_remote.c).  The tender
 * chooses as it makes a guest; where there is none, it is the first.
 *
 * Here is also what both are made of (ram_list.c).
 */
#ifndef VMM_RAM_OPS_H
#define VMM_RAM_OPS_H

#include "vmm/memory/ram.h"

/* all answer 0 or -errno, if nothing else is said */
struct ram_ops {
	/* what the others read, in a clone before its lock; proc: /proc */
	int (*open)(struct ram *ram, int proc);
	/* into ram->list: which pages are private now */
	int (*scan)(struct ram *ram);
	/* of the guest's process, so far; below 0 when that is not known */
	long (*faults)(const struct ram *ram);
	/*
	 * The list's pages are the snapshot's.  anew: the list was scanned in
	 * this rollback, and ram->faults is of just before that.
	 */
	int (*restore)(struct ram *ram, int anew);
	/* their memory is given back; what is read there is the snapshot's */
	int (*drop)(struct ram *ram, const uint32_t *page, size_t n);
	/* what was dropped is present again, as in the snapshot */
	int (*refill)(struct ram *ram, const uint32_t *page, size_t n);
	/* the same in a new clone; NULL: the guest's process did it itself */
	int (*populate)(struct ram *ram, const uint32_t *page, size_t n);
	/* [addr, addr + len), inside one window, is at base + addr, too */
	int (*read)(struct ram *ram, uint64_t addr, uint64_t len);
	/* a page as the guest has it, into `to` */
	int (*look)(const struct ram *ram, uint64_t addr, void *to);
	/* ram_verify() */
	int (*verify)(const struct ram *ram, uint64_t *addr);
	/* ram_touched() */
	uint64_t (*touched)(const struct ram *ram);
};

/* RAM, to the caps of its windows, as a private mapping of memfd (ram.c) */
int ram_map_private(struct ram *ram, int memfd);

extern const struct ram_ops ram_local_ops, ram_remote_ops;

int ram_list_add(struct ram_list *l, uint32_t page);
int ram_list_has(const struct ram_list *l, uint32_t page);
/*
 * Into ram->list what is private of RAM in the guest's process, where it is
 * mapped at `at`; to the caps: windows reach as far as they ever could.
 */
int ram_list_scan(struct ram *ram, uint64_t at, int to_caps);
/* of the same, how many pages are mapped at all */
uint64_t ram_list_present(const struct ram *ram, uint64_t at, int to_caps);
/* fn for each run of consecutive pages */
void ram_list_runs(const uint32_t *page, size_t n,
		   void (*fn)(void *arg, uint64_t addr, uint64_t len),
		   void *arg);
/* in this process, where RAM is mapped at base: pages of one's own */
void ram_list_populate(uint8_t *base, const uint32_t *page, size_t n);

/* of the working set, which others can write at any time: how many, and where */
uint32_t ram_workset_pages(const struct ram *ram, const uint32_t **page);

/*
 * ahead.c.  A run of the delta that comes, from its page i on: so many pages are
 * copied, or mapped.  0 or -errno, if nothing else is said.
 */
uint32_t ram_ahead_piece(const struct ram *ram, const struct ram_run *r,
			 uint32_t i, int *copy);
/* n of them, in this process */
int ram_ahead_copy(const struct ram *ram, const struct ram_run *r, uint32_t i,
		   uint32_t n, int fd);
/* into ram->copied what of a delta is copied, by whichever process */
int ram_ahead_note(struct ram *ram, const struct ram_delta *d);
/* ram->list has these, too */
int ram_ahead_list(struct ram *ram);

#endif
