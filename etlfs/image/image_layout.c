/*
 * image_layout.c - the tar around an image's blobs (usetl-image(5))
 *
 *   oci-layout | index.json | manifest | config | layer... | two zero blocks
 *
 * Nothing in it is free to choose: what lies between the blobs follows from
 * their sizes and digests.  The writer makes it here, and the reader makes it
 * again and compares, so the image's digest stands for every byte of the file.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "etlfs/image/image_impl.h"

#define BLOCK	512u

/* the field's other bytes are 0 */
static void octal(uint8_t *field, size_t digits, uint64_t value)
{
	for (; digits--; value /= 8)
		field[digits] = (uint8_t)('0' + value % 8);
}

/* an ustar header (POSIX.1-2001, pax): owner, group and time are 0 */
static void header(uint8_t *h, const char *name, char type, uint64_t size)
{
	unsigned sum = 0;

	memset(h, 0, BLOCK);
	snprintf((char *)h, 100, "%s", name);
	octal(h + 100, 7, 0644);
	octal(h + 108, 7, 0);
	octal(h + 116, 7, 0);
	octal(h + 124, 11, size);
	octal(h + 136, 11, 0);
	memset(h + 148, ' ', 8);
	h[156] = (uint8_t)type;
	memcpy(h + 257, "ustar\00000", 8);
	for (unsigned i = 0; i < BLOCK; i++)
		sum += h[i];
	octal(h + 148, 6, sum);
	h[154] = 0;
}

/* a pax header whose one record is a comment that fills len bytes */
static void comment(uint8_t *at, size_t len)
{
	int n;

	header(at, "pad", 'x', len);
	n = snprintf((char *)at + BLOCK, 16, "%zu comment=", len);
	memset(at + BLOCK + n, '.', len - (size_t)n - 1);
	at[BLOCK + len - 1] = '\n';
}

size_t image_member(uint8_t buf[IMAGE_MEMBER_MAX], const char *name,
		    uint64_t size, uint64_t pos, int aligned)
{
	size_t len = aligned ? IMAGE_PAGE - pos % IMAGE_PAGE : BLOCK;

	/* a comment has a block at least, and a header of its own */
	if (len > BLOCK && len < 3 * BLOCK)
		len += IMAGE_PAGE;
	if (len > BLOCK)
		comment(buf, len - 2 * BLOCK);
	header(buf + len - BLOCK, name, '0', size);
	return len;
}

uint64_t image_blob_name(char name[IMAGE_BLOB_NAME], const char *digest)
{
	return (uint64_t)snprintf(name, IMAGE_BLOB_NAME, "blobs/sha256/%s",
				  digest);
}

int image_index_json(char *buf, size_t len, const char *digest, uint64_t size,
		     int thin)
{
	return snprintf(buf, len, "{\"schemaVersion\":2,\"mediaType\":"
			"\"" OCI_INDEX "\",\"manifests\":[{\"mediaType\":\""
			OCI_MANIFEST "\",\"digest\":\"sha256:%s\",\"size\":"
			"%llu}]%s}\n", digest, (unsigned long long)size,
			thin ? ",\"annotations\":{\"" IMAGE_THIN
			"\":\"true\"}" : "");
}

/* --- reading */

/* up to the next block there is nothing but zeros */
static int zeros(const struct image *img, uint64_t from, uint64_t to)
{
	for (; from < to && from < img->size; from++)
		if (img->map[from])
			return 0;
	return 1;
}

static uint64_t block_up(uint64_t pos)
{
	return (pos + BLOCK - 1) / BLOCK * BLOCK;
}

/*
 * The member at *pos, which is `name` and no longer than max: where its data
 * lie, and *pos is behind them.  -EBADMSG when there is no such thing.
 */
static int take(const struct image *img, uint64_t *pos, const char *name,
		uint64_t max, struct image_blob *out)
{
	uint8_t want[IMAGE_MEMBER_MAX];
	char digits[13] = "";
	uint64_t size, end;

	if (*pos > img->size || img->size - *pos < BLOCK)
		return -EBADMSG;
	memcpy(digits, img->map + *pos + 124, 12);
	if (strspn(digits, "01234567") != 11 ||
	    sscanf(digits, "%llo", (unsigned long long *)&size) != 1)
		return -EBADMSG;
	image_member(want, name, size, *pos, 0);
	end = block_up(*pos + BLOCK + size);
	if (memcmp(want, img->map + *pos, BLOCK) || !size || size > max ||
	    end > img->size ||
	    !zeros(img, *pos + BLOCK + size, end))
		return -EBADMSG;
	out->off = *pos + BLOCK;
	out->len = size;
	*pos = end;
	return 0;
}

/*
 * The digest and size that index.json has for the manifest, and whether the
 * image is thin
 */
static int take_index(struct image *img, const struct image_blob *b)
{
	char want[IMAGE_INDEX_MAX];
	const char *digest = NULL;
	json_int_t size = 0;
	json_t *o = json_loadb((const char *)img->map + b->off, b->len, 0,
			       NULL);
	int n = -1;

	img->thin = json_object_get(o, "annotations") != NULL;
	if (json_unpack(o, "{s:[{s:s, s:I}]}", "manifests", "digest", &digest,
			"size", &size) == 0 &&
	    image_digest_take(digest, img->manifest.digest) == 0)
		n = image_index_json(want, sizeof(want), img->manifest.digest,
				     (uint64_t)size, img->thin);
	json_decref(o);
	if (n < 0 || (uint64_t)n != b->len ||
	    memcmp(want, img->map + b->off, b->len))
		return -EBADMSG;
	img->manifest.len = (uint64_t)size;
	strcpy(img->digest, img->manifest.digest);
	return 0;
}

/* the manifest or the config: where it says and as long as it says */
static int take_blob(const struct image *img, uint64_t *pos, uint64_t max,
		     struct image_blob *b)
{
	char name[IMAGE_BLOB_NAME];
	uint64_t len = b->len;

	image_blob_name(name, b->digest);
	return take(img, pos, name, max, b) < 0 || b->len != len ? -EBADMSG :
		0;
}

static int older(const struct image *img, struct err *err)
{
	return err_set(err, -EPROTONOSUPPORT, "'%s' was made by an older "
		       "usetl (format 1, this one reads %d); bake it again",
		       img->path, IMAGE_VERSION);
}

int image_read_front(struct image *img, struct err *err)
{
	struct image_blob layout, index;
	uint64_t pos = 0;

	if (!strncmp((const char *)img->map, "usetl/manifest.json", 100))
		return older(img, err);
	if (take(img, &pos, "oci-layout", BLOCK, &layout) < 0 ||
	    layout.len != strlen(OCI_LAYOUT) ||
	    memcmp(img->map + layout.off, OCI_LAYOUT, layout.len) ||
	    take(img, &pos, "index.json", IMAGE_INDEX_MAX, &index) < 0 ||
	    take_index(img, &index) < 0)
		return image_foreign(img, err);
	if (take_blob(img, &pos, IMAGE_MANIFEST_MAX, &img->manifest) < 0)
		return image_bad(img, "it has no manifest", err);
	if (image_read_manifest(img) < 0)
		return image_foreign(img, err);
	if (take_blob(img, &pos, IMAGE_CONFIG_MAX, &img->config) < 0)
		return image_bad(img, "it has no config", err);
	return 0;
}

uint64_t image_place_layers(struct image *img, uint64_t pos)
{
	uint64_t addr = UK_IMAGE_BASE;
	uint8_t buf[IMAGE_MEMBER_MAX];

	for (int i = 0; i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &img->layer[i];

		if (!l->len)
			continue;
		l->stored = image_is_stored(img, i);
		l->addr = addr;
		l->off = 0;
		if (!l->stored) {
			pos += image_member(buf, "", l->len, pos, 1);
			l->off = pos;
			pos += l->len;
		}
		addr += (l->len + ETLFS_ALIGN - 1) & ~(ETLFS_ALIGN - 1);
	}
	return pos + IMAGE_TAIL;
}

uint64_t image_front_end(const struct image *img)
{
	return block_up(img->config.off + img->config.len);
}

int image_check_layers(const struct image *img, struct err *err)
{
	uint64_t pos = image_front_end(img);
	uint8_t want[IMAGE_MEMBER_MAX];
	char name[IMAGE_BLOB_NAME];
	size_t n;

	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (!l->len || l->stored)
			continue;
		image_blob_name(name, l->digest);
		n = image_member(want, name, l->len, pos, 1);
		if (memcmp(want, img->map + pos, n))
			return image_bad(img, "a layer is not where it "
					 "belongs", err);
		pos += n + l->len;
	}
	if (!zeros(img, pos, img->size))
		return image_bad(img, "there is something behind its layers",
				 err);
	return 0;
}
