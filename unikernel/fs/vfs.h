/*
 * vfs.h - files, as the program sees them
 *
 * One tree: the image (read-only, imagefs.c) below, what the program makes or
 * changes (extent.c, in the USF region) above it.  An inode is
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
#include "unikernel/task/thread.h"

struct inode;
struct file;
struct k_stat;
struct uk_extent;

/* poll bits, as Linux's */
#define K_POLLIN	0x001
#define K_POLLPRI	0x002
#define K_POLLOUT	0x004
#define K_POLLERR	0x008
#define K_POLLHUP	0x010
#define K_POLLNVAL	0x020
#define K_POLLRDHUP	0x2000

struct file_ops {
	const char *name;
	/* the caller gives pos, and advances it afterwards */
	long (*read)(struct file *f, void *buf, size_t len, u64 pos);
	long (*write)(struct file *f, const void *buf, size_t len, u64 pos);
	/* poll bits that hold now; NULL: always in and out */
	int (*poll)(struct file *f);
	long (*ioctl)(struct file *f, unsigned cmd, u64 arg);
	/* F_SETPIPE_SZ, or F_GETPIPE_SZ when want is 0; NULL: no pipe */
	long (*pipe_size)(struct file *f, u64 want);
	void (*close)(struct file *f);		/* last reference went */
	int seekable;
};

struct file {
	const struct file_ops *ops;
	struct inode *inode;		/* NULL for pipes and the like */
	void *priv;
	u64 pos;
	int flags;			/* O_* */
	int refs;
	int mode;			/* of fstat when inode is NULL */
	int watched;			/* epoll.c: in some epoll set */
	int locked;			/* flock.c: has a lock */
};

/*
 * read, write: buf was checked by user_ok() (or is the libOS's own); for a
 * seekable file the caller advances f->pos by the answer.  A call that may
 * sleep holds a reference on f meanwhile; the caller sees to that.
 * ioctl: FIONREAD comes here, FIONBIO, FIOCLEX and FIONCLEX never do;
 * -ENOTTY for what is not known.
 */

/*
 * Anything that can turn a poll bit on calls poll_notify(); whoever waits
 * for descriptors waits on this queue and looks again.
 */
extern struct waitq poll_queue;
void poll_notify(void);

void vfs_init(void);		/* mounts the image, /tmp, /dev, /proc */

/* descriptors (fd.c) */
#define FD_MAX	4096
struct file *fd_get(int fd);			/* borrowed, NULL: EBADF */
int fd_install(struct file *f, int min, int cloexec);	/* takes the ref */
/* one reference, the caller's; NULL: ENOMEM.  Set inode, mode, priv after */
struct file *file_new(const struct file_ops *ops, int flags);
void file_put(struct file *f);
static inline struct file *file_hold(struct file *f)
{
	f->refs++;
	return f;
}
struct file *fd_get_path(int fd);		/* fd_get, O_PATH files too */
int fd_close(int fd);				/* 0 or -EBADF */
int fd_next(int fd);			/* lowest open one >= fd, or -1 */
int fd_cloexec(int fd);			/* 1, 0 or -EBADF */
int fd_set_cloexec(int fd, int on);
int fd_replace(struct file *f, int fd, int cloexec);	/* takes the ref */
/* called as the last reference to a watched file goes (epoll.c sets it) */
extern void (*file_unwatch)(struct file *f);
/* the same for a file that has a lock (flock.c) */
extern void (*file_unlock)(struct file *f);

/*
 * Nodes that are code: /dev, /proc, /sys, /usetl.  mode has S_IFMT in it;
 * rdev is as makedev() packs it (KDEV).  Callbacks that are NULL mean the
 * ordinary thing: a directory whose children are those added and made, a
 * symbolic link to (const char *)priv.
 */
struct node_ops {
	/* not directories, not links: sets f->ops, f->priv; 0 or -errno.
	   f->inode is ip already.  f->ops->close undoes it */
	int (*open)(struct inode *ip, struct file *f);
	/* link: target into buf, not NUL-terminated; its length or -errno */
	long (*readlink)(struct inode *ip, char *buf, size_t len);
	/* link that stands for an open file whatever its text says, such as
	   /proc/self/fd/3: the file, borrowed, or NULL when it is gone */
	struct file *(*follow)(struct inode *ip);
	/* directory: a child that exists only when looked for, a node_new()
	   of which the caller gets the reference; NULL: there is none */
	struct inode *(*lookup)(struct inode *dir, const char *name,
				size_t len);
	/* directory: name of the k-th such child into name (NAME_MAX + 1
	   bytes); S_IFMT of it, or -ENOENT past the last */
	int (*list)(struct inode *dir, u64 k, char *name);
	/* st_size, when it is not 0 */
	u64 (*size)(struct inode *ip);
};
#define KDEV(major, minor) \
	((u64)((((major) & 0xfff) << 8) | ((minor) & 0xff) | \
	       (((minor) & 0xfff00) << 12)))

/*
 * Adds a node at an absolute path, with missing parent directories (0755);
 * one that exists already is an error (-EEXIST).  ops and priv outlive it.
 * vfs_init() has made /dev, /proc, /sys, /usetl, /usetl/in and /tmp; the
 * devices of dev/ add themselves after it (boot.c).
 */
int vfs_add_node(const char *path, u32 mode, u64 rdev,
		 const struct node_ops *ops, void *priv);
/* an inode that no directory names, with one reference; NULL: ENOMEM */
struct inode *node_new(u32 mode, u64 rdev, const struct node_ops *ops,
		       void *priv);
void *node_priv(struct inode *ip);
/* what an absolute path leads to, with a reference; NULL: nothing */
struct inode *vfs_find(const char *path);
struct inode *inode_get(struct inode *ip);	/* one reference more */
/* a directory that is there has the children of ops as well */
void node_set_ops(const char *path, const struct node_ops *ops);

/* absolute path of what f has open, no NUL; length, or -errno.  Pipes and
   the like: "pipe:[N]" with f->ops->name.  For /proc/self/fd, exe, maps */
long file_path(struct file *f, char *buf, size_t len);
/* absolute path of the working directory, no NUL; length, or -errno */
long vfs_cwd(char *buf, size_t len);
void file_stat(struct file *f, struct k_stat *st);

/*
 * /usetl/in/TICKET, TICKET in decimal as DB_FETCH answered it (gen << 6 |
 * slot), or the slot alone: read-only file over the body in the host region,
 * there while that use of the slot is ETLFS_DONE.
 *
 * hostfs_body: its inode, borrowed until the libOS is left; NULL when there
 * is none.  hostfs_release: at a fetch's last close, instead of DB_CANCEL:
 * rings it at once, or as the last open file or mapping of the body goes.
 */
struct inode *hostfs_body(u32 ticket);
/*
 * Is the window there that has the body at off?  The tender is told to attach
 * it before the ticket is DONE, but hears that in DB_WAIT only; and it may
 * have failed to.
 */
static inline int hostfs_there(u64 off)
{
	if (off >= ETLFS_WINDOW0)
		doorbell(0, 0, 0, DB_WAIT);
	return uk_ctl->windows >> off / ETLFS_WINDOW_STRIDE % 64 & 1;
}
void hostfs_release(u32 ticket);

/*
 * Mapping (for mmap).  file_map: the address of the file's bytes in place,
 * when the range is whole in memory and page-aligned: image and host files
 * read-only; USF files writable, made contiguous first when shared_write or
 * shared is asked, and pinned until file_unmap.  0 when not possible in place
 * (caller copies with file_pread), or a negative errno in *err.
 */
u64 file_map(struct file *f, u64 off, u64 len, int shared_write, int *err);
void file_unmap(u64 addr, u64 len);
long file_pread(struct file *f, void *buf, size_t len, u64 off);
u64 file_size(struct file *f);
/* opens for the kernel's own use, e.g. the ELF loader; NULL and *err */
struct file *file_open(const char *path, int flags, int mode, int *err);

/*
 * The file's bytes [0, size) as extents in guest memory, for DB_FETCH: at
 * most max; how many, or -errno (E2BIG when there are more).
 */
long file_extents(struct file *f, struct uk_extent *ext, size_t max,
		  u64 *size);

#endif
