/*
 * format.h - etlfs on the wire: what both sides of the boundary read
 *
 * Freestanding, versioned.  Three tables, one producer each, no locks:
 *
 *   image index   written by bake, read by guest and `usetl inspect`
 *   host table    written by the gateway, read by the guest
 *   USF inodes    written by the guest (in its own memory); their extents
 *                 travel to the host by DB_FETCH and are checked there
 */
#ifndef ETLFS_FORMAT_H
#define ETLFS_FORMAT_H

#include <stdint.h>

#define ETLFS_VERSION	1

/*
 * Image index: one tree over all layers.
 *
 *   head | node[0 .. nodes) | names
 *
 * Node 0 is the root directory.  Nodes are in breadth-first order, so the
 * children of a directory are contiguous, and sorted by name as memcmp
 * sorts (shorter first where one is a prefix; etlfs/image/name.h compares),
 * so lookup is a binary search.
 * Invariants that a reader checks: every child range lies inside the table
 * and after its directory; every name lies inside names; every regular
 * file's [off, off + size) lies inside the image and off is page-aligned.
 */
#define ETLFS_INDEX_MAGIC	0x3178646e69736675ull	/* "ufsindx1" */

struct etlfs_head {
	uint64_t magic;
	uint32_t version;
	uint32_t nodes;
	uint64_t names_off;		/* from the head */
	uint64_t names_len;
	uint64_t total_len;		/* head, nodes and names */
	uint64_t pad[3];
};

struct etlfs_node {
	uint32_t name_off;		/* in names, not NUL-terminated */
	uint16_t name_len;		/* bytes, 1..255; 0 for the root */
	uint16_t layer;			/* ETLFS_LAYER_* */
	uint32_t mode;			/* S_IFMT and permission bits */
	uint32_t parent;		/* node number */
	uint64_t off;			/* file: bytes from the start of the image;
					   dir: first child's node number;
					   symlink: target's offset in names */
	uint64_t size;			/* file: bytes; dir: children;
					   symlink: bytes of target */
	int64_t mtime;			/* seconds since the epoch */
	uint64_t pad[3];
};

#define ETLFS_LAYER_RUNTIME	0	/* interpreter, its library */
#define ETLFS_LAYER_PACKAGES	1	/* dependencies */
#define ETLFS_LAYER_FUNCTION	2	/* the user's code, usetl's own */
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
_Static_assert(sizeof(struct etlfs_ticket) == 56, "etlfs_ticket layout");
_Static_assert(sizeof(struct etlfs_host) <= ETLFS_EVENT_OFF,
	       "the host table ends before the event");
#endif
