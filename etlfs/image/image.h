/*
 * image.h - a baked function, opened
 *
 * This folder: images as they are read: opened, checked, and copied to where
 * nobody can change them.
 *
 * The image is a plain pax tar (usetl-image(5)): "usetl/manifest.json",
 * "usetl/index" (etlfs/format.h), then root/..., layer by layer, each regular
 * file's data on a 4096-byte boundary, last "usetl/digest": the SHA-256, in
 * hex, of every byte before that entry's tar header.
 *
 * image_open() maps the file read-only and checks magic, version, sizes and
 * every invariant of the index, but not the digest: image_verify() does, and
 * may run in parallel with a boot.  The mapping is what becomes the guest's
 * IMAGE window.
 */
#ifndef ETLFS_IMAGE_H
#define ETLFS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "etlfs/format.h"

#define IMAGE_FORMAT	"usetl-image"	/* of the manifest */
#define IMAGE_VERSION	1
/* of the manifest: the interpreter's version, whichever interpreter it is */
#define IMAGE_KEY_VERSION "python"

struct image_layer {
	const char *name;		/* "runtime", "packages", "function" */
	char digest[65];		/* SHA-256 of its byte range, hex */
	uint64_t off, len;		/* bytes in the image */
	uint32_t files;
};

struct image {
	char *path;
	int fd;
	const uint8_t *map;		/* whole file, PROT_READ, MAP_SHARED; of
					   image_open_heads() the heads alone */
	uint64_t size;			/* bytes */
	uint64_t index_off;
	const struct etlfs_head *index;
	char digest[65];		/* the image's identity, hex */

	/* from the manifest */
	char *name;			/* of the function */
	char *handler;			/* module.function */
	char *interpreter;		/* what runs, as a path in the guest */
	char *version;		/* the interpreter's, "3.11.2" */
	char **argv;			/* NULL-terminated, argv[0] = interpreter */
	char **env;			/* NULL-terminated, "NAME=value" */
	char **egress;			/* NULL-terminated URL prefixes, or NULL
					   when the manifest has no list */
	uint64_t memory;		/* bytes */
	uint64_t files;			/* bytes, etlfs limit */
	uint64_t timeout_ns;
	struct image_layer layer[ETLFS_LAYERS];
};

/* 0 or -errno with err set; *out is the caller's, image_close() frees it */
int image_open(struct image **out, const char *path, struct err *err);
/*
 * The same of a file that anyone may change or cut short meanwhile: in memory
 * are its manifest, index and digest as they were, and no file's content.
 */
int image_open_heads(struct image **out, const char *path, struct err *err);
/*
 * A read-only descriptor of a copy that nobody else can change, the caller's;
 * or -errno with err set.  dir: the folder that it takes room in, NULL: beside
 * the image, in $TMPDIR, /var/tmp or /tmp, the first that has a place for it,
 * on a disk if one has.  May take a while; img is read by its descriptor only.
 */
int image_copy(const struct image *img, const char *dir, struct err *err);
/* such a copy, opened; fd is taken over, also when it fails; path for people */
int image_open_copy(struct image **out, const char *path, int fd,
		    struct err *err);
int image_verify(const struct image *img, struct err *err);
void image_close(struct image *img);

/*
 * Node for an absolute guest path, not following symlinks, or NULL.  For
 * inspect and tests; the guest has its own reader.
 */
const struct etlfs_node *image_lookup(const struct image *img,
				      const char *path);
/* NUL-terminated copy of a node's absolute path into buf; 0 or -errno */
int image_node_path(const struct image *img, uint32_t node, char *buf,
		    size_t len);

#endif
