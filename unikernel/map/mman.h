/*
 * mman.h - what the files behind mmap and its kin share
 */
#ifndef UNIKERNEL_MMAN_H
#define UNIKERNEL_MMAN_H

/* -EACCES; one line to the log, the first time (protect.c) */
long mman_no_exec(void);

/* code of f is mapped (mem/module.h) */
struct file;
void map_module(struct file *f, u64 addr, u64 len, u64 off);

#endif
