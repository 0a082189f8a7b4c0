/*
 * imagefs.c - the layers' indices, read where they lie
 *
 * Nothing is built at boot, nor when a layer comes: a lookup is a binary search
 * among the names that each layer has in a directory (etlfs/format.h).  The
 * image is not trusted to be whole: every invariant of a node is checked when
 * the node is used, on a copy, and a node that breaks one does not exist
 * (-EIO).  Children come after their directory and parents before it, so
 * following either always ends.
 */
#include "unikernel/fs/inode.h"

struct layer {
	const struct etlfs_node *node;
	const struct etlfs_merge *merge;
	const char *names;
	u64 names_len;
	u64 off, size;			/* from UK_IMAGE_BASE */
	u32 first, nodes, merges;	/* nodes 0: it is not there */
};

static struct layer layers[UK_LAYERS];

/* where each layer has its names of the directory that was listed last */
static struct {
	u32 dir;			/* NODE_NONE: none was */
	u32 first[UK_LAYERS], n[UK_LAYERS], slots;
} parts;

_Static_assert(UK_LAYERS == ETLFS_LAYERS, "one number of layers");
_Static_assert(UK_BIG == ETLFS_ALIGN, "one distance of layers");

/* [off, off + len) lies inside of a table of `size` bytes */
static int inside(u64 off, u64 len, u64 size)
{
	return off <= size && len <= size - off;
}

/* the tables of an index follow each other in its `room` bytes */
static int head_ok(const struct etlfs_head *h, u64 room)
{
	u64 merges = sizeof(*h) + h->nodes * sizeof(struct etlfs_node);

	return h->magic == ETLFS_INDEX_MAGIC && h->version == ETLFS_VERSION &&
		h->nodes && h->total_len <= room &&
		h->names_off == merges +
		h->merges * sizeof(struct etlfs_merge) &&
		inside(h->names_off, h->names_len, h->total_len);
}

/* takes up one layer; first: how many nodes are below it */
static int layer_open(struct layer *l, const struct uk_layer *c, u32 first)
{
	u64 off = c->addr - UK_IMAGE_BASE, size = c->size, index = c->index;
	const u8 *base = (const u8 *)UK_IMAGE_BASE + off;
	struct etlfs_head h;

	if (off % UK_BIG || !inside(off, size, UK_IMAGE_END - UK_IMAGE_BASE) ||
	    index % 8 || !inside(index, sizeof(h), size))
		return -EINVAL;
	memcpy(&h, base + index, sizeof(h));
	if (!head_ok(&h, size - index) || h.first != first ||
	    h.nodes >= NODE_NONE - first)
		return -EINVAL;
	l->node = (const struct etlfs_node *)(base + index + sizeof(h));
	l->merge = (const struct etlfs_merge *)(l->node + h.nodes);
	l->names = (const char *)base + index + h.names_off;
	l->names_len = h.names_len;
	l->off = off;
	l->size = size;
	l->first = first;
	l->merges = h.merges;
	l->nodes = h.nodes;
	return 0;
}

u32 imagefs_nodes(void)
{
	u32 n = 0, i;

	for (i = 0; i < UK_LAYERS; i++)
		n += layers[i].nodes;
	return n;
}

/* a layer has the numbers that follow, so none can come below another */
int imagefs_attach(void)
{
	u32 all = imagefs_nodes(), first = 0;
	int i, rc;

	parts.dir = NODE_NONE;
	for (i = 0; i < UK_LAYERS; i++) {
		struct uk_layer c = uk_ctl->layer[i];

		if (!layers[i].nodes && c.size) {
			rc = first < all ? -EINVAL :
				layer_open(&layers[i], &c, first);
			if (rc < 0)
				return rc;
		}
		first += layers[i].nodes;
	}
	return layers[0].nodes ? 0 : -EINVAL;
}

int imagefs_init(void)
{
	memset(layers, 0, sizeof(layers));
	return imagefs_attach();
}

/* the layer of a node, or NULL */
static const struct layer *layer_of(u32 n)
{
	const struct layer *l;

	for (l = layers; l < layers + UK_LAYERS; l++)
		if (n >= l->first && n - l->first < l->nodes)
			return l;
	return NULL;
}

int imagefs_uppermost(u32 n)
{
	return layer_of(n) == &layers[UK_LAYERS - 1];
}

/* where a directory's own children lie in its layer's nodes */
static int children_ok(const struct layer *l, u32 n,
		       const struct etlfs_node *nd)
{
	return !nd->size || (nd->off > n && nd->off - l->first <= l->nodes &&
			     nd->size <= l->nodes - (nd->off - l->first));
}

/* node n as it stands in its layer, checked */
static int node_read(u32 n, const struct layer **layer, struct etlfs_node *out)
{
	const struct layer *l = layer_of(n);
	u32 root;

	if (!l)
		return -EIO;
	*layer = l;
	memcpy(out, &l->node[n - l->first], sizeof(*out));
	root = n == l->first;
	if (!root && (out->parent < l->first || out->parent >= n ||
		      out->name_len == 0 || out->name_len > NAME_MAX ||
		      !inside(out->name_off, out->name_len, l->names_len)))
		return -EIO;
	switch (out->mode & S_IFMT) {
	case S_IFREG:
		if (out->size && (out->off % UK_PAGE ||
				  !inside(out->off, out->size, l->size)))
			return -EIO;
		return root ? -EIO : 0;
	case S_IFDIR:
		if (!children_ok(l, n, out) ||
		    (out->below != NODE_NONE && out->below >= l->first))
			return -EIO;
		/* there is one root */
		return root && out->below != (n ? 0 : NODE_NONE) ? -EIO : 0;
	case S_IFLNK:
		if (out->size == 0 || out->size >= PATH_MAX ||
		    !inside(out->off, out->size, l->names_len))
			return -EIO;
		return root ? -EIO : 0;
	}
	return -EIO;
}

/* the one number of the directory that node n is a part of, or NODE_NONE */
static u32 dir_number(u32 n)
{
	const struct layer *l;
	struct etlfs_node nd;
	u32 below;

	if (node_read(n, &l, &nd) < 0 || !S_ISDIR(nd.mode))
		return NODE_NONE;
	if (nd.below == NODE_NONE)
		return n;
	below = nd.below;
	if (node_read(below, &l, &nd) < 0 || !S_ISDIR(nd.mode) ||
	    nd.below != NODE_NONE)
		return NODE_NONE;
	return below;
}

int imagefs_node(u32 n, struct etlfs_node *out)
{
	const struct layer *l;
	int rc = node_read(n, &l, out);

	if (rc < 0)
		return rc;
	/* a directory is known by one number alone */
	if (S_ISDIR(out->mode) && out->below != NODE_NONE)
		return -EIO;
	if (S_ISREG(out->mode))
		out->off += l->off;
	out->parent = n ? dir_number(out->parent) : 0;
	return out->parent == NODE_NONE ? -EIO : 0;
}

const char *imagefs_name(u32 n, size_t *len)
{
	const struct layer *l;
	struct etlfs_node nd;

	if (node_read(n, &l, &nd) < 0 || n == l->first)
		return NULL;
	*len = nd.name_len;
	return l->names + nd.name_off;
}

const char *imagefs_target(u32 n, size_t *len)
{
	const struct layer *l;
	struct etlfs_node nd;

	if (node_read(n, &l, &nd) < 0 || !S_ISLNK(nd.mode))
		return NULL;
	*len = nd.size;
	return l->names + nd.off;
}

/* the node by which layer l has a directory of a lower one, or NODE_NONE */
static u32 merged(const struct layer *l, u32 dir)
{
	u32 lo = 0, hi = l->merges, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (l->merge[mid].below == dir)
			return l->merge[mid].node;
		if (dir < l->merge[mid].below)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NODE_NONE;
}

/* layer l's own children of a directory: how many, and the first one's node */
static u32 children(const struct layer *l, u32 dir, u32 *first)
{
	const struct layer *of;
	struct etlfs_node nd;
	u32 n = dir;

	if (!l->nodes || dir >= l->first + l->nodes)
		return 0;
	if (dir < l->first)
		n = merged(l, dir);
	if (n == NODE_NONE || node_read(n, &of, &nd) < 0 || of != l ||
	    !S_ISDIR(nd.mode) || nd.below != (n == dir ? NODE_NONE : dir))
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

/* among layer l's own names in a directory */
static u32 find_in(const struct layer *l, u32 dir, const char *name,
		   size_t len)
{
	u32 lo, hi, mid;
	int c;

	hi = children(l, dir, &lo);
	hi += hi ? lo : 0;
	for (lo = hi ? lo : 0; lo < hi; ) {
		const struct etlfs_node *nd;

		mid = lo + (hi - lo) / 2;
		nd = &l->node[mid - l->first];
		if (!inside(nd->name_off, nd->name_len, l->names_len))
			return NODE_NONE;
		c = name_cmp(name, len, l->names + nd->name_off, nd->name_len);
		if (c == 0)
			return mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NODE_NONE;
}

/*
 * Node n was found in dir: a directory's becomes its number.  That has to be of
 * the same name in dir, too: a directory is never found below itself.  What is
 * damaged stays as it is, for -EIO.
 */
static u32 number_of(u32 dir, u32 n)
{
	const struct layer *l = layer_of(n);
	const char *name, *other;
	struct etlfs_node nd;
	size_t len = 0, olen = 0;
	u32 number;

	if (!l || l == layers || !S_ISDIR(l->node[n - l->first].mode))
		return n;
	number = dir_number(n);
	if (number == n || number == NODE_NONE)
		return n;
	name = imagefs_name(n, &len);
	other = imagefs_name(number, &olen);
	if (!name || !other || name_cmp(name, len, other, olen) ||
	    imagefs_node(number, &nd) < 0 || nd.parent != dir)
		return n;
	return number;
}

u32 imagefs_find(u32 dir, const char *name, size_t len)
{
	const struct layer *l;
	u32 n;

	for (l = layers + UK_LAYERS; l-- > layers; ) {
		n = find_in(l, dir, name, len);
		if (n != NODE_NONE)
			return number_of(dir, n);
	}
	return NODE_NONE;
}

static void parts_find(u32 dir)
{
	int i;

	if (parts.dir == dir)
		return;
	parts.dir = dir;
	parts.slots = 0;
	for (i = 0; i < UK_LAYERS; i++) {
		parts.n[i] = children(&layers[i], dir, &parts.first[i]);
		parts.slots += parts.n[i];
	}
}

u32 imagefs_slots(u32 dir)
{
	parts_find(dir);
	return parts.slots;
}

/* has a layer below l the name too? */
static int named_below(const struct layer *l, u32 dir, const char *name,
		       size_t len)
{
	while (l-- > layers)
		if (parts.n[l - layers] &&
		    find_in(l, dir, name, len) != NODE_NONE)
			return 1;
	return 0;
}

u32 imagefs_slot(u32 dir, u32 i)
{
	const char *name;
	size_t len;
	int l;

	parts_find(dir);
	for (l = 0; l < UK_LAYERS && i >= parts.n[l]; l++)
		i -= parts.n[l];
	if (l == UK_LAYERS)
		return NODE_NONE;
	/* one layer has names in it: there is nothing to look for elsewhere */
	if (parts.n[l] == parts.slots)
		return number_of(dir, parts.first[l] + i);
	name = imagefs_name(parts.first[l] + i, &len);
	if (!name || named_below(&layers[l], dir, name, len))
		return NODE_NONE;
	return imagefs_find(dir, name, len);
}

u32 imagefs_count(u32 dir)
{
	u32 n = imagefs_slots(dir), i, names = 0;

	for (i = 0; i < n; i++)
		names += imagefs_slot(dir, i) != NODE_NONE;
	return names;
}
