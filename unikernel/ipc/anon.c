/*
 * anon.c - descriptors for objects that no path names
 */
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

int anon_install(const struct file_ops *ops, void *priv, int mode, int flags)
{
	struct file *f = file_new(ops, flags & ~O_CLOEXEC);

	if (!f) {
		/* close() wants a file to take priv from */
		struct file lost = { .ops = ops, .priv = priv };

		ops->close(&lost);
		return -ENOMEM;
	}
	f->priv = priv;
	f->mode = mode;
	return fd_install(f, 0, (flags & O_CLOEXEC) != 0);
}

int anon_install_pair(struct file *f, struct file *g, int cloexec, int *fds)
{
	int a, b;

	a = fd_install(f, 0, cloexec);
	if (a < 0) {
		file_put(g);
		return a;
	}
	b = fd_install(g, 0, cloexec);
	if (b < 0) {
		fd_close(a);
		return b;
	}
	fds[0] = a;
	fds[1] = b;
	return 0;
}
