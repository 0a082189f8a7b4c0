/*
 * pack_index.c - a layer's index, from the tree (etlfs/format.h)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etlfs/bake/pack.h"

/* a directory's number is its node's in the lowest layer that has it */
static uint32_t number_of(const struct tree_node *dir)
{
	int layer = 0;

	while (!(dir->in & 1u << layer))
		layer++;
	return dir->number[layer];
}

/* is it in a lower layer, too? */
static int is_merged(const struct tree_node *n, uint16_t layer)
{
	return S_ISDIR(n->mode) && n->in & ((1u << layer) - 1);
}

static uint64_t name_bytes(const struct tree_node *n)
{
	return (n->name ? strlen(n->name) : 0) +
		(n->target ? strlen(n->target) : 0);
}

/* breadth first, so a directory's children get consecutive numbers */
int pack_index_create(struct tree *t, uint16_t layer, uint32_t first,
		      struct pack_index *x)
{
	*x = (struct pack_index){ .t = t, .layer = layer, .head = {
		.magic = ETLFS_INDEX_MAGIC, .version = ETLFS_VERSION,
		.first = first,
	} };
	x->order = calloc(t->nodes, sizeof(*x->order));
	x->children = calloc(t->nodes, sizeof(*x->children));
	if (!x->order || !x->children)
		return -ENOMEM;
	x->head.nodes = 1;
	for (uint32_t i = 0; i < x->head.nodes; i++) {
		struct tree_node *n = &t->node[x->order[i]];

		n->number[layer] = first + i;
		x->head.merges += is_merged(n, layer);
		x->head.names_len += name_bytes(n);
		for (uint32_t c = 0; c < n->children; c++) {
			int64_t k = tree_in_layer(t, n->child[c], layer);

			if (k < 0)
				continue;
			x->order[x->head.nodes++] = (uint32_t)k;
			x->children[i]++;
		}
	}
	x->head.names_off = sizeof(x->head) +
		x->head.nodes * sizeof(struct etlfs_node) +
		x->head.merges * sizeof(struct etlfs_merge);
	x->head.total_len = x->head.names_off + x->head.names_len;
	return 0;
}

void pack_index_free(struct pack_index *x)
{
	free(x->order);
	free(x->children);
	*x = (struct pack_index){ 0 };
}

/* text to the end of the names; where it begins */
static uint64_t put_name(uint8_t *names, uint64_t *at, const char *text)
{
	uint64_t off = *at, len = strlen(text);

	memcpy(names + off, text, len);
	*at += len;
	return off;
}

/* next: number of the first child that no directory has yet */
static void fill_nodes(const struct pack_index *x, uint8_t *buf)
{
	struct etlfs_node *node = (void *)(buf + sizeof(x->head));
	uint8_t *names = buf + x->head.names_off;
	uint64_t at = 0, next = x->head.first + 1;

	for (uint32_t i = 0; i < x->head.nodes; i++) {
		const struct tree_node *n = &x->t->node[x->order[i]];
		struct etlfs_node out = {
			.layer = x->layer,
			.mode = n->mode,
			.parent = x->t->node[n->parent].number[x->layer],
			.mtime = n->mtime,
			.below = is_merged(n, x->layer) ? number_of(n) :
				ETLFS_NONE,
		};

		if (n->name) {
			out.name_off = put_name(names, &at, n->name);
			out.name_len = strlen(n->name);
		}
		if (S_ISDIR(n->mode)) {
			out.off = next;
			out.size = x->children[i];
			next += out.size;
		} else if (S_ISLNK(n->mode)) {
			out.off = put_name(names, &at, n->target);
			out.size = strlen(n->target);
		} else {
			out.off = n->layer_off;
			out.size = n->size;
		}
		memcpy(&node[i], &out, sizeof(out));
	}
}

static int by_below(const void *a, const void *b)
{
	const struct etlfs_merge *x = a, *y = b;

	return (x->below > y->below) - (x->below < y->below);
}

void pack_index_fill(const struct pack_index *x, uint8_t *buf)
{
	struct etlfs_merge *merge = (void *)(buf + x->head.names_off -
			x->head.merges * sizeof(*merge));
	uint32_t n = 0;

	memcpy(buf, &x->head, sizeof(x->head));
	fill_nodes(x, buf);
	for (uint32_t i = 0; i < x->head.nodes; i++) {
		const struct tree_node *node = &x->t->node[x->order[i]];

		if (is_merged(node, x->layer))
			merge[n++] = (struct etlfs_merge){
				number_of(node), x->head.first + i,
			};
	}
	qsort(merge, n, sizeof(*merge), by_below);
}
