/*
 * xattr.c - extended attributes and file handles: there are none
 *
 * The answers are those of a Linux file system mounted without them.  The file
 * is looked up first, so a missing one is still ENOENT.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/fs/sysfile.h"

static long found(const char *path, int flags, long answer)
{
	struct lookup lk;
	long rc = path_lookup(AT_FDCWD, path, flags, &lk);

	if (rc < 0)
		return rc;
	path_done(&lk);
	return answer;
}

static long open_fd(int fd, long answer)
{
	return fd_get(fd) ? answer : -EBADF;
}

long sys_setxattr(const char *path, const char *name, const void *value,
		  size_t len, int flags)
{
	return found(path, 0, -EOPNOTSUPP);
}

long sys_lsetxattr(const char *path, const char *name, const void *value,
		   size_t len, int flags)
{
	return found(path, LOOKUP_NOFOLLOW, -EOPNOTSUPP);
}

long sys_fsetxattr(int fd, const char *name, const void *value, size_t len,
		   int flags)
{
	return open_fd(fd, -EOPNOTSUPP);
}

long sys_getxattr(const char *path, const char *name, void *value, size_t len)
{
	return found(path, 0, -ENODATA);
}

long sys_lgetxattr(const char *path, const char *name, void *value, size_t len)
{
	return found(path, LOOKUP_NOFOLLOW, -ENODATA);
}

long sys_fgetxattr(int fd, const char *name, void *value, size_t len)
{
	return open_fd(fd, -ENODATA);
}

long sys_listxattr(const char *path, char *list, size_t len)
{
	return found(path, 0, 0);
}

long sys_llistxattr(const char *path, char *list, size_t len)
{
	return found(path, LOOKUP_NOFOLLOW, 0);
}

long sys_flistxattr(int fd, char *list, size_t len)
{
	return open_fd(fd, 0);
}

long sys_removexattr(const char *path, const char *name)
{
	return found(path, 0, -ENODATA);
}

long sys_lremovexattr(const char *path, const char *name)
{
	return found(path, LOOKUP_NOFOLLOW, -ENODATA);
}

long sys_fremovexattr(int fd, const char *name)
{
	return open_fd(fd, -ENODATA);
}

long sys_name_to_handle_at(int dirfd, const char *path, void *handle,
			   int *mount_id, int flags)
{
	return -EOPNOTSUPP;
}
