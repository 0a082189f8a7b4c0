/*
 * registry_look.c - what a registry says of an image
 *
 * Manifest and config are asked for and checked before a layer travels: nothing
 * that is no image, or larger than one may be, takes time or room.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conf/sha256.h"
#include "etlfs/bake/registry.h"
#include "etlfs/image/image_impl.h"

struct look {
	const struct registry *r;
	struct pack_progress progress;
	struct err *err;
};

static int tell(void *arg)
{
	struct look *p = arg;

	return p->r->progress(p->r->arg, &p->progress);
}

/* the manifest; or the config of the one with that digest */
static int ask(struct look *p, const char *digest, char **out)
{
	const struct skopeo s = {
		.r = p->r, .side = "", .wait = tell, .arg = p,
	};
	char *ref = skopeo_ref(p->r, digest);
	const char *const args[] = {
		"inspect", "--raw", digest ? "--config" : ref,
		digest ? ref : NULL, NULL,
	};
	int rc = ref ? skopeo_run(&s, args, out, p->err) :
		err_set(p->err, -ENOMEM, "out of memory");

	free(ref);
	return rc;
}

/* room for both texts as they will lie in the file */
static int map_texts(struct image *img)
{
	void *map = mmap(NULL, IMAGE_HEAD, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return -errno;
	img->map = map;
	img->size = IMAGE_HEAD;
	return 0;
}

static int take_manifest(struct image *img, const char *text, struct err *err)
{
	img->manifest.len = strlen(text);
	if (!img->manifest.len || img->manifest.len > IMAGE_MANIFEST_MAX)
		return image_foreign(img, err);
	image_place_front(img);
	memcpy((uint8_t *)img->map + img->manifest.off, text,
	       img->manifest.len);
	sha256_text(text, img->manifest.len, img->manifest.digest);
	if (image_read_manifest(img) < 0)
		return image_foreign(img, err);
	strcpy(img->digest, img->manifest.digest);
	return 0;
}

/* who names a digest means that manifest: skopeo inspect does not look */
static int check_meant(const struct look *p, const struct image *img)
{
	const char *meant = skopeo_digest(p->r);

	if (!meant || (!strncmp(meant, "sha256:", 7) &&
		       !strcmp(meant + 7, img->digest)))
		return 0;
	return err_set(p->err, -EBADMSG, "'%s' was altered: the digest of its "
		       "manifest is %.12s", img->path, img->digest);
}

/* img->size: what the file will have, not what is mapped now */
static int take_config(struct image *img, const char *text, int thin,
		       struct err *err)
{
	char digest[SHA256_HEX];
	int rc;

	sha256_text(text, strlen(text), digest);
	if (strlen(text) != img->config.len ||
	    strcmp(digest, img->config.digest))
		return image_bad(img, "its config is not the manifest's", err);
	memcpy((uint8_t *)img->map + img->config.off, text, img->config.len);
	img->size = image_place_layers(img, image_front_end(img));
	rc = image_read_meta(img, err);
	/* which layer is which is known now */
	img->thin = thin;
	if (rc == 0)
		img->size = image_place_layers(img, image_front_end(img));
	munmap((void *)img->map, IMAGE_HEAD);
	img->map = NULL;
	return rc;
}

int registry_look(const struct registry *r, struct image **out,
		  struct registry_texts *texts, struct err *err)
{
	struct look p = { .r = r, .err = err, .progress.what = "asking" };
	struct image *img = calloc(1, sizeof(*img));
	int rc = -ENOMEM;

	if (img) {
		img->fd = -1;
		img->path = strdup(r->ref);
	}
	if (!img || !img->path || map_texts(img) < 0) {
		image_close(img);
		return err_set(err, rc, "out of memory");
	}
	rc = ask(&p, NULL, &texts->manifest);
	rc = rc < 0 ? rc : take_manifest(img, texts->manifest, err);
	rc = rc < 0 ? rc : check_meant(&p, img);
	rc = rc < 0 ? rc : ask(&p, img->digest, &texts->config);
	rc = rc < 0 ? rc : take_config(img, texts->config, r->thin,
						 err);
	if (rc < 0) {
		if (img->map)
			img->size = IMAGE_HEAD;
		image_close(img);
	} else {
		*out = img;
	}
	return rc;
}
