/*
 * tree_layer.c - a layer that was made before, into the tree
 *
 * What its index says (etlfs/format.h) becomes nodes like those that the layer
 * was made from, so that upper layers see no difference.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etlfs/bake/tree.h"

struct layer {
	struct tree *t;
	uint16_t number;
	const struct etlfs_head *head;
	const struct etlfs_node *node;
	const char *names;
	uint32_t *map;
	const char *(*host)(void *arg, uint32_t i, const char *path);
	void *arg;
	struct err *err;
};

static int bad(struct layer *l)
{
	return err_set(l->err, -EBADMSG, "a layer of the store has no "
		       "index: bake with --no-store");
}

/* text of the names: a copy, NUL-terminated */
static int take(const struct layer *l, uint64_t off, uint64_t len, char *buf,
		size_t size)
{
	if (off > l->head->names_len || len > l->head->names_len - off ||
	    !len || len >= size)
		return -EBADMSG;
	memcpy(buf, l->names + off, len);
	buf[len] = 0;
	return 0;
}

/* the path of node i, whose directory is in the tree */
static int path_of(const struct layer *l, uint32_t i, char *buf, size_t size)
{
	const struct etlfs_node *n = &l->node[i];
	uint32_t up = n->parent - l->head->first;
	char name[256];
	size_t len;

	if (up >= i || take(l, n->name_off, n->name_len, name,
			    sizeof(name)) < 0 || strchr(name, '/') ||
	    tree_path(l->t, l->map[up], buf, size) < 0)
		return -EBADMSG;
	len = strlen(buf);
	len -= len == 1;			/* of "/" */
	return snprintf(buf + len, size - len, "/%s", name) <
		(int)(size - len) ? 0 : -EBADMSG;
}

static int64_t add_file(struct layer *l, uint32_t i, const char *path)
{
	const struct etlfs_node *n = &l->node[i];
	struct tree_file f = {
		.layer = l->number, .mode = n->mode & 0777,
		.mtime = n->mtime, .size = n->size,
		.host = l->host(l->arg, i, path),
	};

	return tree_add_file(l->t, path, &f, l->err);
}

static int64_t add_link(struct layer *l, uint32_t i, const char *path)
{
	char target[TREE_PATH_MAX];

	if (take(l, l->node[i].off, l->node[i].size, target,
		 sizeof(target)) < 0)
		return bad(l);
	return tree_add_link(l->t, path, target, l->number, l->err);
}

static int add_node(struct layer *l, uint32_t i)
{
	const struct etlfs_node *n = &l->node[i];
	char path[TREE_PATH_MAX] = "/";
	struct tree_node *to;
	int64_t k;

	if (i && path_of(l, i, path, sizeof(path)) < 0)
		return bad(l);
	k = S_ISDIR(n->mode) ? tree_add_dir(l->t, path, l->number, l->err) :
		S_ISLNK(n->mode) ? add_link(l, i, path) : add_file(l, i, path);
	if (k < 0)
		return (int)k;
	to = &l->t->node[k];
	if (!S_ISDIR(n->mode) && to->layer != l->number)
		return bad(l);
	to->number[l->number] = l->head->first + i;
	if (S_ISREG(n->mode)) {
		to->stored = 1;
		to->layer_off = n->off;
	}
	l->map[i] = (uint32_t)k;
	return 0;
}

int tree_add_layer(struct tree *t, uint16_t layer, const void *index,
		   size_t len, const char *(*host)(void *arg, uint32_t i,
						   const char *path),
		   void *arg, uint32_t **map, struct err *err)
{
	const struct etlfs_head *h = index;
	struct layer l = {
		.t = t, .number = layer, .head = h, .host = host, .arg = arg,
		.node = (const void *)(h + 1), .err = err,
	};
	int rc = 0;

	if (len < sizeof(*h) || h->magic != ETLFS_INDEX_MAGIC ||
	    h->version != ETLFS_VERSION || h->total_len > len ||
	    h->names_off > len || h->names_len > len - h->names_off ||
	    !h->nodes || h->nodes > (len - sizeof(*h)) / sizeof(*l.node))
		return bad(&l);
	l.names = (const char *)index + h->names_off;
	l.map = calloc(h->nodes, sizeof(*l.map));
	if (!l.map)
		return err_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; rc == 0 && i < h->nodes; i++)
		rc = add_node(&l, i);
	if (rc < 0)
		free(l.map);
	else
		*map = l.map;
	return rc;
}
