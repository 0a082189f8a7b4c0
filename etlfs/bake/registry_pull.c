/*
 * registry_pull.c - an image from a registry
 *
 * skopeo's own archives are not aligned, so it writes an OCI layout, and the
 * image is written from that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/bake/registry.h"
#include "etlfs/image/filecopy.h"
#include "etlfs/image/image_impl.h"

#define SLACK	(4u << 20)		/* skopeo's own files */

struct pull {
	const struct registry *r;
	const struct image *img;
	struct pack_progress progress;
	char dir[PATH_MAX];
	int too_much;
	int have[ETLFS_LAYERS];		/* in the file already */
	struct err *err;
};

static int tell(struct pull *p)
{
	return p->r->progress(p->r->arg, &p->progress);
}

/* bytes of the files in a folder */
static uint64_t bytes_in(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	uint64_t sum = 0;
	struct stat st;

	while (d && (e = readdir(d)))
		if (!fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(st.st_mode))
			sum += st.st_size;
	if (d)
		closedir(d);
	return sum;
}

static int on_wait(void *arg)
{
	char blobs[PATH_MAX + 16];
	struct pull *p = arg;

	snprintf(blobs, sizeof(blobs), "%s/blobs/sha256", p->dir);
	p->progress.bytes = bytes_in(p->dir) + bytes_in(blobs);
	p->too_much = p->progress.bytes > p->img->size + SLACK;
	if (p->progress.bytes > p->progress.bytes_total)
		p->progress.bytes = p->progress.bytes_total;
	return p->too_much ? -EFBIG : tell(p);
}

static int receive(struct pull *p)
{
	const struct skopeo s = {
		.r = p->r, .side = "src-", .temp = p->dir, .wait = on_wait,
		.arg = p,
	};
	char to[PATH_MAX + 8], *ref = skopeo_ref(p->r, p->img->digest);
	char *out = NULL;
	const char *const args[] = {
		"copy", "--preserve-digests", ref, to, NULL
	};
	int rc = ref ? 0 : err_set(p->err, -ENOMEM, "out of memory");

	snprintf(to, sizeof(to), "oci:%s", p->dir);
	rc = rc < 0 ? rc : skopeo_run(&s, args, &out, p->err);
	if (p->too_much)
		rc = err_set(p->err, -EFBIG, "'%s' sends more than its "
			     "manifest says", p->r->ref);
	free(out);
	free(ref);
	return rc;
}

static int put_layer(struct pull *p, const struct image_layer *l, int to)
{
	char path[PATH_MAX + IMAGE_BLOB_NAME], name[IMAGE_BLOB_NAME];
	struct stat st;
	int fd, rc = 0;

	image_blob_name(name, l->digest);
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size != l->len)
		rc = err_set(p->err, -EBADMSG, "'%s' was altered: its %s is "
			     "not what its manifest says", p->r->ref, l->name);
	if (rc == 0) {
		rc = file_copy(fd, 0, to, l->off, l->len);
		if (rc < 0)
			err_set(p->err, rc, "cannot write the image: %s",
				strerror(-rc));
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* a blob of that length, whose bytes skopeo then asks nobody for */
static int stand_in(struct pull *p, const struct image_layer *l)
{
	char path[PATH_MAX + IMAGE_BLOB_NAME], name[IMAGE_BLOB_NAME];
	int fd, rc;

	image_blob_name(name, l->digest);
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	rc = fd < 0 || ftruncate(fd, (off_t)l->len) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* the older image's layer of the same bytes, or NULL */
static const struct image_layer *same(const struct image *old,
				      const struct image_layer *l)
{
	for (int i = 0; i < ETLFS_LAYERS; i++)
		if (old->layer[i].len == l->len &&
		    !strcmp(old->layer[i].digest, l->digest) &&
		    image_verify_layer(old, &old->layer[i], NULL) == 0)
			return &old->layer[i];
	return NULL;
}

/* layers that need not travel; whatever fails here, they travel */
static void take_from(struct pull *p, const char *older, int to)
{
	const struct image_layer *from;
	char path[PATH_MAX + 16];
	struct image *old;

	if (!older || image_open_heads(&old, older, NULL) < 0)
		return;
	snprintf(path, sizeof(path), "%s/blobs", p->dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/blobs/sha256", p->dir);
	mkdir(path, 0700);
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &p->img->layer[i];

		from = l->len ? same(old, l) : NULL;
		p->have[i] = from && file_copy(old->fd, from->off, to, l->off,
					       l->len) == 0 &&
			     stand_in(p, l) == 0;
	}
	image_close(old);
}

/* as it is in the file, to the last byte */
static int check(struct pull *p, int fd)
{
	struct image *img;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int rc = image_open_copy(&img, p->r->ref, copy, p->err);

	if (rc == 0) {
		rc = image_verify(img, p->err);
		image_close(img);
	}
	return rc;
}

int registry_pull(const struct registry *r, const struct image *img,
		  const struct registry_texts *texts, const char *older,
		  int fd, struct err *err)
{
	struct pull p = { .r = r, .img = img, .err = err };
	int rc = skopeo_folder(p.dir, sizeof(p.dir), err);

	if (rc < 0)
		return rc;
	p.progress.what = "pulling";
	p.progress.bytes_total = img->size;
	take_from(&p, older, fd);
	rc = receive(&p);
	p.progress = (struct pack_progress){ .what = "writing" };
	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		if (img->layer[i].len && !p.have[i])
			rc = put_layer(&p, &img->layer[i], fd);
		if (rc == 0 && tell(&p) < 0)
			rc = err_set(err, -EINTR, "stopped");
	}
	if (rc == 0)
		rc = image_write_front(img, fd, texts->manifest, texts->config,
				       err);
	rc = rc < 0 ? rc : check(&p, fd);
	skopeo_folder_remove(p.dir);
	return rc;
}
