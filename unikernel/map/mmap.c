/*
 * mmap.c - mmap and munmap (mman.h)
 *
 * Where a mapping goes:
 *   anonymous			DATA, EXEC when executable or a reservation
 *				that a library may be mapped over
 *   file, shared and writable	in place (the file's own bytes) or not at all
 *   file, only to be read	in place when the file can, else a copy
 *   file, private		a copy in DATA, EXEC when executable
 *   file, for the loader	EXEC: the segments follow by MAP_FIXED
 *
 * A shared mapping that is a copy is read-only, so the program sees a
 * difference only when the file changes afterwards.
 */
#include "unikernel/map/inplace.h"
#include "unikernel/map/elf.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"
#include "unikernel/map/mman.h"
#include "unikernel/mem/module.h"

struct mmap_request {
	u64 addr, len;			/* len is whole pages */
	u64 npages;
	int prot, flags;
	struct file *file;		/* NULL: anonymous */
	u64 off;
};

/* less than malloc reserves for each further thread */
#define RESERVE_MAX	(32ul << 20)

/*
 * The loader reserves memory before it maps a library whose segments are
 * aligned to more than a page (glibc 2.35 and newer; older linkers align to 2
 * MB, so many wheels have such libraries).  Unlike the reservations of malloc
 * and for threads' stacks these have no other flags.
 */
static int may_hold_code(const struct mmap_request *q)
{
	return q->prot == PROT_NONE && !q->file &&
	       q->flags == (MAP_PRIVATE | MAP_ANONYMOUS);
}

static int wanted_arena(const struct mmap_request *q)
{
	return q->prot & PROT_EXEC || may_hold_code(q) ? UK_ARENA_EXEC :
	       UK_ARENA_DATA;
}

static enum page_kind wanted_kind(const struct mmap_request *q)
{
	/* MADV_DONTNEED does not empty shared memory, nor files */
	if (q->file || (q->flags & MAP_TYPE) != MAP_PRIVATE)
		return PAGE_FILE;
	return q->flags & MAP_STACK ? PAGE_STACK : PAGE_ANON;
}

/*
 * A loader maps the whole library and then its segments over that.  glibc's
 * passes MAP_DENYWRITE; others may pass nothing special.
 */
static int for_loader(const struct mmap_request *q)
{
	u8 head[SELFMAG + 2];

	if (q->flags & MAP_DENYWRITE)
		return 1;
	if (q->flags & MAP_SHARED || q->off)
		return 0;
	return file_pread(q->file, head, sizeof(head), 0) == sizeof(head) &&
	       !memcmp(head, ELFMAG, SELFMAG);
}

/*
 * How much of a library's first mapping will not be mapped over: segments that
 * begin in its first page.
 */
static u64 loader_len(const struct mmap_request *q)
{
	struct elf_ehdr eh;
	struct elf_phdr ph[ELF_PHDRS_MAX];
	u64 len = 0;
	int i;

	if (!(q->flags & MAP_DENYWRITE) || q->off ||
	    elf_read_headers(q->file, &eh, ph) < 0)
		return q->len;
	for (i = 0; i < eh.phnum; i++)
		if (ph[i].type == PT_LOAD && ph[i].offset < UK_PAGE)
			len = MAX(len, ROUND_UP(ph[i].offset + ph[i].filesz,
						UK_PAGE));
	return len ? MIN(q->len, len) : q->len;
}

/*
 * Reads the file into [addr, addr + len) with zeros past its end; 0 or -errno.
 */
static long fill(const struct mmap_request *q, u64 addr, u64 len)
{
	u64 got = 0;
	long n;

	while (got < len) {
		n = file_pread(q->file, (void *)(addr + got), len - got,
			       q->off + got);
		if (n < 0)
			return n;
		if (!n)
			break;
		got += n;
	}
	memset((void *)(addr + got), 0, len - got);
	return 0;
}

void map_module(struct file *f, u64 addr, u64 len, u64 off)
{
	char path[MODULE_PATH_MAX];
	long n = file_path(f, path, sizeof(path));

	module_add(path, MAX(n, 0), addr, len, off);
}

/* to call when len bytes of the file have been mapped at addr */
static void filled(const struct mmap_request *q, u64 addr, u64 len)
{
	if (q->prot & PROT_EXEC)
		map_module(q->file, addr, len, q->off);
}

/* maps at the given address: for MAP_FIXED, or a hint that is free */
static long map_at(const struct mmap_request *q)
{
	u64 end = q->addr + q->len, len;
	long rc;

	if (q->prot & PROT_EXEC && end > UK_EXEC_END)
		return mman_no_exec();
	rc = pages_take(q->addr, q->npages, wanted_kind(q), !q->file);
	if (rc < 0)
		return rc;
	module_remove(q->addr, q->len);
	if (q->file) {
		len = loader_len(q);
		rc = fill(q, q->addr, len);
		if (rc < 0)
			return rc;
		filled(q, q->addr, len);
	}
	return q->addr;
}

static int range_free(u64 addr, u64 npages)
{
	return mem_page_kind(addr) == PAGE_FREE &&
	       pages_run(addr, npages) >= npages;
}

static int hint_usable(const struct mmap_request *q)
{
	int arena = wanted_arena(q);
	u64 base = arena == UK_ARENA_EXEC ? UK_EXEC_BASE : UK_DATA_BASE;
	u64 end = base + arena_span(arena);

	return q->addr >= base && q->addr < end && q->len <= end - q->addr &&
	       !(q->addr % UK_PAGE) && range_free(q->addr, q->npages);
}

/*
 * A reservation may never be used, yet its span counts against the limit.  A
 * large one is refused: malloc asks for 128 MB for each thread, and does
 * without.
 */
static int reservation_refused(const struct mmap_request *q)
{
	return q->prot == PROT_NONE && !may_hold_code(q) &&
	       q->len > MIN(uk_ctl->mem_limit / 4, RESERVE_MAX);
}

static long past_limit(const struct mmap_request *q)
{
	refused_note(q->len);
	return -ENOMEM;
}

static long map_anonymous(const struct mmap_request *q)
{
	u64 addr;

	if (reservation_refused(q))
		return -ENOMEM;
	if (hint_usable(q))
		return map_at(q);
	addr = pages_alloc(wanted_arena(q), q->npages);
	if (!addr)
		return past_limit(q);
	pages_mark(addr, q->npages, wanted_kind(q));
	return addr;
}

static long map_copy(const struct mmap_request *q, int arena, u64 len)
{
	u64 addr = pages_alloc_dirty(arena, q->npages);
	long rc;

	if (!addr)
		return past_limit(q);
	pages_mark(addr, q->npages, PAGE_FILE);
	rc = fill(q, addr, len);
	if (rc < 0) {
		pages_free(addr, q->npages);
		return rc;
	}
	filled(q, addr, len);
	return addr;
}

static long map_file(const struct mmap_request *q)
{
	int shared_write = q->flags & MAP_SHARED && q->prot & PROT_WRITE;
	int rc = 0;
	u64 addr;

	if (shared_write) {
		addr = inplace_map(q->file, q->off, q->len, q->prot, 1, &rc);
		return addr ? (long)addr : rc ? rc : -ENODEV;
	}
	if (for_loader(q))
		return map_copy(q, UK_ARENA_EXEC, loader_len(q));
	if (!(q->prot & (PROT_WRITE | PROT_EXEC))) {
		addr = inplace_map(q->file, q->off, q->len, q->prot,
				   q->flags & MAP_SHARED, &rc);
		if (addr)
			return addr;
		if (rc < 0 && rc != -ENOMEM)
			return rc;
	}
	return map_copy(q, wanted_arena(q), q->len);
}

static long map_fixed(const struct mmap_request *q)
{
	if (q->addr % UK_PAGE)
		return -EINVAL;
	if (q->flags & MAP_FIXED_NOREPLACE &&
	    (inplace_find(q->addr) || !range_free(q->addr, q->npages)))
		return -EEXIST;
	if (q->file && q->flags & MAP_SHARED && q->prot & PROT_WRITE)
		/* the file's bytes cannot be at two addresses */
		return -ENODEV;
	if (!q->file && reservation_refused(q))
		return -ENOMEM;
	return map_at(q);
}

/* 0 with q->file set; NULL for /dev/zero, which is anonymous memory */
static long check_file(struct mmap_request *q, int fd, u64 off)
{
	struct file *f = fd_get(fd);
	struct k_stat st;
	int mode;

	if (!f)
		return -EBADF;
	if (off % UK_PAGE || off + q->len < off)
		return off % UK_PAGE ? -EINVAL : -EOVERFLOW;
	mode = f->flags & O_ACCMODE;
	if (mode == O_WRONLY)
		return -EACCES;
	if (q->flags & MAP_SHARED && q->prot & PROT_WRITE && mode != O_RDWR)
		return -EACCES;
	file_stat(f, &st);
	if (S_ISREG(st.mode))
		q->file = f;
	else if (!S_ISCHR(st.mode) || strcmp(f->ops->name, "zero"))
		return -ENODEV;
	q->off = off;
	return 0;
}

long sys_mmap(u64 addr, u64 len, int prot, int flags, int fd, s64 off)
{
	struct mmap_request q = { .addr = addr, .prot = prot, .flags = flags };
	int type = flags & MAP_TYPE;
	long rc;

	if (!len || (u64)off % UK_PAGE ||
	    (type != MAP_SHARED && type != MAP_PRIVATE &&
	     type != MAP_SHARED_VALIDATE))
		return -EINVAL;
	q.len = ROUND_UP(len, UK_PAGE);
	q.npages = q.len / UK_PAGE;
	if (q.len < len || q.len > UK_END || flags & MAP_HUGETLB)
		return -ENOMEM;
	if (!(flags & MAP_ANONYMOUS)) {
		rc = check_file(&q, fd, off);
		if (rc < 0)
			return rc;
	}
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (addr > UK_END || q.len > UK_END - addr)
			return -ENOMEM;
		return map_fixed(&q);
	}
	return q.file ? map_file(&q) : map_anonymous(&q);
}

long sys_munmap(u64 addr, u64 len)
{
	len = ROUND_UP(len, UK_PAGE);
	if (addr % UK_PAGE || !len || addr + len < addr)
		return -EINVAL;
	pages_unmap(addr, len / UK_PAGE);
	module_remove(addr, len);
	inplace_unmap(addr, len);
	return 0;
}
