/*
 * image_tree.c - the union of an image's layers (etlfs/format.h), whose indices
 * were checked
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etlfs/image/image_impl.h"
#include "etlfs/image/name.h"

const struct image_layer *image_layer_of(const struct image *img, uint32_t n)
{
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (l->index && n >= l->index->first &&
		    n - l->index->first < l->index->nodes)
			return l;
	}
	return NULL;
}

const struct etlfs_node *image_node(const struct image *img, uint32_t n)
{
	const struct image_layer *l = image_layer_of(img, n);

	return l ? &layer_nodes(l)[n - l->index->first] : NULL;
}

const char *image_name(const struct image *img, uint32_t n, size_t *len)
{
	const struct image_layer *l = image_layer_of(img, n);
	const struct etlfs_node *node = image_node(img, n);

	*len = node->name_len;
	return layer_names(l) + node->name_off;
}

const char *image_target(const struct image *img, uint32_t n, size_t *len)
{
	const struct image_layer *l = image_layer_of(img, n);
	const struct etlfs_node *node = image_node(img, n);

	*len = node->size;
	return layer_names(l) + node->off;
}

const uint8_t *image_data(const struct image *img, uint32_t n)
{
	return image_layer_of(img, n)->map + image_node(img, n)->off;
}

static int is_dir(const struct image *img, uint32_t n)
{
	return S_ISDIR(image_node(img, n)->mode);
}

/* a directory's one number */
static uint32_t number_of(const struct image *img, uint32_t n)
{
	const struct etlfs_node *node = image_node(img, n);

	return S_ISDIR(node->mode) && node->below != ETLFS_NONE ? node->below :
		n;
}

/* the node that layer l has for a directory, or NULL */
static const struct etlfs_node *part_of(const struct image_layer *l,
					uint32_t dir)
{
	const struct etlfs_merge *m;
	uint32_t lo = 0, hi;

	if (!l->index || dir >= l->index->first + l->index->nodes)
		return NULL;
	if (dir >= l->index->first)
		return &layer_nodes(l)[dir - l->index->first];
	m = layer_merges(l);
	for (hi = l->index->merges; lo < hi; ) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m[mid].below == dir)
			return &layer_nodes(l)[m[mid].node - l->index->first];
		if (dir < m[mid].below)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static uint32_t find_in(const struct image_layer *l, uint32_t dir,
			const char *name, size_t len)
{
	const struct etlfs_node *part = part_of(l, dir), *all;
	uint64_t lo, hi;

	if (!part)
		return ETLFS_NONE;
	all = layer_nodes(l) - l->index->first;
	for (lo = part->off, hi = lo + part->size; lo < hi; ) {
		uint64_t mid = lo + (hi - lo) / 2;
		int c = etlfs_name_cmp(name, len, layer_names(l) +
				       all[mid].name_off, all[mid].name_len);

		if (!c)
			return (uint32_t)mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return ETLFS_NONE;
}

/* in the uppermost layer that has the name */
static uint32_t child(const struct image *img, uint32_t dir, const char *name,
		      size_t len)
{
	for (int i = ETLFS_LAYERS; i-- > 0; ) {
		uint32_t n = find_in(&img->layer[i], dir, name, len);

		if (n != ETLFS_NONE)
			return number_of(img, n);
	}
	return ETLFS_NONE;
}

uint32_t image_lookup(const struct image *img, const char *path)
{
	uint32_t n = 0;

	for (path += strspn(path, "/"); n != ETLFS_NONE && *path;
	     path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		if (!is_dir(img, n))
			return ETLFS_NONE;
		n = child(img, n, path, len);
		path += len;
	}
	return n;
}

int image_node_path(const struct image *img, uint32_t node, char *buf,
		    size_t len)
{
	size_t at = len, n;

	if (node >= img->nodes)
		return -ENOENT;
	if (len < 2)
		return -ENAMETOOLONG;
	buf[--at] = 0;
	if (!node)
		buf[--at] = '/';
	while (node) {
		const char *name = image_name(img, node, &n);
		uint32_t dir = number_of(img, image_node(img, node)->parent);

		if (child(img, dir, name, n) != node)
			return -ENOENT;
		if (at < n + 1)
			return -ENAMETOOLONG;
		at -= n;
		memcpy(buf + at, name, n);
		buf[--at] = '/';
		node = dir;
	}
	memmove(buf, buf + at, len - at);
	return 0;
}

struct listing {
	const struct image *img;
	uint32_t *node, n;
};

static int by_name(const void *a, const void *b, void *arg)
{
	const struct image *img = arg;
	size_t alen, blen;
	const char *an = image_name(img, *(const uint32_t *)a, &alen);
	const char *bn = image_name(img, *(const uint32_t *)b, &blen);

	return etlfs_name_cmp(an, alen, bn, blen);
}

/* what each layer has in a directory; names of two layers come twice */
static int collect(struct listing *l, uint32_t dir)
{
	const struct etlfs_node *part[ETLFS_LAYERS];
	uint64_t room = 1;
	size_t len;

	for (int i = 0; i < ETLFS_LAYERS; i++) {
		part[i] = part_of(&l->img->layer[i], dir);
		room += part[i] ? part[i]->size : 0;
	}
	l->node = calloc(room, sizeof(*l->node));
	if (!l->node)
		return -ENOMEM;
	for (int i = 0; i < ETLFS_LAYERS; i++)
		for (uint64_t c = 0; part[i] && c < part[i]->size; c++) {
			uint32_t n = (uint32_t)(part[i]->off + c);
			const char *name = image_name(l->img, n, &len);

			l->node[l->n++] = child(l->img, dir, name, len);
		}
	return 0;
}

int image_list(const struct image *img, uint32_t dir,
	       int (*visit)(void *arg, uint32_t node), void *arg)
{
	struct listing l = { .img = img };
	int rc = collect(&l, dir);

	if (rc == 0)
		qsort_r(l.node, l.n, sizeof(*l.node), by_name, (void *)img);
	for (uint32_t i = 0; rc >= 0 && i < l.n; i++)
		if (!i || l.node[i] != l.node[i - 1])
			rc = visit(arg, l.node[i]);
	free(l.node);
	return rc < 0 ? rc : 0;
}
