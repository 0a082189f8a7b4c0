/*
 * image_impl.h - what the parts of image.c share with each other and with
 * the builder
 */
#ifndef ETLFS_IMAGE_IMPL_H
#define ETLFS_IMAGE_IMPL_H

#include "etlfs/image/image.h"
#include "unikernel/abi.h"

#define IMAGE_PAGE	4096u
#define IMAGE_TAIL	1024		/* two blocks of zeros end a tar */
#define IMAGE_INDEX_MAX	1024u		/* bytes of index.json */
#define IMAGE_MANIFEST_MAX 8192u
#define IMAGE_CONFIG_MAX (1u << 20)
/* all of that, and the headers */
#define IMAGE_HEAD	(IMAGE_CONFIG_MAX + (64u << 10))
#define IMAGE_LAYER_MAX	(1ull << 33)	/* an ustar header holds no more */

/* OCI image-spec 1.0: image-layout.md, media-types.md */
#define OCI_LAYOUT	"{\"imageLayoutVersion\":\"1.0.0\"}\n"
#define OCI_INDEX	"application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST	"application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG	"application/vnd.oci.image.config.v1+json"
#define OCI_LAYER	"application/vnd.oci.image.layer.v1.tar"

/* of index.json, when the layers below the function's own are in a store */
#define IMAGE_THIN	"usetl.thin"

extern const char *const image_layer_name[ETLFS_LAYERS];

/* --- image_layout.c */

/*
 * The headers of a member at pos of the file, a multiple of 512: how many bytes
 * they have.  aligned: its data begin on a page.
 */
#define IMAGE_MEMBER_MAX (IMAGE_PAGE + 1024)
size_t image_member(uint8_t buf[IMAGE_MEMBER_MAX], const char *name,
		    uint64_t size, uint64_t pos, int aligned);
#define IMAGE_BLOB_NAME	80
uint64_t image_blob_name(char name[IMAGE_BLOB_NAME], const char *digest);
/* as snprintf; size: of the manifest */
int image_index_json(char *buf, size_t len, const char *digest, uint64_t size,
		     int thin);

/*
 * Layers with a length behind each other, the first one's header at pos: where
 * they lie in the file and in the guest; the size of the whole file.
 */
uint64_t image_place_layers(struct image *img, uint64_t pos);
/* where the first layer's header is */
uint64_t image_front_end(const struct image *img);
/* up to the config: what identifies the image, and where its parts are */
int image_read_front(struct image *img, struct err *err);
/* what lies around the layers is what belongs there */
int image_check_layers(const struct image *img, struct err *err);

/* --- image_layer.c */

/* is it in the store and not in the file? */
int image_is_stored(const struct image *img, int layer);
/*
 * Descriptor and map of each layer: those in the store from there, or the ones
 * that the image `of` has; heads: no file's content, memory
 */
int image_open_layers(struct image *img, const struct image *of, int heads,
		      struct err *err);
void image_close_layers(struct image *img);

/* --- image_write.c */

/* the lengths of manifest and config known: where they lie */
void image_place_front(struct image *img);
/*
 * All of the file that is in no layer, into fd; img has the digests, lengths
 * and places of all blobs, and size.  0, or -errno with err set.
 */
int image_write_front(const struct image *img, int fd, const void *manifest,
		      const void *config, struct err *err);

/* --- image_meta.c */

/* "sha256:" and 64 hex digits: the digits; 0 or -EBADMSG */
int image_digest_take(const char *text, char out[65]);
/* can it be one of `preload`? */
#define IMAGE_MODULE_MAX 200
int image_module_ok(const char *name);
/* the digests and sizes of config and layers; 0 or -EBADMSG */
int image_read_manifest(struct image *img);
/* the config, checked and put into img; the size of the file is checked */
int image_read_meta(struct image *img, struct err *err);
void image_free_meta(struct image *img);

/* --- image_index.c: every invariant of a layer's index; sets what img says */
int image_check_index(struct image *img, int layer, struct err *err);

int image_bad(const struct image *img, const char *what, struct err *err);
int image_foreign(const struct image *img, struct err *err);

/* --- image_layer.c */
#define IMAGE_AGAIN_MAX	360
/* in buf, for the end of an error: what puts a thin image's layers back */
const char *image_again_how(const struct image *img,
			    char buf[IMAGE_AGAIN_MAX]);

static inline const struct etlfs_node *layer_nodes(const struct image_layer *l)
{
	return (const void *)(l->index + 1);
}

static inline const struct etlfs_merge *
layer_merges(const struct image_layer *l)
{
	return (const void *)(layer_nodes(l) + l->index->nodes);
}

static inline const char *layer_names(const struct image_layer *l)
{
	return (const char *)l->index + l->index->names_off;
}

/* the layer of a node, or NULL */
const struct image_layer *image_layer_of(const struct image *img, uint32_t n);

#endif
