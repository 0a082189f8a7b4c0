/*
 * mem.h - the guest's memory: arenas of pages, and the libOS's own heap
 *
 * This folder: the guest's memory and what it is used for: pages and their
 * kinds, kmalloc, what a program may touch, which file's code lies where.
 *
 * Page tables are static, so protection belongs to the arena: EXEC is rwx, the
 * others rw-.  mprotect succeeds and changes nothing, but memory that is asked
 * for with PROT_EXEC is taken from EXEC.  Pages that were used before are
 * zeroed when they are handed out again; pages above an arena's high-water mark
 * are zero already.  The spans of EXEC, HEAP and DATA do not grow past a sum of
 * uk_ctl.mem_limit: ENOMEM.  That limit, and the one of files, may be another
 * when READY returns, so nobody keeps what follows from them; a smaller one
 * takes away nothing that is there.
 */
#ifndef UNIKERNEL_MEM_H
#define UNIKERNEL_MEM_H

#include "unikernel/lib/lib.h"

struct file;

void mem_init(void);

/* npages zeroed pages in UK_ARENA_EXEC or UK_ARENA_DATA; 0 for ENOMEM */
u64 pages_alloc(int arena, u64 npages);
/* without zeroing recycled pages, for callers that overwrite all of them */
u64 pages_alloc_dirty(int arena, u64 npages);
/* frees any part of what was handed out; skips free pages */
void pages_free(u64 addr, u64 npages);

/*
 * The map keeps one byte for each page.  Pages that pages_alloc() hands out
 * are the libOS's until pages_mark() gives them to the program; munmap and
 * MAP_FIXED leave the libOS's alone.
 */
enum page_kind {
	PAGE_FREE,
	PAGE_LIBOS,
	PAGE_ANON,
	PAGE_FILE,	/* a private copy of file content, shared memory */
	PAGE_STACK,	/* MAP_STACK: below the stack pointer nothing is kept */
	PAGE_WIPED,	/* PAGE_ANON, zeroed by a fork: MADV_WIPEONFORK */
};

void pages_mark(u64 addr, u64 npages, enum page_kind kind);
/* PAGE_FREE for every address outside EXEC and DATA */
enum page_kind mem_page_kind(u64 addr);
/* pages from addr on, at most max, of the same kind as addr's */
u64 pages_run(u64 addr, u64 max);
/*
 * Takes exactly these pages of EXEC or DATA, whether free or already the
 * program's, and zeroes them when zero is set.  0, -ENOMEM (over the limit, or
 * not inside one arena), or -EINVAL when one is the libOS's.
 */
int pages_take(u64 addr, u64 npages, enum page_kind kind, int zero);
/* for a fork: zeroes all PAGE_WIPED pages */
void pages_wipe(void);
/* frees the program's pages of the range, in any arena */
void pages_unmap(u64 addr, u64 npages);

/* the program break, for /proc/self/maps: [*start, brk) */
u64 heap_range(u64 *start);

/* raises an arena's span to at least span bytes; 0 or -ENOMEM */
int arena_grow(int arena, u64 span);
u64 arena_span(int arena);
/* EXEC and DATA: memory from this address on is zero, as it was never used */
u64 arena_high(int arena);

/* small objects, 16-byte aligned; NULL when there is no memory */
void *kmalloc(size_t len);
void *kzalloc(size_t len);
void *krealloc(void *p, size_t len);
void kfree(void *p);

/* bytes of EXEC, HEAP and DATA in use, for sysinfo and /proc/self/statm */
u64 mem_used(void);
/* and how much the limit leaves; 0 when it is the smaller of the two */
u64 mem_left(void);

/*
 * In refused.c: memory that the limit refused.  Many programs go on without, so
 * nothing is logged until a request ends badly; then a line of the log names
 * the first refusal, because the message of what failed for it, a loader for
 * instance, often does not.
 */
void refused_note(u64 len);
void refused_tell(void);
void refused_forget(void);

long sys_brk(u64 addr);

#endif
