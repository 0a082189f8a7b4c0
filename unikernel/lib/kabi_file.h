/*
 * kabi_file.h - Linux's ABI of files and descriptors (kabi.h has the rule)
 */
#ifndef UNIKERNEL_KABI_FILE_H
#define UNIKERNEL_KABI_FILE_H

#include "unikernel/lib/kabi_time.h"

#define PATH_MAX	4096		/* with the NUL */
#define NAME_MAX	255
#define IOV_MAX		1024
#define MAX_RW_COUNT	0x7ffff000ul	/* bytes that one call moves */
#define MAXSYMLINKS	40		/* followed on a path's way */

#define O_ACCMODE	00000003
#define O_RDONLY	00000000
#define O_WRONLY	00000001
#define O_RDWR		00000002
#define O_CREAT		00000100
#define O_EXCL		00000200
#define O_NOCTTY	00000400
#define O_TRUNC		00001000
#define O_APPEND	00002000
#define O_NONBLOCK	00004000
#define O_DSYNC		00010000
#define O_ASYNC		00020000
#define O_DIRECT	00040000
#define O_LARGEFILE	00100000
#define O_DIRECTORY	00200000
#define O_NOFOLLOW	00400000
#define O_NOATIME	01000000
#define O_CLOEXEC	02000000
#define O_SYNC		04010000
#define O_PATH		010000000
#define O_TMPFILE	020200000

#define S_IFMT		0170000
#define S_IFSOCK	0140000
#define S_IFLNK		0120000
#define S_IFREG		0100000
#define S_IFBLK		0060000
#define S_IFDIR		0040000
#define S_IFCHR		0020000
#define S_IFIFO		0010000
#define S_ISLNK(m)	(((m) & S_IFMT) == S_IFLNK)
#define S_ISREG(m)	(((m) & S_IFMT) == S_IFREG)
#define S_ISDIR(m)	(((m) & S_IFMT) == S_IFDIR)
#define S_ISCHR(m)	(((m) & S_IFMT) == S_IFCHR)
#define S_ISFIFO(m)	(((m) & S_IFMT) == S_IFIFO)
#define S_ISSOCK(m)	(((m) & S_IFMT) == S_IFSOCK)

#define AT_FDCWD		(-100)
#define AT_SYMLINK_NOFOLLOW	0x100
#define AT_REMOVEDIR		0x200	/* unlinkat */
#define AT_EACCESS		0x200	/* faccessat2 */
#define AT_SYMLINK_FOLLOW	0x400
#define AT_NO_AUTOMOUNT		0x800
#define AT_EMPTY_PATH		0x1000
#define AT_STATX_SYNC_TYPE	0x6000

#define R_OK	4
#define W_OK	2
#define X_OK	1

#define SEEK_SET	0
#define SEEK_CUR	1
#define SEEK_END	2
#define SEEK_DATA	3
#define SEEK_HOLE	4

#define DT_UNKNOWN	0		/* others are S_IFMT >> 12 */

#define RENAME_NOREPLACE	1
#define RENAME_EXCHANGE		2
#define RENAME_WHITEOUT		4

#define UTIME_NOW	0x3fffffff
#define UTIME_OMIT	0x3ffffffe

struct k_iovec {
	void *base;
	u64 len;
};

struct k_stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad0;
	u64 rdev;
	s64 size, blksize, blocks;	/* blocks of 512 bytes */
	struct k_timespec atim, mtim, ctim;
	s64 unused[3];
};

struct k_statx_timestamp {
	s64 sec;
	u32 nsec;
	s32 pad;
};

struct k_statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad0;
	u64 ino, size, blocks, attributes_mask;
	struct k_statx_timestamp atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 mnt_id;
	u32 dio_mem_align, dio_offset_align;
	u64 pad1[12];
};
#define STATX_BASIC_STATS	0x07ff
#define STATX_BTIME		0x0800
#define STATX_MNT_ID		0x1000
#define STATX__RESERVED		0x80000000u

#define TMPFS_MAGIC	0x01021994	/* k_statfs.type */
#define PROC_SUPER_MAGIC	0x9fa0
#define SYSFS_MAGIC	0x62656572
#define ST_VALID	0x0020		/* k_statfs.flags */
#define ST_NOATIME	0x0400

struct k_statfs {
	s64 type, bsize;
	u64 blocks, bfree, bavail, files, ffree;
	s32 fsid[2];
	s64 namelen, frsize, flags, spare[4];
};

struct k_dirent64 {
	u64 ino;
	s64 off;
	u16 reclen;
	u8 type;
	char name[];
};

struct k_flock {
	s16 type, whence;
	s64 start, len;
	s32 pid, pad;
};
#define F_RDLCK		0
#define F_WRLCK		1
#define F_UNLCK		2

struct k_f_owner_ex {
	s32 type, pid;
};

#define F_DUPFD		0
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define F_GETLK		5
#define F_SETLK		6
#define F_SETLKW	7
#define F_SETOWN	8
#define F_GETOWN	9
#define F_SETSIG	10
#define F_GETSIG	11
#define F_SETOWN_EX	15
#define F_GETOWN_EX	16
#define F_OFD_GETLK	36
#define F_OFD_SETLK	37
#define F_OFD_SETLKW	38
#define F_SETLEASE	1024
#define F_GETLEASE	1025
#define F_NOTIFY	1026
#define F_DUPFD_CLOEXEC	1030
#define F_SETPIPE_SZ	1031
#define F_GETPIPE_SZ	1032
#define F_ADD_SEALS	1033
#define F_GET_SEALS	1034
#define FD_CLOEXEC	1

#define F_SEAL_SEAL	0x01
#define F_SEAL_SHRINK	0x02
#define F_SEAL_GROW	0x04
#define F_SEAL_WRITE	0x08
#define F_SEAL_FUTURE_WRITE 0x10
#define F_SEAL_EXEC	0x20
#define F_SEAL_ALL	0x3f

#define FIONREAD	0x541b
#define FIONBIO		0x5421
#define FIONCLEX	0x5450
#define FIOCLEX		0x5451
#define FIOASYNC	0x5452
#define FIGETBSZ	2

#define FALLOC_FL_KEEP_SIZE	0x01
#define FALLOC_FL_PUNCH_HOLE	0x02
#define FALLOC_FL_COLLAPSE_RANGE	0x08
#define FALLOC_FL_ZERO_RANGE	0x10

#define MFD_CLOEXEC		1
#define MFD_ALLOW_SEALING	2
#define MFD_NOEXEC_SEAL		8
#define MFD_EXEC		16

#define CLOSE_RANGE_UNSHARE	2
#define CLOSE_RANGE_CLOEXEC	4

#define RWF_HIPRI	0x01
#define RWF_DSYNC	0x02
#define RWF_SYNC	0x04
#define RWF_NOWAIT	0x08
#define RWF_APPEND	0x10

#define LOCK_SH		1		/* flock */
#define LOCK_EX		2
#define LOCK_NB		4
#define LOCK_UN		8

#define SYNC_FILE_RANGE_WAIT_BEFORE	1
#define SYNC_FILE_RANGE_WRITE		2
#define SYNC_FILE_RANGE_WAIT_AFTER	4

#define POSIX_FADV_NORMAL	0
#define POSIX_FADV_NOREUSE	5	/* the last */

/* the devices of /dev, linux/major.h */
#define MEM_MAJOR	1
#define TTYAUX_MAJOR	5
#define MISC_MAJOR	10

_Static_assert(sizeof(struct k_stat) == 144, "struct stat");
_Static_assert(sizeof(struct k_statx) == 256, "struct statx");
_Static_assert(sizeof(struct k_statfs) == 120, "struct statfs");
_Static_assert(sizeof(struct k_flock) == 32, "struct flock");
_Static_assert(offsetof(struct k_dirent64, name) == 19, "linux_dirent64");
#endif
