/*
 * imagefs.c - the image's index, read where it lies
 *
 * Nothing is built at boot: a lookup is a binary search among a directory's
 * children (etlfs/format.h).  The image is not trusted to be whole: every
 * invariant of a node is checked when the node is used, on a copy, and a node
 * that breaks one does not exist (-EIO).  Children come after their directory
 * and parents before it, so following either always ends.
 */
#include "unikernel/fs/inode.h"

static struct {
	const struct etlfs_node *node;
	const char *names;
	u64 names_len;
	u64 image_size;
	u32 nodes;
} image;

int imagefs_init(void)
{
	u64 off = uk_ctl->index_off, size = uk_ctl->image_size;
	const u8 *base = (const u8 *)UK_IMAGE_BASE;
	struct etlfs_head h;

	if (size > UK_IMAGE_END - UK_IMAGE_BASE || off % 8 || off > size ||
	    size - off < sizeof(h))
		return -EINVAL;
	memcpy(&h, base + off, sizeof(h));
	if (h.magic != ETLFS_INDEX_MAGIC || h.version != ETLFS_VERSION)
		return -EINVAL;
	if (h.total_len > size - off || h.nodes == 0 || h.nodes == NODE_NONE ||
	    h.names_off > h.total_len ||
	    h.names_len > h.total_len - h.names_off ||
	    h.names_off < sizeof(h) ||
	    (h.names_off - sizeof(h)) / sizeof(struct etlfs_node) < h.nodes)
		return -EINVAL;
	image.node = (const struct etlfs_node *)(base + off + sizeof(h));
	image.names = (const char *)base + off + h.names_off;
	image.names_len = h.names_len;
	image.image_size = size;
	image.nodes = h.nodes;
	return 0;
}

u32 imagefs_nodes(void)
{
	return image.nodes;
}

static int in_names(u64 off, u64 len)
{
	return off <= image.names_len && len <= image.names_len - off;
}

int imagefs_node(u32 n, struct etlfs_node *out)
{
	if (n >= image.nodes)
		return -EIO;
	memcpy(out, &image.node[n], sizeof(*out));
	if (n && (out->parent >= n || out->name_len == 0 ||
		  out->name_len > NAME_MAX ||
		  !in_names(out->name_off, out->name_len)))
		return -EIO;
	switch (out->mode & S_IFMT) {
	case S_IFREG:
		if (out->size && (out->off % UK_PAGE ||
				  out->off > image.image_size ||
				  out->size > image.image_size - out->off))
			return -EIO;
		return n ? 0 : -EIO;
	case S_IFDIR:
		if (out->size && (out->off <= n || out->off > image.nodes ||
				  out->size > image.nodes - out->off))
			return -EIO;
		return 0;
	case S_IFLNK:
		if (out->size == 0 || out->size >= PATH_MAX ||
		    !in_names(out->off, out->size))
			return -EIO;
		return n ? 0 : -EIO;
	}
	return -EIO;
}

const char *imagefs_name(u32 n, size_t *len)
{
	struct etlfs_node nd;

	if (n == 0 || imagefs_node(n, &nd) < 0)
		return NULL;
	*len = nd.name_len;
	return image.names + nd.name_off;
}

const char *imagefs_target(u32 n, size_t *len)
{
	struct etlfs_node nd;

	if (imagefs_node(n, &nd) < 0 || !S_ISLNK(nd.mode))
		return NULL;
	*len = nd.size;
	return image.names + nd.off;
}

u32 imagefs_children(u32 dir, u32 *first)
{
	struct etlfs_node nd;

	if (imagefs_node(dir, &nd) < 0 || !S_ISDIR(nd.mode))
		return 0;
	*first = nd.off;
	return nd.size;
}

/* memcmp order, the shorter first where one is a prefix of the other */
static int name_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
	int c = memcmp(a, b, MIN(alen, blen));

	if (c)
		return c;
	return alen < blen ? -1 : alen > blen;
}

u32 imagefs_find(u32 dir, const char *name, size_t len)
{
	u32 lo, hi, mid;
	int c;

	hi = imagefs_children(dir, &lo);
	hi += hi ? lo : 0;
	for (lo = hi ? lo : 0; lo < hi; ) {
		const struct etlfs_node *nd;

		mid = lo + (hi - lo) / 2;
		nd = &image.node[mid];
		if (!in_names(nd->name_off, nd->name_len))
			return NODE_NONE;
		c = name_cmp(name, len, image.names + nd->name_off,
			     nd->name_len);
		if (c == 0)
			return mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NODE_NONE;
}
