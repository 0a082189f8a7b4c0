/*
 * ram_remote.h - guest memory that the guest's own process has
 *
 * What is asked of that process is asked of the kernel: its page tables, its
 * fault count and its memory.  Nothing here writes to it; a rollback is its
 * own doing, by orders of the tender.
 */
#ifndef VMM_RAM_REMOTE_H
#define VMM_RAM_REMOTE_H

#include "vmm/memory/ram_ops.h"

struct ram_remote;

/*
 * What the tender has that process do, while it is where no code of the
 * guest's runs.  Done when they answer 0.
 */
struct ram_orders {
	/* these pages are as in the snapshot */
	int (*copy)(struct ram_remote *r, const uint32_t *page, size_t n);
	/* the same, and the memory is given back; may come back at a touch */
	int (*drop)(struct ram_remote *r, const uint32_t *page, size_t n);
	/*
	 * Is what both processes map as in the snapshot, where it has to be?
	 * -EUCLEAN and an address when not.
	 */
	int (*verify)(const struct ram_remote *r, uint64_t *addr);
};

/* the tender's, which fills in all above stat; ram->own while it is in use */
struct ram_remote {
	const struct ram_orders *orders;
	pid_t pid;
	uint64_t shared, shared_end;	/* addresses that both map */
	/* opened by ram_clone_init(), -1 until then; the tender closes them */
	int stat;			/* /proc/PID/stat */
	int mem;		/* and mem, where that is the only way */

	uint64_t pulled[RAM_WINDOWS][2];	/* [from, to) of copies here */
	struct ram_list before;		/* ram->list of the scan before */
	struct ram_list fresh;		/* what was not in that */
};

/* r is what ram's operations are about; until ram_remote_end() */
void ram_remote_begin(struct ram *ram, struct ram_remote *r);
void ram_remote_end(struct ram *ram, struct ram_remote *r);

#endif
