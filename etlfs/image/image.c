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

/* [off, off + len) of the file, as much of it as lies inside */
static int head_read(struct image *img, uint64_t off, uint64_t len,
		     struct err *err)
{
	uint64_t end = off < img->size ? img->size - off : 0;

	end = off + (len < end ? len : end);
	while (off < end) {
		ssize_t n = pread(img->fd, (uint8_t *)img->map + off,
				  end - off, off);

		if (n < 0)
			return err_set(err, -errno, "cannot read '%s': %s",
				       img->path, strerror(errno));
		if (n == 0)
			return image_bad(img, "it was cut short", err);
		off += n;
	}
	return 0;
}

/* headers of layers, and the end of the file */
static int borders_read(struct image *img, struct err *err)
{
	uint64_t pos = image_front_end(img);
	int rc = 0;

	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (!l->len)
			continue;
		rc = head_read(img, pos, l->off - pos, err);
		pos = l->off + l->len;
	}
	return rc < 0 ? rc : head_read(img, pos, img->size - pos, err);
}

static int index_read(struct image *img, const struct image_layer *l,
		      struct err *err)
{
	uint64_t at = l->off + l->index_off, room = l->len - l->index_off;
	const struct etlfs_head *h = (const void *)(img->map + at);
	int rc;

	/* image_check_index() says so */
	if (l->index_off % IMAGE_PAGE || room < sizeof(*h))
		return 0;
	rc = head_read(img, at, sizeof(*h), err);
	return rc < 0 ? rc : head_read(img, at, h->total_len < room ?
				       h->total_len : room, err);
}

static int read_all(struct image *img, int heads, struct err *err)
{
	int rc = heads ? head_read(img, 0, IMAGE_HEAD, err) : 0;

	if (rc == 0)
		rc = image_read_front(img, err);
	if (rc == 0)
		rc = image_read_meta(img, err);
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

/* fd is the image's from here on, also when it fails */
static int open_fd(struct image **out, const char *path, int fd, int heads,
		   struct err *err)
{
	struct image *img = calloc(1, sizeof(*img));
	int rc, error = errno;

	if (!img || !(img->path = strdup(path))) {
		free(img);
		if (fd >= 0)
			close(fd);
		return err_set(err, -ENOMEM, "out of memory");
	}
	img->fd = fd;
	errno = error;
	rc = map_image(img, heads, err);
	if (rc == 0)
		rc = read_all(img, heads, err);
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

int image_open(struct image **out, const char *path, struct err *err)
{
	return open_fd(out, path, open_file(path), 0, err);
}

int image_open_heads(struct image **out, const char *path, struct err *err)
{
	return open_fd(out, path, open_file(path), 1, err);
}

int image_open_copy(struct image **out, const char *path, int fd,
		    struct err *err)
{
	return open_fd(out, path, fd, 0, err);
}

static int verify(const struct image *img, const char *what, uint64_t off,
		  uint64_t len, const char *digest, struct err *err)
{
	char text[SHA256_HEX];
	int rc = sha256_file(img->fd, off, len, text);

	if (rc == -EBADMSG)
		return image_bad(img, "it was cut short", err);
	if (rc < 0)
		return err_set(err, rc, "cannot read all of '%s'", img->path);
	if (memcmp(text, digest, 64))
		return err_set(err, -EBADMSG, "'%s' was altered: the digest "
			       "of its %s is %.12s, not %.12s", img->path,
			       what, text, digest);
	return 0;
}

int image_verify_layer(const struct image *img, const struct image_layer *l,
		       struct err *err)
{
	return verify(img, l->name, l->off, l->len, l->digest, err);
}

int image_verify(const struct image *img, struct err *err)
{
	int rc = verify(img, "manifest", img->manifest.off, img->manifest.len,
			img->manifest.digest, err);

	if (rc == 0)
		rc = verify(img, "config", img->config.off, img->config.len,
			    img->config.digest, err);
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
	if (img->map)
		munmap((void *)img->map, img->size);
	if (img->fd >= 0)
		close(img->fd);
	free(img->path);
	image_free_meta(img);
	free(img);
}
