/*
 * vfs.h - files, as the program sees them
 *
 * This folder: the tree of files: names, inodes and bytes, over the image, the
 * USF region and the host region; descriptors; and the system calls on them.
 *
 * There is one tree: the image (read-only, imagefs.c) below, what the program
 * makes or changes (extent.c, in the USF region) above it.  An inode is
 *   - an image node, until something changes it, or
 *   - a USF inode: a file with extents of ETLFS_EXTENT bytes, possibly over
 *     an image or host file whose extents it copies as they are written, or
 *   - a directory: image children merged with made and removed ones, or
 *   - a device, a pipe end, a socket of a pair, an eventfd, an epoll set.
 *
 * An open file (struct file) is counted; descriptors share it by dup.
 * Every call answers >= 0 or -errno.
 */
#ifndef UNIKERNEL_VFS_H
#define UNIKERNEL_VFS_H

#include "etlfs/format.h"
#include "unikernel/lib/lib.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

struct inode;
struct file;
struct k_stat;
struct uk_extent;

struct file_ops {
	const char *name;
	/* The caller passes pos and advances it afterwards. */
	long (*read)(struct file *f, void *buf, size_t len, u64 pos);
	long (*write)(struct file *f, const void *buf, size_t len, u64 pos);
	/* poll bits that hold now; NULL: always readable and writable */
	int (*poll)(struct file *f);
	long (*ioctl)(struct file *f, unsigned cmd, u64 arg);
	/*
	 * F_SETPIPE_SZ, or F_GETPIPE_SZ when want is 0; NULL: this is no pipe.
	 */
	long (*pipe_size)(struct file *f, u64 want);
	/* called when the last reference is dropped */
	void (*close)(struct file *f);
	int seekable;
};

struct file {
	const struct file_ops *ops;
	struct inode *inode;		/* NULL for pipes and the like */
	void *priv;
	u64 pos;
	int flags;			/* O_* */
	int refs;
	int mode;			/* st_mode when inode is NULL */
	int watched;			/* epoll.c: in some epoll set */
	int locked;			/* flock.c: has a lock */
};

/*
 * Read, write: buf was checked by user_ok() (or is the libOS's own); for a
 * seekable file the caller advances f->pos by the answer.  A caller holds a
 * reference on f, as the call may sleep.  ioctl: gets FIONREAD, but never
 * FIONBIO, FIOCLEX or FIONCLEX; answers -ENOTTY to an unknown request.
 */

/*
 * To call poll_notify() whenever a poll bit may have become set.  Whoever waits
 * for descriptors waits on this queue and checks again.
 */
extern struct waitq poll_queue;
void poll_notify(void);

void vfs_init(void);		/* mounts the image, /tmp, /dev, /proc */
/*
 * Takes up the layers that uk_ctl names by now and did not before: their names
 * are there from then on, over those of lower layers; what the program has made
 * or changed by itself stays over both.  0, or -EINVAL: an index is damaged,
 * and nothing of that layer was taken up.
 */
int vfs_attach(void);

/* descriptors (fd.c) */
struct file *fd_get(int fd);			/* borrowed, NULL: EBADF */
/* takes over the caller's reference */
int fd_install(struct file *f, int min, int cloexec);
/* has one reference, the caller's, who sets inode, mode and priv; or NULL */
struct file *file_new(const struct file_ops *ops, int flags);
void file_put(struct file *f);
static inline struct file *file_hold(struct file *f)
{
	f->refs++;
	return f;
}
/* as fd_get, O_PATH files, too */
struct file *fd_get_path(int fd);
int fd_close(int fd);				/* 0 or -EBADF */
int fd_next(int fd);			/* lowest used fd from there, or -1 */
int fd_cloexec(int fd);			/* 1, 0 or -EBADF */
int fd_set_cloexec(int fd, int on);
/* takes over the reference */
int fd_replace(struct file *f, int fd, int cloexec);
/* called when a watched file loses its last reference (epoll.c sets it) */
extern void (*file_unwatch)(struct file *f);
/* the same for a file with a lock (flock.c) */
extern void (*file_unlock)(struct file *f);

/*
 * Nodes made by code: in /dev, /proc, /sys, /usetl.  mode includes S_IFMT; rdev
 * is as makedev() packs it (KDEV).  A callback that is NULL means the ordinary
 * behaviour: a directory whose children are those added and made, a symbolic
 * link to (const char *)priv.
 */
struct node_ops {
	/*
	 * For all but directories and links: sets f->ops and f->priv, with
	 * f->inode set to ip already; 0 or -errno. f->ops->close undoes it.
	 */
	int (*open)(struct inode *ip, struct file *f);
	/*
	 * for a link: puts its target into buf, without NUL; length or -errno
	 */
	long (*readlink)(struct inode *ip, char *buf, size_t len);
	/*
	 * For a link that stands for an open file whatever its text says, such
	 * as /proc/self/fd/3: the file, borrowed, or NULL when it is closed.
	 */
	struct file *(*follow)(struct inode *ip);
	/*
	 * For a directory: makes a child that exists only when looked up, a
	 * node_new() whose reference goes to the caller; NULL: there is none.
	 */
	struct inode *(*lookup)(struct inode *dir, const char *name,
				size_t len);
	/*
	 * For a directory: writes the name of the k-th such child into name
	 * (NAME_MAX + 1 bytes) and returns its S_IFMT, or -ENOENT past the
	 * last.
	 */
	int (*list)(struct inode *dir, u64 k, char *name);
	/* st_size; may be NULL for 0 */
	u64 (*size)(struct inode *ip);
};
#define KDEV(major, minor) \
	((u64)((((major) & 0xfff) << 8) | ((minor) & 0xff) | \
	       (((minor) & 0xfff00) << 12)))

/*
 * Adds a node at an absolute path, and missing parent directories (0755);
 * -EEXIST when the path exists.  ops and priv must outlive it.  vfs_init() has
 * made /dev, /proc, /sys, /usetl, /usetl/in and /tmp; the devices of dev/ are
 * added after it (boot.c).
 */
int vfs_add_node(const char *path, u32 mode, u64 rdev,
		 const struct node_ops *ops, void *priv);
/* an inode that no directory names, with one reference; NULL: ENOMEM */
struct inode *node_new(u32 mode, u64 rdev, const struct node_ops *ops,
		       void *priv);
void *node_priv(struct inode *ip);
/* the inode at an absolute path, with a reference, or NULL */
struct inode *vfs_find(const char *path);
struct inode *inode_get(struct inode *ip);	/* takes one more reference */
/* gives an existing directory the children of ops as well */
void node_set_ops(const char *path, const struct node_ops *ops);

/*
 * Writes the absolute path of what f has open, without NUL; length or -errno.
 * A file without a path gives "pipe:[N]", with f->ops->name.  For
 * /proc/self/fd, exe and maps.
 */
long file_path(struct file *f, char *buf, size_t len);
/* the absolute path of the working directory, without NUL; length or -errno */
long vfs_cwd(char *buf, size_t len);
void file_stat(struct file *f, struct k_stat *st);

/*
 * /usetl/in/TICKET, with TICKET in decimal as DB_FETCH answered it (gen << 6 |
 * slot), or the slot alone: a read-only file over the body in the host region,
 * which exists while that use of the slot is ETLFS_DONE.
 *
 * hostfs_body: its inode, borrowed until the libOS is left; NULL when there is
 * none.  hostfs_release: to call at a fetch's last close; rings DB_CANCEL at
 * once, or when the last open file or mapping of the body is closed.
 */
struct inode *hostfs_body(u32 ticket);
/*
 * Whether the window with the body at off is mapped.  The tender is told to
 * attach it before the ticket is DONE, but sees that in DB_WAIT only, and may
 * have failed to.
 */
static inline int hostfs_there(u64 off)
{
	if (off >= ETLFS_WINDOW0)
		doorbell(0, 0, 0, DB_WAIT);
	return uk_ctl->windows >> off / ETLFS_WINDOW_STRIDE % 64 & 1;
}
void hostfs_release(u32 ticket);
long file_pread(struct file *f, void *buf, size_t len, u64 off);
u64 file_size(struct file *f);
/* opens a file for the libOS itself, e.g. for the ELF loader; NULL and *err */
struct file *file_open(const char *path, int flags, int mode, int *err);

/*
 * Lists the file's bytes [0, size) as extents in guest memory, for DB_FETCH: at
 * most max; how many, or -errno (E2BIG when there are more).
 */
long file_extents(struct file *f, struct uk_extent *ext, size_t max,
		  u64 *size);

#endif
