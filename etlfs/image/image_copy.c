/*
 * image_copy.c - a copy of an image that nobody else can change
 *
 * A file on disk without a name, so that no memory holds what is not used and
 * it goes away with whoever has it open.  Where the file system can share
 * blocks between files the copy takes no room and no time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "etlfs/image/filecopy.h"
#include "etlfs/image/image_impl.h"

#define PLACES	4

/* the folder that the image lies in, the caller's */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, slash - path);
}

/* its files are memory, so it is the last place for a copy */
static int is_memory(const char *dir)
{
	struct statfs s;

	return statfs(dir, &s) == 0 &&
	       (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC);
}

/* a file without a name, to write; or -errno */
static int file_make(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	char *path;

	if (fd >= 0)
		return fd;
	/* a kernel or a file system without them has an error for each day */
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	if (asprintf(&path, "%s/usetl-XXXXXX", dir) < 0)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else
		unlink(path);
	free(path);
	return fd;
}

/* of the runtime's files there is a hole, if nobody reads them */
static int copy_all(const struct image *img, int to)
{
	const struct image_layer *l = &img->layer[ETLFS_LAYER_RUNTIME];
	uint64_t off;
	int rc = 0;

	if (ioctl(to, FICLONE, img->fd) == 0)
		return 0;
	if (!img->upper || l->stored)
		return file_copy(img->fd, 0, to, 0, img->size);
	if (ftruncate(to, (off_t)img->size) < 0)
		rc = -errno;
	if (rc == 0)
		rc = file_copy(img->fd, 0, to, 0, l->off);
	off = l->off + l->index_off;
	return rc < 0 ? rc : file_copy(img->fd, off, to, off, img->size - off);
}

/* the same file for reading alone, whoever gets hold of the descriptor */
static int read_only(int fd, uint64_t size)
{
	struct stat st;
	char path[64];
	int ro;

	if (fchmod(fd, 0400) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != size)
		return (uint64_t)st.st_size < size ? -EBADMSG : -ESTALE;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

static int copy_in(const struct image *img, const char *dir)
{
	int fd = file_make(dir), rc;

	if (fd < 0)
		return fd;
	rc = copy_all(img, fd);
	if (rc == 0)
		rc = read_only(fd, img->size);
	close(fd);
	return rc;
}

/* where there is a place, but no room in it */
static int no_room(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG;
}

static int explain(const struct image *img, const char *dir, int rc,
		   struct err *err)
{
	if (rc == -EBADMSG)
		return image_bad(img, "it was cut short", err);
	if (rc == -ESTALE)
		return err_set(err, rc, "'%s' was altered while it was read",
			       img->path);
	return err_set(err, rc, "cannot keep a copy of '%s' (%.1f MB) in '%s': "
		       "%s; 'copies' in [serve] of usetl.conf names another "
		       "folder", img->path, img->size / 1e6, dir,
		       strerror(-rc));
}

/* in the first place that has room for it */
static int copy_somewhere(const struct image *img, const char *const *place,
			  size_t n, struct err *err)
{
	int first = 0, rc;

	/* a full disk is no reason to fill memory */
	for (int memory = 0; memory < 2 && !no_room(first); memory++)
		for (size_t i = 0; i < n; i++) {
			if (!place[i] || is_memory(place[i]) != memory)
				continue;
			rc = copy_in(img, place[i]);
			if (rc >= 0 || rc == -EBADMSG || rc == -ESTALE)
				return rc < 0 ? explain(img, "", rc, err) : rc;
			/* what is said: where there could have been room */
			if (!first || (no_room(rc) && !no_room(first)))
				first = explain(img, place[i], rc, err);
		}
	return first ? first : err_set(err, -ENOENT, "there is no folder for a "
				       "copy of '%s'", img->path);
}

int image_copy(const struct image *img, const char *dir, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	char *beside = folder_of(img->path);
	const char *const usual[PLACES] = {
		beside, tmp && *tmp ? tmp : NULL, "/var/tmp", "/tmp",
	};
	int rc;

	if (!beside)
		return err_set(err, -ENOMEM, "out of memory");
	if (!dir) {
		rc = copy_somewhere(img, usual, PLACES, err);
	} else {
		rc = copy_in(img, dir);
		if (rc < 0)
			explain(img, dir, rc, err);
	}
	free(beside);
	return rc;
}
