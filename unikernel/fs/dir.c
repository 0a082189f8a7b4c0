/*
 * dir.c - the names in a directory
 *
 * An image directory's names lie in the image.  What the program makes, renames
 * or removes is a dent in a hash table over them: a dent with an inode is a
 * name, one without hides the image's name.  A dent keeps its slot for as long
 * as it lives, so that a reader of the directory sees every name that is not
 * removed exactly once, whatever is made or removed meanwhile.
 *
 * Positions for getdents: 0 ".", 1 "..", then the image's slots (inode.h), then
 * those of dents, then the children of node_ops.list.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

struct dent {
	struct inode *dir;
	/* counted; NULL: hides the image's name */
	struct inode *ip;
	struct dent *next;		/* in the bucket */
	u32 hash;
	u32 slot;
	u8 over;			/* the image has this name too */
	u8 len;
	char name[];
};

struct dir {
	struct dent **bucket;
	u32 mask;			/* buckets - 1 */
	u32 count;			/* dents */
	u32 live;			/* dents with an inode */
	u32 over;			/* dents over an image name */
	u32 top, room;			/* slots handed out; allocated */
	u32 free;			/* first free slot + 1, or 0 */
	union {
		struct dent *de;
		u64 next_free;		/* odd: (next + 1) << 1 | 1 */
	} *slot;
};

struct inode *dent_dir(const struct dent *de)
{
	return de->dir;
}

const char *dent_name(const struct dent *de, size_t *len)
{
	*len = de->len;
	return de->name;
}

static u32 name_hash(const char *name, size_t len)
{
	u32 h = 2166136261u;

	while (len--)
		h = (h ^ (u8)*name++) * 16777619u;
	return h ^ h >> 15;
}

static struct dent **dent_find(struct dir *d, const char *name, size_t len)
{
	u32 h = name_hash(name, len);
	struct dent **p;

	for (p = &d->bucket[h & d->mask]; *p; p = &(*p)->next)
		if ((*p)->hash == h && (*p)->len == len &&
		    memcmp((*p)->name, name, len) == 0)
			break;
	return p;
}

int dir_find(struct inode *dir, const char *name, size_t len,
	     struct inode **out)
{
	struct dent *de;
	u32 node;

	if (dir->dir) {
		de = *dent_find(dir->dir, name, len);
		if (de && !de->ip)
			return -ENOENT;
		if (de) {
			*out = inode_get(de->ip);
			return 0;
		}
	}
	if (dir->node != NODE_NONE) {
		node = imagefs_find(dir->node, name, len);
		if (node != NODE_NONE)
			return inode_of_node(node, out);
	}
	if (dir->ops && dir->ops->lookup) {
		*out = dir->ops->lookup(dir, name, len);
		return *out ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static int dir_grow_hash(struct dir *d)
{
	u32 n = d->bucket ? (d->mask + 1) * 2 : 8, i;
	struct dent **bucket = kzalloc(n * sizeof(*bucket)), *de, *next;

	if (!bucket)
		return -ENOMEM;
	for (i = 0; d->bucket && i <= d->mask; i++) {
		for (de = d->bucket[i]; de; de = next) {
			next = de->next;
			de->next = bucket[de->hash & (n - 1)];
			bucket[de->hash & (n - 1)] = de;
		}
	}
	kfree(d->bucket);
	d->bucket = bucket;
	d->mask = n - 1;
	return 0;
}

static int slot_take(struct dir *d, struct dent *de)
{
	u32 room;
	void *p;

	if (d->free) {
		de->slot = d->free - 1;
		d->free = d->slot[de->slot].next_free >> 1;
	} else {
		if (d->top == d->room) {
			room = d->room ? d->room * 2 : 8;
			p = krealloc(d->slot, room * sizeof(*d->slot));
			if (!p)
				return -ENOMEM;
			d->slot = p;
			d->room = room;
		}
		de->slot = d->top++;
	}
	d->slot[de->slot].de = de;
	return 0;
}

static int dir_ready(struct inode *dir)
{
	struct dir *d = dir->dir;

	if (!d) {
		d = kzalloc(sizeof(*d));
		if (!d)
			return -ENOMEM;
		if (dir_grow_hash(d) < 0) {
			kfree(d);
			return -ENOMEM;
		}
		dir->dir = d;
	}
	if (d->count > d->mask && dir_grow_hash(d) < 0)
		return -ENOMEM;
	return 0;
}

/* makes a dent for a name that has none; ip NULL: it hides the image's name */
static struct dent *dent_new(struct inode *dir, const char *name, size_t len)
{
	struct dent *de, **p;
	struct dir *d;

	if (dir_ready(dir) < 0)
		return NULL;
	d = dir->dir;
	de = kzalloc(sizeof(*de) + len);
	if (!de)
		return NULL;
	de->dir = dir;
	de->len = len;
	memcpy(de->name, name, len);
	de->hash = name_hash(name, len);
	if (slot_take(d, de) < 0) {
		kfree(de);
		return NULL;
	}
	de->over = dir->node != NODE_NONE &&
		imagefs_find(dir->node, name, len) != NODE_NONE;
	p = &d->bucket[de->hash & d->mask];
	de->next = *p;
	*p = de;
	d->count++;
	d->over += de->over;
	return de;
}

static void dent_set(struct dent *de, struct inode *ip)
{
	struct inode *dir = de->dir;

	de->ip = inode_get(ip);
	ip->dent = de;
	dir->dir->live++;
	if (S_ISDIR(ip->mode)) {
		inode_nlink(dir);
		dir->nlink++;
	}
	inode_touch(dir);
}

int dir_add(struct inode *dir, const char *name, size_t len, struct inode *ip)
{
	struct dent *de = dir->dir ? *dent_find(dir->dir, name, len) : NULL;

	if (S_ISDIR(ip->mode))
		inode_nlink(dir);
	if (!de)
		de = dent_new(dir, name, len);
	if (!de)
		return -ENOMEM;
	assert(!de->ip);
	dent_set(de, ip);
	return 0;
}

static void dent_free(struct dir *d, struct dent **p)
{
	struct dent *de = *p;

	*p = de->next;
	d->slot[de->slot].next_free = (u64)d->free << 1 | 1;
	d->free = de->slot + 1;
	d->count--;
	kfree(de);
}

/* takes the inode out of a dent */
static void dent_clear(struct dent *de)
{
	struct inode *ip = de->ip;

	if (ip->dent == de)
		ip->dent = NULL;
	if (S_ISDIR(ip->mode))
		de->dir->nlink--;
	de->dir->dir->live--;
	de->ip = NULL;
	inode_touch(de->dir);
	inode_put(ip);
}

int dir_remove(struct inode *dir, const char *name, size_t len)
{
	struct etlfs_node nd;
	struct dent **p;
	u32 node;

	inode_nlink(dir);
	p = dir->dir ? dent_find(dir->dir, name, len) : NULL;
	if (p && *p) {
		if (!(*p)->ip)
			return -ENOENT;
		dent_clear(*p);
		if (!(*p)->over)
			dent_free(dir->dir, p);
		return 0;
	}
	node = dir->node == NODE_NONE ? NODE_NONE :
		imagefs_find(dir->node, name, len);
	if (node == NODE_NONE)
		return -ENOENT;
	if (!dent_new(dir, name, len))
		return -ENOMEM;
	if (imagefs_node(node, &nd) == 0 && S_ISDIR(nd.mode))
		dir->nlink--;
	inode_touch(dir);
	return 0;
}

/* subdirectories by all names, and the two links that each directory has */
static u32 count_links(struct inode *dir)
{
	struct dir *d = dir->dir;
	struct etlfs_node nd;
	u32 n = imagefs_slots(dir->node), links = 2, i;
	const char *name;
	size_t len;

	for (i = 0; i < n; i++) {
		u32 node = imagefs_slot(dir->node, i);

		if (imagefs_node(node, &nd) < 0 || !S_ISDIR(nd.mode))
			continue;
		name = imagefs_name(node, &len);
		links += !d || !name || !*dent_find(d, name, len);
	}
	for (i = 0; d && i < d->top; i++)
		links += !(d->slot[i].next_free & 1) && d->slot[i].de->ip &&
			S_ISDIR(d->slot[i].de->ip->mode);
	return links;
}

/*
 * A file's name that the program removed from a lower layer does not hide what
 * came in an upper one, whose nodes begin with `had`.
 */
void dir_attached(struct inode *dir, u32 had)
{
	struct dir *d = dir->dir;
	struct dent **p, *de;
	u32 node, i;

	for (i = 0; d && i <= d->mask; i++) {
		for (p = &d->bucket[i]; (de = *p); ) {
			node = imagefs_find(dir->node, de->name, de->len);
			d->over -= de->over;
			de->over = node != NODE_NONE;
			d->over += de->over;
			if (!de->ip && de->over && node >= had) {
				d->over--;
				dent_free(d, p);
			} else {
				p = &de->next;
			}
		}
	}
	if (!(dir->flags & I_UNCOUNTED))
		dir->nlink = count_links(dir);
}

int dir_empty(struct inode *dir)
{
	struct dir *d = dir->dir;
	u32 n = 0;

	if (dir->ops && dir->ops->list)
		return 0;
	if (dir->node != NODE_NONE)
		n = imagefs_count(dir->node);
	return d ? d->live == 0 && d->over == n : n == 0;
}

void dir_free(struct dir *d)
{
	u32 i;

	if (!d)
		return;
	/* a directory is empty when it is freed: its dents only hide names */
	for (i = 0; i <= d->mask; i++)
		while (d->bucket[i])
			dent_free(d, &d->bucket[i]);
	kfree(d->bucket);
	kfree(d->slot);
	kfree(d);
}

/* "." and ".." */
static void list_dots(struct inode *dir, u64 pos, struct dir_entry *e)
{
	struct inode *up = pos ? inode_parent(dir) : dir;

	e->name = "..";
	e->len = pos + 1;
	e->ino = up ? up->ino : dir->ino;
	e->mode = S_IFDIR;
}

/* a child in the image, unless a dent has that name */
static int list_image(struct inode *dir, u32 node, struct dir_entry *e)
{
	struct etlfs_node nd;

	e->name = imagefs_name(node, &e->len);
	if (!e->name || imagefs_node(node, &nd) < 0)
		return 0;
	if (dir->dir && dir->dir->over &&
	    *dent_find(dir->dir, e->name, e->len))
		return 0;
	e->ino = (u64)node + 2;
	e->mode = nd.mode;
	return 1;
}

static int list_slot(struct dir *d, u32 i, struct dir_entry *e)
{
	struct dent *de = d->slot[i].de;

	if ((d->slot[i].next_free & 1) || !de->ip)
		return 0;
	e->name = de->name;
	e->len = de->len;
	e->ino = de->ip->ino;
	e->mode = de->ip->mode;
	return 1;
}

/*
 * Children of node_ops.list have no inodes yet, so their numbers are made up.
 */
static int list_code(struct inode *dir, u64 k, char *name,
		     struct dir_entry *e)
{
	int mode = dir->ops->list(dir, k, name);

	if (mode < 0)
		return mode;
	e->name = name;
	e->len = strlen(name);
	e->ino = (dir->ino << 20) + k + 1;
	e->mode = mode;
	return 1;
}

#define SLOTS_AT	(1ull << 34)	/* position of slot 0 */
#define CODE_AT		(1ull << 36)	/* position of node_ops.list's first */

int dir_list(struct inode *dir, u64 *pos,
	     int (*emit)(void *arg, const struct dir_entry *e), void *arg)
{
	static char name[NAME_MAX + 1];
	struct dir_entry e;
	u32 n = 0;
	int yes;

	if (dir->node != NODE_NONE)
		n = imagefs_slots(dir->node);
	for (;; *pos = e.next) {
		e.next = *pos + 1;
		if (*pos < 2) {
			list_dots(dir, *pos, &e);
			yes = 1;
		} else if (*pos < SLOTS_AT) {
			if (*pos - 2 >= n) {
				e.next = SLOTS_AT;
				continue;
			}
			yes = list_image(dir, imagefs_slot(dir->node, *pos - 2),
					 &e);
		} else if (*pos < CODE_AT) {
			if (!dir->dir || *pos - SLOTS_AT >= dir->dir->top) {
				e.next = CODE_AT;
				continue;
			}
			yes = list_slot(dir->dir, *pos - SLOTS_AT, &e);
		} else {
			if (!dir->ops || !dir->ops->list)
				return 0;
			yes = list_code(dir, *pos - CODE_AT, name, &e);
			if (yes < 0)
				return 0;
		}
		if (yes && emit(arg, &e))
			return 0;
	}
}
