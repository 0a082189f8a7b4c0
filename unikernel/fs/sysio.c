/*
 * sysio.c - open, close, read, write, seek, truncate
 *
 * A call that may sleep holds the file: another thread may close the
 * descriptor meanwhile.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"
#include "unikernel/fs/sysfile.h"

long sys_openat(int dirfd, const char *path, int flags, u32 mode)
{
	struct file *f;
	int rc;

	rc = open_at(dirfd, path, flags, mode, &f);
	if (rc < 0)
		return rc;
	return fd_install(f, 0, flags & O_CLOEXEC);
}

long sys_open(const char *path, int flags, u32 mode)
{
	return sys_openat(AT_FDCWD, path, flags, mode);
}

long sys_creat(const char *path, u32 mode)
{
	return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

long sys_close(int fd)
{
	return fd_close(fd);
}

long sys_close_range(u32 first, u32 last, u32 flags)
{
	int fd;

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) ||
	    first > last)
		return -EINVAL;
	for (fd = fd_next(MIN(first, FD_MAX)); fd >= 0 && (u32)fd <= last;
	     fd = fd_next(fd + 1)) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			fd_set_cloexec(fd, 1);
		else
			fd_close(fd);
	}
	return 0;
}

/* the file, if it is open for reading */
static struct file *get_reader(int fd)
{
	struct file *f = fd_get(fd);

	return f && (f->flags & O_ACCMODE) != O_WRONLY ? f : NULL;
}

static struct file *get_writer(int fd)
{
	struct file *f = fd_get(fd);

	return f && (f->flags & O_ACCMODE) != O_RDONLY ? f : NULL;
}

static long do_read(struct file *f, void *buf, size_t len, u64 *pos)
{
	long n;

	if (!f->ops->read)
		return -EINVAL;
	n = f->ops->read(f, buf, len, *pos);
	if (n > 0 && f->ops->seekable)
		*pos += n;
	return n;
}

/* transfers once, at *at, or for NULL at the file's position */
static long transfer(struct file *f, void *buf, size_t len, u64 *at, int write)
{
	long n;

	if ((s64)len < 0)
		return -EFAULT;
	len = MIN(len, MAX_RW_COUNT);
	if (len && !user_ok(buf, len, !write))
		return -EFAULT;
	file_hold(f);
	if (!at)
		at = &f->pos;
	n = write ? file_write(f, buf, len, at) : do_read(f, buf, len, at);
	file_put(f);
	return n;
}

long sys_read(int fd, void *buf, size_t len)
{
	struct file *f = get_reader(fd);

	return f ? transfer(f, buf, len, NULL, 0) : -EBADF;
}

long sys_write(int fd, const void *buf, size_t len)
{
	struct file *f = get_writer(fd);

	return f ? transfer(f, (void *)buf, len, NULL, 1) : -EBADF;
}

/* 0, or why the file cannot be used at this offset */
static long check_at(struct file *f, s64 off)
{
	if (off < 0)
		return -EINVAL;
	if (!f)
		return -EBADF;
	return f->ops->seekable ? 0 : -ESPIPE;
}

long sys_pread64(int fd, void *buf, size_t len, s64 off)
{
	struct file *f = get_reader(fd);
	long rc = check_at(f, off);
	u64 pos = off;

	return rc < 0 ? rc : transfer(f, buf, len, &pos, 0);
}

long sys_pwrite64(int fd, const void *buf, size_t len, s64 off)
{
	struct file *f = get_writer(fd);
	long rc = check_at(f, off);
	u64 pos = off;

	return rc < 0 ? rc : transfer(f, (void *)buf, len, &pos, 1);
}

/* the parts' length in bytes, each part checked; or -errno */
static long iov_check(const struct k_iovec *iov, u64 n, int write)
{
	u64 total = 0, i;

	for (i = 0; i < n; i++) {
		if ((s64)iov[i].len < 0 || (s64)(total + iov[i].len) < 0)
			return -EINVAL;
		if (iov[i].len && !user_ok(iov[i].base, iov[i].len, !write))
			return -EFAULT;
		total += iov[i].len;
	}
	return MIN(total, MAX_RW_COUNT);
}

/* copies up to len bytes between buf and the parts */
static void iov_copy(const struct k_iovec *iov, u64 n, u8 *buf, size_t len,
		     int gather)
{
	size_t k;
	u64 i;

	for (i = 0; i < n && len; i++) {
		k = MIN(iov[i].len, len);
		if (gather)
			memcpy(buf, iov[i].base, k);
		else
			memcpy(iov[i].base, buf, k);
		buf += k;
		len -= k;
	}
}

/*
 * A file without offsets (a pipe, a socket, a device) gets one call with one
 * buffer, because it may read or write whole messages and may sleep only once.
 */
static long iov_whole(struct file *f, const struct k_iovec *iov, u64 n,
		      size_t total, int write)
{
	u8 *buf = kmalloc(MAX(total, 1));
	u64 pos = 0;
	long done;

	if (!buf)
		return -ENOMEM;
	file_hold(f);
	if (write)
		iov_copy(iov, n, buf, total, 1);
	done = write ? file_write(f, buf, total, &pos) :
		       do_read(f, buf, total, &pos);
	/* it may have slept, and the parts may have been unmapped meanwhile */
	if (done > 0 && !write) {
		if (iov_check(iov, n, 0) < done)
			done = -EFAULT;
		else
			iov_copy(iov, n, buf, done, 0);
	}
	file_put(f);
	kfree(buf);
	return done;
}

static long iov_parts(struct file *f, const struct k_iovec *iov, u64 n,
		      size_t total, u64 *at, int write)
{
	size_t done = 0, want;
	long k;
	u64 i;

	for (i = 0; i < n && done < total; i++) {
		want = MIN(iov[i].len, total - done);
		if (!want)
			continue;
		k = transfer(f, iov[i].base, want, at, write);
		if (k < 0)
			return done ? (long)done : k;
		done += k;
		if ((size_t)k < want)
			break;
	}
	return done;
}

static long iov_move(struct file *f, const struct k_iovec *iov, u64 n, u64 *at,
		     int write)
{
	long total = iov_check(iov, n, write);

	if (total < 0)
		return total;
	if (!f->ops->seekable && n > 1)
		return iov_whole(f, iov, n, total, write);
	if (n == 1 || total == 0)
		return transfer(f, n ? iov[0].base : NULL, total, at, write);
	return iov_parts(f, iov, n, total, at, write);
}

/* as many as Linux keeps on the stack */
#define IOV_FEW	8

/* works on a copy of the vector, since reading may overwrite the original */
static long iov_io(struct file *f, const struct k_iovec *user, u64 n, u64 *at,
		   int write)
{
	struct k_iovec few[IOV_FEW], *iov = few;
	long done;

	if (n > IOV_MAX)
		return -EINVAL;
	if (n && !user_ok(user, n * sizeof(*user), 0))
		return -EFAULT;
	if (n > IOV_FEW)
		iov = kmalloc(n * sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	memcpy(iov, user, n * sizeof(*iov));
	done = iov_move(f, iov, n, at, write);
	if (iov != few)
		kfree(iov);
	return done;
}

long sys_readv(int fd, const struct k_iovec *iov, u64 n)
{
	struct file *f = get_reader(fd);

	return f ? iov_io(f, iov, n, NULL, 0) : -EBADF;
}

long sys_writev(int fd, const struct k_iovec *iov, u64 n)
{
	struct file *f = get_writer(fd);

	return f ? iov_io(f, iov, n, NULL, 1) : -EBADF;
}

long sys_preadv(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high)
{
	struct file *f = get_reader(fd);
	long rc = check_at(f, off);
	u64 pos = off;

	return rc < 0 ? rc : iov_io(f, iov, n, &pos, 0);
}

long sys_pwritev(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high)
{
	struct file *f = get_writer(fd);
	long rc = check_at(f, off);
	u64 pos = off;

	return rc < 0 ? rc : iov_io(f, iov, n, &pos, 1);
}

long sys_preadv2(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high,
		 int flags)
{
	struct file *f = get_reader(fd);

	/* reading a regular file never blocks */
	if (f && f->ops == &regular_ops)
		flags &= ~RWF_NOWAIT;
	if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -EOPNOTSUPP;
	if (off == -1)
		return sys_readv(fd, iov, n);
	return sys_preadv(fd, iov, n, off, high);
}

long sys_pwritev2(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high,
		  int flags)
{
	struct file *f = get_writer(fd);
	int kept;
	long done;

	if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND))
		return -EOPNOTSUPP;
	if (!f)
		return -EBADF;
	/* nothing sleeps on a regular file, so nobody else sees this */
	kept = f->flags;
	if (flags & RWF_APPEND && f->inode && S_ISREG(f->inode->mode))
		f->flags |= O_APPEND;
	file_hold(f);
	done = off == -1 ? sys_writev(fd, iov, n) :
			   sys_pwritev(fd, iov, n, off, high);
	if (flags & RWF_APPEND && f->inode && S_ISREG(f->inode->mode))
		f->flags = kept;
	file_put(f);
	return done;
}

/* the new position, or -errno */
static s64 seek_to(struct file *f, s64 off, int whence)
{
	struct inode *ip = f->inode;
	int plain = ip && S_ISREG(ip->mode) && !ip->ops;

	switch (whence) {
	case SEEK_SET:
		return off;
	case SEEK_CUR:
		if (__builtin_add_overflow((s64)f->pos, off, &off))
			return -EOVERFLOW;
		return off;
	case SEEK_END:
		if (ip && S_ISDIR(ip->mode))
			return -EINVAL;
		if (__builtin_add_overflow((s64)file_size(f), off, &off))
			return -EOVERFLOW;
		return off;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (!plain || off < 0)
			return plain ? -ENXIO : -EINVAL;
		return data_seek(ip, off, whence == SEEK_HOLE);
	}
	return -EINVAL;
}

long sys_lseek(int fd, s64 off, int whence)
{
	struct file *f = fd_get(fd);
	s64 to;

	if (!f)
		return -EBADF;
	if (!f->ops->seekable)
		return -ESPIPE;
	to = seek_to(f, off, whence);
	if (to < 0)
		return to >= -4095 && whence >= SEEK_DATA ? to : -EINVAL;
	f->pos = to;
	return to;
}

static long truncate_inode(struct inode *ip, s64 size)
{
	if (size < 0)
		return -EINVAL;
	if (S_ISDIR(ip->mode))
		return -EISDIR;
	if (!S_ISREG(ip->mode) || ip->ops)
		return -EINVAL;
	return data_truncate(ip, size);
}

long sys_truncate(const char *path, s64 size)
{
	struct lookup lk;
	long rc;

	rc = path_lookup(AT_FDCWD, path, 0, &lk);
	if (rc < 0)
		return rc;
	rc = lk.ip ? truncate_inode(lk.ip, size) : -EINVAL;
	path_done(&lk);
	return rc;
}

long sys_ftruncate(int fd, s64 size)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (!f->inode || (f->flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	return truncate_inode(f->inode, size);
}

long sys_fallocate(int fd, int mode, s64 off, s64 len)
{
	struct file *f = get_writer(fd);
	struct inode *ip;
	int rc, grows;

	if (!f)
		return -EBADF;
	ip = f->inode;
	if (off < 0 || len <= 0)
		return -EINVAL;
	if (!ip || !S_ISREG(ip->mode) || ip->ops)
		return f->ops->seekable ? -ENODEV : -ESPIPE;
	if ((u64)off + len > FILE_MAX_SIZE)
		return -EFBIG;
	grows = !(mode & FALLOC_FL_KEEP_SIZE) && (u64)off + len > ip->size;
	if (grows && ip->data.seals & F_SEAL_GROW)
		return -EPERM;
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
		rc = data_reserve(ip, off, len);
		break;
	case FALLOC_FL_PUNCH_HOLE:
		if (!(mode & FALLOC_FL_KEEP_SIZE))
			return -EOPNOTSUPP;
		return data_zero(ip, off, len);
	case FALLOC_FL_ZERO_RANGE:
		rc = data_zero(ip, off, len);
		if (rc == 0)
			rc = data_reserve(ip, off, len);
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (rc == 0 && grows)
		return data_truncate(ip, (u64)off + len);
	if (rc == 0)
		inode_touch(ip);
	return rc;
}
