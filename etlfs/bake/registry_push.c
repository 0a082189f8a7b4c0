/*
 * registry_push.c - an image to a registry
 *
 * Its blobs become files of an OCI layout in a temporary folder, which skopeo
 * reads.  It compresses layers by default, which would change every digest:
 * --preserve-digests forbids that.
 */
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

struct push {
	const struct registry *r;
	const struct image *img;
	struct pack_progress progress;
	char dir[PATH_MAX];
	struct err *err;
};

static int stage(struct push *p, const char *what)
{
	int rc;

	p->progress.what = what;
	rc = p->r->progress(p->r->arg, &p->progress);
	return rc < 0 ? err_set(p->err, rc, "stopped") : 0;
}

static int on_wait(void *arg)
{
	struct push *p = arg;

	return p->r->progress(p->r->arg, &p->progress);
}

static int fail(struct push *p, int rc)
{
	return err_set(p->err, rc, "cannot write into '%.500s': %s", p->dir,
		       strerror(-rc));
}

static int create(struct push *p, const char *name)
{
	char path[PATH_MAX + IMAGE_BLOB_NAME];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int put_text(struct push *p, const char *name, const char *text)
{
	int fd = create(p, name), rc = fd;

	if (fd >= 0) {
		rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ?
			0 : -ENOSPC;
		close(fd);
	}
	return rc < 0 ? fail(p, rc) : 0;
}

/* len bytes at off of fd */
static int put_blob(struct push *p, const char *digest, int from, uint64_t off,
		    uint64_t len)
{
	char name[IMAGE_BLOB_NAME];
	int fd, rc;

	image_blob_name(name, digest);
	rc = fd = create(p, name);
	/* two layers may be one blob */
	if (rc == -EEXIST)
		return 0;
	if (fd >= 0) {
		rc = file_copy(from, off, fd, 0, len);
		close(fd);
	}
	if (rc < 0)
		return fail(p, rc);
	p->progress.bytes += len;
	return stage(p, "copying");
}

static int put_layout(struct push *p)
{
	const struct image *img = p->img;
	char text[IMAGE_INDEX_MAX], path[PATH_MAX + 16];
	int rc;

	snprintf(path, sizeof(path), "%s/blobs", p->dir);
	rc = mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/blobs/sha256", p->dir);
	if (rc < 0 || mkdir(path, 0700) < 0)
		return fail(p, -errno);
	image_index_json(text, sizeof(text), img->digest, img->manifest.len,
			 0);
	rc = put_text(p, "oci-layout", OCI_LAYOUT);
	if (rc == 0)
		rc = put_text(p, "index.json", text);
	if (rc == 0)
		rc = put_blob(p, img->manifest.digest, img->fd,
			      img->manifest.off, img->manifest.len);
	if (rc == 0)
		rc = put_blob(p, img->config.digest, img->fd, img->config.off,
			      img->config.len);
	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++)
		if (img->layer[i].len)
			rc = put_blob(p, img->layer[i].digest,
				      img->layer[i].fd, img->layer[i].off,
				      img->layer[i].len);
	return rc;
}

static int send(struct push *p)
{
	const struct skopeo s = {
		.r = p->r, .side = "dest-", .temp = p->dir, .wait = on_wait,
		.arg = p,
	};
	char source[PATH_MAX + 8], *ref = skopeo_ref(p->r, NULL), *out = NULL;
	const char *const args[] = {
		"copy", "--preserve-digests", source, ref, NULL
	};
	int rc = ref ? 0 : err_set(p->err, -ENOMEM, "out of memory");

	snprintf(source, sizeof(source), "oci:%s", p->dir);
	p->progress = (struct pack_progress){ 0 };
	rc = rc < 0 ? rc : stage(p, "pushing");
	rc = rc < 0 ? rc : skopeo_run(&s, args, &out, p->err);
	free(out);
	free(ref);
	return rc;
}

int registry_push(const struct registry *r, const struct image *img,
		  struct err *err)
{
	struct push p = { .r = r, .img = img, .err = err };
	int rc = stage(&p, "verifying");

	rc = rc < 0 ? rc : image_verify(img, err);
	rc = rc < 0 ? rc : skopeo_folder(p.dir, sizeof(p.dir), err);
	p.progress.bytes_total = image_bytes(img);
	rc = rc < 0 ? rc : put_layout(&p);
	rc = rc < 0 ? rc : send(&p);
	skopeo_folder_remove(p.dir);
	return rc;
}
