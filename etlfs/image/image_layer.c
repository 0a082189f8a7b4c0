/*
 * image_layer.c - where the bytes of an image's layers are: in its own file, or
 * in the store, which a thin image only names them in
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "etlfs/image/image_impl.h"
#include "etlfs/store/store.h"

int image_is_stored(const struct image *img, int layer)
{
	return img->thin && layer != ETLFS_LAYER_APP;
}

uint64_t image_bytes(const struct image *img)
{
	uint64_t sum = img->size;

	for (int i = 0; i < ETLFS_LAYERS; i++)
		sum += img->layer[i].stored ? img->layer[i].len : 0;
	return sum;
}

const char *image_again_how(const struct image *img,
			    char buf[IMAGE_AGAIN_MAX])
{
	/* the user's own is the one that bake and pull take anyway */
	snprintf(buf, IMAGE_AGAIN_MAX, "bake or pull it again with --thin"
		 "%s%.250s%s", img->store ? " --store '" : "",
		 img->store ? img->store : "", img->store ? "'" : "");
	return buf;
}

static int no_store(const struct image *img, const char *dir, int rc,
		    const struct err *why, struct err *err)
{
	char how[IMAGE_AGAIN_MAX];

	if (rc == -ENOENT && *dir)
		return err_set(err, rc, "'%.280s' is thin, and there is no "
			       "store '%.280s' with its layers: %s, or name "
			       "the store", img->path, dir,
			       image_again_how(img, how));
	return err_set(err, rc, "'%.400s' is thin, and the store of its "
		       "layers cannot be opened: %.400s", img->path, why->msg);
}

static int open_store(const struct image *img, struct store **out,
		      char dir[PATH_MAX], struct err *err)
{
	struct err why = { "" };
	int rc = 0;

	dir[0] = 0;
	if (img->store)
		strncat(dir, img->store, PATH_MAX - 1);
	else
		rc = store_default(dir, PATH_MAX, &why);
	if (rc == 0)
		rc = store_open(out, dir, 0, &why);
	return rc < 0 ? no_store(img, dir, rc, &why, err) : 0;
}

static int find(const struct image *img, struct store *s, const char *dir,
		const struct image_layer *l, struct err *err)
{
	struct err why = { "" };
	int fd = store_layer_find(s, l->digest, l->len, &why);
	char how[IMAGE_AGAIN_MAX];

	if (fd == -ENOENT)
		return err_set(err, fd, "'%.280s' is thin, and its layer %.12s "
			       "(%s) is not in the store '%.280s': %s",
			       img->path, l->digest, l->name, dir,
			       image_again_how(img, how));
	if (fd < 0)
		return err_set(err, fd, "'%.200s' is thin, and its layer %.12s "
			       "(%s) in the store '%.200s' cannot be used: "
			       "%.180s; %s", img->path, l->digest, l->name,
			       dir, why.msg, image_again_how(img, how));
	/* a store that is not to be written is as good to read */
	store_layer_need(s, l->name, l->digest, NULL);
	return fd;
}

/* descriptors of those in the store */
static int find_all(struct image *img, struct err *err)
{
	struct store *s = NULL;
	char dir[PATH_MAX];
	int rc = 0;

	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &img->layer[i];

		if (!l->stored)
			continue;
		if (!s)
			rc = open_store(img, &s, dir, err);
		l->fd = rc < 0 ? -1 : find(img, s, dir, l, err);
		rc = l->fd < 0 && rc == 0 ? l->fd : rc;
	}
	store_close(s);
	return rc;
}

/* the same files that another image of the same digest has */
static int share_all(struct image *img, const struct image *of,
		     struct err *err)
{
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &img->layer[i];
		const struct image_layer *k = &of->layer[i];

		if (!l->stored)
			continue;
		if (!k->stored || k->len != l->len ||
		    strcmp(k->digest, l->digest))
			return err_set(err, -ESTALE, "'%s' was altered while "
				       "it was read", img->path);
		l->fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0);
		if (l->fd < 0)
			return err_set(err, -errno, "cannot open '%s': %s",
				       img->path, strerror(errno));
	}
	return 0;
}

static int map(const struct image *img, struct image_layer *l, int heads,
	       struct err *err)
{
	void *at = heads ?
		mmap(NULL, l->len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		     MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) :
		mmap(NULL, l->len, PROT_READ, MAP_SHARED, l->fd, 0);

	if (at == MAP_FAILED)
		return err_set(err, -errno, "cannot map '%s': %s", img->path,
			       strerror(errno));
	l->map = at;
	return 0;
}

int image_open_layers(struct image *img, const struct image *of, int heads,
		      struct err *err)
{
	int rc = of ? share_all(img, of, err) : find_all(img, err);

	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &img->layer[i];

		if (l->stored) {
			rc = map(img, l, heads, err);
		} else if (l->len) {
			l->fd = img->fd;
			l->map = img->map + l->off;
		}
	}
	return rc;
}

void image_close_layers(struct image *img)
{
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &img->layer[i];

		if (!l->stored)
			continue;
		if (l->map)
			munmap((void *)l->map, l->len);
		if (l->fd >= 0)
			close(l->fd);
	}
}
