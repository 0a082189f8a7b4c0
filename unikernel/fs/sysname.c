/*
 * sysname.c - names: mkdir, mknod, symlink, link, unlink, readlink
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"
#include "unikernel/fs/sysfile.h"

/* finds the place for a new name: free, in a directory that may change */
static int lookup_new(int dirfd, const char *path, int is_dir,
		      struct lookup *lk)
{
	int rc = path_lookup(dirfd, path, LOOKUP_PARENT | LOOKUP_NEW, lk);

	if (rc < 0)
		return rc;
	if (lk->ip || lk->dots || lk->file)
		rc = -EEXIST;
	else if (lk->slash && !is_dir)
		rc = -ENOENT;
	else
		rc = dir_may_change(lk->dir);
	if (rc < 0)
		path_done(lk);
	return rc;
}

static long make(int dirfd, const char *path, u32 mode)
{
	struct lookup lk;
	int rc;

	rc = lookup_new(dirfd, path, S_ISDIR(mode), &lk);
	if (rc < 0)
		return rc;
	rc = inode_create(&lk, mode & ~vfs_umask, &lk.ip);
	path_done(&lk);
	return rc;
}

long sys_mkdirat(int dirfd, const char *path, u32 mode)
{
	return make(dirfd, path, S_IFDIR | (mode & 01777));
}

long sys_mkdir(const char *path, u32 mode)
{
	return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_mknodat(int dirfd, const char *path, u32 mode, u64 dev)
{
	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		/* fall through */
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		return make(dirfd, path, mode & (S_IFMT | 07777));
	case S_IFCHR:
	case S_IFBLK:
	case S_IFDIR:
		return -EPERM;
	}
	return -EINVAL;
}

long sys_mknod(const char *path, u32 mode, u64 dev)
{
	return sys_mknodat(AT_FDCWD, path, mode, dev);
}

long sys_symlinkat(const char *target, int dirfd, const char *path)
{
	struct lookup lk;
	char *text;
	long n;
	int rc;

	n = user_strlen(target, PATH_MAX - 1);
	if (n <= 0)
		return n ? n : -ENOENT;
	rc = lookup_new(dirfd, path, 0, &lk);
	if (rc < 0)
		return rc;
	text = kmalloc(n + 1);
	rc = text ? inode_create(&lk, S_IFLNK | 0777, &lk.ip) : -ENOMEM;
	if (rc == 0) {
		memcpy(text, target, n);
		text[n] = 0;
		lk.ip->target = text;
		lk.ip->size = n;
	} else {
		kfree(text);
	}
	path_done(&lk);
	return rc;
}

long sys_symlink(const char *target, const char *path)
{
	return sys_symlinkat(target, AT_FDCWD, path);
}

long sys_readlinkat(int dirfd, const char *path, char *buf, int len)
{
	struct lookup lk;
	long n;

	if (len <= 0)
		return -EINVAL;
	n = path_lookup(dirfd, path, LOOKUP_NOFOLLOW | LOOKUP_EMPTY, &lk);
	if (n < 0)
		return n;
	if (!lk.ip || !S_ISLNK(lk.ip->mode))
		n = *path ? -EINVAL : -ENOENT;
	else if (!user_ok(buf, len, 1))
		n = -EFAULT;
	else
		n = inode_readlink(lk.ip, buf, len);
	path_done(&lk);
	return n;
}

long sys_readlink(const char *path, char *buf, int len)
{
	return sys_readlinkat(AT_FDCWD, path, buf, len);
}

static long link_to(struct inode *ip, int newdir, const char *new)
{
	struct lookup lk;
	int rc;

	rc = lookup_new(newdir, new, 0, &lk);
	if (rc < 0)
		return rc;
	if (S_ISDIR(ip->mode) || ip->ops)
		rc = -EPERM;
	else if (ip->dev != lk.dir->dev)
		rc = -EXDEV;
	else if (inode_nlink(ip) == 0 && !(ip->flags & I_LINKABLE))
		rc = -ENOENT;
	else
		rc = dir_add(lk.dir, lk.name, lk.len, ip);
	if (rc == 0)
		inode_link(ip);
	path_done(&lk);
	return rc;
}

long sys_linkat(int olddir, const char *old, int newdir, const char *new,
		int flags)
{
	struct lookup lk;
	int look = LOOKUP_NOFOLLOW;
	long rc;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (flags & AT_SYMLINK_FOLLOW)
		look = 0;
	if (flags & AT_EMPTY_PATH)
		look |= LOOKUP_EMPTY;
	rc = path_lookup(olddir, old, look, &lk);
	if (rc < 0)
		return rc;
	rc = lk.ip ? link_to(lk.ip, newdir, new) : -EXDEV;
	path_done(&lk);
	return rc;
}

long sys_link(const char *old, const char *new)
{
	return sys_linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

/* removes the name; lk->ip keeps the inode until the caller is done */
static long remove_name(struct lookup *lk)
{
	int rc;

	if (lk->ip->flags & I_MOUNT)
		return -EBUSY;
	rc = dir_may_change(lk->dir);
	if (rc < 0)
		return rc;
	rc = dir_remove(lk->dir, lk->name, lk->len);
	if (rc == 0)
		inode_unlink(lk->ip, lk->dir);
	return rc;
}

static long remove_dir(struct lookup *lk)
{
	static const int dots[] = { 0, -EINVAL, -ENOTEMPTY, -EBUSY };

	if (lk->dots)
		return dots[lk->dots];
	if (!S_ISDIR(lk->ip->mode))
		return -ENOTDIR;
	if (lk->ip->flags & I_MOUNT)
		return -EBUSY;
	if (!dir_empty(lk->ip))
		return -ENOTEMPTY;
	return remove_name(lk);
}

static long remove_file(struct lookup *lk)
{
	if (lk->dots || S_ISDIR(lk->ip->mode))
		return -EISDIR;
	if (lk->slash)
		return -ENOTDIR;
	return remove_name(lk);
}

long sys_unlinkat(int dirfd, const char *path, int flags)
{
	struct lookup lk;
	long rc;

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	rc = path_lookup(dirfd, path, LOOKUP_PARENT, &lk);
	if (rc < 0)
		return rc;
	rc = flags & AT_REMOVEDIR ? remove_dir(&lk) : remove_file(&lk);
	path_done(&lk);
	return rc;
}

long sys_unlink(const char *path)
{
	return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(const char *path)
{
	return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
