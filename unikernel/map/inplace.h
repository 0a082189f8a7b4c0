/*
 * inplace.h - file mappings that were not copied; private to mmap
 *
 * A mapping in place is an address in the image, the host region or the USF
 * region.  The same bytes mapped twice have the same address twice, so the
 * table has an entry for each mapping: munmap removes one, and the file may
 * release its bytes (map_unpin) after the last.
 */
#ifndef UNIKERNEL_INPLACE_H
#define UNIKERNEL_INPLACE_H

#include "unikernel/fs/vfs.h"

struct inplace {
	struct inplace *next;
	u64 addr, len, off;		/* whole pages */
	struct file *file;		/* holds a reference */
	int prot, shared;
};

/*
 * The address of the mapping, or 0 when it cannot be in place; with *err set it
 * must fail.
 */
u64 inplace_map(struct file *f, u64 off, u64 len, int prot, int shared,
		int *err);
/* removes one mapping of every page of the range that has one */
void inplace_unmap(u64 addr, u64 len);
/* the smallest mapping that holds addr, or NULL */
struct inplace *inplace_find(u64 addr);

#endif
