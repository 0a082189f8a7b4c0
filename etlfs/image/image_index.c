/*
 * image_index.c - every invariant of a layer's index (etlfs/format.h)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etlfs/image/image_impl.h"
#include "etlfs/image/name.h"

#define TARGET_MAX	4096		/* of a symlink, as PATH_MAX */
#define DEPTH_MAX	2048

static int in_range(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* l->index and the tables in it lie inside the layer */
static int check_head(const struct image *img, struct image_layer *l,
		      struct err *err)
{
	const struct etlfs_head *h;
	uint64_t merges;

	if (l->index_off % IMAGE_PAGE ||
	    !in_range(l->index_off, sizeof(*h), l->len))
		return image_bad(img, "its index lies outside", err);
	h = (const void *)(l->map + l->index_off);
	if (h->magic != ETLFS_INDEX_MAGIC)
		return image_bad(img, "it has no index", err);
	if (h->version != ETLFS_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "'%s' has an index of "
			       "version %u, this usetl reads %d; bake it again",
			       img->path, h->version, ETLFS_VERSION);
	merges = sizeof(*h) + h->nodes * (uint64_t)sizeof(struct etlfs_node);
	if (h->total_len > l->len - l->index_off || !h->nodes ||
	    h->first != img->nodes || h->nodes >= ETLFS_NONE - h->first ||
	    h->names_off != merges +
	    h->merges * (uint64_t)sizeof(struct etlfs_merge) ||
	    !in_range(h->names_off, h->names_len, h->total_len))
		return image_bad(img, "its index is not whole", err);
	l->index = h;
	return 0;
}

/* a name that can stand in a directory */
static int name_ok(const struct image_layer *l, const struct etlfs_node *n)
{
	const char *name = layer_names(l) + n->name_off;

	if (!n->name_len || n->name_len > 255 ||
	    !in_range(n->name_off, n->name_len, l->index->names_len))
		return 0;
	if (memchr(name, 0, n->name_len) || memchr(name, '/', n->name_len))
		return 0;
	return !(name[0] == '.' && (n->name_len == 1 ||
				    (n->name_len == 2 && name[1] == '.')));
}

/* sorted, no name twice: i is behind its elder sibling */
static int sorted(const struct image_layer *l, uint32_t i)
{
	const struct etlfs_node *n = layer_nodes(l);
	const char *names = layer_names(l);

	if (i < 2 || n[i - 1].parent != n[i].parent)
		return 1;
	return etlfs_name_cmp(names + n[i - 1].name_off, n[i - 1].name_len,
			      names + n[i].name_off, n[i].name_len) < 0;
}

static uint32_t number_of(const struct etlfs_node *dir, uint32_t own)
{
	return dir->below == ETLFS_NONE ? own : dir->below;
}

/*
 * Node i of a layer is the directory `below` of a lower one: that has the same
 * name in the same directory.
 */
static int check_below(const struct image *img, const struct image_layer *l,
		       uint32_t i)
{
	const struct etlfs_node *all = layer_nodes(l), *n = &all[i], *b, *up;
	uint32_t first = l->index->first, parent;
	const char *name;
	size_t len;

	if (n->below == ETLFS_NONE)
		return i || !first ? 0 : -EBADMSG;
	if (n->below >= first || !i)
		return n->below || i || !first ? -EBADMSG : 0;
	b = image_node(img, n->below);
	if (!b || !S_ISDIR(b->mode) || b->below != ETLFS_NONE || !n->below)
		return -EBADMSG;
	up = image_node(img, b->parent);
	parent = number_of(&all[n->parent - first], n->parent);
	name = image_name(img, n->below, &len);
	return number_of(up, b->parent) == parent && len == n->name_len &&
		!memcmp(name, layer_names(l) + n->name_off, len) ? 0 :
		-EBADMSG;
}

/* the merges are those of the nodes, in order */
static int check_merges(const struct image_layer *l)
{
	const struct etlfs_merge *m = layer_merges(l);
	const struct etlfs_node *all = layer_nodes(l);
	uint32_t first = l->index->first, nodes = l->index->nodes, n = 0;

	for (uint32_t i = 0; i < nodes; i++)
		n += S_ISDIR(all[i].mode) && all[i].below != ETLFS_NONE;
	if (n != l->index->merges)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++)
		if (m[i].node < first || m[i].node - first >= nodes ||
		    (i && m[i - 1].below >= m[i].below) ||
		    !S_ISDIR(all[m[i].node - first].mode) ||
		    all[m[i].node - first].below != m[i].below)
			return -EBADMSG;
	return 0;
}

/*
 * next: the first node that no directory before i has as a child.  Directories
 * in order take their children in order, so each node has just one parent.
 */
static int check_dir(const struct image *img, const struct image_layer *l,
		     uint32_t i, uint64_t *next)
{
	const struct etlfs_node *all = layer_nodes(l), *n = &all[i];
	uint64_t first = l->index->first, at = n->off - first;

	if (n->off != *next || n->off < first ||
	    !in_range(at, n->size, l->index->nodes) ||
	    (n->size && at <= i))
		return -EBADMSG;
	for (uint64_t c = at; c < at + n->size; c++)
		if (all[c].parent != first + i)
			return -EBADMSG;
	*next += n->size;
	return check_below(img, l, i);
}

static int check_node(const struct image *img, int layer, uint32_t i,
		      uint64_t *next)
{
	const struct image_layer *l = &img->layer[layer];
	const struct etlfs_node *n = &layer_nodes(l)[i];
	uint32_t first = l->index->first;

	if (n->layer != layer || n->mode & ~(uint32_t)(S_IFMT | 07777))
		return -EBADMSG;
	if (i && (!name_ok(l, n) || n->parent < first ||
		  n->parent - first >= i || !sorted(l, i)))
		return -EBADMSG;
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		if (n->off % IMAGE_PAGE || !in_range(n->off, n->size, l->len))
			return -EBADMSG;
		return 0;
	case S_IFLNK:
		if (!n->size || n->size >= TARGET_MAX ||
		    !in_range(n->off, n->size, l->index->names_len) ||
		    memchr(layer_names(l) + n->off, 0, n->size))
			return -EBADMSG;
		return 0;
	case S_IFDIR:
		return check_dir(img, l, i, next);
	default:
		return -EBADMSG;
	}
}

/* whoever walks the tree may recurse: no deeper than a path can be */
static int check_depth(const struct image_layer *l)
{
	const struct etlfs_node *all = layer_nodes(l);
	uint16_t *depth = calloc(l->index->nodes, sizeof(*depth));
	int rc = depth ? 0 : -ENOMEM;

	for (uint32_t i = 1; rc == 0 && i < l->index->nodes; i++) {
		depth[i] = depth[all[i].parent - l->index->first] + 1;
		if (depth[i] > DEPTH_MAX)
			rc = -EBADMSG;
	}
	free(depth);
	return rc;
}

int image_check_index(struct image *img, int layer, struct err *err)
{
	struct image_layer *l = &img->layer[layer];
	const struct etlfs_node *root;
	uint64_t next;
	int rc = check_head(img, l, err);

	if (rc < 0)
		return rc;
	root = layer_nodes(l);
	if (!S_ISDIR(root->mode) || root->name_len ||
	    root->parent != l->index->first)
		return image_bad(img, "its index has no root", err);
	next = l->index->first + 1;
	for (uint32_t i = 0; i < l->index->nodes; i++)
		if (check_node(img, layer, i, &next) < 0)
			return err_set(err, -EBADMSG, "'%s' is damaged: node "
				       "%u of its index", img->path,
				       l->index->first + i);
	if (next != l->index->first + (uint64_t)l->index->nodes)
		return image_bad(img, "its index has stray nodes", err);
	if (check_merges(l) < 0)
		return image_bad(img, "its directories do not fit together",
				 err);
	if (check_depth(l) < 0)
		return image_bad(img, "its tree is too deep", err);
	img->nodes += l->index->nodes;
	return 0;
}
