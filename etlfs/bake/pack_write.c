/*
 * pack_write.c - the image of a tree: its layers, and what is before them
 *
 * The layers are written first, from where the config and all before it will
 * end.  To know that, the JSON texts get the room that the longest would need,
 * and line feeds up to it.
 *
 * Of a thin image the layers that it only names go into the store instead.  All
 * else is the same, so it has the same config, manifest and digest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/sha256.h"
#include "etlfs/bake/pack.h"
#include "etlfs/image/filecopy.h"
#include "etlfs/image/image_impl.h"
#include "etlfs/store/store.h"

#define BLOCK	512u
/* bytes: what the config of an image with packages has room for */
#define PRELOAD_ROOM 3072u

struct front {
	struct tree *t;
	struct image *meta;
	struct store *store;		/* of a thin one's layers */
	int fd;
	struct err *err;
};

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* room for the longest manifest and config: their numbers are not known yet */
static int reserve(struct front *f)
{
	char later[PRELOAD_ROOM], *preload[] = { later, NULL };
	struct image longest = *f->meta;
	char *config, *manifest;
	uint64_t end;

	/* of what is imported from packages a trial boot will tell */
	memset(later, 'f', sizeof(later));
	later[sizeof(later) - 1] = 0;
	if (f->t->node[0].in & 1u << ETLFS_LAYER_PACKAGES)
		longest.preload = preload;

	longest.config.len = INT64_MAX;
	memset(longest.config.digest, 'f', 64);
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &longest.layer[i];

		if (!(f->t->node[0].in & 1u << i))
			continue;
		l->name = image_layer_name[i];
		memset(l->digest, 'f', 64);
		l->index_off = l->len = INT64_MAX;
		l->files = UINT32_MAX;
	}
	config = pack_config_text(&longest);
	manifest = pack_manifest_text(&longest);
	if (!config || !manifest) {
		free(config);
		free(manifest);
		return err_set(f->err, -EINVAL, "the manifest holds text that "
			       "is not UTF-8");
	}
	f->meta->manifest.len = round_up(strlen(manifest), BLOCK);
	image_place_front(f->meta);
	/* the first layer's header ends on a page */
	end = round_up(f->meta->config.off + strlen(config) + BLOCK,
		       IMAGE_PAGE);
	f->meta->config.len = end - BLOCK - f->meta->config.off;
	free(config);
	free(manifest);
	if (f->meta->config.len > IMAGE_CONFIG_MAX)
		return err_set(f->err, -E2BIG, "the manifest is too long");
	return 0;
}

/* text, which is freed, with line feeds up to the blob's length; or NULL */
static char *blob_text(struct front *f, char *text, struct image_blob *b)
{
	char *data = text ? malloc(b->len) : NULL;

	if (data && strlen(text) <= b->len) {
		memset(data, '\n', b->len);
		memcpy(data, text, strlen(text));
		sha256_text(data, b->len, b->digest);
		free(text);
		return data;
	}
	free(text);
	free(data);
	err_set(f->err, -ENOMEM, "out of memory");
	return NULL;
}

/* all that the layers' digests are in, and their own headers */
static int put_front(struct front *f)
{
	struct image *meta = f->meta;
	char *config = blob_text(f, pack_config_text(meta), &meta->config);
	char *manifest = config ? blob_text(f, pack_manifest_text(meta),
					    &meta->manifest) : NULL;
	int rc = -ENOMEM;

	if (manifest) {
		strcpy(meta->digest, meta->manifest.digest);
		rc = image_write_front(meta, f->fd, manifest, config, f->err);
	}
	free(config);
	free(manifest);
	return rc;
}

/* the layer as it was made before */
static void describe(const struct front *f, const struct pack_layer *p,
		     struct image_layer *l, uint32_t *nodes)
{
	const struct tree_stored *s = &f->t->stored[p->number];

	*l = (struct image_layer){
		.name = image_layer_name[p->number], .len = s->len,
		.index_off = s->index_off, .files = s->files,
	};
	memcpy(l->digest, s->digest, sizeof(l->digest));
	*nodes = s->nodes;
}

/* layer p->number, as it was made before or now, to p->off of p->fd */
static int put_layer(struct front *f, struct pack_layer *p,
		     struct image_layer *l, uint32_t *nodes)
{
	const struct tree_stored *s = &f->t->stored[p->number];
	int rc;

	if (s->fd < 0)
		return pack_layer_write(p, l, nodes, f->err);
	describe(f, p, l, nodes);
	rc = file_copy(s->fd, 0, p->fd, p->off, s->len);
	if (rc < 0)
		return err_set(f->err, rc, "cannot write the image: %s",
			       strerror(-rc));
	return p->tell ? p->tell(p->arg, p->progress) : 0;
}

/* has the store the bytes that were made before? */
static int is_in_store(const struct front *f, const struct tree_stored *s)
{
	struct stat has, made;
	int fd, same;

	if (s->fd < 0)
		return 0;
	fd = store_layer_find(f->store, s->digest, s->len, NULL);
	if (fd < 0)
		return 0;
	/* that very file was looked at; of another nothing is known */
	same = !fstat(fd, &has) && !fstat(s->fd, &made) &&
	       has.st_dev == made.st_dev && has.st_ino == made.st_ino;
	close(fd);
	if (same)
		return 1;
	fd = store_layer_open(f->store, s->digest, s->len, NULL);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* of a thin image: into the store */
static int keep_layer(struct front *f, struct pack_layer *p,
		      struct image_layer *l, uint32_t *nodes)
{
	struct store_file file = { .fd = -1 };
	int rc = 0, fd = p->fd;

	if (is_in_store(f, &f->t->stored[p->number])) {
		describe(f, p, l, nodes);
	} else {
		rc = store_layer_create(f->store, &file, f->err);
		p->fd = file.fd;
		p->off = 0;
		if (rc == 0)
			rc = put_layer(f, p, l, nodes);
		if (rc == 0)
			rc = store_layer_commit(f->store, &file, l->digest,
						f->err);
		store_layer_close(f->store, &file);
		p->fd = fd;
	}
	return rc < 0 ? rc : store_layer_need(f->store, l->name, l->digest,
					      f->err);
}

static int put_layers(struct front *f, struct pack_layer *p)
{
	uint8_t head[IMAGE_MEMBER_MAX];
	uint64_t pos = image_front_end(f->meta);
	uint32_t nodes;
	int rc = 0;

	for (uint16_t i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &f->meta->layer[i];

		*l = (struct image_layer){ 0 };
		if (!(f->t->node[0].in & 1u << i))
			continue;
		p->number = i;
		if (image_is_stored(f->meta, i)) {
			rc = keep_layer(f, p, l, &nodes);
		} else {
			pos += image_member(head, "", 0, pos, 1);
			p->off = pos;
			rc = put_layer(f, p, l, &nodes);
			pos += l->len;
		}
		p->first += nodes;
	}
	if (rc == 0)
		f->meta->size = image_place_layers(f->meta,
						   image_front_end(f->meta));
	return rc;
}

static void count(const struct tree *t, struct pack_progress *p)
{
	for (uint32_t i = 0; i < t->nodes; i++)
		if (S_ISREG(t->node[i].mode) &&
		    t->stored[t->node[i].layer].fd < 0) {
			p->files_total++;
			p->bytes_total += t->node[i].size;
		}
}

int pack_write(struct tree *t, struct image *meta, int fd,
	       struct store *store,
	       int (*progress)(void *arg, const struct pack_progress *p),
	       void *arg, struct err *err)
{
	struct pack_progress told = { .what = "writing" };
	struct front f = { .t = t, .meta = meta, .store = store, .fd = fd,
			   .err = err };
	struct pack_layer p = { .t = t, .fd = fd, .progress = &told,
				.tell = progress, .arg = arg };
	int rc;

	count(t, &told);
	rc = reserve(&f);
	if (rc == 0)
		rc = put_layers(&f, &p);
	return rc < 0 ? rc : put_front(&f);
}

static int preload(struct image *img, struct strings *modules, struct err *err)
{
	char **was = img->preload;
	struct front f = { .meta = img, .err = err };
	int rc;

	f.fd = open(img->path, O_WRONLY | O_CLOEXEC);
	if (f.fd < 0)
		return err_set(err, -errno, "cannot write '%s': %s", img->path,
			       strerror(errno));
	img->preload = modules->n ? modules->v : NULL;
	rc = put_front(&f);
	img->preload = was;
	if (close(f.fd) && rc == 0)
		rc = err_set(err, -errno, "cannot write '%s': %s", img->path,
			     strerror(errno));
	return rc;
}

int pack_preload(const char *path, const char *store, struct strings *modules,
		 char digest[65], struct err *err)
{
	struct image *img;
	int rc = image_open(&img, path, store, err);

	if (rc < 0)
		return rc;
	rc = preload(img, modules, err);
	if (rc == 0)
		memcpy(digest, img->digest, 65);
	image_close(img);
	return rc;
}
