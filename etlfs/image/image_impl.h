/*
 * image_impl.h - what the parts of image.c share with each other and with
 * the builder
 */
#ifndef ETLFS_IMAGE_IMPL_H
#define ETLFS_IMAGE_IMPL_H

#include "etlfs/image/image.h"

#define IMAGE_PAGE	4096u
/* at the end: header of usetl/digest, its data, two blocks of zeros */
#define IMAGE_TAIL	2048
#define IMAGE_MANIFEST_MAX (1u << 20)	/* bytes of the first member */
#define IMAGE_HEAD	(IMAGE_MANIFEST_MAX + (64u << 10)) /* and its headers */

extern const char *const image_layer_name[ETLFS_LAYERS];

/* the file's first member, checked and put into img; size and map are set */
int image_read_meta(struct image *img, struct err *err);
void image_free_meta(struct image *img);
/* every invariant of the index; sets img->index */
int image_check_index(struct image *img, struct err *err);

int image_bad(const struct image *img, const char *what, struct err *err);
int image_foreign(const struct image *img, struct err *err);

static inline const struct etlfs_node *image_nodes(const struct image *img)
{
	return (const void *)((const char *)img->index +
			      sizeof(struct etlfs_head));
}

static inline const char *image_names(const struct image *img)
{
	return (const char *)img->index + img->index->names_off;
}

/* 64 hex digits and a NUL; 0 or -EIO */
int image_sha256(const void *data, size_t len, char *out);

#endif
