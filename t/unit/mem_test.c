/*
 * mem_test.c - arenas, kmalloc, mmap and brk, run natively
 *
 * Guest addresses are low and fixed, so a Linux process can have memory at
 * them; the doorbell's page holds a jump to a function of ours.
 *
 * Sources: this file, t/unit/mem_guest.c, and unikernel/ mem.c kmalloc.c
 * mmap.c inplace.c remap.c protect.c elf.c user.c module.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "t/unit/nolibc.h"
#include "unikernel/map/mman.h"
#include "unikernel/mem/mem.h"
#include "unikernel/mem/module.h"
#include "t/unit/tap.h"
#include "t/unit/mem_guest.h"

#define LIMIT	(64ul << 20)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)
#define RW	(PROT_READ | PROT_WRITE)

static long anon(u64 len)
{
	return sys_mmap(0, len, RW, ANON, -1, 0);
}

static int all(const void *p, int byte, u64 len)
{
	const u8 *b = p;

	while (len--)
		if (*b++ != byte)
			return 0;
	return 1;
}

static void test_pages(void)
{
	u64 a, b, c;

	a = pages_alloc(UK_ARENA_DATA, 3);
	b = pages_alloc(UK_ARENA_DATA, 2);
	ok(a && b == a + 3 * UK_PAGE, "runs follow each other");
	memset((void *)a, 0xaa, 5 * UK_PAGE);
	pages_free(a, 3);
	c = pages_alloc(UK_ARENA_DATA, 2);
	ok(c == a && all((void *)c, 0, 2 * UK_PAGE),
	   "a freed run is used again and zeroed");
	a = pages_alloc_dirty(UK_ARENA_DATA, 1);
	ok(a == c + 2 * UK_PAGE && all((void *)a, 0xaa, UK_PAGE),
	   "dirty pages are not zeroed");
	pages_free(b, 2);
	pages_free(c, 3);
	ok(pages_alloc(UK_ARENA_DATA, LIMIT / UK_PAGE + 1) == 0 &&
	   pages_alloc(UK_ARENA_DATA, ~0ull) == 0,
	   "more than the limit: nothing");
}

#define SLOTS	200

/* random runs, each filled with its own byte: none may overlap */
static void test_random(void)
{
	u64 addr[SLOTS] = { 0 }, n[SLOTS];
	int i, s, zero = 1, kept = 1, limit = 1;

	for (i = 0; i < 20000; i++) {
		s = rand() % SLOTS;
		if (addr[s]) {
			kept &= all((void *)addr[s], s, 64) &&
				all((void *)(addr[s] + n[s] * UK_PAGE - 64),
				    s, 64);
			pages_free(addr[s], n[s]);
			addr[s] = 0;
			continue;
		}
		n[s] = rand() % 8 ? 1 + rand() % 9 : 1 + rand() % 200;
		addr[s] = pages_alloc(UK_ARENA_DATA, n[s]);
		if (!addr[s])
			continue;
		zero &= all((void *)addr[s], 0, n[s] * UK_PAGE);
		memset((void *)addr[s], s, n[s] * UK_PAGE);
		limit &= arena_span(UK_ARENA_EXEC) +
			arena_span(UK_ARENA_HEAP) +
			arena_span(UK_ARENA_DATA) <= LIMIT;
	}
	for (s = 0; s < SLOTS; s++)
		if (addr[s])
			pages_free(addr[s], n[s]);
	ok(zero, "20000 random steps: what is handed out is zero");
	ok(kept, "20000 random steps: runs do not overlap");
	ok(limit, "20000 random steps: the spans stay within the limit");
}

static void test_kmalloc(void)
{
	static void *p[1000];
	static size_t len[1000];
	u64 used = mem_used();
	int i, s, kept = 1, aligned = 1;

	for (i = 0; i < 50000; i++) {
		s = rand() % 1000;
		if (!p[s]) {
			len[s] = rand() % (rand() % 50 ? 300 : 9000);
			p[s] = kmalloc(len[s]);
			aligned &= (u64)p[s] % 16 == 0;
		} else if (rand() % 4 == 0) {
			kept &= all(p[s], s & 0xff, len[s]);
			p[s] = krealloc(p[s], len[s] / 2 + rand() % 700);
			len[s] = 0;
			continue;
		} else {
			kept &= all(p[s], s & 0xff, len[s]);
			kfree(p[s]);
			p[s] = NULL;
			continue;
		}
		memset(p[s], s, len[s]);
	}
	for (s = 0; s < 1000; s++) {
		kept &= !p[s] || all(p[s], s & 0xff, len[s]);
		kfree(p[s]);
	}
	ok(kept, "kmalloc: 50000 random steps: objects keep their bytes");
	ok(aligned, "kmalloc: aligned to 16");
	ok(mem_used() - used <= 16 * UK_PAGE,
	   "kmalloc: at most a page of each size is kept");
	ok(kmalloc(LIMIT) == NULL && kmalloc(~0ul) == NULL,
	   "kmalloc: NULL past the limit");
	kfree(NULL);
	p[0] = kzalloc(100);
	ok(all(p[0], 0, 100), "kzalloc: zeros");
	kfree(p[0]);
}

static void test_mmap(void)
{
	long a, b;

	a = anon(10000);
	ok(a >= (long)UK_DATA_BASE && a < (long)UK_DATA_END &&
	   all((void *)a, 0, 3 * UK_PAGE), "mmap: anonymous memory is in DATA");
	ok(sys_mmap(0, 0, RW, ANON, -1, 0) == -EINVAL, "mmap: length 0");
	ok(sys_mmap(0, 4096, RW, MAP_ANONYMOUS, -1, 0) == -EINVAL,
	   "mmap: neither shared nor private");
	ok(sys_mmap(0, ~0ull, RW, ANON, -1, 0) == -ENOMEM &&
	   sys_mmap(0, ~0ull - 8191, RW, ANON, -1, 0) == -ENOMEM &&
	   anon(2 * LIMIT) == -ENOMEM, "mmap: too much");
	ok(sys_mmap(0, 4096, RW, MAP_PRIVATE, 99, 0) == -EBADF,
	   "mmap: bad descriptor");
	b = sys_mmap(0, 4096, RW | PROT_EXEC, ANON, -1, 0);
	ok(b >= (long)UK_EXEC_BASE && b < (long)UK_EXEC_END,
	   "mmap: executable memory is in EXEC");
	ok(sys_munmap(b, 4096) == 0, "munmap");
	memset((void *)a, 1, 3 * UK_PAGE);
	ok(sys_mmap(a + 4096, 4096, RW, ANON | MAP_FIXED, -1, 0) == a + 4096 &&
	   all((void *)(a + 4096), 0, 4096) && *(char *)a == 1 &&
	   *(char *)(a + 8192) == 1, "mmap: MAP_FIXED replaces with zeros");
	ok(sys_mmap(a, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == -EEXIST,
	   "mmap: MAP_FIXED_NOREPLACE refuses");
	ok(sys_munmap(a + 4096, 4096) == 0 &&
	   sys_mmap(a + 4096, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) ==
	   a + 4096, "mmap: MAP_FIXED_NOREPLACE takes a hole");
	b = pages_alloc(UK_ARENA_DATA, 1);
	ok(sys_mmap(UK_CTL, 4096, RW, ANON | MAP_FIXED, -1, 0) < 0 &&
	   sys_mmap(b, 4096, RW, ANON | MAP_FIXED, -1, 0) < 0 &&
	   sys_mmap(a + 1, 4096, RW, ANON | MAP_FIXED, -1, 0) == -EINVAL,
	   "mmap: MAP_FIXED spares what is not the program's");
	ok(sys_munmap(b, UK_PAGE) == 0 && mem_page_kind(b) == PAGE_LIBOS,
	   "munmap: the libOS's own pages stay");
	pages_free(b, 1);
	ok(sys_munmap(a + 1, 4096) == -EINVAL && sys_munmap(a, 0) == -EINVAL,
	   "munmap: bad arguments");
	ok(sys_mmap(0, LIMIT / 2, PROT_NONE, ANON | MAP_NORESERVE, -1, 0) ==
	   -ENOMEM, "mmap: a large reservation of malloc's is refused");
	sys_munmap(a, 3 * 4096);
	/* as glibc does for a library aligned to 2 MB */
	b = sys_mmap(0, 4 << 20, PROT_NONE, ANON, -1, 0);
	a = ROUND_UP(b, 2 << 20);
	ok(b >= (long)UK_EXEC_BASE && b + (4 << 20) <= (long)UK_EXEC_END &&
	   sys_mmap(a, 4096, PROT_READ | PROT_EXEC, ANON | MAP_FIXED, -1, 0) ==
	   a && sys_mprotect(a, 4096, PROT_READ | PROT_EXEC) == 0 &&
	   sys_munmap(b, 4 << 20) == 0,
	   "mmap: a plain reservation can hold code");
	b = sys_mmap(0, 8192, PROT_NONE, ANON | MAP_STACK, -1, 0);
	ok(b >= (long)UK_DATA_BASE && sys_munmap(b, 8192) == 0,
	   "mmap: a thread's stack is in DATA");
}

static void test_protect(void)
{
	long a = anon(3 * 4096);

	ok(sys_mprotect(a, 12288, PROT_NONE) == 0, "mprotect");
	ok(sys_mprotect(a, 4096, RW | PROT_EXEC) == -EACCES,
	   "mprotect: DATA never executes");
	ok(sys_mprotect(a + 1, 4096, RW) == -EINVAL &&
	   sys_mprotect(0, 4096, RW) == -ENOMEM, "mprotect: bad addresses");
	memset((void *)a, 7, 3 * 4096);
	ok(sys_madvise(a + 4096, 4096, MADV_DONTNEED) == 0 &&
	   all((void *)(a + 4096), 0, 4096) && *(char *)a == 7,
	   "madvise: MADV_DONTNEED gives zeros");
	ok(sys_madvise(a, 4096, 999) == -EINVAL &&
	   sys_madvise(0, 4096, MADV_DONTNEED) == -ENOMEM,
	   "madvise: bad arguments");
	sys_munmap(a, 3 * 4096);
}

static void test_mremap(void)
{
	long a = anon(4 * 4096), b, c;

	memset((void *)a, 5, 4 * 4096);
	b = sys_mmap(a + 4 * 4096, 4096, RW, ANON | MAP_FIXED, -1, 0);
	ok(sys_mremap(a, 4 * 4096, 8 * 4096, 0, 0) == -ENOMEM,
	   "mremap: no room to grow in place");
	c = sys_mremap(a, 4 * 4096, 8 * 4096, MREMAP_MAYMOVE, 0);
	ok(c > 0 && c != a && all((void *)c, 5, 4 * 4096) &&
	   all((void *)(c + 4 * 4096), 0, 4 * 4096), "mremap: moves");
	ok(sys_mremap(c, 8 * 4096, 9 * 4096, 0, 0) == c &&
	   all((void *)(c + 8 * 4096), 0, 4096), "mremap: grows in place");
	ok(sys_mremap(c, 9 * 4096, 4096, 0, 0) == c &&
	   mem_page_kind(c + 4096) == PAGE_FREE, "mremap: shrinks");
	ok(sys_mremap(a, 4096, 8192, MREMAP_MAYMOVE, 0) == -EFAULT &&
	   sys_mremap(c, 4096, 0, 0, 0) == -EINVAL, "mremap: bad arguments");
	a = anon(2 * 4096);
	ok(sys_mremap(c, 4096, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, a) == a &&
	   *(char *)a == 5 && *(char *)(a + 4096) == 0, "mremap: MREMAP_FIXED");
	sys_munmap(a, 2 * 4096);
	sys_munmap(b, 4096);
}

static void test_brk(void)
{
	u64 start = sys_brk(0), end;

	ok(start >= UK_HEAP_BASE && sys_brk(start + 100000) ==
	   (long)start + 100000 && all((void *)start, 0, 100000),
	   "brk: grows with zeros");
	memset((void *)start, 9, 100000);
	sys_brk(start + 5000);
	sys_brk(start + 100000);
	end = ROUND_UP(start + 5000, UK_PAGE);
	ok(all((void *)start, 9, end - start) &&
	   all((void *)end, 0, start + 100000 - end),
	   "brk: pages given back are zero again");
	ok(sys_brk(start + 2 * LIMIT) == (long)start + 100000 &&
	   sys_brk(1) == (long)start + 100000,
	   "brk: past the limit nothing changes");
	sys_brk(start);
}

static void test_files(void)
{
	long a, b;

	a = sys_mmap(0, 8192, RW, MAP_PRIVATE, FD_COPIED, 0);
	ok(a > 0 && !memcmp((void *)a, "content", 7) &&
	   all((void *)(a + FILE_SIZE), 0, 8192 - FILE_SIZE),
	   "file: a private copy, zeros past the end");
	memset((void *)a, 'x', 100);
	sys_madvise(a, 4096, MADV_DONTNEED);
	ok(*(char *)a == 'x', "file: MADV_DONTNEED keeps a private copy");
	sys_munmap(a, 8192);
	a = sys_mmap(0, 4096, PROT_READ, MAP_SHARED, FD_IN_PLACE, 0);
	b = sys_mmap(0, 4096, PROT_READ, MAP_SHARED, FD_IN_PLACE, 0);
	ok(a == (long)UK_USF_BASE && a == b && file_maps == 2,
	   "file: in place, twice at one address");
	ok(sys_mprotect(a, 4096, RW) == -EACCES,
	   "file: a read-only mapping stays read-only");
	sys_munmap(a, 4096);
	ok(file_unmaps == 0, "file: one mapping is left");
	sys_munmap(a, 4096);
	ok(file_unmaps == 1 && file_refs == 0, "file: the last one lets go");
	ok(sys_munmap(a, 4096) == 0 && file_unmaps == 1,
	   "file: what is not mapped is not let go again");
	ok(sys_mmap(0, 4096, RW, MAP_SHARED, FD_COPIED, 0) == -EACCES,
	   "file: shared and writable needs a writable descriptor");
	ok(sys_mmap(0, 4096, RW, MAP_SHARED, FD_DIR, 0) == -ENODEV,
	   "file: a directory cannot be mapped");
	ok(sys_mmap(0, 4096, PROT_READ, MAP_PRIVATE, FD_COPIED, 100) ==
	   -EINVAL, "file: offset not aligned");
}

static int is_module(u64 addr, u64 start, u64 len, u64 off)
{
	const struct module *m = module_at(addr);

	return m && m->addr == start && m->len == len && m->off == off &&
	       !strcmp(m->path, "/file/3");
}

static void test_modules(void)
{
	const int rx = PROT_READ | PROT_EXEC, fixed = MAP_PRIVATE | MAP_FIXED;
	u64 a = sys_mmap(0, 5 * 4096, rx, MAP_PRIVATE, FD_COPIED, 4096), b;
	int i;

	ok(is_module(a, a, 5 * 4096, 4096) &&
	   is_module(a + 5 * 4096 - 1, a, 5 * 4096, 4096) &&
	   !module_at(a - 1) && !module_at(a + 5 * 4096),
	   "modules: a file's code");
	sys_mmap(a + 4096, 4096, RW, ANON | MAP_FIXED, -1, 0);
	ok(is_module(a, a, 4096, 4096) && !module_at(a + 4096) &&
	   is_module(a + 8192, a + 8192, 3 * 4096, 3 * 4096),
	   "modules: another mapping in the middle");
	sys_mmap(a + 4096, 8192, rx, fixed, FD_COPIED, 0);
	ok(is_module(a + 8192, a + 4096, 8192, 0) &&
	   is_module(a + 3 * 4096, a + 3 * 4096, 2 * 4096, 4 * 4096),
	   "modules: code over code");
	sys_munmap(a, 4 * 4096);
	ok(!module_at(a) && !module_at(a + 3 * 4096) &&
	   is_module(a + 4 * 4096, a + 4 * 4096, 4096, 5 * 4096),
	   "modules: unmapped but for the last page");
	b = sys_mremap(a + 4 * 4096, 4096, 8192, MREMAP_MAYMOVE |
		       MREMAP_FIXED, a);
	ok(b == a && !modules, "modules: what moves is no file's any more");
	sys_munmap(a, 8192);
	b = sys_mmap(0, 4096, PROT_READ, MAP_PRIVATE, FD_COPIED, 0);
	ok(!module_at(b), "modules: data is none");
	sys_munmap(b, 4096);
	for (i = 0; i < MODULES_MAX + 10; i++)
		sys_mmap(0, 4096, rx, MAP_PRIVATE, FD_COPIED, 0);
	for (i = 0, b = 0; b < UK_EXEC_END; b += 4096)
		i += !!module_at(b);
	ok(i == MODULES_MAX, "modules: at most so many");
	sys_munmap(UK_EXEC_BASE, UK_EXEC_END - UK_EXEC_BASE);
	ok(!modules, "modules: all unmapped");
}

static void test_user(void)
{
	u64 span = arena_span(UK_ARENA_DATA);
	char *end = (char *)UK_DATA_BASE + span;

	ok(user_ok((void *)UK_DATA_BASE, span, 1) &&
	   !user_ok((void *)UK_DATA_BASE, span + 1, 1) &&
	   !user_ok(end, 1, 0), "user_ok: the span and no more");
	ok(user_ok(NULL, 0, 1) && !user_ok(NULL, 1, 0) &&
	   !user_ok((void *)~0ull, 2, 0) && !user_ok((void *)4096, ~0ull, 0),
	   "user_ok: null, wrap-around");
	ok(user_ok((void *)UK_VDSO, 4096, 0) && !user_ok((void *)UK_VDSO, 1, 1)
	   && !user_ok((void *)UK_LIBOS, 1, 0) &&
	   !user_ok((void *)UK_OUT, 1, 1), "user_ok: SYS");
	strcpy(end - 4, "abc");
	ok(user_strlen(end - 4, 100) == 3 && user_strlen(end - 4, 3) == 3 &&
	   user_strlen(end - 4, 2) == -ENAMETOOLONG, "user_strlen");
	end[-1] = 'd';
	ok(user_strlen(end - 4, 100) == -EFAULT &&
	   user_strlen(NULL, 10) == -EFAULT, "user_strlen: runs off the end");
}

static void test_exhaust(void)
{
	long a, n = 0, last = 0;

	while ((a = anon(1 << 20)) > 0) {
		*(long *)a = last;
		last = a;
		n++;
	}
	ok(a == -ENOMEM && n >= 45 && n < 64,
	   "64 MB: most of it can be had, then ENOMEM");
	for (; last; last = a) {
		a = *(long *)last;
		sys_munmap(last, 1 << 20);
	}
	a = anon(40 << 20);
	ok(a > 0 && all((void *)a, 0, 40 << 20),
	   "64 MB: all can be had again, zeroed");
	sys_munmap(a, 40 << 20);
}

static u64 spans(void)
{
	return arena_span(UK_ARENA_EXEC) + arena_span(UK_ARENA_HEAP) +
	       arena_span(UK_ARENA_DATA);
}

/* of a guest at READY that is placed where there is less, or more */
static void test_limits(void)
{
	u64 before = spans();
	long a, b, n = 0;

	guest_limit(LIMIT / 4);
	ok(mem_left() <= LIMIT / 4, "a smaller limit: less is left");
	a = anon(40 << 20);
	ok(a > 0 && mem_left() == 0,
	   "a smaller limit: memory that is there can be had");
	while ((b = anon(1 << 20)) > 0)
		n++;
	ok(b == -ENOMEM && spans() == before,
	   "a smaller limit: no arena grows");
	ok(n == 0 || n < 24, "a smaller limit: ENOMEM where the spans end");
	guest_limit(4 * LIMIT);
	b = anon(2 * LIMIT);
	ok(b > 0 && all((void *)b, 0, 2 * LIMIT) && spans() > LIMIT &&
	   spans() <= 4 * LIMIT, "a larger limit: more can be had");
	ok(anon(4 * LIMIT) == -ENOMEM, "a larger limit: and no more than that");
	ok(sys_munmap(b, 2 * LIMIT) == 0 && sys_munmap(a, 40 << 20) == 0,
	   "a larger limit: all is given back");
	guest_limit(UK_DATA_END - UK_DATA_BASE);
	a = anon(DATA_ROOM - LIMIT);
	ok(a > 0 && mem_used() > DATA_ROOM - LIMIT,
	   "the address map's limit: gigabytes can be had");
	*(char *)(a + DATA_ROOM - LIMIT - 1) = 1;
	ok(mem_page_kind(a + DATA_ROOM - LIMIT - 1) == PAGE_ANON &&
	   pages_run(a, ~0ull) >= (DATA_ROOM - LIMIT) / UK_PAGE &&
	   mem_page_kind(UK_DATA_END - 1) == PAGE_FREE,
	   "the address map's limit: the map knows them");
	ok(anon(UK_DATA_END - UK_DATA_BASE) == -ENOMEM,
	   "the address map's limit: not more than an arena has addresses");
	before = mem_used();
	ok(sys_munmap(UK_DATA_BASE, UK_DATA_END - UK_DATA_BASE) == 0 &&
	   mem_used() < before - (DATA_ROOM - LIMIT) + UK_PAGE,
	   "the address map's limit: all of an arena is unmapped");
	guest_limit(LIMIT);
}

int main(void)
{
	srand(1);
	if (guest_setup(LIMIT) < 0) {
		printf("1..0 # SKIP guest addresses are taken here\n");
		return 0;
	}
	mem_init();
	test_pages();
	test_random();
	test_kmalloc();
	test_mmap();
	test_protect();
	test_mremap();
	test_brk();
	test_files();
	test_modules();
	test_user();
	test_exhaust();
	test_limits();
	return plan();
}
