/*
 * image.h - a baked function, opened
 *
 * This folder: images as they are read: opened, checked, and copied to where
 * nobody can change them.
 *
 * The image is a tar that holds an OCI image layout (usetl-image(5)): its
 * index.json, manifest and config, then one tar for each layer, whose first
 * byte and every regular file's data lie on a 4096-byte boundary.  The SHA-256
 * of the manifest is the image's identity; it names the config and all layers
 * by theirs.  Everything else in the file follows from these, byte for byte.
 *
 * image_open() maps the file read-only and checks versions, sizes, all that is
 * between the blobs, and every invariant of the layers' indices, but no digest:
 * image_verify() does, and may run in parallel with a boot.  A layer's bytes in
 * the file are what a guest maps.
 *
 * A thin image has its function's own layer in the file and names the others,
 * which are files of a store (store.h).  It has the digests that the whole one
 * has: which of both a file is stands in its index.json alone.
 */
#ifndef ETLFS_IMAGE_H
#define ETLFS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "etlfs/format.h"

#define IMAGE_FORMAT	"usetl-image"
#define IMAGE_KEY	"usetl"		/* of the config: all that is ours */
#define IMAGE_VERSION	2
/* in there: the interpreter's version, whichever interpreter it is */
#define IMAGE_KEY_VERSION "python"
#define IMAGE_KEY_PRELOAD "preload"

/* len 0: the image has no such layer, and the rest is 0 */
struct image_layer {
	const char *name;		/* "runtime", "packages", "app" */
	char digest[65];		/* SHA-256 of its bytes, hex */
	int stored;			/* its file is the store's, else the
					   image's */
	int fd;				/* that file, the image's to close */
	uint64_t off, len;		/* bytes in there, whole pages */
	const uint8_t *map;		/* as image.map has it */
	uint64_t addr;			/* in the guest */
	uint64_t index_off;		/* from the layer's first byte */
	const struct etlfs_head *index;
	uint32_t files;			/* regular ones */
};

struct image_blob {
	char digest[65];
	uint64_t off, len;
};

struct image {
	char *path;
	char *store;			/* of a thin one's layers; NULL: the
					   user's own */
	int thin;
	int fd;
	const uint8_t *map;		/* whole file, PROT_READ, MAP_SHARED; of
					   image_open_heads() the heads alone */
	uint64_t size;			/* bytes */
	uint32_t nodes;			/* of all layers */
	unsigned *users;		/* how many image_again() has made of it;
					   NULL: none */
	int upper;			/* the runtime's files are never read, for
					   another's of the same digest are:
					   neither copied nor verified */
	char digest[65];		/* the image's identity, hex */
	struct image_blob manifest, config;

	/* from the config */
	char *name;			/* of the function */
	char *handler;			/* module.function */
	char *interpreter;		/* what runs, as a path in the guest */
	char *version;		/* the interpreter's, "3.11.2" */
	char **argv;			/* NULL-terminated, argv[0] = interpreter */
	char **env;			/* NULL-terminated, "NAME=value" */
	char **egress;			/* NULL-terminated URL prefixes, or NULL
					   when the config has no list */
	char **preload;			/* NULL-terminated modules of packages
					   that its own imports before all else,
					   in that order; or NULL */
	uint64_t memory;		/* bytes */
	uint64_t files;			/* bytes, etlfs limit */
	uint64_t timeout_ns;
	struct image_layer layer[ETLFS_LAYERS];
};

/*
 * 0 or -errno with err set; *out is the caller's, image_close() frees it.
 * store: the folder of a thin image's layers, NULL: store_default()'s.  Their
 * owner, mode and length are looked at.
 */
int image_open(struct image **out, const char *path, const char *store,
	       struct err *err);
/*
 * The same of a file that anyone may change or cut short meanwhile: in memory
 * are its manifest, index and digest as they were, and no file's content.
 */
int image_open_heads(struct image **out, const char *path, const char *store,
		     struct err *err);
/*
 * The same image once more, which has all but `upper` in common with img: its
 * descriptors, too.  Each is closed by itself.
 */
int image_again(struct image **out, struct image *img, struct err *err);
/*
 * A read-only descriptor of a copy that nobody else can change, the caller's;
 * or -errno with err set.  Layers in the store are not copied: nobody changes
 * them in place.  dir: the folder that it takes room in, NULL: beside
 * the image, in $TMPDIR, /var/tmp or /tmp, the first that has a place for it,
 * on a disk if one has.  May take a while; img is read by its descriptor only.
 */
int image_copy(const struct image *img, const char *dir, struct err *err);
/*
 * A copy of that image, opened; fd is taken over, also when it fails; path for
 * people.  Layers in the store are the very files that `of` has open.
 */
int image_open_copy(struct image **out, const char *path,
		    const struct image *of, int fd, struct err *err);
/* of the file, and of layers in the store */
uint64_t image_bytes(const struct image *img);
/* all digests, or one layer's; 0, or -errno with err set */
int image_verify(const struct image *img, struct err *err);
int image_verify_layer(const struct image *img, const struct image_layer *l,
		       struct err *err);
void image_close(struct image *img);

/*
 * The union of the layers, as guests see it (etlfs/format.h).  For inspect and
 * tests; the guest has its own reader.  Nodes are by number.
 */
const struct etlfs_node *image_node(const struct image *img, uint32_t n);
/* a name, or a symlink's target: not NUL-terminated, *len bytes */
const char *image_name(const struct image *img, uint32_t n, size_t *len);
const char *image_target(const struct image *img, uint32_t n, size_t *len);
const uint8_t *image_data(const struct image *img, uint32_t n);	/* a file's */
/* an absolute path, not following symlinks: its node, or ETLFS_NONE */
uint32_t image_lookup(const struct image *img, const char *path);
/*
 * NUL-terminated copy of a node's absolute path into buf: 0, or -errno: -ENOENT
 * for a node that is not seen, since a directory has another number or an upper
 * layer has another file there.
 */
int image_node_path(const struct image *img, uint32_t node, char *buf,
		    size_t len);
/*
 * Calls visit for the names in a directory, in their order, until it answers
 * < 0, which is returned; else 0, or -ENOMEM.
 */
int image_list(const struct image *img, uint32_t dir,
	       int (*visit)(void *arg, uint32_t node), void *arg);

#endif
