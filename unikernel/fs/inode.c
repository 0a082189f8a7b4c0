/*
 * inode.c - inodes: made when needed, counted, and freed when unused
 *
 * An image node gets an inode when something first looks it up.  The inode
 * stays, found by node number, until its last name is removed and its last user
 * is done.  Inode numbers in the image are node + 2, so that they are the same
 * in every clone; those of new files count up from 2^32.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

#define CACHE	1024

struct inode *root_inode;
static struct inode *cache[CACHE];
static u64 next_ino = 1ull << 32;

static struct inode *inode_alloc(u32 mode, u64 dev)
{
	struct inode *ip = kzalloc(sizeof(*ip));

	if (!ip)
		return NULL;
	ip->mode = mode;
	ip->dev = dev;
	ip->node = NODE_NONE;
	ip->refs = 1;
	return ip;
}

struct inode *inode_new(u32 mode, u64 dev)
{
	struct inode *ip = inode_alloc(mode, dev);

	if (!ip)
		return NULL;
	ip->ino = next_ino++;
	ip->atime = ip->mtime = ip->ctime = ip->btime = now_real();
	return ip;
}

struct inode *inode_get(struct inode *ip)
{
	ip->refs++;
	return ip;
}

static struct inode **cache_slot(u32 node)
{
	struct inode **p = &cache[node % CACHE];

	while (*p && (*p)->node != node)
		p = &(*p)->hash_next;
	return p;
}

static void inode_free(struct inode *ip)
{
	if (ip->dev == DEV_IN && S_ISREG(ip->mode))
		hostfs_gone(ip);
	if (S_ISREG(ip->mode) && !ip->ops)
		data_free(ip);
	else if (S_ISDIR(ip->mode))
		dir_free(ip->dir);
	else if (S_ISLNK(ip->mode))
		kfree(ip->target);
	if (ip->flags & I_MEMFD)
		kfree(ip->priv);
	kfree(ip);
}

/*
 * A removed directory holds a reference on its parent, so this is a loop, to
 * spare recursion.
 */
void inode_put(struct inode *ip)
{
	struct inode *up;

	for (; ip; ip = up) {
		assert(ip->refs > 0);
		if (--ip->refs)
			return;
		up = ip->was_in;
		inode_free(ip);
	}
}

/* nanoseconds from an image's seconds; the epoch for what does not fit */
static s64 image_time(s64 sec)
{
	return sec > -9000000000ll && sec < 9000000000ll ?
		sec * NSEC_PER_SEC : 0;
}

int inode_of_node(u32 node, struct inode **out)
{
	struct inode **slot = cache_slot(node), *ip = *slot;
	struct etlfs_node nd;
	int rc;

	if (ip) {
		*out = inode_get(ip);
		return 0;
	}
	rc = imagefs_node(node, &nd);
	if (rc < 0)
		return rc;
	ip = inode_alloc(nd.mode & (S_IFMT | 07777), DEV_ROOT);
	if (!ip)
		return -ENOMEM;
	ip->ino = (u64)node + 2;
	ip->node = node;
	ip->nlink = 1;
	ip->atime = ip->mtime = ip->ctime = ip->btime = image_time(nd.mtime);
	if (S_ISDIR(nd.mode)) {
		ip->flags |= I_UNCOUNTED;
	} else {
		ip->size = nd.size;
	}
	if (S_ISREG(nd.mode) && nd.size) {
		ip->data.base = (const u8 *)UK_IMAGE_BASE + nd.off;
		ip->data.base_len = nd.size;
	}
	*slot = ip;			/* for the cache */
	*out = inode_get(ip);
	return 0;
}

int inode_init(void)
{
	memset(cache, 0, sizeof(cache));
	next_ino = 1ull << 32;
	return inode_of_node(0, &root_inode);
}

/* not stored in the image: 2, and one more for each subdirectory */
u32 inode_nlink(struct inode *ip)
{
	struct etlfs_node nd;
	u32 n, i;

	if (!(ip->flags & I_UNCOUNTED))
		return ip->nlink;
	ip->flags &= ~I_UNCOUNTED;
	ip->nlink = 2;
	n = imagefs_slots(ip->node);
	for (i = 0; i < n; i++)
		if (imagefs_node(imagefs_slot(ip->node, i), &nd) == 0 &&
		    S_ISDIR(nd.mode))
			ip->nlink++;
	return ip->nlink;
}

void inode_attached(u32 had)
{
	struct inode *ip;
	u32 i;

	for (i = 0; i < CACHE; i++)
		for (ip = cache[i]; ip; ip = ip->hash_next)
			if (S_ISDIR(ip->mode))
				dir_attached(ip, had);
}

void inode_link(struct inode *ip)
{
	ip->nlink = S_ISDIR(ip->mode) ? 2 : ip->nlink + 1;
	ip->flags &= ~I_LINKABLE;
	ip->ctime = now_real();
}

void inode_unlink(struct inode *ip, struct inode *dir)
{
	struct inode **slot;

	ip->ctime = now_real();
	ip->flags &= ~I_UNCOUNTED;
	ip->nlink = S_ISDIR(ip->mode) ? 0 : ip->nlink - 1;
	if (S_ISDIR(ip->mode))
		ip->was_in = inode_get(dir);
	if (ip->nlink || ip->node == NODE_NONE)
		return;
	slot = cache_slot(ip->node);
	assert(*slot == ip);
	*slot = ip->hash_next;
	inode_put(ip);
}

/* the name given last, with its length in *len, or NULL when it has none */
static const char *inode_name(struct inode *ip, size_t *len)
{
	if (ip->dent)
		return dent_name(ip->dent, len);
	if (ip->node != NODE_NONE && ip->nlink)
		return imagefs_name(ip->node, len);
	return NULL;
}

struct inode *inode_parent(struct inode *ip)
{
	struct etlfs_node nd;
	struct inode *parent;

	if (ip == root_inode)
		return ip;
	if (ip->dent)
		return dent_dir(ip->dent);
	if (ip->was_in)
		return ip->was_in;
	if (ip->node == NODE_NONE || ip->nlink == 0 ||
	    imagefs_node(ip->node, &nd) < 0 ||
	    inode_of_node(nd.parent, &parent) < 0)
		return NULL;
	inode_put(parent);		/* the cache holds another reference */
	return parent;
}

long inode_path(struct inode *ip, char *buf, size_t len)
{
	size_t at = len, n = 0;
	const char *name;

	if (ip == root_inode && len) {
		buf[0] = '/';
		return 1;
	}
	while (ip != root_inode) {
		name = inode_name(ip, &n);
		ip = inode_parent(ip);
		if (!name || !ip)
			return -ENOENT;
		if (at < n + 1)
			return -ENAMETOOLONG;
		at -= n + 1;
		buf[at] = '/';
		memcpy(buf + at + 1, name, n);
	}
	memmove(buf, buf + at, len - at);
	return len - at;
}

long inode_readlink(struct inode *ip, char *buf, size_t len)
{
	const char *text;
	size_t n;

	if (ip->ops && ip->ops->readlink)
		return ip->ops->readlink(ip, buf, len);
	if (ip->ops && ip->priv) {
		text = ip->priv;
		n = strlen(text);
	} else if (ip->target) {
		text = ip->target;
		n = ip->size;
	} else {
		text = imagefs_target(ip->node, &n);
		if (!text)
			return -EIO;
	}
	n = MIN(n, len);
	memcpy(buf, text, n);
	return n;
}

u64 inode_blocks(struct inode *ip)
{
	struct data *d = &ip->data;
	u64 n, i, blocks;

	if (!S_ISREG(ip->mode) || ip->ops)
		return 0;
	blocks = (u64)d->used * (ETLFS_EXTENT / 512);
	n = ROUND_UP(d->base_len, ETLFS_EXTENT) / ETLFS_EXTENT;
	if (!d->used)
		return blocks + ROUND_UP(d->base_len, 512) / 512;
	for (i = 0; i < n; i++)
		if (!data_ext(ip, i))
			blocks += ROUND_UP(MIN(ETLFS_EXTENT, d->base_len -
					       i * ETLFS_EXTENT), 512) / 512;
	return blocks;
}

void ns_to_timespec(s64 ns, struct k_timespec *ts)
{
	ts->sec = ns / NSEC_PER_SEC;
	ts->nsec = ns % NSEC_PER_SEC;
	if (ts->nsec < 0) {
		ts->nsec += NSEC_PER_SEC;
		ts->sec--;
	}
}

void inode_stat(struct inode *ip, struct k_stat *st)
{
	memset(st, 0, sizeof(*st));
	st->dev = ip->dev;
	st->ino = ip->ino;
	st->nlink = inode_nlink(ip);
	st->mode = ip->mode;
	st->uid = ip->uid;
	st->gid = ip->gid;
	st->rdev = ip->rdev;
	st->size = S_ISDIR(ip->mode) ? UK_PAGE : ip->size;
	if (ip->ops && ip->ops->size)
		st->size = ip->ops->size(ip);
	st->blksize = UK_PAGE;
	st->blocks = inode_blocks(ip);
	ns_to_timespec(ip->atime, &st->atim);
	ns_to_timespec(ip->mtime, &st->mtim);
	ns_to_timespec(ip->ctime, &st->ctim);
}

void inode_touch(struct inode *ip)
{
	ip->mtime = ip->ctime = now_real();
}

int inode_chmod(struct inode *ip, u32 mode)
{
	if (S_ISLNK(ip->mode))
		return -EOPNOTSUPP;
	ip->mode = (ip->mode & S_IFMT) | (mode & 07777);
	ip->ctime = now_real();
	return 0;
}

int inode_chown(struct inode *ip, u32 uid, u32 gid)
{
	if (uid != ~0u)
		ip->uid = uid;
	if (gid != ~0u)
		ip->gid = gid;
	/* Linux clears these bits for root, too */
	if (!S_ISDIR(ip->mode) && !S_ISLNK(ip->mode)) {
		ip->mode &= ~04000u;
		if (ip->mode & 010)
			ip->mode &= ~02000u;
	}
	ip->ctime = now_real();
	return 0;
}
