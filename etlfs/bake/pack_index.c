/*
 * pack_index.c - the image's index, from the tree (etlfs/format.h)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etlfs/format.h"
#include "etlfs/bake/pack.h"

/* breadth first, so a directory's children get consecutive numbers */
int pack_number(struct tree *t, uint32_t **order)
{
	uint32_t *queue = calloc(t->nodes, sizeof(*queue));
	uint32_t end = 1;

	if (!queue)
		return -ENOMEM;
	for (uint32_t i = 0; i < end; i++) {
		struct tree_node *n = &t->node[queue[i]];

		n->number = i;
		for (uint32_t c = 0; c < n->children; c++)
			queue[end++] = n->child[c];
	}
	*order = queue;
	return 0;
}

static uint64_t names_len(const struct tree *t)
{
	uint64_t len = 0;

	for (uint32_t i = 0; i < t->nodes; i++) {
		const struct tree_node *n = &t->node[i];

		len += n->name ? strlen(n->name) : 0;
		len += n->target ? strlen(n->target) : 0;
	}
	return len;
}

uint64_t pack_index_len(const struct tree *t)
{
	return sizeof(struct etlfs_head) +
		t->nodes * sizeof(struct etlfs_node) + names_len(t);
}

/* text to the end of the names; where it begins */
static uint64_t put_name(uint8_t *names, uint64_t *at, const char *text)
{
	uint64_t off = *at, len = strlen(text);

	memcpy(names + off, text, len);
	*at += len;
	return off;
}

/*
 * buf: pack_index_len() bytes.  next: number of the first child that no
 * directory has yet.
 */
void pack_index_fill(const struct tree *t, const uint32_t *order,
		     uint8_t *buf)
{
	struct etlfs_head head = {
		.magic = ETLFS_INDEX_MAGIC,
		.version = ETLFS_VERSION,
		.nodes = t->nodes,
		.names_off = sizeof(head) +
			t->nodes * sizeof(struct etlfs_node),
		.names_len = names_len(t),
		.total_len = pack_index_len(t),
	};
	uint8_t *names = buf + head.names_off;
	uint64_t at = 0, next = 1;

	memcpy(buf, &head, sizeof(head));
	for (uint32_t i = 0; i < t->nodes; i++) {
		const struct tree_node *n = &t->node[order[i]];
		struct etlfs_node out = {
			.layer = n->layer,
			.mode = n->mode,
			.parent = t->node[n->parent].number,
			.mtime = n->mtime,
		};

		if (n->name) {
			out.name_off = put_name(names, &at, n->name);
			out.name_len = strlen(n->name);
		}
		if (S_ISDIR(n->mode)) {
			out.off = next;
			out.size = n->children;
			next += n->children;
		} else if (S_ISLNK(n->mode)) {
			out.off = put_name(names, &at, n->target);
			out.size = strlen(n->target);
		} else {
			out.off = n->image_off;
			out.size = n->size;
		}
		memcpy(buf + sizeof(head) + i * sizeof(out), &out,
		       sizeof(out));
	}
}
