/*
 * elfmap.h - can a guest's loader place a program where it says it lies?
 *
 * Whatever unikernel/map/elf.c would refuse is refused here, at bake, with the
 * file, the addresses, and what lies there.  Rules are the ELF gABI's
 * (chapter 5, "Program Header") and the map of unikernel/abi.h.
 */
#ifndef ETLFS_ELFMAP_H
#define ETLFS_ELFMAP_H

#include <stdint.h>

#include "conf/err.h"
#include "etlfs/bake/tree.h"

/* the pages of a program that has addresses of its own; none: lo == hi */
struct elfmap {
	uint64_t lo, hi;
};

/*
 * A program, or its ld.so, that the libOS loads itself; memory: the
 * function's limit.  0, or -ENOEXEC and err says what is wrong with it.
 */
int elfmap_check(const struct tree *t, uint32_t node, uint64_t memory,
		 struct elfmap *out, struct err *err);

#endif
