/*
 * image.c - a baked function, opened
 *
 * The image may come from anywhere: nothing in it is used before it was
 * checked, and after image_open() every node of the index can be followed
 * without another look.
 */
#include "etlfs/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/sha256.h"
#include "etlfs/image/image_impl.h"

#define CHUNK	((size_t)1 << 20)	/* read at a time */

int image_bad(const struct image *img, const char *what, struct err *err)
{
	return err_set(err, -EBADMSG, "'%s' is damaged: %s", img->path, what);
}

int image_foreign(const struct image *img, struct err *err)
{
	return err_set(err, -EINVAL, "'%s' is not a usetl image", img->path);
}

/* of a file that others may cut short: memory, in which only heads are read */
static int map_image(struct image *img, int heads, struct err *err)
{
	struct stat st;
	void *map;

	if (img->fd < 0 || fstat(img->fd, &st))
		return err_set(err, -errno, "cannot open '%s': %s", img->path,
			       strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "'%.400s' is a folder, and no "
			       "image; make one: usetl bake '%.400s'",
			       img->path, img->path);
	if (!S_ISREG(st.st_mode) || st.st_size < IMAGE_PAGE)
		return image_foreign(img, err);
	if (heads)
		map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	else
		map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, img->fd,
			   0);
	if (map == MAP_FAILED)
		return err_set(err, -errno, "cannot map '%s': %s", img->path,
			       strerror(errno));
	img->map = map;
	img->size = st.st_size;
	return 0;
}

/* [off, end) of a file, whose first byte is at map */
static int read_in(const struct image *img, int fd, const uint8_t *map,
		   uint64_t off, uint64_t end, struct err *err)
{
	while (off < end) {
		ssize_t n = pread(fd, (uint8_t *)map + off, end - off, off);

		if (n < 0)
			return err_set(err, -errno, "cannot read '%s': %s",
				       img->path, strerror(errno));
		if (n == 0)
			return image_bad(img, "it was cut short", err);
		off += n;
	}
	return 0;
}

/* [off, off + len) of the file, as much of it as lies inside */
static int head_read(struct image *img, uint64_t off, uint64_t len,
		     struct err *err)
{
	uint64_t end = off < img->size ? img->size - off : 0;

	return read_in(img, img->fd, img->map, off, off + (len < end ? len :
							  end), err);
}

/* headers of layers, and the end of the file */
static int borders_read(struct image *img, struct err *err)
{
	uint64_t pos = image_front_end(img);
	int rc = 0;

	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (!l->len || l->stored)
			continue;
		rc = head_read(img, pos, l->off - pos, err);
		pos = l->off + l->len;
	}
	return rc < 0 ? rc : head_read(img, pos, img->size - pos, err);
}

static int index_read(struct image *img, const struct image_layer *l,
		      struct err *err)
{
	uint64_t at = l->index_off, room = l->len - at;
	const struct etlfs_head *h = (const void *)(l->map + at);
	const uint8_t *file = l->map - l->off;
	int rc;

	/* image_check_index() says so */
	if (l->index_off % IMAGE_PAGE || room < sizeof(*h))
		return 0;
	at += l->off;
	rc = read_in(img, l->fd, file, at, at + sizeof(*h), err);
	return rc < 0 ? rc : read_in(img, l->fd, file, at, at +
				     (h->total_len < room ? h->total_len :
				      room), err);
}

static int read_all(struct image *img, const struct image *of, int heads,
		    struct err *err)
{
	int rc = heads ? head_read(img, 0, IMAGE_HEAD, err) : 0;

	if (rc == 0)
		rc = image_read_front(img, err);
	if (rc == 0)
		rc = image_read_meta(img, err);
	if (rc == 0)
		rc = image_open_layers(img, of, heads, err);
	if (rc == 0 && heads)
		rc = borders_read(img, err);
	if (rc == 0)
		rc = image_check_layers(img, err);
	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		if (!img->layer[i].len)
			continue;
		rc = heads ? index_read(img, &img->layer[i], err) : 0;
		if (rc == 0)
			rc = image_check_index(img, i, err);
	}
	return rc;
}

/* how an image is opened */
struct way {
	const char *path, *store;
	const struct image *of;		/* that it is a copy of, or NULL */
	int heads;
};

/* fd is the image's from here on, also when it fails */
static int open_fd(struct image **out, const struct way *w, int fd,
		   struct err *err)
{
	struct image *img = calloc(1, sizeof(*img));
	int rc, error = errno;

	if (img) {
		img->fd = fd;
		img->path = strdup(w->path);
		img->store = w->store ? strdup(w->store) : NULL;
	}
	if (!img || !img->path || (w->store && !img->store)) {
		if (!img && fd >= 0)
			close(fd);
		image_close(img);
		return err_set(err, -ENOMEM, "out of memory");
	}
	errno = error;
	rc = map_image(img, w->heads, err);
	if (rc == 0)
		rc = read_all(img, w->of, w->heads, err);
	if (rc < 0)
		image_close(img);
	else
		*out = img;
	return rc;
}

/* what is a pipe and no file must not make anyone wait */
static int open_file(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

int image_open(struct image **out, const char *path, const char *store,
	       struct err *err)
{
	const struct way w = { .path = path, .store = store };

	return open_fd(out, &w, open_file(path), err);
}

int image_open_heads(struct image **out, const char *path, const char *store,
		     struct err *err)
{
	const struct way w = { .path = path, .store = store, .heads = 1 };

	return open_fd(out, &w, open_file(path), err);
}

int image_open_copy(struct image **out, const char *path,
		    const struct image *of, int fd, struct err *err)
{
	const struct way w = { .path = path, .store = of->store, .of = of };

	return open_fd(out, &w, fd, err);
}

int image_again(struct image **out, struct image *img, struct err *err)
{
	struct image *again = malloc(sizeof(*again));

	if (again && !img->users) {
		img->users = malloc(sizeof(*img->users));
		if (img->users)
			*img->users = 1;
	}
	if (!again || !img->users) {
		free(again);
		return err_set(err, -ENOMEM, "out of memory");
	}
	++*img->users;
	*again = *img;
	again->upper = 0;
	*out = again;
	return 0;
}

static int verify(const struct image *img, const char *what,
		  const struct image_blob *b, struct err *err)
{
	char text[SHA256_HEX];
	int rc = sha256_file(img->fd, b->off, b->len, text);

	if (rc == -EBADMSG)
		return image_bad(img, "it was cut short", err);
	if (rc < 0)
		return err_set(err, rc, "cannot read all of '%s'", img->path);
	if (memcmp(text, b->digest, 64))
		return err_set(err, -EBADMSG, "'%s' was altered: the digest "
			       "of its %s is %.12s, not %.12s", img->path,
			       what, text, b->digest);
	return 0;
}

static int verify_stored(const struct image *img, const struct image_layer *l,
			 struct err *err)
{
	char text[SHA256_HEX], how[IMAGE_AGAIN_MAX];
	int rc = sha256_file(l->fd, 0, l->len, text);

	if (rc == 0 && memcmp(text, l->digest, 64))
		rc = -EBADMSG;
	return rc == 0 ? 0 : err_set(err, rc, "'%.500s' is thin, and its layer "
				     "%.12s (%s) in the store %s: %s",
				     img->path, l->digest, l->name,
				     rc == -EBADMSG ? "was altered" :
				     "cannot be read",
				     image_again_how(img, how));
}

int image_verify_layer(const struct image *img, const struct image_layer *l,
		       struct err *err)
{
	struct image_blob b = { .off = l->off, .len = l->len };

	if (l->stored)
		return verify_stored(img, l, err);
	memcpy(b.digest, l->digest, sizeof(b.digest));
	return verify(img, l->name, &b, err);
}

int image_verify(const struct image *img, struct err *err)
{
	int rc = verify(img, "manifest", &img->manifest, err);

	if (rc == 0)
		rc = verify(img, "config", &img->config, err);
	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (l->len && !(img->upper && i == ETLFS_LAYER_RUNTIME))
			rc = image_verify_layer(img, l, err);
	}
	return rc;
}

void image_close(struct image *img)
{
	if (!img)
		return;
	if (img->users && --*img->users) {
		free(img);
		return;
	}
	free(img->users);
	if (img->map)
		munmap((void *)img->map, img->size);
	image_close_layers(img);
	if (img->fd >= 0)
		close(img->fd);
	free(img->path);
	free(img->store);
	image_free_meta(img);
	free(img);
}
