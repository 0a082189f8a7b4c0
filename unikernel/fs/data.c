/*
 * data.c - the bytes of a regular file
 *
 * A file is a row of extents over an optional read-only base (its image or host
 * bytes) over zeros.  A write gives an extent its own memory, which is first
 * filled from the base, unless all of it is written: changing one byte of a
 * large file copies ETLFS_EXTENT bytes, never the file.  The map from a file's
 * extent to its memory is an array of arrays, grown geometrically at the top,
 * so a sparse file costs no more than what it holds.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

#define LEAF_SIZE	(DATA_LEAF * sizeof(u32))

u32 data_ext(struct inode *ip, u64 i)
{
	struct data *d = &ip->data;

	if (i / DATA_LEAF >= d->leaves || !d->leaf[i / DATA_LEAF])
		return 0;
	return d->leaf[i / DATA_LEAF][i % DATA_LEAF];
}

static int leaf_ready(struct data *d, u64 leaf)
{
	u64 room = d->leaves ? d->leaves : 4;
	void *p;

	while (room <= leaf)
		room *= 2;
	if (room > d->leaves) {
		p = krealloc(d->leaf, room * sizeof(*d->leaf));
		if (!p)
			return -ENOMEM;
		d->leaf = p;
		memset(d->leaf + d->leaves, 0,
		       (room - d->leaves) * sizeof(*d->leaf));
		d->leaves = room;
	}
	if (!d->leaf[leaf])
		d->leaf[leaf] = kzalloc(LEAF_SIZE);
	return d->leaf[leaf] ? 0 : -ENOMEM;
}

int data_set(struct inode *ip, u64 i, u32 ext)
{
	struct data *d = &ip->data;
	u32 *p;

	if (leaf_ready(d, i / DATA_LEAF) < 0)
		return -ENOMEM;
	p = &d->leaf[i / DATA_LEAF][i % DATA_LEAF];
	d->used += (ext != 0) - (*p != 0);
	*p = ext;
	return 0;
}

/*
 * Fills ext with what the base has for extent i.  dirty: ext holds old bytes.
 */
void data_fill(struct inode *ip, u64 i, u32 ext, int dirty)
{
	u64 at = i * ETLFS_EXTENT, n = 0;
	u8 *to = extent_addr(ext);

	if (ip->data.base && at < ip->data.base_len) {
		n = MIN(ip->data.base_len - at, (u64)ETLFS_EXTENT);
		memcpy(to, ip->data.base + at, n);
	}
	if (dirty)
		memset(to + n, 0, ETLFS_EXTENT - n);
}

const u8 *data_at(struct inode *ip, u64 pos, u64 *len)
{
	struct data *d = &ip->data;
	u64 i = pos / ETLFS_EXTENT, o = pos % ETLFS_EXTENT, end, n;
	u32 ext = data_ext(ip, i);

	/* a run is alike: consecutive extents, or none at all */
	end = pos + *len;
	n = ETLFS_EXTENT - o;
	if (!d->used)
		n = *len;
	while (d->used && pos + n < end && n < (1u << 30)) {
		u32 k = data_ext(ip, i + (o + n) / ETLFS_EXTENT);

		if (ext ? k != ext + (o + n) / ETLFS_EXTENT : k != 0)
			break;
		n += ETLFS_EXTENT;
	}
	n = MIN(n, *len);
	*len = n;
	if (ext)
		return extent_addr(ext) + o;
	if (!d->base || pos >= d->base_len)
		return NULL;
	*len = MIN(n, d->base_len - pos);
	return d->base + pos;
}

long data_read(struct inode *ip, void *buf, size_t len, u64 pos)
{
	const u8 *from;
	size_t done;
	u64 n;

	if (pos >= ip->size)
		return 0;
	len = MIN(len, ip->size - pos);
	for (done = 0; done < len; done += n) {
		n = len - done;
		from = data_at(ip, pos + done, &n);
		if (from)
			memcpy((u8 *)buf + done, from, n);
		else
			memset((u8 *)buf + done, 0, n);
	}
	return done;
}

/*
 * Gets memory for extent i and up to want missing ones from there on,
 * consecutive.  Extents wholly inside [from, to) are not filled, as they will
 * be overwritten.  Returns how many it got, or -ENOSPC.
 */
static long data_grow(struct inode *ip, u64 i, u64 want, u64 from, u64 to)
{
	u32 ext, got, fresh, k, missing = 1;
	u64 at;

	while (missing < want && missing < DATA_LEAF &&
	       !data_ext(ip, i + missing))
		missing++;
	ext = extent_alloc(i ? data_ext(ip, i - 1) : 0, missing, &got, &fresh);
	if (!ext)
		return -ENOSPC;
	for (k = 0; k < got; k++) {
		at = (i + k) * ETLFS_EXTENT;
		if (at < from || at + ETLFS_EXTENT > to)
			data_fill(ip, i + k, ext + k, ext + k < fresh);
		if (data_set(ip, i + k, ext + k) < 0)
			break;
	}
	if (k == got)
		return k;
	/* those that were not installed hold old bytes: freed as used */
	for (got--; got >= k && got != ~0u; got--)
		extent_free(ext + got);
	return k ? (long)k : -ENOSPC;
}

/* zeroes what a mapping may have written past the old end, in its extent */
static void zero_tail(struct inode *ip)
{
	u64 o = ip->size % ETLFS_EXTENT;
	u32 ext = data_ext(ip, ip->size / ETLFS_EXTENT);

	if (ext)
		memset(extent_addr(ext) + o, 0, ETLFS_EXTENT - o);
}

static long write_check(struct inode *ip, size_t *len, u64 pos)
{
	u32 seals = ip->data.seals;

	if (pos >= FILE_MAX_SIZE)
		return -EFBIG;
	*len = MIN(*len, FILE_MAX_SIZE - pos);
	if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if ((seals & F_SEAL_GROW) && pos + *len > ip->size) {
		if (pos >= ip->size)
			return -EPERM;
		*len = ip->size - pos;
	}
	return 0;
}

long data_write(struct inode *ip, const void *buf, size_t len, u64 pos)
{
	u64 i, n, last, end;
	size_t done;
	long rc;
	u32 ext;

	if (len == 0)
		return 0;
	rc = write_check(ip, &len, pos);
	if (rc < 0)
		return rc;
	if (pos > ip->size)
		zero_tail(ip);
	end = pos + len;
	last = (end - 1) / ETLFS_EXTENT;
	for (done = 0; done < len; done += n) {
		i = (pos + done) / ETLFS_EXTENT;
		ext = data_ext(ip, i);
		if (!ext) {
			rc = data_grow(ip, i, last - i + 1, pos, end);
			if (rc < 0)
				break;
			ext = data_ext(ip, i);
		}
		/* n becomes the length that is contiguous, for one copy */
		n = len - done;
		data_at(ip, pos + done, &n);
		memcpy(extent_addr(ext) + (pos + done) % ETLFS_EXTENT,
		       (const u8 *)buf + done, n);
	}
	if (done == 0)
		return rc;
	ip->size = MAX(ip->size, pos + done);
	inode_touch(ip);
	return done;
}

/* makes extent i read as the base, or as zeros while a mapping pins it */
static void data_drop(struct inode *ip, u64 i)
{
	u32 ext = data_ext(ip, i);

	if (!ext)
		return;
	if (ip->data.pins) {
		memset(extent_addr(ext), 0, ETLFS_EXTENT);
		return;
	}
	extent_free(ext);
	ip->data.leaf[i / DATA_LEAF][i % DATA_LEAF] = 0;
	ip->data.used--;
}

/* drops extents [from, to), leaf by leaf */
static void data_drop_range(struct inode *ip, u64 from, u64 to)
{
	struct data *d = &ip->data;
	u64 i;

	to = MIN(to, (u64)d->leaves * DATA_LEAF);
	for (i = from; i < to && d->used; i++) {
		if (!d->leaf[i / DATA_LEAF]) {
			i |= DATA_LEAF - 1;
			continue;
		}
		data_drop(ip, i);
	}
}

void data_trim(struct inode *ip)
{
	data_drop_range(ip, ROUND_UP(ip->size, ETLFS_EXTENT) / ETLFS_EXTENT,
			~0ull);
}

int data_truncate(struct inode *ip, u64 size)
{
	if (size > FILE_MAX_SIZE)
		return -EFBIG;
	if ((ip->data.seals & F_SEAL_SHRINK && size < ip->size) ||
	    (ip->data.seals & F_SEAL_GROW && size > ip->size))
		return -EPERM;
	if (size > ip->size) {
		zero_tail(ip);
		ip->size = size;
	} else {
		ip->size = size;
		ip->data.base_len = MIN(ip->data.base_len, size);
		data_trim(ip);
		if (size % ETLFS_EXTENT)
			zero_tail(ip);
	}
	inode_touch(ip);
	return 0;
}

void data_free(struct inode *ip)
{
	struct data *d = &ip->data;
	u32 i;

	assert(d->pins == 0);
	data_drop_range(ip, 0, ~0ull);
	for (i = 0; i < d->leaves; i++)
		kfree(d->leaf[i]);
	kfree(d->leaf);
	memset(d, 0, sizeof(*d));
}

int data_reserve(struct inode *ip, u64 pos, u64 len)
{
	u64 i, end = (pos + len - 1) / ETLFS_EXTENT + 1, missing = 0;
	long n;

	for (i = pos / ETLFS_EXTENT; i < end; i++)
		if (!data_ext(ip, i) && ++missing > extent_left())
			return -ENOSPC;
	for (i = pos / ETLFS_EXTENT; i < end; i += n) {
		n = 1;
		if (data_ext(ip, i))
			continue;
		n = data_grow(ip, i, end - i, 0, 0);
		if (n < 0)
			return n;
	}
	return 0;
}

int data_zero(struct inode *ip, u64 pos, u64 len)
{
	u64 end, n;
	int below;
	u32 ext;
	long rc;

	if (ip->data.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	for (end = MIN(pos + len, ROUND_UP(ip->size, ETLFS_EXTENT));
	     pos < end; pos += n) {
		u64 i = pos / ETLFS_EXTENT, o = pos % ETLFS_EXTENT;

		n = MIN(end - pos, ETLFS_EXTENT - o);
		below = i * ETLFS_EXTENT < ip->data.base_len;
		if (n == ETLFS_EXTENT && !below) {
			data_drop(ip, i);
			continue;
		}
		if (!data_ext(ip, i) && below) {
			rc = data_grow(ip, i, 1, 0, 0);
			if (rc < 0)
				return rc;
		}
		ext = data_ext(ip, i);
		if (ext)
			memset(extent_addr(ext) + o, 0, n);
	}
	inode_touch(ip);
	return 0;
}

s64 data_seek(struct inode *ip, u64 pos, int hole)
{
	int data;
	u64 i;

	if (pos >= ip->size)
		return -ENXIO;
	for (;;) {
		i = pos / ETLFS_EXTENT;
		data = pos < ip->data.base_len || data_ext(ip, i);
		if (data == !hole)
			return pos;
		/* without a leaf, all of its extents are skipped at once */
		if (!data && (i / DATA_LEAF >= ip->data.leaves ||
			      !ip->data.leaf[i / DATA_LEAF]))
			i |= DATA_LEAF - 1;
		if (data && !data_ext(ip, i))
			pos = MIN((i + 1) * ETLFS_EXTENT, ip->data.base_len);
		else
			pos = (i + 1) * ETLFS_EXTENT;
		if (pos >= ip->size)
			return hole ? (s64)ip->size : -ENXIO;
	}
}
