/*
 * inplace.c - the table of file mappings that were not copied (inplace.h)
 *
 * A plain list is enough: programs have few such mappings, and only munmap
 * walks it often.
 */
#include "unikernel/map/inplace.h"
#include "unikernel/map/mman.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"

static struct inplace *list;

static struct inplace *entry_new(struct file *f, u64 addr, u64 len, u64 off)
{
	struct inplace *m = kzalloc(sizeof(*m));

	if (!m)
		return NULL;
	m->addr = addr;
	m->len = len;
	m->off = off;
	m->file = file_hold(f);
	m->next = list;
	list = m;
	return m;
}

u64 inplace_map(struct file *f, u64 off, u64 len, int prot, int shared,
		int *err)
{
	struct inplace *m;
	u64 addr;

	addr = map_pin(f, off, len, shared && (prot & PROT_WRITE), err);
	if (!addr)
		return 0;
	m = entry_new(f, addr, len, off);
	if (!m) {
		map_unpin(addr, len);
		*err = -ENOMEM;
		return 0;
	}
	m->prot = prot;
	m->shared = shared;
	return addr;
}

/* tells the file of the pages of [lo, hi) that no entry covers any more */
static void let_go(u64 lo, u64 hi)
{
	struct inplace *m;

	if (lo >= hi)
		return;
	for (m = list; m; m = m->next) {
		if (m->addr >= hi || m->addr + m->len <= lo)
			continue;
		let_go(lo, m->addr);
		let_go(m->addr + m->len, hi);
		return;
	}
	map_unpin(lo, hi - lo);
}

/*
 * Cuts [lo, hi) out of the entry.  A hole in the middle needs another entry;
 * without memory for it the whole stays mapped.
 */
static void cut(struct inplace **mp, u64 lo, u64 hi)
{
	struct inplace *m = *mp, *rest;
	u64 end = m->addr + m->len;

	if (m->addr < lo && hi < end) {
		rest = entry_new(m->file, hi, end - hi,
				 m->off + (hi - m->addr));
		if (!rest)
			return;
		rest->prot = m->prot;
		rest->shared = m->shared;
		m->len = lo - m->addr;
	} else if (m->addr < lo) {
		m->len = lo - m->addr;
	} else if (hi < end) {
		m->off += hi - m->addr;
		m->addr = hi;
		m->len = end - hi;
	} else {
		*mp = m->next;
		let_go(lo, hi);
		file_put(m->file);
		kfree(m);
		return;
	}
	let_go(lo, hi);
}

/*
 * The entry that munmap should cut: an exact match, else the smallest at addr.
 */
static struct inplace **find(u64 addr, u64 len)
{
	struct inplace **mp, **best = NULL;

	for (mp = &list; *mp; mp = &(*mp)->next) {
		if (addr < (*mp)->addr || addr - (*mp)->addr >= (*mp)->len)
			continue;
		if ((*mp)->addr == addr && (*mp)->len == len)
			return mp;
		if (!best || (*mp)->len < (*best)->len)
			best = mp;
	}
	return best;
}

/* the first mapped address in [addr, end), or end */
static u64 next_mapped(u64 addr, u64 end)
{
	struct inplace *m;
	u64 next = end;

	for (m = list; m; m = m->next)
		if (m->addr < next && m->addr + m->len > addr)
			next = MAX(m->addr, addr);
	return next;
}

void inplace_unmap(u64 addr, u64 len)
{
	u64 end = addr + len, stop;
	struct inplace **mp;

	while (list) {
		addr = next_mapped(addr, end);
		if (addr >= end)
			return;
		mp = find(addr, end - addr);
		stop = MIN(end, (*mp)->addr + (*mp)->len);
		cut(mp, addr, stop);
		addr = stop;
	}
}

struct inplace *inplace_find(u64 addr)
{
	struct inplace **mp = find(addr, 0);

	return mp ? *mp : NULL;
}
