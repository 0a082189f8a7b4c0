/*
 * protect.c - mprotect, madvise and their kin (mman.h)
 *
 * Page tables are static, so these calls check their arguments, do what the
 * program can observe (MADV_DONTNEED gives zeros), and change no protection.
 */
#include "unikernel/map/inplace.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"
#include "unikernel/map/mman.h"

long mman_no_exec(void)
{
	static int told;

	if (!told)
		log_printf("usetl: memory that is mapped already cannot be "
			   "made executable; ask mmap for PROT_EXEC\n");
	told = 1;
	return -EACCES;
}

/*
 * For walking a range in pieces: *len bytes at addr are alike.  1 mapped, 0
 * not.  Stack, heap, SYS and files in place count as mapped.
 */
static int piece(u64 addr, u64 end, u64 *len)
{
	struct inplace *m;
	u64 start, stop;

	*len = UK_PAGE;
	if (pages_run(addr, 1)) {
		*len = pages_run(addr, (end - addr) / UK_PAGE) * UK_PAGE;
		return mem_page_kind(addr) > PAGE_LIBOS;
	}
	stop = ROUND_UP(heap_range(&start), UK_PAGE);
	start = ROUND_DOWN(start, UK_PAGE);
	if (addr >= UK_STACK_BASE && addr < UK_STACK_END) {
		start = UK_STACK_BASE;
		stop = UK_STACK_END;
	} else if ((m = inplace_find(addr))) {
		start = m->addr;
		stop = m->addr + m->len;
	} else if (addr >= UK_SYS_BASE && addr < UK_SYS_END) {
		return user_ok((void *)addr, 1, 0);
	}
	if (addr < start || addr >= stop)
		return 0;
	*len = MIN(stop, end) - addr;
	return 1;
}

/* 0 when every page of the range is mapped */
static long check_mapped(u64 addr, u64 end)
{
	u64 len;

	for (; addr < end; addr += len)
		if (!piece(addr, end, &len))
			return -ENOMEM;
	return 0;
}

/* what is mapped in place read-only or privately cannot become writable */
static long check_writable(u64 addr, u64 end)
{
	struct inplace *m;
	u64 len;

	for (; addr < end; addr += len) {
		piece(addr, end, &len);
		m = inplace_find(addr);
		if (m && !(m->shared && m->prot & PROT_WRITE))
			return -EACCES;
	}
	return 0;
}

/* checks alignment and overflow: 0 and *end, -EINVAL or -ENOMEM */
static long check_range(u64 addr, u64 len, u64 *end)
{
	if (addr % UK_PAGE)
		return -EINVAL;
	*end = addr + ROUND_UP(len, UK_PAGE);
	return *end < addr || *end > UK_END ? -ENOMEM : 0;
}

long sys_mprotect(u64 addr, u64 len, int prot)
{
	u64 end;
	long rc = check_range(addr, len, &end);

	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM |
		     PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (rc < 0 || addr == end)
		return rc;
	rc = check_mapped(addr, end);
	if (rc < 0)
		return rc;
	if (prot & PROT_EXEC && end > UK_EXEC_END)
		return mman_no_exec();
	return prot & PROT_WRITE ? check_writable(addr, end) : 0;
}

long sys_msync(u64 addr, u64 len, int flags)
{
	u64 end;
	long rc = check_range(addr, len, &end);

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	return rc < 0 ? rc : check_mapped(addr, end);
}

/*
 * Zeroes the memory where a program may rely on that: anonymous memory, the
 * heap and the main thread's stack.  A private copy of a file keeps its
 * content, as Linux would read it again from the file.  Other threads' stacks
 * are left alone: libc gives back only their unused part, and zeroing would
 * touch pages that never were.
 */
static void dont_need(u64 addr, u64 end)
{
	u64 len;
	int heap, stack;

	for (; addr < end; addr += len) {
		piece(addr, end, &len);
		heap = addr >= UK_HEAP_BASE && addr < UK_HEAP_END;
		stack = addr >= UK_STACK_BASE && addr < UK_STACK_END;
		if (heap || stack || mem_page_kind(addr) == PAGE_ANON ||
		    mem_page_kind(addr) == PAGE_WIPED)
			memset((void *)addr, 0, len);
	}
}

/*
 * Linux allows this for private anonymous memory only.  The heap and the main
 * thread's stack are that, too, but their pages have no kinds here, so they are
 * refused: a caller relies on success.
 */
static long wipe_on_fork(u64 addr, u64 end)
{
	u64 at, n;

	for (at = addr; at < end; at += n * UK_PAGE) {
		if (mem_page_kind(at) <= PAGE_LIBOS ||
		    mem_page_kind(at) == PAGE_FILE)
			return -EINVAL;
		n = pages_run(at, (end - at) / UK_PAGE);
	}
	for (at = addr; at < end; at += n * UK_PAGE) {
		n = pages_run(at, (end - at) / UK_PAGE);
		pages_mark(at, n, PAGE_WIPED);
	}
	return 0;
}

static long keep_on_fork(u64 addr, u64 end)
{
	for (; addr < end; addr += UK_PAGE)
		if (mem_page_kind(addr) == PAGE_WIPED)
			pages_mark(addr, 1, PAGE_ANON);
	return 0;
}

long sys_madvise(u64 addr, u64 len, int advice)
{
	u64 end;
	long rc = check_range(addr, len, &end);

	if (advice < 0 || (advice > MADV_DONTNEED && advice < MADV_FREE) ||
	    advice > MADV_COLLAPSE)
		return -EINVAL;
	if (rc < 0 || addr == end)
		return rc < 0 ? -EINVAL : 0;
	rc = check_mapped(addr, end);
	if (rc < 0)
		return rc;
	if (advice == MADV_REMOVE)
		return -EINVAL;
	if (advice == MADV_DONTNEED)
		dont_need(addr, end);
	if (advice == MADV_WIPEONFORK)
		return wipe_on_fork(addr, end);
	if (advice == MADV_KEEPONFORK)
		return keep_on_fork(addr, end);
	return 0;
}

long sys_mincore(u64 addr, u64 len, u8 *vec)
{
	u64 end;
	long rc = check_range(addr, len, &end);

	if (rc < 0)
		return rc;
	rc = check_mapped(addr, end);
	if (rc < 0)
		return rc;
	if (!user_ok(vec, (end - addr) / UK_PAGE, 1))
		return -EFAULT;
	memset(vec, 1, (end - addr) / UK_PAGE);
	return 0;
}

long sys_mlock(u64 addr, u64 len)
{
	u64 start = ROUND_DOWN(addr, UK_PAGE), end;
	long rc = check_range(start, len + (addr - start), &end);

	return rc < 0 ? rc : check_mapped(start, end);
}

long sys_mlock2(u64 addr, u64 len, int flags)
{
	return flags & ~MLOCK_ONFAULT ? -EINVAL : sys_mlock(addr, len);
}

long sys_munlock(u64 addr, u64 len)
{
	return sys_mlock(addr, len);
}

long sys_mlockall(int flags)
{
	const int known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;

	return flags & ~known || !flags ? -EINVAL : 0;
}

long sys_munlockall(void)
{
	return 0;
}
