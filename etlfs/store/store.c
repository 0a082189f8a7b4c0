/*
 * store.c - the store's folders, and how a file comes into one and out of it
 */
#include "etlfs/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "etlfs/store/store_impl.h"

#define CHUNK	((size_t)256 << 10)

int store_default(char *buf, size_t size, struct err *err)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int n;

	/* XDG's base directories: a path that is not absolute does not count */
	if (data && *data == '/')
		n = snprintf(buf, size, "%s/usetl", data);
	else if (home && *home == '/')
		n = snprintf(buf, size, "%s/.local/share/usetl", home);
	else if (geteuid() == 0)
		n = snprintf(buf, size, "/var/lib/usetl");
	else
		return err_set(err, -ENOENT, "HOME is not set");
	return (size_t)n < size ? 0 : err_set(err, -ENAMETOOLONG,
					      "its name is too long");
}

int store_trusted(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & 022);
}

static int refuse(const char *what, const struct stat *st, struct err *err)
{
	return err_set(err, -EPERM, st->st_uid != geteuid() ?
		       "'%s' belongs to another user" :
		       "'%s' can be written by others", what);
}

/* a folder and those above it that are missing, 0700 */
static int make_path(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *at = path + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(path, 0700) && errno != EEXIST && access(path, X_OK))
			return -errno;
		*at = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* a folder of the store: its descriptor */
static int open_folder(const struct store *s, int at, const char *name,
		       int make, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	char path[PATH_MAX];
	struct stat st;
	int fd = openat(at, name, flags), rc = 0;

	if (fd < 0 && errno == ENOENT && make) {
		rc = at == AT_FDCWD ? make_path(name) :
			mkdirat(at, name, 0700) && errno != EEXIST ? -errno : 0;
		fd = rc < 0 ? rc : openat(at, name, flags);
	}
	if (fd < 0)
		return err_set(err, rc < 0 ? rc : -errno, "'%s': %s", s->dir,
			       strerror(rc < 0 ? -rc : errno));
	snprintf(path, sizeof(path), "%s%s%s", s->dir, at == AT_FDCWD ? "" :
		 "/", at == AT_FDCWD ? "" : name);
	if (fstat(fd, &st))
		rc = err_set(err, -errno, "'%s': %s", path, strerror(errno));
	else if (!store_trusted(&st))
		rc = refuse(path, &st, err);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int open_folders(struct store *s, int top, int make, struct err *err)
{
	const struct {
		const char *name;
		int *fd;
	} folder[] = {
		{ STORE_LAYERS, &s->layers }, { STORE_KEYS, &s->keys },
		{ STORE_SNAPSHOTS, &s->snapshots },
	};
	int rc = 0;

	for (int i = 0; rc >= 0 && i < 3; i++)
		rc = *folder[i].fd = open_folder(s, top, folder[i].name, make,
						 err);
	return rc < 0 ? rc : 0;
}

int store_open(struct store **out, const char *dir, int make, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	int top, rc;

	if (s)
		s->dir = strdup(dir);
	if (!s || !s->dir) {
		free(s);
		return err_set(err, -ENOMEM, "out of memory");
	}
	s->layers = s->keys = s->snapshots = -1;
	top = open_folder(s, AT_FDCWD, dir, make, err);
	rc = top < 0 ? top : open_folders(s, top, make, err);
	if (top >= 0)
		close(top);
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->layers >= 0)
		close(s->layers);
	if (s->keys >= 0)
		close(s->keys);
	if (s->snapshots >= 0)
		close(s->snapshots);
	free(s->dir);
	free(s);
}

const char *store_dir(const struct store *s)
{
	return s ? s->dir : NULL;
}

int store_file_open(const struct store *s, int folder, const char *name,
		    struct stat *st, struct err *err)
{
	/* no waiting for who writes a pipe, and no way out by a link */
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
			O_CLOEXEC), rc = 0;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_set(err, -errno, "'%s': %s", name, strerror(errno));
	if (fstat(fd, st))
		rc = err_set(err, -errno, "'%s': %s", name, strerror(errno));
	else if (S_ISDIR(st->st_mode))
		/* no file can take its place */
		rc = err_set(err, -EISDIR, "'%s/%s/%s' is a folder; remove it",
			     s->dir, folder == s->layers ? STORE_LAYERS :
			     folder == s->keys ? STORE_KEYS : STORE_SNAPSHOTS,
			     name);
	else if (!S_ISREG(st->st_mode))
		rc = err_set(err, -EPERM, "'%s' is no file", name);
	else if (!store_trusted(st))
		rc = refuse(name, st, err);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

void store_file_used(int fd, const struct stat *st)
{
	time_t now = time(NULL);

	if (now < st->st_mtim.tv_sec || now - st->st_mtim.tv_sec >= 60)
		futimens(fd, NULL);
}

static int cannot_write(const struct store *s, int code, struct err *err)
{
	return err_set(err, code, "cannot write '%s': %s", s->dir,
		       strerror(-code));
}

int store_file_create(const struct store *s, int folder, struct store_file *f,
		      struct err *err)
{
	uint64_t random;

	f->name[0] = 0;
	f->fd = -1;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return cannot_write(s, -EAGAIN, err);
	snprintf(f->name, sizeof(f->name), STORE_TEMP "%016llx",
		 (unsigned long long)random);
	f->fd = openat(folder, f->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		       0600);
	if (f->fd >= 0)
		return 0;
	f->name[0] = 0;
	return cannot_write(s, -errno, err);
}

int store_file_commit(const struct store *s, int folder, struct store_file *f,
		      const char *name, struct err *err)
{
	if (fsync(f->fd) || renameat(folder, f->name, folder, name))
		return cannot_write(s, -errno, err);
	f->name[0] = 0;
	/* a name that a crash takes away again is no loss: no fsync of it */
	return 0;
}

void store_file_close(int folder, struct store_file *f)
{
	if (f->name[0])
		unlinkat(folder, f->name, 0);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->name[0] = 0;
}

int store_is_digest(const char *s)
{
	return strspn(s, "0123456789abcdef") == 64 && !s[64];
}
