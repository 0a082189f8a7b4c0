/*
 * map.c - a file's bytes in place, for mmap
 *
 * Image and host bytes are mapped where they lie.  A file with extents is made
 * contiguous first.  A pin records each mapped range and keeps its inode alive
 * and its extents where they are: while there is one, truncate zeroes instead
 * of freeing, and extents past the end are freed with the last pin.
 *
 * Invariant: data.pins is the number of pins of that inode.
 */
#include "unikernel/map/mman.h"
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

struct pin {
	struct pin *next;
	struct inode *ip;
	u64 addr, len;
};

static struct pin *pins;

static u64 pin_new(struct inode *ip, u64 addr, u64 len, int *err)
{
	struct pin *p = kzalloc(sizeof(*p));

	if (!p) {
		*err = -ENOMEM;
		return 0;
	}
	p->ip = inode_get(ip);
	p->addr = addr;
	p->len = len;
	p->next = pins;
	pins = p;
	ip->data.pins++;
	return addr;
}

static int pinned(struct inode *ip, u64 addr, u64 len)
{
	struct pin *p;

	for (p = pins; p; p = p->next)
		if (p->ip == ip && p->addr < addr + len &&
		    addr < p->addr + p->len)
			return 1;
	return 0;
}

static void unpin(struct pin **pp)
{
	struct pin *p = *pp;
	struct inode *ip = p->ip;

	*pp = p->next;
	kfree(p);
	if (--ip->data.pins == 0)
		data_trim(ip);
	inode_put(ip);
}

void map_unpin(u64 addr, u64 len)
{
	struct pin **pp = &pins, *p;
	u64 end = addr + len, rest;
	int rc;

	while ((p = *pp)) {
		u64 stop = p->addr + p->len;

		if (stop <= addr || p->addr >= end) {
			pp = &p->next;
			continue;
		}
		if (p->addr < addr) {
			/*
			 * What follows the hole gets a pin of its own.  Without
			 * memory for one, all of it stays pinned.
			 */
			rest = stop > end ? stop - end : 0;
			if (!rest || pin_new(p->ip, end, rest, &rc))
				p->len = addr - p->addr;
			pp = &p->next;
		} else if (stop > end) {
			p->addr = end;
			p->len = stop - end;
			pp = &p->next;
		} else {
			unpin(pp);
		}
	}
}

/* 1 when bytes [from, to) of memory are zero */
static int is_zero(const u8 *from, const u8 *to)
{
	while (from < to)
		if (*from++)
			return 0;
	return 1;
}

/*
 * Maps image and host bytes.  The program expects zeros from the file's end to
 * the end of its page, but in an image the next file's header may follow.  Then
 * the caller copies, unless the mapping is large.
 */
#define COPY_MAX	(256 * 1024)

static u64 map_base(struct inode *ip, u64 off, u64 len, int *err)
{
	const u8 *base = ip->data.base;
	u64 end = ip->data.base_len, page_end = ROUND_UP(end, UK_PAGE);

	if ((u64)base % UK_PAGE || off + len > page_end)
		return 0;
	if (off + len > end && len <= COPY_MAX &&
	    !is_zero(base + end, base + page_end))
		return 0;
	if (ip->dev == DEV_IN)
		return pin_new(ip, (u64)base + off, len, err);
	return (u64)base + off;
}

/* where [first, first + n) could be one run without moving data; 0: nowhere */
static u32 run_in_place(struct inode *ip, u64 first, u64 n)
{
	u32 start = data_ext(ip, first), ext;
	u64 i;

	if (!start)
		return 0;
	for (i = 1; i < n; i++) {
		ext = data_ext(ip, first + i);
		if (ext ? ext != start + i : !extent_is_free(start + i))
			return 0;
	}
	return start;
}

static int fill_in_place(struct inode *ip, u64 first, u64 n, u32 start)
{
	u32 fresh;
	u64 i;

	for (i = 0; i < n; i++) {
		if (data_ext(ip, first + i))
			continue;
		if (extent_claim(start + i, &fresh) < 0)
			return -ENOMEM;
		data_fill(ip, first + i, start + i, start + i < fresh);
		if (data_set(ip, first + i, start + i) < 0) {
			extent_free(start + i);
			return -ENOMEM;
		}
	}
	return 0;
}

static int move_run(struct inode *ip, u64 first, u64 n)
{
	u32 start, fresh, old;
	u64 i;

	for (i = 0; i < n; i++) {
		old = data_ext(ip, first + i);
		if (old && ip->data.pins &&
		    pinned(ip, (u64)extent_addr(old), ETLFS_EXTENT))
			return -ENOMEM;
	}
	start = extent_alloc_run(n, &fresh);
	if (!start)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		old = data_ext(ip, first + i);
		if (old)
			memcpy(extent_addr(start + i), extent_addr(old),
			       ETLFS_EXTENT);
		else
			data_fill(ip, first + i, start + i, start + i < fresh);
		if (data_set(ip, first + i, start + i) < 0)
			goto out;
		if (old)
			extent_free(old);
	}
	return 0;
out:
	for (; i < n; i++)
		extent_free(start + i);
	return -ENOMEM;
}

static u64 map_usf(struct inode *ip, u64 off, u64 len, int *err)
{
	u64 first = off / ETLFS_EXTENT, addr;
	u64 n = (off + len - 1) / ETLFS_EXTENT + 1 - first;
	u32 start;

	if (n > extent_total()) {
		*err = -ENOMEM;
		return 0;
	}
	start = run_in_place(ip, first, n);
	*err = start ? fill_in_place(ip, first, n, start) :
		       move_run(ip, first, n);
	if (*err < 0)
		return 0;
	addr = (u64)extent_addr(data_ext(ip, first)) + off % ETLFS_EXTENT;
	return pin_new(ip, addr, len, err);
}

u64 map_pin(struct file *f, u64 off, u64 len, int shared_write, int *err)
{
	struct inode *ip = f->inode;
	u64 addr;

	*err = 0;
	if (f->flags & O_PATH || !ip || !S_ISREG(ip->mode) || ip->ops) {
		if (f->ops && ip && S_ISREG(ip->mode))
			/* a text made by code: the caller copies */
			return 0;
		*err = -ENODEV;
		return 0;
	}
	if ((f->flags & O_ACCMODE) == O_WRONLY ||
	    (shared_write && (f->flags & O_ACCMODE) != O_RDWR)) {
		*err = -EACCES;
		return 0;
	}
	if (off % UK_PAGE || len == 0 || off > FILE_MAX_SIZE ||
	    len > FILE_MAX_SIZE) {
		*err = -EINVAL;
		return 0;
	}
	if (shared_write && ip->data.seals &
	    (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
		*err = -EPERM;
		return 0;
	}
	if (shared_write)
		return map_usf(ip, off, len, err);
	if (!ip->data.used && ip->data.base)
		return map_base(ip, off, len, err);
	/* for reading only, the caller copies what cannot be mapped in place */
	if (off + len > ROUND_UP(ip->size, UK_PAGE) || ip->data.base)
		return 0;
	addr = map_usf(ip, off, len, err);
	*err = 0;
	return addr;
}
