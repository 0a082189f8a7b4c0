/*
 * mman.h - mmap and its kin
 *
 * This folder: the program's mappings: mmap, mremap, mprotect and madvise,
 * files mapped in place, and the loading of programs.
 */
#ifndef UNIKERNEL_MMAN_H
#define UNIKERNEL_MMAN_H

#include "unikernel/lib/kabi.h"

/* -EACCES, with a line in the log the first time; in protect.c */
long mman_no_exec(void);

/* to call when code of f is mapped (mem/module.h) */
struct file;
void map_module(struct file *f, u64 addr, u64 len, u64 off);

/*
 * In map.c: the address of the file's bytes in place, when the whole range is
 * in memory and page-aligned.  Image and host files are mapped read-only; USF
 * files writable, made contiguous first when shared_write is set, and pinned
 * until map_unpin.  0 when that is not possible (the caller copies with
 * file_pread), or an error in *err.
 */
u64 map_pin(struct file *f, u64 off, u64 len, int shared_write, int *err);
void map_unpin(u64 addr, u64 len);

long sys_mmap(u64 addr, u64 len, int prot, int flags, int fd, s64 off);
long sys_munmap(u64 addr, u64 len);
long sys_mprotect(u64 addr, u64 len, int prot);
long sys_mremap(u64 addr, u64 old, u64 len, int flags, u64 to);
long sys_msync(u64 addr, u64 len, int flags);
long sys_madvise(u64 addr, u64 len, int advice);
long sys_mincore(u64 addr, u64 len, u8 *vec);

/* in protect.c: memory is never swapped, so it counts as locked */
long sys_mlock(u64 addr, u64 len);
long sys_mlock2(u64 addr, u64 len, int flags);
long sys_munlock(u64 addr, u64 len);
long sys_mlockall(int flags);
long sys_munlockall(void);

#endif
