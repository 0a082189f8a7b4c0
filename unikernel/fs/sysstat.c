/*
 * sysstat.c - stat, statx, statfs, access, and what changes mode and owner
 */
#include "unikernel/fs/inode.h"
#include "unikernel/fs/sysfile.h"

/* flags for path_lookup() from those of *at() calls */
static int look_flags(int flags)
{
	return (flags & AT_SYMLINK_NOFOLLOW ? LOOKUP_NOFOLLOW : 0) |
		(flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}

static long stat_at(int dirfd, const char *path, int flags, struct k_stat *st)
{
	struct lookup lk;
	int rc;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT |
		      AT_STATX_SYNC_TYPE))
		return -EINVAL;
	rc = path_lookup(dirfd, path, look_flags(flags), &lk);
	if (rc < 0)
		return rc;
	if (lk.file)
		file_stat(lk.file, st);
	else
		inode_stat(lk.ip, st);
	path_done(&lk);
	return 0;
}

static long stat_out(int dirfd, const char *path, int flags, struct k_stat *st)
{
	struct k_stat copy;
	long rc;

	rc = stat_at(dirfd, path, flags, &copy);
	if (rc < 0)
		return rc;
	if (!user_ok(st, sizeof(*st), 1))
		return -EFAULT;
	*st = copy;
	return 0;
}

long sys_stat(const char *path, struct k_stat *st)
{
	return stat_out(AT_FDCWD, path, 0, st);
}

long sys_lstat(const char *path, struct k_stat *st)
{
	return stat_out(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, st);
}

long sys_newfstatat(int dirfd, const char *path, struct k_stat *st, int flags)
{
	return stat_out(dirfd, path, flags, st);
}

long sys_fstat(int fd, struct k_stat *st)
{
	struct file *f = fd_get_path(fd);

	if (!f)
		return -EBADF;
	if (!user_ok(st, sizeof(*st), 1))
		return -EFAULT;
	file_stat(f, st);
	return 0;
}

static struct k_statx_timestamp stamp(const struct k_timespec *ts)
{
	return (struct k_statx_timestamp){ .sec = ts->sec, .nsec = ts->nsec };
}

static u32 dev_major(u64 dev)
{
	return (dev >> 8) & 0xfff;
}

static u32 dev_minor(u64 dev)
{
	return (dev & 0xff) | ((dev >> 12) & 0xfff00);
}

static void stat_to_statx(const struct k_stat *st, struct k_statx *x)
{
	memset(x, 0, sizeof(*x));
	x->mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
	x->blksize = st->blksize;
	x->nlink = st->nlink;
	x->uid = st->uid;
	x->gid = st->gid;
	x->mode = st->mode;
	x->ino = st->ino;
	x->size = st->size;
	x->blocks = st->blocks;
	x->atime = stamp(&st->atim);
	x->ctime = stamp(&st->ctim);
	x->mtime = stamp(&st->mtim);
	x->rdev_major = dev_major(st->rdev);
	x->rdev_minor = dev_minor(st->rdev);
	x->dev_major = dev_major(st->dev);
	x->dev_minor = dev_minor(st->dev);
	x->mnt_id = dev_minor(st->dev);
}

long sys_statx(int dirfd, const char *path, int flags, u32 mask,
	       struct k_statx *stx)
{
	struct lookup lk;
	struct k_stat st;
	struct k_timespec born;
	int rc;

	if (mask & STATX__RESERVED ||
	    flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT |
		      AT_STATX_SYNC_TYPE))
		return -EINVAL;
	rc = path_lookup(dirfd, path, look_flags(flags), &lk);
	if (rc < 0)
		return rc;
	if (lk.file)
		file_stat(lk.file, &st);
	else
		inode_stat(lk.ip, &st);
	born = st.ctim;
	if (lk.ip)
		ns_to_timespec(lk.ip->btime, &born);
	path_done(&lk);
	if (!user_ok(stx, sizeof(*stx), 1))
		return -EFAULT;
	stat_to_statx(&st, stx);
	stx->btime = stamp(&born);
	return 0;
}

static void fill_statfs(u64 dev, struct k_statfs *st)
{
	u64 unit = ETLFS_EXTENT / UK_PAGE;

	memset(st, 0, sizeof(*st));
	st->bsize = st->frsize = UK_PAGE;
	st->namelen = NAME_MAX;
	st->fsid[0] = dev;
	st->flags = ST_VALID | ST_NOATIME;
	if (dev == DEV_PROC) {
		st->type = PROC_SUPER_MAGIC;
		return;
	}
	if (dev == DEV_SYS) {
		st->type = SYSFS_MAGIC;
		return;
	}
	task_looks++;
	st->type = TMPFS_MAGIC;		/* nothing is closer */
	st->blocks = extent_total() * unit;
	st->bfree = st->bavail = extent_left() * unit;
	st->files = st->ffree = 1u << 30;
}

long sys_statfs(const char *path, struct k_statfs *st)
{
	struct lookup lk;
	u64 dev;
	int rc;

	rc = path_lookup(AT_FDCWD, path, 0, &lk);
	if (rc < 0)
		return rc;
	dev = lk.ip ? lk.ip->dev : DEV_ROOT;
	path_done(&lk);
	if (!user_ok(st, sizeof(*st), 1))
		return -EFAULT;
	fill_statfs(dev, st);
	return 0;
}

long sys_fstatfs(int fd, struct k_statfs *st)
{
	struct file *f = fd_get_path(fd);

	if (!f)
		return -EBADF;
	if (!user_ok(st, sizeof(*st), 1))
		return -EFAULT;
	fill_statfs(f->inode ? f->inode->dev : DEV_ROOT, st);
	return 0;
}

/* root may do everything except execute a file with no x bit */
long sys_faccessat2(int dirfd, const char *path, int mode, int flags)
{
	struct k_stat st;
	long rc;

	if (mode & ~(R_OK | W_OK | X_OK) ||
	    flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	rc = stat_at(dirfd, path, flags & ~AT_EACCESS, &st);
	if (rc < 0)
		return rc;
	if (mode & X_OK && !S_ISDIR(st.mode) && !(st.mode & 0111))
		return -EACCES;
	return 0;
}

long sys_faccessat(int dirfd, const char *path, int mode)
{
	return sys_faccessat2(dirfd, path, mode, 0);
}

long sys_access(const char *path, int mode)
{
	return sys_faccessat2(AT_FDCWD, path, mode, 0);
}

long sys_fchmodat(int dirfd, const char *path, u32 mode)
{
	struct lookup lk;
	int rc;

	rc = path_lookup(dirfd, path, 0, &lk);
	if (rc < 0)
		return rc;
	rc = lk.ip ? inode_chmod(lk.ip, mode) : 0;
	path_done(&lk);
	return rc;
}

long sys_chmod(const char *path, u32 mode)
{
	return sys_fchmodat(AT_FDCWD, path, mode);
}

long sys_fchmod(int fd, u32 mode)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	return f->inode ? inode_chmod(f->inode, mode) : 0;
}

long sys_fchownat(int dirfd, const char *path, u32 uid, u32 gid, int flags)
{
	struct lookup lk;
	int rc;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	rc = path_lookup(dirfd, path, look_flags(flags), &lk);
	if (rc < 0)
		return rc;
	rc = lk.ip ? inode_chown(lk.ip, uid, gid) : 0;
	path_done(&lk);
	return rc;
}

long sys_chown(const char *path, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(const char *path, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, u32 uid, u32 gid)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	return f->inode ? inode_chown(f->inode, uid, gid) : 0;
}

long sys_umask(u32 mask)
{
	u32 old = vfs_umask;

	vfs_umask = mask & 0777;
	return old;
}
