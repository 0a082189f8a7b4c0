/*
 * inode.h - what the files of the tree are made of; private to the vfs
 *
 *   imagefs.c  the layers' indices: nodes, found by binary search, never built
 *   inode.c    inodes: made when something needs one, counted
 *   dir.c      names: an image directory's own, under made and removed ones
 *   path.c     from a path to an inode
 *   extent.c   extents of the USF region
 *   data.c     the bytes of a file, over extents and a read-only base
 *   map/map.c  bytes in place, for mmap
 *   hostfs.c   /usetl/in
 *
 * References.  inode.refs counts open files, the working directory, names
 * (dents), mappings, and for an image node's inode the cache that finds it
 * by node until its last name goes.  Functions that return an inode give the
 * caller a reference unless they say "borrowed"; borrowed ones are good
 * until something is removed.  The libOS is not pre-empted, so no locks, and
 * the program's strings do not change while a call looks at them.
 */
#ifndef UNIKERNEL_INODE_H
#define UNIKERNEL_INODE_H

#include "etlfs/format.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/fs/vfs.h"

#define NODE_NONE	(~0u)
#define FILE_MAX_SIZE	(1ull << 44)	/* bytes; EFBIG past it */

/* st_dev */
#define DEV_ROOT	KDEV(0, 20)
#define DEV_DEV		KDEV(0, 21)
#define DEV_PROC	KDEV(0, 22)
#define DEV_SYS		KDEV(0, 23)
#define DEV_IN		KDEV(0, 24)	/* /usetl/in */

/* inode.flags */
#define I_UNCOUNTED	1		/* image directory: nlink not known */
#define I_FIXED		2		/* directory: nothing is made here */
#define I_MOUNT		4		/* not removed, not renamed: EBUSY */
#define I_LINKABLE	8		/* O_TMPFILE: linkat may name it */
#define I_MEMFD		16		/* seals are possible */

/*
 * A file's bytes.  Extent i of the file is leaf[i / LEAF][i % LEAF], a
 * number of extent.c (0: none), and then wins; else what base has there; else
 * zeros.  Invariant: bytes of an extent past the file's size are
 * zero unless a mapping wrote them, and base_len <= size.
 */
#define DATA_LEAF	256
struct data {
	const u8 *base;			/* image or host memory, or NULL */
	u64 base_len;
	u32 **leaf;
	u32 leaves;			/* room in leaf */
	u32 used;			/* extents held */
	u32 pins;			/* mappings: extents must stay */
	u32 seals;
};

struct dir;
struct dent;

struct inode {
	u64 ino;
	u32 mode, nlink;
	u32 uid, gid;
	u32 flags, refs;
	u64 dev, rdev;
	u64 size;			/* file: bytes; link: bytes of target */
	s64 atime, mtime, ctime, btime;	/* ns since the epoch */
	u32 node;			/* in the image, or NODE_NONE */
	struct inode *hash_next;	/* cache by node */
	struct dent *dent;		/* last name given; NULL: the image's */
	struct inode *was_in;	/* ".." of a removed directory, counted */
	const struct node_ops *ops;	/* nodes that are code */
	void *priv;
	union {
		struct data data;	/* S_IFREG */
		struct dir *dir;	/* S_IFDIR: NULL: as in the image */
		char *target;		/* S_IFLNK: kmalloc'd; NULL: image */
	};
};

/*
 * imagefs.c: the union of the layers.  A directory has one number, that of the
 * lowest layer with it (etlfs/format.h), and slots: one for each name that a
 * layer has in it, lower layers first, so a slot stays what it is as layers
 * come.  Of the slots with one name the lowest layer's counts, and stands for
 * what the uppermost has.
 */
int imagefs_init(void);
int imagefs_attach(void);	/* what is new in uk_ctl: 0 or -EINVAL */
/*
 * Copied out, checked: 0 or -EIO.  parent is the directory's one number, and
 * off of a file from UK_IMAGE_BASE on.
 */
int imagefs_node(u32 n, struct etlfs_node *out);
u32 imagefs_find(u32 dir, const char *name, size_t len); /* or NODE_NONE */
const char *imagefs_name(u32 n, size_t *len);	/* NULL: damaged */
const char *imagefs_target(u32 n, size_t *len);
u32 imagefs_slots(u32 dir);			/* how many */
u32 imagefs_slot(u32 dir, u32 i);		/* node, or NODE_NONE */
u32 imagefs_count(u32 dir);			/* names */
u32 imagefs_nodes(void);			/* of all layers */
int imagefs_uppermost(u32 n);			/* is it of the last one? */

/* inode.c */
extern struct inode *root_inode;
int inode_init(void);
/* layers came, with nodes from `had` on: what was counted is counted anew */
void inode_attached(u32 had);
struct inode *inode_new(u32 mode, u64 dev);	/* nlink 0 */
void inode_put(struct inode *ip);		/* NULL is fine */
int inode_of_node(u32 node, struct inode **out);
u32 inode_nlink(struct inode *ip);
void inode_link(struct inode *ip);		/* one name more */
void inode_unlink(struct inode *ip, struct inode *dir);	/* one less in dir */
struct inode *inode_parent(struct inode *dir);	/* borrowed; or NULL */
void inode_stat(struct inode *ip, struct k_stat *st);
void ns_to_timespec(s64 ns, struct k_timespec *ts);
u64 inode_blocks(struct inode *ip);
long inode_path(struct inode *ip, char *buf, size_t len);
long inode_readlink(struct inode *ip, char *buf, size_t len);
void inode_touch(struct inode *ip);		/* mtime and ctime */
int inode_chmod(struct inode *ip, u32 mode);
int inode_chown(struct inode *ip, u32 uid, u32 gid);

/* In dir.c; names have 1 to 255 bytes and are not "." or "..". */
int dir_find(struct inode *dir, const char *name, size_t len,
	     struct inode **out);		/* 0 or -ENOENT ... */
int dir_add(struct inode *dir, const char *name, size_t len,
	    struct inode *ip);			/* the name is free */
int dir_remove(struct inode *dir, const char *name, size_t len);
int dir_empty(struct inode *dir);		/* 1, 0 */
void dir_free(struct dir *d);
void dir_attached(struct inode *dir, u32 had);	/* see inode_attached() */
/* Calls emit for the entries from *pos on until it says stop; advances *pos. */
struct dir_entry {
	const char *name;
	size_t len;
	/* next: the position after it */
	u64 ino, next;
	u32 mode;
};
int dir_list(struct inode *dir, u64 *pos,
	     int (*emit)(void *arg, const struct dir_entry *e), void *arg);
struct inode *dent_dir(const struct dent *de);
const char *dent_name(const struct dent *de, size_t *len);

/* path.c */
struct lookup {
	struct inode *dir;	/* directory of the last name; NULL: no name */
	const char *name;	/* the last name, inside the path's text */
	size_t len;
	struct inode *ip;	/* NULL: nothing has that name (yet) */
	/* borrowed: an open file that has no inode; ip is NULL */
	struct file *file;
	/* name is 1 ".", 2 "..", 3 the root or the start itself */
	int dots;
	int slash;		/* a '/' follows the name */
	char *text;		/* kmalloc'd link text that name lies in */
};
#define LOOKUP_NOFOLLOW	1	/* the last name may be a link */
#define LOOKUP_EMPTY	2	/* "" is dirfd itself */
#define LOOKUP_NEW	4	/* the last name alone may be missing */
/* the name itself: no link is followed, and the caller judges `slash` */
#define LOOKUP_PARENT	8
#define LOOKUP_FILE	16	/* a '/' after the last name is EISDIR */
int path_walk(struct inode *start, const char *path, size_t len, int flags,
	      struct lookup *lk);
int path_lookup(int dirfd, const char *path, int flags, struct lookup *lk);
void path_done(struct lookup *lk);
extern struct inode *vfs_cwd_inode;
int vfs_chdir(struct inode *dir);

/* extent.c: extents of ETLFS_EXTENT bytes, numbered from 1 */
/*
 * Up to want consecutive extents, beginning right after `after` if that is
 * free; *got is how many.  Those numbered >= *fresh are zero, the others hold
 * old bytes.  0: ENOSPC.
 */
u32 extent_alloc(u32 after, u32 want, u32 *got, u32 *fresh);
/* exactly want consecutive extents, or 0 */
u32 extent_alloc_run(u32 want, u32 *fresh);
/* and there is one left to take */
int extent_is_free(u32 ext);
/* exactly this extent: 0 or -ENOSPC */
int extent_claim(u32 ext, u32 *fresh);
void extent_free(u32 ext);
u8 *extent_addr(u32 ext);
/* by the files limit; it may be less than what is used */
u32 extent_total(void);
u32 extent_used(void);
u32 extent_left(void);

/* data.c */
long data_read(struct inode *ip, void *buf, size_t len, u64 pos);
long data_write(struct inode *ip, const void *buf, size_t len, u64 pos);
int data_truncate(struct inode *ip, u64 size);
int data_reserve(struct inode *ip, u64 pos, u64 len);	/* fallocate */
int data_zero(struct inode *ip, u64 pos, u64 len);	/* punch a hole */
/*
 * The address of the bytes at pos (NULL: zeros).  *len becomes the number of
 * bytes that are contiguous.
 */
const u8 *data_at(struct inode *ip, u64 pos, u64 *len);
u32 data_ext(struct inode *ip, u64 i);
int data_set(struct inode *ip, u64 i, u32 ext);
void data_fill(struct inode *ip, u64 i, u32 ext, int dirty);
/* frees extents past the size */
void data_trim(struct inode *ip);
void data_free(struct inode *ip);
s64 data_seek(struct inode *ip, u64 pos, int hole);

/* hostfs.c */
int hostfs_init(void);
/* called when its last reference is dropped */
void hostfs_gone(struct inode *ip);

/* file.c */
extern const struct file_ops regular_ops, dir_ops, path_ops;
long file_write(struct file *f, const void *buf, size_t len, u64 *pos);

/* open.c */
extern u32 vfs_umask;
int open_lookup(struct lookup *lk, int flags, u32 mode, struct file **out);
int open_flags(int flags);		/* for path_lookup */
int open_at(int dirfd, const char *path, int flags, u32 mode,
	    struct file **out);
int file_of_inode(struct inode *ip, int flags, struct file **out);
/* makes an empty inode under a name that is free */
int inode_create(struct lookup *lk, u32 mode, struct inode **out);
int dir_may_change(struct inode *dir);	/* 0, -ENOENT, -EPERM */

#endif
