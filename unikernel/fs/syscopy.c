/* syscopy.c - copying between files inside the libOS, and memfd_create */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"
#include "unikernel/fs/sysfile.h"

#define CHUNK	65536

/* the offset that the program passed, or the file's position */
static long offset_get(struct file *f, const s64 *off, u64 *pos)
{
	if (!off) {
		*pos = f->pos;
		return 0;
	}
	if (!user_ok(off, sizeof(*off), 1))
		return -EFAULT;
	if (*off < 0)
		return -EINVAL;
	*pos = *off;
	return 0;
}

static void offset_set(struct file *f, s64 *off, u64 pos)
{
	if (off)
		*off = pos;
	else
		f->pos = pos;
}

static int is_plain(struct file *f)
{
	return f->inode && S_ISREG(f->inode->mode) && !f->inode->ops;
}

/* between two regular files, without a buffer */
static long copy_plain(struct inode *from, u64 pos, struct inode *to, u64 at,
		       size_t len)
{
	static const u8 zeros[UK_PAGE];
	size_t done = 0;
	const u8 *p;
	long k = 0;
	u64 n;

	if (pos >= from->size)
		return 0;
	for (len = MIN(len, from->size - pos); done < len; done += k) {
		n = len - done;
		p = data_at(from, pos + done, &n);
		if (!p) {
			p = zeros;
			n = MIN(n, sizeof(zeros));
		}
		k = data_write(to, p, n, at + done);
		if (k <= 0)
			break;
	}
	return done ? (long)done : k;
}

static long check_copy(struct file *fi, struct file *fo, u32 flags)
{
	if (flags)
		return -EINVAL;
	if (!fi || !fo)
		return -EBADF;
	if ((fi->inode && S_ISDIR(fi->inode->mode)) ||
	    (fo->inode && S_ISDIR(fo->inode->mode)))
		return -EISDIR;
	if (!is_plain(fi) || !is_plain(fo))
		return -EINVAL;
	return (fi->flags & O_ACCMODE) == O_WRONLY ||
		(fo->flags & O_ACCMODE) == O_RDONLY || fo->flags & O_APPEND ?
		-EBADF : 0;
}

long sys_copy_file_range(int in, s64 *in_off, int out, s64 *out_off,
			 size_t len, u32 flags)
{
	struct file *fi = fd_get(in), *fo = fd_get(out);
	u64 pos, at;
	long n;

	n = check_copy(fi, fo, flags);
	if (n == 0)
		n = offset_get(fi, in_off, &pos);
	if (n == 0)
		n = offset_get(fo, out_off, &at);
	if (n < 0)
		return n;
	len = MIN(len, 0x7ffff000ul);
	len = pos < fi->inode->size ? MIN(len, fi->inode->size - pos) : 0;
	if (fi->inode == fo->inode && pos < at + len && at < pos + len)
		return -EINVAL;
	n = copy_plain(fi->inode, pos, fo->inode, at, len);
	if (n > 0) {
		offset_set(fi, in_off, pos + n);
		offset_set(fo, out_off, at + n);
	}
	return n;
}

/* through a buffer, as reading or writing may sleep */
static long copy_buffered(struct file *fi, u64 pos, struct file *fo,
			  size_t len)
{
	u8 *buf = kmalloc(CHUNK);
	size_t done = 0;
	long n = 0, k;

	if (!buf)
		return -ENOMEM;
	while (done < len) {
		n = file_pread(fi, buf, MIN(len - done, CHUNK), pos + done);
		if (n <= 0)
			break;
		k = file_write(fo, buf, n, &fo->pos);
		if (k < 0)
			n = k;
		if (k <= 0)
			break;
		done += k;
		if (k < n)
			break;
	}
	kfree(buf);
	return done ? (long)done : n;
}

long sys_sendfile(int out, int in, s64 *off, size_t len)
{
	struct file *fi = fd_get(in), *fo = fd_get(out);
	u64 pos;
	long n;

	if (!fi || !fo || (fi->flags & O_ACCMODE) == O_WRONLY ||
	    (fo->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!fi->ops->seekable || !fi->ops->read || fi->ops == &dir_ops ||
	    !fo->ops->write || fo->flags & O_APPEND)
		return -EINVAL;
	n = offset_get(fi, off, &pos);
	if (n < 0)
		return n;
	file_hold(fi);
	file_hold(fo);
	len = MIN(len, 0x7ffff000ul);
	if (is_plain(fi) && is_plain(fo) && fi->inode != fo->inode) {
		n = copy_plain(fi->inode, pos, fo->inode, fo->pos, len);
		if (n > 0)
			fo->pos += n;
	} else {
		n = copy_buffered(fi, pos, fo, len);
	}
	if (n > 0)
		offset_set(fi, off, pos + n);
	file_put(fi);
	file_put(fo);
	return n;
}

long sys_memfd_create(const char *name, u32 flags)
{
	struct inode *ip;
	struct file *f;
	char *copy;
	long n;
	int rc;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL |
		      MFD_EXEC))
		return -EINVAL;
	n = user_strlen(name, 249);
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	ip = inode_new(S_IFREG | 0777, KDEV(0, 1));
	copy = kmalloc(n + 1);
	if (!ip || !copy) {
		kfree(copy);
		inode_put(ip);
		return -ENOMEM;
	}
	memcpy(copy, name, n);
	copy[n] = 0;
	ip->priv = copy;
	ip->flags |= I_MEMFD;
	if (!(flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)))
		ip->data.seals = F_SEAL_SEAL;
	if (flags & MFD_NOEXEC_SEAL)
		ip->mode &= ~0111u;
	rc = file_of_inode(ip, O_RDWR, &f);
	inode_put(ip);
	if (rc < 0)
		return rc;
	return fd_install(f, 0, flags & MFD_CLOEXEC);
}
