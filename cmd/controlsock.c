/*
 * controlsock.c - a server's control socket as a file (controlsock.h)
 *
 * Beside it lies PATH.lock, which is locked for as long as the server lives.
 * Whoever has that lock may remove a socket that was left over; a look whether
 * somebody listens there would leave a moment in which two of them do.
 */
#include "cmd/controlsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG		16

int controlsock_default(char path[PATH_MAX], struct err *err)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (!dir || *dir != '/')
		dir = geteuid() == 0 ? "/run" : NULL;
	if (!dir)
		return err_set(err, -ENOENT, "no XDG_RUNTIME_DIR to have a "
			       "control socket in; --control says where");
	if (snprintf(path, PATH_MAX, "%s/usetl.sock", dir) >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "XDG_RUNTIME_DIR is too "
			       "long");
	return 0;
}

static int address(struct sockaddr_un *a, const char *path, struct err *err)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path))
		return err_set(err, -ENAMETOOLONG, "control socket '%s': a "
			       "path has %zu bytes at most", path,
			       sizeof(a->sun_path) - 1);
	strcpy(a->sun_path, path);
	return 0;
}

static int lock_name(char name[PATH_MAX], const char *path)
{
	return snprintf(name, PATH_MAX, "%s.lock", path) < PATH_MAX ? 0 :
	       -ENAMETOOLONG;
}

/* the lock, or -errno; a server that ends removes the file, so that is to be
   the one of that name still */
static int lock(const char *name)
{
	struct stat mine, there;

	for (;;) {
		int rc, fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW |
				  O_CLOEXEC, 0600);

		if (fd < 0)
			return -errno;
		rc = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (rc == 0 && fstat(fd, &mine) == 0 &&
		    lstat(name, &there) == 0 && mine.st_ino == there.st_ino &&
		    mine.st_dev == there.st_dev)
			return fd;
		close(fd);
		if (rc < 0)
			return rc;
	}
}

static int remove_stale(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 :
		       err_set(err, -errno, "control socket '%s': %s", path,
			       strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "'%s' is there, and is no socket: "
			       "remove it first, or choose another name with "
			       "--control", path);
	if (st.st_uid != geteuid())
		return err_set(err, -EEXIST, "'%s' is there, and is another "
			       "user's socket: choose another name with "
			       "--control", path);
	return unlink(path) == 0 || errno == ENOENT ? 0 :
	       err_set(err, -errno, "control socket '%s': %s", path,
		       strerror(errno));
}

static int listen_at(const struct sockaddr_un *a, struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0), rc;
	mode_t mask;

	if (fd < 0)
		return err_set(err, -errno, "control socket: %s",
			       strerror(errno));
	/* there is no moment in which others may connect */
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)a, sizeof(*a));
	rc = rc < 0 ? -errno : 0;
	umask(mask);
	if (rc == 0 && listen(fd, BACKLOG) < 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return err_set(err, rc, "control socket '%s': %s", a->sun_path,
		       strerror(-rc));
}

int controlsock_listen(struct controlsock *s, const char *path,
		       struct err *err)
{
	struct sockaddr_un a;
	char name[PATH_MAX];
	int rc = address(&a, path, err);

	if (rc < 0)
		return rc;
	s->fd = s->lock = -1;
	strcpy(s->path, path);
	rc = lock_name(name, path);
	if (rc == 0)
		rc = s->lock = lock(name);
	if (rc == -EWOULDBLOCK)
		return err_set(err, -EADDRINUSE, "control socket '%s': another "
			       "server has it; --control names another one",
			       path);
	if (rc < 0)
		return err_set(err, rc, "control socket '%s': %s", path,
			       strerror(-rc));
	rc = remove_stale(path, err);
	if (rc == 0)
		rc = s->fd = listen_at(&a, err);
	if (rc < 0)
		controlsock_close(s);
	return rc < 0 ? rc : 0;
}

void controlsock_close(struct controlsock *s)
{
	char name[PATH_MAX];

	if (s->fd >= 0) {
		unlink(s->path);
		close(s->fd);
	}
	if (s->lock >= 0) {
		if (lock_name(name, s->path) == 0)
			unlink(name);
		close(s->lock);
	}
	s->fd = s->lock = -1;
}

int controlsock_connect(const char *path, struct err *err)
{
	struct sockaddr_un a;
	int rc = address(&a, path, err), fd;

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "control socket: %s",
			       strerror(errno));
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc == -ENOENT || rc == -ECONNREFUSED ?
	       err_set(err, rc, "no server listens at '%s'; --control says "
		       "where one does", path) :
	       err_set(err, rc, "control socket '%s': %s", path,
		       strerror(-rc));
}
