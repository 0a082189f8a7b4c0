/*
 * image_index.c - every invariant of an image's index (etlfs/format.h)
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

static int check_head(struct image *img, struct err *err)
{
	const struct etlfs_head *h;
	uint64_t room;

	if (img->index_off % IMAGE_PAGE ||
	    !in_range(img->index_off, sizeof(*h), img->size))
		return image_bad(img, "its index lies outside", err);
	h = (const void *)(img->map + img->index_off);
	room = img->size - img->index_off;
	if (h->magic != ETLFS_INDEX_MAGIC)
		return image_bad(img, "it has no index", err);
	if (h->version != ETLFS_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "'%s' was made by a "
			       "newer usetl (index version %u, this one reads "
			       "%d)", img->path, h->version, ETLFS_VERSION);
	if (h->total_len > room || !h->nodes ||
	    h->names_off != sizeof(*h) +
	    h->nodes * (uint64_t)sizeof(struct etlfs_node) ||
	    !in_range(h->names_off, h->names_len, h->total_len))
		return image_bad(img, "its index is not whole", err);
	img->index = h;
	return 0;
}

/* a name that can stand in a directory */
static int name_ok(const struct image *img, const struct etlfs_node *n)
{
	const char *name = image_names(img) + n->name_off;

	if (!n->name_len || n->name_len > 255 ||
	    !in_range(n->name_off, n->name_len, img->index->names_len))
		return 0;
	if (memchr(name, 0, n->name_len) || memchr(name, '/', n->name_len))
		return 0;
	return !(name[0] == '.' && (n->name_len == 1 ||
				    (n->name_len == 2 && name[1] == '.')));
}

/* sorted, no name twice: i is behind its elder sibling */
static int sorted(const struct image *img, uint32_t i)
{
	const struct etlfs_node *n = image_nodes(img);
	const char *names = image_names(img);

	if (i < 2 || n[i - 1].parent != n[i].parent)
		return 1;
	return etlfs_name_cmp(names + n[i - 1].name_off, n[i - 1].name_len,
			      names + n[i].name_off, n[i].name_len) < 0;
}

/*
 * next: the first node that no directory before i has as a child.  Directories
 * in order take their children in order, so each node has just one parent.
 */
static int check_node(const struct image *img, uint32_t i, uint64_t *next)
{
	const struct etlfs_node *all = image_nodes(img), *n = &all[i];

	if (n->layer >= ETLFS_LAYERS || n->mode & ~(uint32_t)(S_IFMT | 07777))
		return -EBADMSG;
	if (i && (!name_ok(img, n) || n->parent >= i || !sorted(img, i)))
		return -EBADMSG;
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		if (n->off % IMAGE_PAGE ||
		    !in_range(n->off, n->size, img->size))
			return -EBADMSG;
		return 0;
	case S_IFLNK:
		if (!n->size || n->size >= TARGET_MAX ||
		    !in_range(n->off, n->size, img->index->names_len) ||
		    memchr(image_names(img) + n->off, 0, n->size))
			return -EBADMSG;
		return 0;
	case S_IFDIR:
		if (n->off != *next || !in_range(n->off, n->size,
						 img->index->nodes) ||
		    (n->size && n->off <= i))
			return -EBADMSG;
		for (uint64_t c = n->off; c < n->off + n->size; c++)
			if (all[c].parent != i)
				return -EBADMSG;
		*next += n->size;
		return 0;
	default:
		return -EBADMSG;
	}
}

/* whoever walks the tree may recurse: no deeper than a path can be */
static int check_depth(const struct image *img)
{
	const struct etlfs_node *all = image_nodes(img);
	uint16_t *depth = calloc(img->index->nodes, sizeof(*depth));
	int rc = depth ? 0 : -ENOMEM;

	for (uint32_t i = 1; rc == 0 && i < img->index->nodes; i++) {
		depth[i] = depth[all[i].parent] + 1;
		if (depth[i] > DEPTH_MAX)
			rc = -EBADMSG;
	}
	free(depth);
	return rc;
}

int image_check_index(struct image *img, struct err *err)
{
	uint64_t next = 1;
	int rc = check_head(img, err);

	if (rc < 0)
		return rc;
	if ((image_nodes(img)->mode & S_IFMT) != S_IFDIR ||
	    image_nodes(img)->name_len || image_nodes(img)->parent)
		return image_bad(img, "its index has no root", err);
	for (uint32_t i = 0; i < img->index->nodes; i++)
		if (check_node(img, i, &next) < 0)
			return err_set(err, -EBADMSG, "'%s' is damaged: node "
				       "%u of its index", img->path, i);
	if (next != img->index->nodes)
		return image_bad(img, "its index has stray nodes", err);
	if (check_depth(img) < 0)
		return image_bad(img, "its tree is too deep", err);
	return 0;
}
