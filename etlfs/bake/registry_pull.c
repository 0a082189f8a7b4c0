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

#include "conf/sha256.h"
#include "etlfs/bake/registry.h"
#include "etlfs/image/filecopy.h"
#include "etlfs/image/image_impl.h"
#include "etlfs/store/store.h"

#define SLACK	(4u << 20)		/* skopeo's own files */

struct pull {
	const struct registry *r;
	struct image *img;
	int fd;				/* it is written to */
	struct pack_progress progress;
	char dir[PATH_MAX];
	int too_much;
	int have[ETLFS_LAYERS];		/* where they belong already */
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
	p->too_much = p->progress.bytes > image_bytes(p->img) + SLACK;
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

/* the layer as skopeo wrote it: a descriptor, or -errno */
static int open_blob(struct pull *p, const struct image_layer *l)
{
	char path[PATH_MAX + IMAGE_BLOB_NAME], name[IMAGE_BLOB_NAME];
	struct stat st;
	int fd;

	image_blob_name(name, l->digest);
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !fstat(fd, &st) && (uint64_t)st.st_size == l->len)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set(p->err, -EBADMSG, "'%s' was altered: its %s is "
		       "not what its manifest says", p->r->ref, l->name);
}

/* into the store, once it is what its digest says; its descriptor or -errno */
static int keep(struct pull *p, const struct image_layer *l, int blob,
		struct err *err)
{
	struct store_file f = { .fd = -1 };
	char is[STORE_DIGEST];
	int rc = store_layer_create(p->r->store, &f, err), fd = -1;

	if (rc < 0)
		return rc;
	rc = file_copy(blob, 0, f.fd, 0, l->len);
	rc = rc < 0 ? rc : sha256_file(f.fd, 0, l->len, is);
	if (rc < 0)
		err_set(err, rc, "cannot write '%s': %s",
			store_dir(p->r->store), strerror(-rc));
	else if (strcmp(is, l->digest))
		rc = err_set(err, -EBADMSG, "'%s' was altered: the digest of "
			     "its %s is %.12s, not %.12s", p->r->ref, l->name,
			     is, l->digest);
	else
		rc = store_layer_commit(p->r->store, &f, l->digest, err);
	if (rc == 0)
		fd = fcntl(f.fd, F_DUPFD_CLOEXEC, 0);
	store_layer_close(p->r->store, &f);
	return rc < 0 ? rc : fd < 0 ? -errno : fd;
}

/* where it belongs: in the file, or in the store */
static int put_layer(struct pull *p, int i)
{
	struct image_layer *l = &p->img->layer[i];
	int blob = open_blob(p, l), rc, kept = -1;

	if (blob < 0)
		return blob;
	if (l->stored) {
		rc = l->fd = keep(p, l, blob, p->err);
	} else {
		rc = file_copy(blob, 0, p->fd, l->off, l->len);
		if (rc < 0)
			err_set(p->err, rc, "cannot write the image: %s",
				strerror(-rc));
		/* for the next one that has it; none is no loss */
		else if (p->r->store && i != ETLFS_LAYER_APP)
			kept = keep(p, l, blob, NULL);
	}
	if (kept >= 0)
		close(kept);
	close(blob);
	return rc < 0 ? rc : 0;
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
	for (int i = 0; old && i < ETLFS_LAYERS; i++)
		if (old->layer[i].len == l->len &&
		    !strcmp(old->layer[i].digest, l->digest) &&
		    image_verify_layer(old, &old->layer[i], NULL) == 0)
			return &old->layer[i];
	return NULL;
}

/* a layer that need not travel is where it belongs */
static int take(struct pull *p, const struct image *old, int i)
{
	struct image_layer *l = &p->img->layer[i];
	const struct image_layer *from = l->stored ? NULL : same(old, l);
	int fd = -1, rc = -ENOENT;

	if (!from && p->r->store)
		fd = store_layer_open(p->r->store, l->digest, l->len, NULL);
	if (from)
		rc = file_copy(from->fd, from->off, p->fd, l->off, l->len);
	else if (fd >= 0 && l->stored)
		rc = l->fd = fd;
	else if (fd >= 0)
		rc = file_copy(fd, 0, p->fd, l->off, l->len);
	if (fd >= 0 && !l->stored)
		close(fd);
	return rc >= 0 && stand_in(p, l) == 0;
}

/* layers that need not travel; whatever fails here, they travel */
static void take_all(struct pull *p, const char *older)
{
	char path[PATH_MAX + 16];
	struct image *old = NULL;

	if (older && image_open_heads(&old, older, store_dir(p->r->store),
				      NULL) < 0)
		old = NULL;
	snprintf(path, sizeof(path), "%s/blobs", p->dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/blobs/sha256", p->dir);
	mkdir(path, 0700);
	for (int i = 0; i < ETLFS_LAYERS; i++)
		p->have[i] = p->img->layer[i].len && take(p, old, i);
	image_close(old);
}

/* as it is in the file and in the store, to the last byte */
static int check(struct pull *p)
{
	struct image *img;
	int copy = fcntl(p->fd, F_DUPFD_CLOEXEC, 0), rc = 0;

	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &p->img->layer[i];

		if (l->stored)
			rc = store_layer_need(p->r->store, l->name, l->digest,
					      p->err);
	}
	if (rc < 0) {
		close(copy);
		return rc;
	}
	rc = image_open_copy(&img, p->r->ref, p->img, copy, p->err);
	if (rc == 0) {
		rc = image_verify(img, p->err);
		image_close(img);
	}
	return rc;
}

int registry_pull(const struct registry *r, struct image *img,
		  const struct registry_texts *texts, const char *older,
		  int fd, struct err *err)
{
	struct pull p = { .r = r, .img = img, .fd = fd, .err = err };
	int rc = skopeo_folder(p.dir, sizeof(p.dir), err);

	if (rc < 0)
		return rc;
	p.progress.what = "pulling";
	p.progress.bytes_total = image_bytes(img);
	take_all(&p, older);
	rc = receive(&p);
	p.progress = (struct pack_progress){ .what = "writing" };
	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		if (img->layer[i].len && !p.have[i])
			rc = put_layer(&p, i);
		if (rc == 0 && tell(&p) < 0)
			rc = err_set(err, -EINTR, "stopped");
	}
	if (rc == 0)
		rc = image_write_front(img, fd, texts->manifest, texts->config,
				       err);
	rc = rc < 0 ? rc : check(&p);
	skopeo_folder_remove(p.dir);
	return rc;
}
