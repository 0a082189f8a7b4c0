/*
 * user.c - what a program may touch
 *
 * A program may touch the spans of the arenas, its stack, its own pages of SYS,
 * the image, and of the host region window 0 and the bodies in other windows
 * that finished tickets name.  Anything else would fault in the libOS, so every
 * pointer of a system call is checked here.
 */
#include "etlfs/format.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"

/* end of the body that holds addr; 0 when no finished ticket has it */
static u64 window_end(u64 addr)
{
	const volatile struct etlfs_host *host = (void *)UK_HOST_BASE;
	u64 off = addr - UK_HOST_BASE, body, len;
	int i;

	for (i = 0; i < ETLFS_TICKETS; i++) {
		if (host->ticket[i].state != ETLFS_DONE)
			continue;
		body = host->ticket[i].body_off;
		len = ROUND_UP(host->ticket[i].body_len, UK_PAGE);
		if (body >= ETLFS_WINDOW0 && off >= body && off - body < len)
			return MIN(UK_HOST_BASE + body + len, UK_HOST_END);
	}
	return 0;
}

static u64 host_end(u64 addr)
{
	u64 end = UK_HOST_BASE + uk_ctl->host_size;

	return addr < end ? end : window_end(addr);
}

/* end of the layer that holds addr, or 0 */
static u64 image_end(u64 addr)
{
	u64 at, size;
	int i;

	for (i = 0; i < UK_LAYERS; i++) {
		at = uk_ctl->layer[i].addr;
		size = uk_ctl->layer[i].size;
		if (addr >= at && addr - at < size)
			return at + size;
	}
	return 0;
}

/* the end of addr's region, if it is readable (write: writable); else 0 */
static u64 region_end(u64 addr, int write)
{
	u64 end = 0;

	if (addr < UK_EXEC_BASE)
		return 0;
	if (addr < UK_EXEC_END)
		end = UK_EXEC_BASE + arena_span(UK_ARENA_EXEC);
	else if (addr < UK_SYS_END)
		end = !write && addr >= UK_VDSO && addr < UK_VDSO + 2 * UK_PAGE
			? UK_VDSO + 2 * UK_PAGE : 0;
	else if (addr < UK_HEAP_BASE)
		end = addr >= UK_STACK_BASE ? UK_STACK_END : 0;
	else if (addr < UK_HEAP_END)
		end = UK_HEAP_BASE + arena_span(UK_ARENA_HEAP);
	else if (addr < UK_DATA_END)
		end = UK_DATA_BASE + arena_span(UK_ARENA_DATA);
	else if (addr < UK_USF_END)
		end = UK_USF_BASE + arena_span(UK_ARENA_USF);
	else if (write)
		return 0;
	else if (addr < UK_IMAGE_END)
		end = image_end(addr);
	else if (addr < UK_HOST_END)
		end = host_end(addr);
	return addr < end ? end : 0;
}

int user_ok(const void *p, size_t len, int write)
{
	u64 end;

	if (!len)
		return 1;
	end = region_end((u64)p, write);
	return end && len <= end - (u64)p;
}

long user_strlen(const char *s, size_t max)
{
	u64 end = region_end((u64)s, 0), room;
	size_t n;

	if (!end)
		return -EFAULT;
	room = end - (u64)s;
	n = strnlen(s, MIN(room, max + 1));
	if (n > max)
		return -ENAMETOOLONG;
	return n == room ? -EFAULT : (long)n;
}
