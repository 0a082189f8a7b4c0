/*
 * sysdir.c - reading directories, the working directory
 */
#include "unikernel/fs/inode.h"
#include "unikernel/fs/sysfile.h"

struct listing {
	u8 *buf;
	size_t len, used;
	int full;
};

static int put_entry(void *arg, const struct dir_entry *e)
{
	struct listing *l = arg;
	struct k_dirent64 *d = (struct k_dirent64 *)(l->buf + l->used);
	size_t need = ROUND_UP(offsetof(struct k_dirent64, name) + e->len + 1,
			       8);

	if (need > l->len - l->used) {
		l->full = 1;
		return 1;
	}
	d->ino = e->ino;
	d->off = e->next;
	d->reclen = need;
	d->type = (e->mode & S_IFMT) >> 12;
	memcpy(d->name, e->name, e->len);
	memset(d->name + e->len, 0,
	       need - offsetof(struct k_dirent64, name) - e->len);
	l->used += need;
	return 0;
}

long sys_getdents64(int fd, void *buf, u32 len)
{
	struct file *f = fd_get(fd);
	struct listing l = { .buf = buf, .len = len };
	int rc;

	if (!f)
		return -EBADF;
	if (!f->inode || !S_ISDIR(f->inode->mode))
		return -ENOTDIR;
	if (!user_ok(buf, len, 1))
		return -EFAULT;
	if (inode_nlink(f->inode) == 0)
		return -ENOENT;
	rc = dir_list(f->inode, &f->pos, put_entry, &l);
	if (rc < 0)
		return rc;
	return l.full && l.used == 0 ? -EINVAL : (long)l.used;
}

long sys_getcwd(char *buf, size_t len)
{
	static char path[PATH_MAX];
	long n;

	n = vfs_cwd(path, sizeof(path) - 1);
	if (n < 0)
		return n;
	if (inode_nlink(vfs_cwd_inode) == 0)
		return -ENOENT;
	if ((size_t)n + 1 > len)
		return -ERANGE;
	if (!user_ok(buf, n + 1, 1))
		return -EFAULT;
	path[n] = 0;
	memcpy(buf, path, n + 1);
	return n + 1;
}

long sys_chdir(const char *path)
{
	struct lookup lk;
	int rc;

	rc = path_lookup(AT_FDCWD, path, 0, &lk);
	if (rc < 0)
		return rc;
	rc = lk.ip ? vfs_chdir(lk.ip) : -ENOTDIR;
	path_done(&lk);
	return rc;
}

long sys_fchdir(int fd)
{
	struct file *f = fd_get_path(fd);

	if (!f)
		return -EBADF;
	return f->inode ? vfs_chdir(f->inode) : -ENOTDIR;
}
