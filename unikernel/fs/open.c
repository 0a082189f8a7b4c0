/*
 * open.c - from a path and O_* flags to an open file
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

u32 vfs_umask = 022;

/* what the file remembers of the flags it was opened with */
#define KEPT	(~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC))

int dir_may_change(struct inode *dir)
{
	if (inode_nlink(dir) == 0)
		return -ENOENT;
	return dir->flags & I_FIXED ? -EPERM : 0;
}

int inode_create(struct lookup *lk, u32 mode, struct inode **out)
{
	struct inode *ip;
	int rc;

	rc = dir_may_change(lk->dir);
	if (rc < 0)
		return rc;
	ip = inode_new(mode, lk->dir->dev);
	if (!ip)
		return -ENOSPC;
	rc = dir_add(lk->dir, lk->name, lk->len, ip);
	if (rc < 0) {
		inode_put(ip);
		return -ENOSPC;
	}
	inode_link(ip);
	*out = ip;
	return 0;
}

int file_of_inode(struct inode *ip, int flags, struct file **out)
{
	const struct file_ops *ops = NULL;
	struct file *f;
	int rc;

	if (flags & O_PATH)
		ops = &path_ops;
	else if (S_ISDIR(ip->mode))
		ops = &dir_ops;
	else if (S_ISREG(ip->mode) && !ip->ops)
		ops = &regular_ops;
	else if (!ip->ops || !ip->ops->open)
		return -ENXIO;		/* a FIFO or socket made by mknod() */
	f = file_new(ops, (flags & KEPT) | O_LARGEFILE);
	if (!f)
		return -ENFILE;
	if (flags & O_PATH)
		f->flags &= ~O_LARGEFILE;
	f->inode = inode_get(ip);
	f->mode = ip->mode;
	if (!ops) {
		rc = ip->ops->open(ip, f);
		if (rc < 0) {
			f->ops = NULL;
			file_put(f);
			return rc;
		}
	}
	*out = f;
	return 0;
}

int open_flags(int flags)
{
	int look = 0;

	if (flags & O_CREAT)
		look |= LOOKUP_NEW | LOOKUP_FILE;
	if (flags & O_NOFOLLOW ||
	    (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		look |= LOOKUP_NOFOLLOW;
	return look;
}

/* a file without a name, on the device of the directory that was looked up */
static int open_tmpfile(struct lookup *lk, int flags, u32 mode,
			struct file **out)
{
	struct inode *ip;
	int rc;

	if (!lk->ip || !S_ISDIR(lk->ip->mode))
		return lk->ip ? -ENOTDIR : -ENOENT;
	rc = dir_may_change(lk->ip);
	if (rc < 0)
		return rc;
	ip = inode_new(S_IFREG | (mode & 07777 & ~vfs_umask), lk->ip->dev);
	if (!ip)
		return -ENOSPC;
	if (!(flags & O_EXCL))
		ip->flags |= I_LINKABLE;
	rc = file_of_inode(ip, flags, out);
	inode_put(ip);
	return rc;
}

static int open_existing(struct lookup *lk, int flags, struct file **out)
{
	struct inode *ip = lk->ip;
	int acc = flags & O_ACCMODE, rc;

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY && !S_ISDIR(ip->mode))
		return -ENOTDIR;
	if (S_ISLNK(ip->mode) && !(flags & O_PATH))
		return -ELOOP;
	if (S_ISDIR(ip->mode) && !(flags & O_PATH) &&
	    (acc != O_RDONLY || flags & (O_CREAT | O_TRUNC)))
		return -EISDIR;
	if (flags & O_TRUNC && !(flags & O_PATH) && S_ISREG(ip->mode) &&
	    !ip->ops) {
		rc = data_truncate(ip, 0);
		if (rc < 0)
			return rc;
	}
	return file_of_inode(ip, flags, out);
}

int open_lookup(struct lookup *lk, int flags, u32 mode, struct file **out)
{
	int rc;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		return open_tmpfile(lk, flags, mode, out);
	if (lk->file) {
		*out = file_hold(lk->file);
		return 0;
	}
	if (!lk->ip) {
		rc = inode_create(lk, S_IFREG | (mode & 07777 & ~vfs_umask),
				  &lk->ip);
		if (rc < 0)
			return rc;
		return file_of_inode(lk->ip, flags, out);
	}
	return open_existing(lk, flags, out);
}

/* refuses flags that contradict each other; drops those that O_PATH ignores */
static int check_flags(int *flags)
{
	if (*flags & O_PATH) {
		*flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
		return 0;
	}
	if ((*flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if ((*flags & O_TMPFILE) == O_TMPFILE)
		return (*flags & O_ACCMODE) == O_RDONLY || *flags & O_CREAT ?
			-EINVAL : 0;
	if ((*flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	return 0;
}

int open_at(int dirfd, const char *path, int flags, u32 mode,
	    struct file **out)
{
	struct lookup lk;
	int rc;

	rc = check_flags(&flags);
	if (rc < 0)
		return rc;
	rc = path_lookup(dirfd, path, open_flags(flags), &lk);
	if (rc < 0)
		return rc;
	rc = open_lookup(&lk, flags, mode, out);
	path_done(&lk);
	return rc;
}

struct file *file_open(const char *path, int flags, int mode, int *err)
{
	struct lookup lk;
	struct file *f = NULL;

	*err = check_flags(&flags);
	if (*err < 0)
		return NULL;
	*err = path_walk(vfs_cwd_inode, path, strlen(path), open_flags(flags),
			 &lk);
	if (*err < 0)
		return NULL;
	*err = open_lookup(&lk, flags, mode, &f);
	path_done(&lk);
	return *err < 0 ? NULL : f;
}
