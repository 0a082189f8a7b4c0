/*
 * image_write.c - the parts of an image that are in no layer, written
 *
 * Whoever bakes an image and whoever pulls one write it by this: from the same
 * blobs it is the same file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "etlfs/image/image_impl.h"

#define BLOCK	512u

/* oci-layout and index.json have a block each; all four have a header */
#define INDEX_OFF	(3 * BLOCK)
#define MANIFEST_OFF	(5 * BLOCK)

_Static_assert(sizeof(OCI_LAYOUT) <= BLOCK, "oci-layout fits a block");

struct out {
	int fd;
	struct err *err;
};

static int put_at(const struct out *o, const void *data, size_t len,
		  uint64_t off)
{
	ssize_t n = pwrite(o->fd, data, len, off);

	if (n == (ssize_t)len)
		return 0;
	return err_set(o->err, n < 0 ? -errno : -EIO, "cannot write the "
		       "image: %s", n < 0 ? strerror(errno) : "short write");
}

/* a member before the layers; off: of its data */
static int put_member(const struct out *o, const char *name, const void *data,
		      size_t len, uint64_t off)
{
	uint8_t head[IMAGE_MEMBER_MAX];
	size_t n = image_member(head, name, len, off - BLOCK, 0);
	int rc = put_at(o, head, n, off - n);

	return rc < 0 ? rc : put_at(o, data, len, off);
}

static int put_blob(const struct out *o, const struct image_blob *b,
		    const void *data)
{
	char name[IMAGE_BLOB_NAME];

	image_blob_name(name, b->digest);
	return put_member(o, name, data, b->len, b->off);
}

/* the layers' own headers, and what ends the archive */
static int put_borders(const struct out *o, const struct image *img)
{
	uint8_t head[IMAGE_MEMBER_MAX], zeros[IMAGE_TAIL] = { 0 };
	uint64_t pos = image_front_end(img);
	char name[IMAGE_BLOB_NAME];
	int rc = 0;

	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (!l->len || l->stored)
			continue;
		image_blob_name(name, l->digest);
		rc = put_at(o, head, image_member(head, name, l->len, pos, 1),
			    pos);
		pos = l->off + l->len;
	}
	return rc < 0 ? rc : put_at(o, zeros, sizeof(zeros), pos);
}

void image_place_front(struct image *img)
{
	uint64_t end = MANIFEST_OFF + img->manifest.len + BLOCK - 1;

	img->manifest.off = MANIFEST_OFF;
	img->config.off = end / BLOCK * BLOCK + BLOCK;
}

int image_write_front(const struct image *img, int fd, const void *manifest,
		      const void *config, struct err *err)
{
	const struct out o = { .fd = fd, .err = err };
	char index[IMAGE_INDEX_MAX];
	int n = image_index_json(index, sizeof(index), img->manifest.digest,
				 img->manifest.len, img->thin);
	int rc = put_member(&o, "oci-layout", OCI_LAYOUT, strlen(OCI_LAYOUT),
			    BLOCK);

	if (rc == 0)
		rc = put_member(&o, "index.json", index, (size_t)n, INDEX_OFF);
	if (rc == 0)
		rc = put_blob(&o, &img->manifest, manifest);
	if (rc == 0)
		rc = put_blob(&o, &img->config, config);
	return rc < 0 ? rc : put_borders(&o, img);
}
