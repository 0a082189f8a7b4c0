/*
 * file.c - open files
 *
 * A struct file is counted: descriptors share it, and whoever sleeps in it
 * holds it.  Reading and writing are the operations of what was opened; here
 * are those of regular files and directories.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

void (*file_unwatch)(struct file *f);
void (*file_unlock)(struct file *f);

struct file *file_new(const struct file_ops *ops, int flags)
{
	struct file *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->ops = ops;
	f->flags = flags;
	f->refs = 1;
	return f;
}

void file_put(struct file *f)
{
	if (!f)
		return;
	assert(f->refs > 0);
	if (--f->refs)
		return;
	if (f->watched && file_unwatch)
		file_unwatch(f);
	if (f->locked && file_unlock)
		file_unlock(f);
	if (f->ops && f->ops->close)
		f->ops->close(f);
	inode_put(f->inode);
	kfree(f);
}

static long regular_read(struct file *f, void *buf, size_t len, u64 pos)
{
	return data_read(f->inode, buf, len, pos);
}

static long regular_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	return data_write(f->inode, buf, len, pos);
}

static long regular_ioctl(struct file *f, unsigned cmd, u64 arg)
{
	s64 left = (s64)f->inode->size - (s64)f->pos;

	switch (cmd) {
	case FIONREAD:
		if (!user_ok((void *)arg, sizeof(int), 1))
			return -EFAULT;
		*(int *)arg = MAX(0, MIN(left, 0x7fffffff));
		return 0;
	case FIGETBSZ:
		if (!user_ok((void *)arg, sizeof(int), 1))
			return -EFAULT;
		*(int *)arg = UK_PAGE;
		return 0;
	}
	return -ENOTTY;
}

const struct file_ops regular_ops = {
	.name = "file",
	.read = regular_read,
	.write = regular_write,
	.ioctl = regular_ioctl,
	.seekable = 1,
};

static long dir_read(struct file *f, void *buf, size_t len, u64 pos)
{
	return -EISDIR;
}

const struct file_ops dir_ops = {
	.name = "directory",
	.read = dir_read,
	.seekable = 1,
};

static long path_io(struct file *f, void *buf, size_t len, u64 pos)
{
	return -EBADF;
}

/* O_PATH: a place in the tree, which cannot be read */
const struct file_ops path_ops = {
	.name = "path",
	.read = path_io,
};

/* writes at *pos, or with O_APPEND at the end, and advances *pos */
long file_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
	long n;

	if (!f->ops->write)
		return -EINVAL;
	if ((f->flags & O_APPEND) && f->inode && S_ISREG(f->inode->mode) &&
	    !f->inode->ops)
		*pos = f->inode->size;
	n = f->ops->write(f, buf, len, *pos);
	if (n > 0 && f->ops->seekable)
		*pos += n;
	return n;
}

long file_pread(struct file *f, void *buf, size_t len, u64 off)
{
	if (!f->ops->read)
		return -EINVAL;
	return f->ops->read(f, buf, len, off);
}

u64 file_size(struct file *f)
{
	return f->inode ? f->inode->size : 0;
}

void file_stat(struct file *f, struct k_stat *st)
{
	if (f->inode) {
		inode_stat(f->inode, st);
		return;
	}
	memset(st, 0, sizeof(*st));
	st->mode = f->mode;
	st->nlink = 1;
	/* no two open files have the same number */
	st->ino = (u64)(f->priv ? f->priv : f) >> 4;
	st->dev = KDEV(0, 13);
	st->blksize = UK_PAGE;
}

/* a length that k_snprintf() gave, or -ENAMETOOLONG */
static long fits(long n, size_t len)
{
	return (size_t)n < len ? n : -ENAMETOOLONG;
}

long file_path(struct file *f, char *buf, size_t len)
{
	struct inode *ip = f->inode;
	long n;

	if (!ip)
		return fits(k_snprintf(buf, len, "%s:[%lu]", f->ops->name,
				       (u64)(f->priv ? f->priv : f) >> 4),
			    len);
	if (ip->flags & I_MEMFD)
		return fits(k_snprintf(buf, len, "/memfd:%s (deleted)",
				       (char *)ip->priv), len);
	if (ip->dev == DEV_IN && S_ISREG(ip->mode))
		return fits(k_snprintf(buf, len, "/usetl/in/%lu",
				       (u64)ip->priv), len);
	if (inode_nlink(ip) == 0)
		return fits(k_snprintf(buf, len, "/#%lu (deleted)", ip->ino),
			    len);
	n = inode_path(ip, buf, len);
	if (n == -ENOENT)
		n = fits(k_snprintf(buf, len, "inode:[%lu]", ip->ino), len);
	return n;
}

/* zeros in place of holes; never written */
static const u8 zeros[ETLFS_EXTENT] __attribute__((aligned(UK_PAGE)));

long file_extents(struct file *f, struct uk_extent *ext, size_t max, u64 *size)
{
	struct inode *ip = f->inode;
	const u8 *at;
	u64 pos, n;
	size_t k;

	if (!ip || !S_ISREG(ip->mode) || ip->ops)
		return -EINVAL;
	*size = ip->size;
	for (pos = 0, k = 0; pos < ip->size; pos += n) {
		n = ip->size - pos;
		at = data_at(ip, pos, &n);
		if (!at) {
			at = zeros;
			n = MIN(n, sizeof(zeros));
		}
		if (k && ext[k - 1].addr + ext[k - 1].len == (u64)at) {
			ext[k - 1].len += n;
			continue;
		}
		if (k == max)
			return -E2BIG;
		ext[k].addr = (u64)at;
		ext[k].len = n;
		k++;
	}
	return k;
}
