/*
 * fd.c - descriptors
 *
 * A table of FD_MAX open files and one bit each for "used" and "closed on
 * exec".  Nothing execs here, but the bit is kept for F_GETFD.
 */
#include "unikernel/lib/kabi.h"
#include "unikernel/fs/vfs.h"

static struct file *table[FD_MAX];
static u64 used[FD_MAX / 64], cloexec_bits[FD_MAX / 64];

struct file *fd_get_path(int fd)
{
	return fd >= 0 && fd < FD_MAX ? table[fd] : NULL;
}

struct file *fd_get(int fd)
{
	struct file *f = fd_get_path(fd);

	return f && !(f->flags & O_PATH) ? f : NULL;
}

static void set_cloexec(int fd, int on)
{
	u64 bit = 1ull << (fd % 64);

	if (on)
		cloexec_bits[fd / 64] |= bit;
	else
		cloexec_bits[fd / 64] &= ~bit;
}

/* the first descriptor from fd on whose bit in used is `set`, or FD_MAX */
static int fd_scan(int fd, int set)
{
	u64 w;

	while (fd < FD_MAX) {
		w = (set ? used[fd / 64] : ~used[fd / 64]) >> (fd % 64);
		if (w)
			return fd + __builtin_ctzll(w);
		fd = (fd / 64 + 1) * 64;
	}
	return FD_MAX;
}

int fd_install(struct file *f, int min, int cloexec)
{
	int fd;

	if (min < 0 || min >= FD_MAX) {
		file_put(f);
		return -EINVAL;
	}
	fd = fd_scan(min, 0);
	if (fd >= FD_MAX) {
		file_put(f);
		return -EMFILE;
	}
	table[fd] = f;
	used[fd / 64] |= 1ull << (fd % 64);
	set_cloexec(fd, cloexec);
	return fd;
}

int fd_close(int fd)
{
	struct file *f = fd_get_path(fd);

	if (!f)
		return -EBADF;
	table[fd] = NULL;
	used[fd / 64] &= ~(1ull << (fd % 64));
	set_cloexec(fd, 0);
	file_put(f);
	return 0;
}

int fd_next(int fd)
{
	fd = fd_scan(MAX(fd, 0), 1);
	return fd < FD_MAX ? fd : -1;
}

int fd_cloexec(int fd)
{
	if (!fd_get_path(fd))
		return -EBADF;
	return cloexec_bits[fd / 64] >> (fd % 64) & 1;
}

int fd_set_cloexec(int fd, int on)
{
	if (!fd_get_path(fd))
		return -EBADF;
	set_cloexec(fd, on);
	return 0;
}

int fd_replace(struct file *f, int fd, int cloexec)
{
	if (fd < 0 || fd >= FD_MAX) {
		file_put(f);
		return -EBADF;
	}
	if (table[fd])
		fd_close(fd);
	return fd_install(f, fd, cloexec);
}
