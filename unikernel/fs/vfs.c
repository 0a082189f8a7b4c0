/*
 * vfs.c - the tree at boot, and nodes that are code
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

struct inode *node_new(u32 mode, u64 rdev, const struct node_ops *ops,
		       void *priv)
{
	/*
	 * A node without ops would be taken for a regular file; this one marks
	 * it as made by code.
	 */
	static const struct node_ops none;
	struct inode *ip = inode_new(mode, DEV_PROC);

	if (!ip)
		return NULL;
	ip->rdev = rdev;
	ip->ops = ops || S_ISDIR(mode) ? ops : &none;
	ip->priv = priv;
	ip->nlink = S_ISDIR(mode) ? 2 : 1;
	if (S_ISLNK(mode) && !(ops && ops->readlink) && priv)
		ip->size = strlen(priv);
	return ip;
}

void *node_priv(struct inode *ip)
{
	return ip->priv;
}

/* their children have the same device, and the program cannot remove these */
static void node_place(struct inode *ip, struct inode *dir)
{
	ip->dev = dir->dev;
	if (dir == root_inode || ip->ops)
		ip->flags |= I_MOUNT;
	if (S_ISDIR(ip->mode) && (dir->flags & I_FIXED || ip->ops))
		ip->flags |= I_FIXED;
}

/*
 * The directory at path, which is made if it does not exist; with a reference.
 */
static int dir_make(const char *path, size_t len, struct inode **out)
{
	struct lookup lk;
	struct inode *ip;
	int rc;

	rc = path_walk(root_inode, path, len, LOOKUP_NEW, &lk);
	if (rc < 0)
		return rc;
	ip = lk.ip ? inode_get(lk.ip) :
		node_new(S_IFDIR | 0755, 0, NULL, NULL);
	rc = ip ? 0 : -ENOMEM;
	if (ip && !lk.ip) {
		node_place(ip, lk.dir);
		rc = dir_add(lk.dir, lk.name, lk.len, ip);
	}
	path_done(&lk);
	if (rc == 0 && !S_ISDIR(ip->mode))
		rc = -ENOTDIR;
	if (rc < 0)
		inode_put(ip);
	else
		*out = ip;
	return rc;
}

/* makes all directories on the way to path's last '/' */
static int parents_make(const char *path)
{
	struct inode *dir;
	const char *p;
	int rc;

	for (p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		rc = dir_make(path, p - path, &dir);
		if (rc < 0)
			return rc;
		inode_put(dir);
	}
	return 0;
}

int vfs_add_node(const char *path, u32 mode, u64 rdev,
		 const struct node_ops *ops, void *priv)
{
	struct inode *ip = NULL;
	struct lookup lk;
	int rc;

	if (path[0] != '/')
		return -EINVAL;
	rc = parents_make(path);
	if (rc < 0)
		return rc;
	rc = path_walk(root_inode, path, strlen(path),
		       LOOKUP_NEW | LOOKUP_PARENT, &lk);
	if (rc < 0)
		return rc;
	if (lk.ip || lk.dots)
		rc = -EEXIST;
	else if (!(ip = node_new(mode, rdev, ops, priv)))
		rc = -ENOMEM;
	if (rc == 0) {
		node_place(ip, lk.dir);
		rc = dir_add(lk.dir, lk.name, lk.len, ip);
	}
	inode_put(ip);
	path_done(&lk);
	return rc;
}

struct inode *vfs_find(const char *path)
{
	struct lookup lk;
	struct inode *ip;

	if (path_walk(root_inode, path, strlen(path), 0, &lk) < 0)
		return NULL;
	ip = lk.ip ? inode_get(lk.ip) : NULL;
	path_done(&lk);
	return ip;
}

void node_set_ops(const char *path, const struct node_ops *ops)
{
	struct inode *ip = vfs_find(path);

	assert(ip && S_ISDIR(ip->mode));
	ip->ops = ops;
	inode_put(ip);
}

/* makes a directory of the tree with its own device and flags */
static void mount(const char *path, u64 dev, u32 mode, u32 flags)
{
	struct inode *ip;

	if (parents_make(path) < 0 ||
	    dir_make(path, strlen(path), &ip) < 0)
		panic("libOS: cannot make %s", path);
	ip->dev = dev;
	ip->flags |= flags | I_MOUNT;
	ip->mode = S_IFDIR | mode;
	inode_put(ip);
}

int vfs_attach(void)
{
	u32 had = imagefs_nodes();
	int rc = imagefs_attach();

	/* for what was taken up before one that is damaged, too */
	inode_attached(had);
	return rc;
}

void vfs_init(void)
{
	if (imagefs_init() < 0)
		panic("image: its index is damaged");
	if (inode_init() < 0)
		panic("image: its root directory is damaged");
	inode_put(vfs_cwd_inode);
	vfs_cwd_inode = inode_get(root_inode);
	mount("/tmp", DEV_ROOT, 01777, 0);
	mount("/dev", DEV_DEV, 0755, 0);
	mount("/proc", DEV_PROC, 0555, I_FIXED);
	mount("/sys", DEV_SYS, 0555, I_FIXED);
	mount("/usetl", DEV_ROOT, 0755, 0);
	if (hostfs_init() < 0)
		panic("libOS: cannot make /usetl/in");
	mount("/usetl/in", DEV_IN, 0555, I_FIXED);
}
