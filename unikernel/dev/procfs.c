/*
 * procfs.c - /proc and /sys: the nodes
 *
 * A text file is composed when it is opened, so that a reader that takes it
 * in pieces sees one moment.  /proc/self is a link to the only process;
 * links under it stand for what is open.  Its nodes are those of /proc/1, as
 * it boots, found by the number that it has.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/dev/devices.h"
#include "unikernel/dev/procfs.h"
#include "unikernel/dev/proctext.h"
#include "unikernel/task/task.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

_Static_assert(UK_PID_BOOT == 1, "SELF is /proc/UK_PID_BOOT");

static long text_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct proctext *t = f->priv;

	if (pos >= t->len)
		return 0;
	len = MIN(len, t->len - pos);
	memcpy(buf, t->buf + pos, len);
	return (long)len;
}

static void text_close(struct file *f)
{
	struct proctext *t = f->priv;

	kfree(t->buf);
	kfree(t);
}

static const struct file_ops text_ops = {
	.name = "text",
	.read = text_read,
	.close = text_close,
	.seekable = 1,
};

static int text_open(struct inode *ip, struct file *f)
{
	void (*write)(struct proctext *t) = node_priv(ip);
	struct proctext *t;
	int rc;

	if ((f->flags & O_ACCMODE) != O_RDONLY)
		return -EACCES;
	t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	write(t);
	rc = t->err;
	if (rc < 0) {
		kfree(t->buf);
		kfree(t);
		return rc;
	}
	f->ops = &text_ops;
	f->priv = t;
	return 0;
}

static const struct node_ops text_nodes = { .open = text_open };

static long exe_readlink(struct inode *ip, char *buf, size_t len)
{
	const char *path = task_program;
	size_t n = strlen(path);

	if (n > len)
		return -ENAMETOOLONG;
	memcpy(buf, path, n);
	return (long)n;
}

static const struct node_ops exe_nodes = { .readlink = exe_readlink };

static long cwd_readlink(struct inode *ip, char *buf, size_t len)
{
	return vfs_cwd(buf, len);
}

static const struct node_ops cwd_nodes = { .readlink = cwd_readlink };

/* /proc/self/fd/N: its private data is N */
static int fd_number(struct inode *ip)
{
	return (int)(long)node_priv(ip);
}

static long fd_readlink(struct inode *ip, char *buf, size_t len)
{
	struct file *f = fd_get_path(fd_number(ip));

	return f ? file_path(f, buf, len) : -ENOENT;
}

static struct file *fd_follow(struct inode *ip)
{
	return fd_get_path(fd_number(ip));
}

static const struct node_ops fd_nodes = {
	.readlink = fd_readlink,
	.follow = fd_follow,
};

static struct inode *fd_lookup(struct inode *dir, const char *name, size_t len)
{
	size_t i;
	int fd = 0;

	if (len == 0 || len > 4 || (len > 1 && name[0] == '0'))
		return NULL;
	for (i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		fd = fd * 10 + (name[i] - '0');
	}
	if (!fd_get_path(fd))
		return NULL;
	return node_new(S_IFLNK | 0700, 0, &fd_nodes, (void *)(long)fd);
}

/* k counts open descriptors; what is closed meanwhile is skipped over */
static int fd_list(struct inode *dir, u64 k, char *name)
{
	int fd = fd_next(0);

	while (fd >= 0 && k-- > 0)
		fd = fd_next(fd + 1);
	if (fd < 0)
		return -ENOENT;
	k_snprintf(name, NAME_MAX + 1, "%d", fd);
	return S_IFLNK;
}

static const struct node_ops fd_dir = {
	.lookup = fd_lookup,
	.list = fd_list,
};

static struct inode *self_dir;		/* SELF */

static long self_readlink(struct inode *ip, char *buf, size_t len)
{
	char pid[12];
	int n = k_snprintf(pid, sizeof(pid), "%d", task_ids.pid);

	memcpy(buf, pid, MIN((size_t)n, len));
	return MIN(n, (long)len);
}

static const struct node_ops self_nodes = { .readlink = self_readlink };

/* the process by its number; while it boots the tree has that itself */
static struct inode *pid_lookup(struct inode *dir, const char *name,
				size_t len)
{
	char pid[12];
	int n = k_snprintf(pid, sizeof(pid), "%d", task_ids.pid);

	return (size_t)n == len && !memcmp(pid, name, len) ?
		inode_get(self_dir) : NULL;
}

static int pid_list(struct inode *dir, u64 k, char *name)
{
	if (k || task_ids.pid == UK_PID_BOOT)
		return -ENOENT;
	k_snprintf(name, NAME_MAX + 1, "%d", task_ids.pid);
	return S_IFDIR;
}

static const struct node_ops pid_nodes = {
	.lookup = pid_lookup,
	.list = pid_list,
};

static void add(const char *path, u32 mode, const struct node_ops *ops,
		const void *priv)
{
	int rc = vfs_add_node(path, mode, 0, ops, (void *)priv);

	if (rc < 0)
		panic("libOS: procfs_init: %s: error %d", path, -rc);
}

static void add_files(const struct procfs_file *t)
{
	for (; t->path; t++)
		add(t->path, S_IFREG | 0444, &text_nodes, t->write);
}

void procfs_init(void)
{
	add(SELF "/exe", S_IFLNK | 0777, &exe_nodes, NULL);
	add(SELF "/cwd", S_IFLNK | 0777, &cwd_nodes, NULL);
	add(SELF "/root", S_IFLNK | 0777, NULL, "/");
	add(SELF "/fd", S_IFDIR | 0500, &fd_dir, NULL);
	self_dir = vfs_find(SELF);
	node_set_ops("/proc", &pid_nodes);
	add("/proc/self", S_IFLNK | 0777, &self_nodes, NULL);
	add("/proc/mounts", S_IFLNK | 0777, NULL, "self/mounts");
	add_files(procself_files);
	add_files(procsys_files);
	add("/sys/devices/system/cpu/cpu0", S_IFDIR | 0755, NULL, NULL);
}
