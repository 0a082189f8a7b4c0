/*
 * devfs.c - the devices that every program expects under /dev
 */
#include "unikernel/dev/devices.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

static long null_read(struct file *f, void *buf, size_t len, u64 pos)
{
	return 0;
}

static long null_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	return (long)len;
}

static long zero_read(struct file *f, void *buf, size_t len, u64 pos)
{
	memset(buf, 0, len);
	return (long)len;
}

static long full_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	return -ENOSPC;
}

static void dev_close(struct file *f)
{
}

static const struct file_ops null_ops = {
	.name = "null",
	.read = null_read,
	.write = null_write,
	.close = dev_close,
	.seekable = 1,
};

static const struct file_ops zero_ops = {
	.name = "zero",
	.read = zero_read,
	.write = null_write,
	.close = dev_close,
	.seekable = 1,
};

static const struct file_ops full_ops = {
	.name = "full",
	.read = zero_read,
	.write = full_write,
	.close = dev_close,
	.seekable = 1,
};

/* a device's open needs only its operations, which are its private data */
static int dev_open(struct inode *ip, struct file *f)
{
	f->ops = node_priv(ip);
	return 0;
}

static const struct node_ops dev_nodes = { .open = dev_open };

/* there is no controlling terminal */
static int tty_open(struct inode *ip, struct file *f)
{
	return -ENXIO;
}

static const struct node_ops tty_nodes = { .open = tty_open };

static const struct {
	const char *path;
	u32 minor;
	const struct file_ops *ops;
} devices[] = {
	{ "/dev/null", 3, &null_ops },
	{ "/dev/zero", 5, &zero_ops },
	{ "/dev/full", 7, &full_ops },
	{ "/dev/random", 8, &devrandom_ops },
	{ "/dev/urandom", 9, &devrandom_ops },
};

static const struct {
	const char *path, *target;
} links[] = {
	{ "/dev/fd", "/proc/self/fd" },
	{ "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" },
	{ "/dev/stderr", "/proc/self/fd/2" },
};

static void add(const char *path, u32 mode, u64 rdev,
		const struct node_ops *ops, const void *priv)
{
	int rc = vfs_add_node(path, mode, rdev, ops, (void *)priv);

	if (rc < 0)
		panic("libOS: devfs_init: %s: error %d", path, -rc);
}

void devfs_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(devices); i++)
		add(devices[i].path, S_IFCHR | 0666,
		    KDEV(MEM_MAJOR, devices[i].minor), &dev_nodes,
		    devices[i].ops);
	for (i = 0; i < ARRAY_LEN(links); i++)
		add(links[i].path, S_IFLNK | 0777, 0, NULL, links[i].target);
	add("/dev/tty", S_IFCHR | 0666, KDEV(TTYAUX_MAJOR, 0), &tty_nodes,
	    NULL);
	add("/dev/shm", S_IFDIR | 01777, 0, NULL, NULL);
	console_init();
}
