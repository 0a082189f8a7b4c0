/* syssync.c - fsync and its kin, and advice: checked, but without effect */
#include "unikernel/fs/inode.h"
#include "unikernel/fs/sysfile.h"

/* all files are in memory, so there is nothing to write back */
long sys_fsync(int fd)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	return f->inode ? 0 : -EINVAL;
}

long sys_fdatasync(int fd)
{
	return sys_fsync(fd);
}

long sys_sync(void)
{
	return 0;
}

long sys_syncfs(int fd)
{
	return fd_get(fd) ? 0 : -EBADF;
}

long sys_sync_file_range(int fd, s64 off, s64 len, u32 flags)
{
	const u32 known = SYNC_FILE_RANGE_WAIT_BEFORE |
		SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	return off < 0 || len < 0 || flags & ~known ? -EINVAL : sys_fsync(fd);
}

long sys_fadvise64(int fd, s64 off, s64 len, int advice)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (S_ISFIFO(f->mode))
		return -ESPIPE;
	return len < 0 || advice < POSIX_FADV_NORMAL ||
		advice > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

long sys_readahead(int fd, s64 off, size_t len)
{
	struct file *f = fd_get(fd);

	if (!f || (f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	return f->inode && S_ISREG(f->inode->mode) ? 0 : -EINVAL;
}
