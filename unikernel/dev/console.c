/*
 * console.c - descriptors 0, 1 and 2
 *
 * Input is always at its end.  Output of both kinds goes to the invocation's
 * log.  None is a terminal: the C library and Python ask by TCGETS and see
 * ENOTTY.
 */
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

static long console_read(struct file *f, void *buf, size_t len, u64 pos)
{
	return 0;
}

static long console_write(struct file *f, const void *buf, size_t len,
			  u64 pos)
{
	log_write(buf, len);
	return (long)len;
}

static int console_poll_in(struct file *f)
{
	return POLLIN | POLLHUP;
}

static int console_poll_out(struct file *f)
{
	return POLLOUT;
}

static long console_ioctl(struct file *f, unsigned cmd, u64 arg)
{
	if (cmd != FIONREAD)
		return -ENOTTY;
	if (!user_ok((void *)arg, sizeof(int), 1))
		return -EFAULT;
	*(int *)arg = 0;
	return 0;
}

static void console_close(struct file *f)
{
}

static const struct file_ops in_ops = {
	.name = "pipe",
	.read = console_read,
	.poll = console_poll_in,
	.ioctl = console_ioctl,
	.close = console_close,
};

static const struct file_ops out_ops = {
	.name = "pipe",
	.write = console_write,
	.poll = console_poll_out,
	.ioctl = console_ioctl,
	.close = console_close,
};

/* to a program they are pipes, which is what a caller of a tool gives it */
void console_init(void)
{
	for (int fd = 0; fd < 3; fd++) {
		struct file *f = file_new(fd == 0 ? &in_ops : &out_ops,
					  fd == 0 ? O_RDONLY : O_WRONLY);

		if (!f)
			panic("libOS: console_init: no memory");
		f->mode = S_IFIFO | 0600;
		if (fd_install(f, 0, 0) != fd)
			panic("libOS: console_init: descriptor %d is taken",
			      fd);
	}
}
