/*
 * mem.h - the guest's memory: arenas of pages, and the libOS's own heap
 *
 * Page tables are static, so protection belongs to the arena: EXEC is rwx,
 * the others rw-.  mprotect succeeds and changes nothing, but PROT_EXEC
 * requests land in EXEC to begin with.  Pages that were used before are
 * zeroed when they are handed out again; pages above an arena's high-water
 * mark are zero already.  The sum of the spans of EXEC, HEAP and DATA never
 * exceeds uk_ctl.mem_limit: past it, ENOMEM.
 */
#ifndef UNIKERNEL_MEM_H
#define UNIKERNEL_MEM_H

#include "unikernel/lib/lib.h"

struct file;

void mem_init(void);

/* npages zeroed pages in UK_ARENA_EXEC or _DATA; address, or 0 for ENOMEM */
u64 pages_alloc(int arena, u64 npages);
/* the same without zeroing recycled pages, for callers that overwrite all */
u64 pages_alloc_dirty(int arena, u64 npages);
/* any subrange of what was handed out; free pages are skipped */
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
	PAGE_STACK,	/* MAP_STACK: what lies below its pointer is dead */
	PAGE_WIPED,	/* PAGE_ANON, and zero after a fork: MADV_WIPEONFORK */
};

void pages_mark(u64 addr, u64 npages, enum page_kind kind);
/* PAGE_FREE for every address outside EXEC and DATA */
enum page_kind mem_page_kind(u64 addr);
/* pages from addr on, at most max, of the same kind as addr's */
u64 pages_run(u64 addr, u64 max);
/*
 * Exactly these pages of EXEC or DATA, whether free or already the
 * program's, zeroed when zero is set: 0, -ENOMEM (limit, or not inside one
 * arena), or -EINVAL when one is the libOS's.
 */
int pages_take(u64 addr, u64 npages, enum page_kind kind, int zero);
/* a fork: PAGE_WIPED are zeroed */
void pages_wipe(void);
/* the program's pages of the range, in any arena, become free */
void pages_unmap(u64 addr, u64 npages);

/* the program break, for /proc/self/maps: [*start, brk) */
u64 heap_range(u64 *start);

/* raise an arena's span to at least span bytes; 0 or -ENOMEM */
int arena_grow(int arena, u64 span);
u64 arena_span(int arena);
/* EXEC and DATA: memory from this address on was never used: it is zero */
u64 arena_high(int arena);

/* small objects, 16-byte aligned; NULL when memory is out */
void *kmalloc(size_t len);
void *kzalloc(size_t len);
void *krealloc(void *p, size_t len);
void kfree(void *p);

/* bytes of EXEC, HEAP and DATA in use, for sysinfo and /proc/self/statm */
u64 mem_used(void);

/*
 * refused.c: memory that was refused.  Many a program does without, so nothing is
 * said until one ends badly: then a line of the log names the first, because
 * what failed for it, a loader, say, often does not.
 */
void refused_note(u64 len);
void refused_tell(void);
void refused_forget(void);

long sys_mmap(u64 addr, u64 len, int prot, int flags, int fd, s64 off);
long sys_munmap(u64 addr, u64 len);
long sys_mprotect(u64 addr, u64 len, int prot);
long sys_mremap(u64 addr, u64 old, u64 len, int flags, u64 to);
long sys_msync(u64 addr, u64 len, int flags);
long sys_madvise(u64 addr, u64 len, int advice);
long sys_mincore(u64 addr, u64 len, u8 *vec);
long sys_brk(u64 addr);

#endif
