/*
 * pack.h - from a function's folder to an image
 *
 * This folder: how an image is made: which files of the function, its packages
 * and its interpreter go in, and how they are written.
 *
 * Same input, same bytes: names are sorted, owners and times of what was
 * generated are zero, nothing of the build's own place or time gets in.
 *
 * libarchive takes names through the locale: LC_CTYPE has to be UTF-8, as
 * cmd/bake.c sets it.
 */
#ifndef ETLFS_PACK_H
#define ETLFS_PACK_H

#include <stdint.h>

#include "conf/err.h"
#include "conf/manifest.h"
#include "etlfs/image/image.h"
#include "etlfs/bake/pack_seen.h"
#include "etlfs/bake/runtime.h"
#include "etlfs/bake/tree.h"

#define PACK_APP	"/app"
#define PACK_PACKAGES	"/packages"

/* counts are of one stage; totals are 0 while they are not known */
struct pack_progress {
	const char *what;		/* "collecting", "writing" ... */
	uint64_t files, files_total;
	uint64_t bytes, bytes_total;
};

struct pack_opts {
	const char *dir;		/* the function's folder */
	const char *base;		/* where the manifest's paths begin */
	const char *image;		/* being made: is not packed itself */
	const struct manifest *manifest;
	struct store *store;		/* of layers, or NULL */
	int thin;			/* the image names the layers that it can
					   have from there */
	/* -errno stops */
	int (*progress)(void *arg, const struct pack_progress *p);
	void (*warn)(void *arg, const char *line);
	/* the last lines of a tool that failed */
	void (*said)(void *arg, const char *text);
	void *arg;
};

struct pack_result {
	uint64_t files, bytes;		/* regular files; bytes of the image */
	uint64_t stored;		/* bytes of layers that it only names */
	char digest[65];
	const char *runtime;		/* "python" */
	char version[32];		/* the interpreter's */
};

/* writes the image to fd, a new regular file; 0, or -errno with err */
int pack_function(const struct pack_opts *o, int fd, struct pack_result *r,
		  struct err *err);

/* what the layer at hand is made from, for the store; off while all is 0 */
struct pack_record {
	int on;
	struct seen seen;
	json_t *warnings;
	char key[65];
	size_t paths;			/* that lower layers have in p->path */
	char *used;			/* p->used of lower layers */
};

/*
 * The steps, for pack_function() and tests.
 */
struct pack {
	const struct pack_opts *o;
	struct tree *t;
	struct runtime *rt;
	struct elfdeps *elf;
	struct strings path;		/* where the guest looks for packages */
	char *used;			/* by pattern of exclude: it matched */
	char *temp;			/* folder of requirements, or NULL */
	struct pack_progress progress;
	struct pack_record record;
	int store_told;			/* what is wrong with it was said */
	int store_failed;		/* it keeps nothing */
	char below[65];			/* what is known of the runtime layer,
					   or "" */
	struct err *err;
};

/* pack_runtime.c, pack_layers.c: one layer each, into p->t */
int pack_runtime(struct pack *p);
int pack_packages(struct pack *p);
int pack_app(struct pack *p);
/* pack.c: tells what is going on now; 0, or -errno to stop */
int pack_stage(struct pack *p, const char *what);
/* a path of the manifest, resolved against p->o->base; 0 or -errno */
int pack_resolve(const struct pack *p, const char *path, char *buf,
		 size_t size);

/*
 * pack_rules.c: 1 when a pattern of the list matches a path below its folder,
 * or the guest's whole path for a pattern that begins with '/'.  rel may be
 * NULL.
 */
int pack_matches(const struct strings *patterns, const char *rel,
		 const char *guest);
/*
 * 1 when a file or folder is to be packed: what a rule or `exclude` leaves
 * out, `include` takes back.  A standard library is left alone by patterns
 * of exclude that are not absolute.  Patterns of exclude that match are marked
 * in p->used.
 */
int pack_stdlib_keeps(struct pack *p, const char *rel, const char *guest,
		      int is_dir);
int pack_app_keeps(struct pack *p, const char *rel, const char *guest,
		   int is_dir);
int pack_packages_keeps(struct pack *p, const char *rel, const char *guest,
			int is_dir);
/* all was asked for: a warning for each pattern of exclude without a mark */
void pack_unused(const struct pack *p);

/*
 * pack_meta.c: argv, env and what else the config of an image says, from
 * function.ini; freed by image_free_meta()
 */
int pack_meta_fill(struct image *meta, const struct pack *p);

/*
 * pack_oci.c: meta as an OCI config and manifest, JSON, the caller's; NULL when
 * there is text in it that is not UTF-8, or no memory
 */
char *pack_config_text(const struct image *meta);
char *pack_manifest_text(const struct image *meta);

/*
 * pack_write.c: the image of a tree.  Fills meta's size, digest, config,
 * manifest and layers.  store: where those of a thin one go, or NULL.
 */
int pack_write(struct tree *t, struct image *meta, int fd,
	       struct store *store,
	       int (*progress)(void *arg, const struct pack_progress *p),
	       void *arg, struct err *err);

/*
 * Puts into an image that was written, and nobody uses yet, which modules it
 * imports from its packages before all else, or that it is none.  digest: its
 * new one; store: as image_open() has it.
 */
int pack_preload(const char *path, const char *store, struct strings *modules,
		 char digest[65], struct err *err);

/* pack_key.c: 0, or -errno when it cannot be said (-ENOTSUP) */
int pack_key(struct pack *p, uint16_t layer, char key[65]);

/*
 * pack_store.c: between begin and end what a layer is made from is remembered.
 * take: 1: the layer is in the tree as it was made before; 0: it has to be
 * made.  keep: it was made and is complete: it is written, to the store, and
 * from there to the image.  All do nothing without a store; -errno with p->err.
 */
int pack_store_begin(struct pack *p, uint16_t layer);
int pack_store_take(struct pack *p, uint16_t layer);
int pack_store_keep(struct pack *p, uint16_t layer);
void pack_store_end(struct pack *p);
/* for the tree's callbacks */
void pack_store_saw(struct pack *p, const char *path, enum tree_look how);
void pack_store_warned(struct pack *p, const char *line);

/* pack_layer.c: one layer, as a tar at `off` of fd, a multiple of the page */
struct pack_layer {
	struct tree *t;
	int fd;
	uint64_t off;
	uint16_t number;		/* ETLFS_LAYER_* */
	uint32_t first;			/* how many nodes are below it */
	struct pack_progress *progress;
	int (*tell)(void *arg, const struct pack_progress *p);
	void *arg;
};
/*
 * Fills l but for off and addr, and *nodes; layers that a tree does not have
 * are not written.  0 or -errno.
 */
int pack_layer_write(const struct pack_layer *p, struct image_layer *l,
		     uint32_t *nodes, struct err *err);

/*
 * pack_index.c: a layer's index: create numbers the nodes; then, the files'
 * places in the layer known, fill writes head.total_len bytes
 */
struct pack_index {
	const struct tree *t;
	uint16_t layer;
	struct etlfs_head head;
	uint32_t *order, *children;	/* by node of the index */
};
int pack_index_create(struct tree *t, uint16_t layer, uint32_t first,
		      struct pack_index *x);
void pack_index_fill(const struct pack_index *x, uint8_t *buf);
void pack_index_free(struct pack_index *x);

#endif
