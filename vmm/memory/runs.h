/*
 * runs.h - which pages of guest memory a file has, and where
 *
 * Runs are ascending and apart from each other; none crosses a multiple of
 * 2 MB, so that no mapping of one takes more than one huge page from what is
 * below it.
 */
#ifndef VMM_RUNS_H
#define VMM_RUNS_H

#include "vmm/memory/ram.h"

/* in whose span addr is; NULL */
const struct ram_window *runs_window(const struct ram *ram, uint64_t addr);
/*
 * Pages [page, end) behind the last run of d, with what lies between the two
 * where that is `join` pages or fewer.
 */
int runs_add(struct ram_delta *d, uint32_t page, uint32_t end, uint32_t join);

/* all of d's runs, by runs_add() with that join; 0 or -errno */
typedef int runs_find_fn(struct ram *ram, struct ram_delta *d, uint32_t join,
			 int memfd);
/*
 * No more than RAM_RUNS of them, and where each lies in the file, behind `head`
 * bytes.  *size: of the file.  -E2BIG where not even what is joined by 2 MB
 * pages is few enough.
 */
int runs_make(struct ram *ram, struct ram_delta *d, runs_find_fn *find,
	      int memfd, uint64_t head, uint64_t *size);
/* where the bytes of guest [addr, addr + len) are; 0 or -errno */
typedef int runs_at_fn(struct ram *ram, uint64_t addr, uint64_t len,
		       const uint8_t **at);
/* d's file, of size bytes, has them; what is before the first run stays */
int runs_write(struct ram *ram, const struct ram_delta *d, uint64_t size,
	       runs_at_fn *find);
/* each in one window's span, and in the file; -EINVAL */
int runs_check(const struct ram *ram, int fd, const struct ram_run *run,
	       uint32_t n, uint64_t head);

#endif
