/*
 * sysfd.c - descriptors: dup, fcntl, ioctl, record locks
 *
 * Record locks belong to a process, and there is one, so they are always
 * granted.  Those of open files (F_OFD_SETLK) could conflict, but are always
 * granted, too.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/fs/sysfile.h"

long sys_dup(int fd)
{
	struct file *f = fd_get_path(fd);

	return f ? fd_install(file_hold(f), 0, 0) : -EBADF;
}

long sys_dup2(int fd, int to)
{
	struct file *f = fd_get_path(fd);

	if (!f)
		return -EBADF;
	return fd == to ? to : fd_replace(file_hold(f), to, 0);
}

long sys_dup3(int fd, int to, int flags)
{
	struct file *f = fd_get_path(fd);

	if (flags & ~O_CLOEXEC || fd == to)
		return -EINVAL;
	if (!f)
		return -EBADF;
	return fd_replace(file_hold(f), to, flags & O_CLOEXEC);
}

#define SETTABLE (O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME)

/* 0, or what is wrong with the range that is to be locked */
static long record_range(struct file *f, const struct k_flock *l)
{
	s64 start = l->whence == SEEK_CUR ? (s64)f->pos :
		    l->whence == SEEK_END ? (s64)file_size(f) : 0;

	if (__builtin_add_overflow(start, l->start, &start))
		return -EOVERFLOW;
	if (start < 0 || (l->len < 0 && start + l->len < 0))
		return -EINVAL;
	return l->len > 0 && l->len - 1 > INT64_MAX - start ? -EOVERFLOW : 0;
}

static long record_lock(struct file *f, int cmd, struct k_flock *l)
{
	int acc = f->flags & O_ACCMODE;
	int ofd = cmd >= F_OFD_GETLK;
	int get = cmd == F_GETLK || cmd == F_OFD_GETLK;
	long rc;

	if (!user_ok(l, sizeof(*l), get))
		return -EFAULT;
	if (l->whence < SEEK_SET || l->whence > SEEK_END)
		return -EINVAL;
	if (l->type < F_RDLCK || l->type > F_UNLCK || (ofd && l->pid) ||
	    (get && l->type == F_UNLCK && !ofd))
		return -EINVAL;
	rc = record_range(f, l);
	if (rc < 0)
		return rc;
	if (get) {
		l->type = F_UNLCK;
		return 0;
	}
	if ((l->type == F_RDLCK && acc == O_WRONLY) ||
	    (l->type == F_WRLCK && acc == O_RDONLY))
		return -EBADF;
	return 0;
}

static long add_seals(struct file *f, u32 seals)
{
	struct inode *ip = f->inode;

	if (!ip || !(ip->flags & I_MEMFD))
		return -EINVAL;
	if ((f->flags & O_ACCMODE) == O_RDONLY ||
	    ip->data.seals & F_SEAL_SEAL)
		return -EPERM;
	if (seals & ~F_SEAL_ALL)
		return -EINVAL;
	if (seals & F_SEAL_WRITE && ip->data.pins)
		return -EBUSY;
	ip->data.seals |= seals;
	return 0;
}

static long pipe_size(struct file *f, u64 want)
{
	return f->ops->pipe_size ? f->ops->pipe_size(f, want) : -EBADF;
}

static long fcntl_other(struct file *f, int cmd, u64 arg)
{
	switch (cmd) {
	case F_GETLK: case F_SETLK: case F_SETLKW:
	case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW:
		return record_lock(f, cmd, (struct k_flock *)arg);
	case F_SETOWN: case F_GETOWN: case F_SETSIG: case F_GETSIG:
		return 0;
	case F_GETLEASE:
		return F_UNLCK;
	case F_SETPIPE_SZ:
		return pipe_size(f, MAX((u32)arg, 1u));
	case F_GETPIPE_SZ:
		return pipe_size(f, 0);
	case F_ADD_SEALS:
		return add_seals(f, arg);
	case F_GET_SEALS:
		return f->inode && f->inode->flags & I_MEMFD ?
			(long)f->inode->data.seals : -EINVAL;
	}
	return -EINVAL;
}

long sys_fcntl(int fd, int cmd, u64 arg)
{
	struct file *f = fd_get_path(fd);

	if (!f)
		return -EBADF;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if ((int)arg < 0 || arg >= FD_MAX)
			return -EINVAL;
		return fd_install(file_hold(f), arg, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_cloexec(fd);
	case F_SETFD:
		return fd_set_cloexec(fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return (u32)f->flags;
	}
	if (f->flags & O_PATH)
		return -EBADF;
	if (cmd == F_SETFL) {
		f->flags = (f->flags & ~SETTABLE) | (arg & SETTABLE);
		return 0;
	}
	return fcntl_other(f, cmd, arg);
}

static long set_flag(struct file *f, int flag, const int *on)
{
	if (!user_ok(on, sizeof(*on), 0))
		return -EFAULT;
	f->flags = *on ? f->flags | flag : f->flags & ~flag;
	return 0;
}

long sys_ioctl(int fd, u32 cmd, u64 arg)
{
	struct file *f = fd_get(fd);
	long n;

	if (!f)
		return -EBADF;
	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		return fd_set_cloexec(fd, cmd == FIOCLEX);
	case FIONBIO:
		return set_flag(f, O_NONBLOCK, (const int *)arg);
	case FIOASYNC:
		return set_flag(f, O_ASYNC, (const int *)arg);
	}
	if (!f->ops->ioctl)
		return -ENOTTY;
	file_hold(f);
	n = f->ops->ioctl(f, cmd, arg);
	file_put(f);
	return n;
}
