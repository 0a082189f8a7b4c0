/*
 * format.h - etlfs on the wire: what both sides of the boundary read
 *
 * Freestanding, versioned.  Three tables, one producer each, no locks:
 *
 *   layer index   written by bake, read by guest and `usetl inspect`
 *   host table    written by the gateway, read by the guest
 *   USF inodes    written by the guest (in its own memory); their extents
 *                 travel to the host by DB_FETCH and are checked there
 */
#ifndef ETLFS_FORMAT_H
#define ETLFS_FORMAT_H

#include <stdint.h>

#define ETLFS_VERSION	2

/*
 * An image is a stack of layers, each with an index of its own.  What the guest
 * sees is their union: directories of the same path are one, and otherwise the
 * uppermost layer with a name has it.  A layer depends on those below it and on
 * none above, so whoever has the same lower layers shares them byte for byte:
 *
 *   addresses     layer 0 lies at UK_IMAGE_BASE, and each further one behind
 *                 the layer below it, on the next multiple of ETLFS_ALIGN.  A
 *                 layer that an image does not have takes no room.
 *   node numbers  go on from layer to layer: a layer's are [first, first +
 *                 nodes), and those of lower layers stay as upper ones come.
 *
 * A layer's index:
 *
 *   head | node[0 .. nodes) | merge[0 .. merges) | names
 *
 * Its first node is the layer's root directory.  Nodes are in breadth-first
 * order, so the children of a directory are contiguous, and sorted by name as
 * memcmp sorts (shorter first where one is a prefix; etlfs/image/name.h
 * compares), so lookup is a binary search.
 *
 * A directory is known by one number, its node in the lowest layer that has it.
 * Where a layer has a directory that a lower one has, its own node says so
 * (`below`), and a merge leads from the number to that node.  Merges are sorted
 * by `below`, so the names that a layer adds to a directory are found by binary
 * search as well, and nothing has to be built.  Roots are merged like others.
 *
 * Invariants that a reader checks: first is the sum of the lower layers' nodes;
 * every child range lies inside the layer's nodes and after its directory;
 * every name lies inside names; every regular file's [off, off + size) lies
 * inside the layer and off is page-aligned; `below` is a directory of a lower
 * layer that is below nothing itself; merges and `below` say the same.
 */
#define ETLFS_INDEX_MAGIC	0x3178646e69736675ull	/* "ufsindx1" */
#define ETLFS_ALIGN		0x200000ull
#define ETLFS_NONE		(~0u)	/* no node */

struct etlfs_head {
	uint64_t magic;
	uint32_t version;
	uint32_t nodes;
	uint64_t names_off;		/* from the head */
	uint64_t names_len;
	uint64_t total_len;		/* head, nodes, merges and names */
	uint32_t first;			/* number of node[0] */
	uint32_t merges;
	uint64_t pad[2];
};

struct etlfs_node {
	uint32_t name_off;		/* in names, not NUL-terminated */
	uint16_t name_len;		/* bytes, 1..255; 0 for the root */
	uint16_t layer;			/* ETLFS_LAYER_*, this index's */
	uint32_t mode;			/* S_IFMT and permission bits */
	uint32_t parent;		/* number of this layer's own node */
	uint64_t off;			/* file: bytes from the layer's start;
					   dir: first child's node number;
					   symlink: target's offset in names */
	uint64_t size;			/* file: bytes; dir: children;
					   symlink: bytes of target */
	int64_t mtime;			/* seconds since the epoch */
	uint32_t below;			/* dir: its number, when a lower layer
					   has it too; else ETLFS_NONE */
	uint32_t pad0;
	uint64_t pad[2];
};

struct etlfs_merge {
	uint32_t below;			/* a directory of a lower layer */
	uint32_t node;			/* the same directory in this one */
};

#define ETLFS_LAYER_RUNTIME	0	/* interpreter, library, usetl's own */
#define ETLFS_LAYER_PACKAGES	1	/* dependencies */
#define ETLFS_LAYER_APP		2	/* the user's code */
#define ETLFS_LAYERS		3

/*
 * Host table, first bytes of the host region (window 0).  DB_FETCH answers
 * gen << 6 | slot (gen counts the uses of a slot, from 1); the gateway writes
 * gen with the rest, so a stale DONE of an earlier use is told apart.  `state`
 * is stored last (release) by the gateway.  Offsets are from UK_HOST_BASE.
 * The head is the response's header lines, "Name: value\n" each, names as
 * received; or, for ETLFS_FAILED, one line of text that says why.
 *
 * `empty` is 1 while window 0 has nothing of any request: stored last (release)
 * where a request was wiped out, and taken back before the next is written.  A
 * clone's tender lets no guest run between two requests before it is 1: the
 * gateway may be late, and the guest maps window 0 at all times.
 */
#define ETLFS_HOST_MAGIC	0x3174736f68736675ull	/* "ufshost1" */

struct etlfs_ticket {
	uint32_t state;			/* ETLFS_* below */
	uint32_t status;		/* HTTP status */
	uint32_t error;			/* errno for ETLFS_FAILED */
	uint32_t head_len;
	uint64_t head_off;
	uint64_t body_off;
	uint64_t body_len;
	uint64_t url_off;		/* final URL after redirects */
	uint32_t url_len;
	uint32_t gen;			/* see below */
};

#define ETLFS_FREE	0
#define ETLFS_PENDING	1
#define ETLFS_DONE	2
#define ETLFS_FAILED	3

#define ETLFS_TICKETS	64

struct etlfs_host {
	uint64_t magic;
	uint32_t version;
	uint32_t tickets;		/* ETLFS_TICKETS */
	uint32_t empty;			/* see above */
	uint32_t pad0;
	uint64_t pad[5];
	struct etlfs_ticket ticket[ETLFS_TICKETS];
};

/*
 * Host region: window 0 is [0, ETLFS_WINDOW0): table, event, small bodies.
 * Window i (1..15) begins at i GB and holds one large body; it is attached
 * to the clone's memory before the ticket that names it is DONE.
 */
#define ETLFS_WINDOW0		0x400000u
#define ETLFS_EVENT_OFF		0x2000u
#define ETLFS_EVENT_MAX		0x200000u	/* an event ends before this */
#define ETLFS_WINDOW_STRIDE	0x40000000ull
#define ETLFS_WINDOWS		16

/* unit in which a USF file's memory is allocated and copied on write */
#define ETLFS_EXTENT		0x4000u

_Static_assert(sizeof(struct etlfs_head) == 64, "etlfs_head layout");
_Static_assert(sizeof(struct etlfs_node) == 64, "etlfs_node layout");
_Static_assert(sizeof(struct etlfs_merge) == 8, "etlfs_merge layout");
_Static_assert(sizeof(struct etlfs_ticket) == 56, "etlfs_ticket layout");
_Static_assert(sizeof(struct etlfs_host) <= ETLFS_EVENT_OFF,
	       "the host table ends before the event");
#endif
