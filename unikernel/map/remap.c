/*
 * remap.c - mremap (mman.h)
 *
 * In EXEC and DATA: shrinks and grows in place where it can, else moves by
 * copying.  A mapping in place (inplace.h) is mapped again at its new length.
 */
#include "unikernel/map/inplace.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"
#include "unikernel/map/mman.h"
#include "unikernel/mem/module.h"

/* whether all the pages are the program's: 0 or -EFAULT */
static long check_mapped(u64 addr, u64 npages)
{
	u64 n;

	for (; npages; addr += n * UK_PAGE, npages -= n) {
		if (mem_page_kind(addr) <= PAGE_LIBOS)
			return -EFAULT;
		n = pages_run(addr, npages);
	}
	return 0;
}

static int arena_at(u64 addr)
{
	return addr < UK_EXEC_END ? UK_ARENA_EXEC : UK_ARENA_DATA;
}

/* copies len bytes to new pages of the same kind, and frees the old ones */
static long move(u64 addr, u64 len, u64 new_len, u64 to)
{
	enum page_kind kind = mem_page_kind(addr);
	u64 npages = new_len / UK_PAGE;
	u64 high = arena_high(arena_at(addr));
	u64 keep = MIN(len, new_len);
	long rc;

	if (to) {
		rc = pages_take(to, npages, kind, 1);
		if (rc < 0)
			return rc;
		module_remove(to, new_len);
	} else {
		to = pages_alloc_dirty(arena_at(addr), npages);
		if (!to)
			return -ENOMEM;
		pages_mark(to, npages, kind);
		if (to + keep < high)
			memset((void *)(to + keep), 0,
			       MIN(to + new_len, high) - (to + keep));
	}
	memcpy((void *)to, (void *)addr, keep);
	pages_unmap(addr, len / UK_PAGE);
	module_remove(addr, len);
	return to;
}

static int tail_free(u64 end, u64 npages)
{
	return mem_page_kind(end) == PAGE_FREE &&
	       pages_run(end, npages) >= npages;
}

static long resize(u64 addr, u64 old, u64 len, int flags)
{
	u64 more;
	long rc;

	if (len <= old) {
		if (len < old) {
			pages_unmap(addr + len, (old - len) / UK_PAGE);
			module_remove(addr + len, old - len);
		}
		return addr;
	}
	more = (len - old) / UK_PAGE;
	if (tail_free(addr + old, more)) {
		rc = pages_take(addr + old, more, mem_page_kind(addr), 1);
		if (rc == 0)
			return addr;
	}
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	return move(addr, old, len, 0);
}

/*
 * The old addresses are unmapped first, since a mapped file cannot move to
 * where there is more room.
 */
static long resize_inplace(struct inplace *m, u64 addr, u64 old, u64 len,
			   int flags)
{
	struct file *f = m->file;
	u64 off = m->off + (addr - m->addr), to;
	int prot = m->prot, shared = m->shared, rc = 0;

	if (old > m->len - (addr - m->addr))
		return -EFAULT;
	if (len <= old) {
		if (len < old)
			inplace_unmap(addr + len, old - len);
		return addr;
	}
	/* the file may have to move, and then its old place may be taken */
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	file_hold(f);
	inplace_unmap(addr, old);
	to = inplace_map(f, off, len, prot, shared, &rc);
	if (!to)
		inplace_map(f, off, old, prot, shared, &rc);
	file_put(f);
	return to ? (long)to : -ENOMEM;
}

static long remap_fixed(u64 addr, u64 old, u64 len, int flags, u64 to)
{
	if (!(flags & MREMAP_MAYMOVE) || to % UK_PAGE || to > UK_END ||
	    (to < addr + old && addr < to + len))
		return -EINVAL;
	return move(addr, old, len, to);
}

long sys_mremap(u64 addr, u64 old, u64 len, int flags, u64 to)
{
	struct inplace *m;
	long rc;

	old = ROUND_UP(old, UK_PAGE);
	len = ROUND_UP(len, UK_PAGE);
	if (addr % UK_PAGE || !len || len > UK_END || old > UK_END || !old ||
	    addr > UK_END ||
	    flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED))
		return -EINVAL;
	m = inplace_find(addr);
	if (m)
		return flags & MREMAP_FIXED ? -EINVAL :
			resize_inplace(m, addr, old, len, flags);
	rc = check_mapped(addr, old / UK_PAGE);
	if (rc < 0)
		return rc;
	if (flags & MREMAP_FIXED)
		return remap_fixed(addr, old, len, flags, to);
	return resize(addr, old, len, flags);
}
