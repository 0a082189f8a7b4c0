/*
 * inplace.h - file mappings that were not copied; private to mmap
 *
 * A mapping in place is an address in the image, the host region or the USF
 * region.  The same bytes mapped twice have the same address twice, so the
 * table counts: munmap takes away one mapping of an address, and the file
 * lets its bytes go (file_unmap) when the last one went.
 */
#ifndef UNIKERNEL_INPLACE_H
#define UNIKERNEL_INPLACE_H

#include "unikernel/fs/vfs.h"

struct inplace {
	struct inplace *next;
	u64 addr, len, off;		/* whole pages */
	struct file *file;		/* a reference */
	int prot, shared;
};

/* mapping address; 0: not in place, or with *err set not at all */
u64 inplace_map(struct file *f, u64 off, u64 len, int prot, int shared,
		int *err);
/* takes away one mapping of every page of the range that has one */
void inplace_unmap(u64 addr, u64 len);
/* the mapping that holds addr, the smallest of them; NULL: none */
struct inplace *inplace_find(u64 addr);

#endif
