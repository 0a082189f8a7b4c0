/*
 * sysfile.h - the system calls on files and descriptors
 *
 *   sysio.c    open, read, write, seek, truncate
 *   syssync.c  fsync and its kin, advice
 *   sysfd.c    descriptors: dup, fcntl, ioctl, record locks
 *   flock.c    flock
 *   syscopy.c  copy_file_range, sendfile, memfd_create
 *   sysstat.c  stat, access, and what changes mode and owner
 *   utimes.c  utimensat and its elders
 *   xattr.c    extended attributes and file handles, of which there are none
 *   sysname.c  names: mkdir, mknod, symlink, link, unlink
 *   rename.c   rename
 *   sysdir.c   getdents, the working directory
 *
 * Arguments come unchecked from the program.  Every call returns >= 0 or -errno
 * as Linux does for root on one writable disk mounted noatime; permission bits
 * are kept and not enforced.
 */
#ifndef UNIKERNEL_SYSFILE_H
#define UNIKERNEL_SYSFILE_H

#include "unikernel/lib/kabi.h"

/* sysio.c */
long sys_open(const char *path, int flags, u32 mode);
long sys_openat(int dirfd, const char *path, int flags, u32 mode);
long sys_creat(const char *path, u32 mode);
long sys_close(int fd);
long sys_close_range(u32 first, u32 last, u32 flags);
long sys_read(int fd, void *buf, size_t len);
long sys_write(int fd, const void *buf, size_t len);
long sys_pread64(int fd, void *buf, size_t len, s64 off);
long sys_pwrite64(int fd, const void *buf, size_t len, s64 off);
long sys_readv(int fd, const struct k_iovec *iov, u64 n);
long sys_writev(int fd, const struct k_iovec *iov, u64 n);
long sys_preadv(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high);
long sys_pwritev(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high);
long sys_preadv2(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high,
		 int flags);
long sys_pwritev2(int fd, const struct k_iovec *iov, u64 n, s64 off, u64 high,
		  int flags);
long sys_lseek(int fd, s64 off, int whence);
long sys_truncate(const char *path, s64 size);
long sys_ftruncate(int fd, s64 size);
long sys_fallocate(int fd, int mode, s64 off, s64 len);

/* syssync.c */
long sys_fsync(int fd);
long sys_fdatasync(int fd);
long sys_sync(void);
long sys_syncfs(int fd);
long sys_sync_file_range(int fd, s64 off, s64 len, u32 flags);
long sys_fadvise64(int fd, s64 off, s64 len, int advice);
long sys_readahead(int fd, s64 off, size_t len);

/* sysfd.c */
long sys_dup(int fd);
long sys_dup2(int fd, int to);
long sys_dup3(int fd, int to, int flags);
long sys_fcntl(int fd, int cmd, u64 arg);
long sys_ioctl(int fd, u32 cmd, u64 arg);

/* flock.c */
long sys_flock(int fd, int op);

/* syscopy.c */
long sys_copy_file_range(int in, s64 *in_off, int out, s64 *out_off,
			 size_t len, u32 flags);
long sys_sendfile(int out, int in, s64 *off, size_t len);
long sys_memfd_create(const char *name, u32 flags);

/* sysstat.c */
long sys_stat(const char *path, struct k_stat *st);
long sys_lstat(const char *path, struct k_stat *st);
long sys_fstat(int fd, struct k_stat *st);
long sys_newfstatat(int dirfd, const char *path, struct k_stat *st, int flags);
long sys_statx(int dirfd, const char *path, int flags, u32 mask,
	       struct k_statx *stx);
long sys_statfs(const char *path, struct k_statfs *st);
long sys_fstatfs(int fd, struct k_statfs *st);
long sys_access(const char *path, int mode);
long sys_faccessat(int dirfd, const char *path, int mode);
long sys_faccessat2(int dirfd, const char *path, int mode, int flags);
long sys_chmod(const char *path, u32 mode);
long sys_fchmod(int fd, u32 mode);
long sys_fchmodat(int dirfd, const char *path, u32 mode);
long sys_chown(const char *path, u32 uid, u32 gid);
long sys_lchown(const char *path, u32 uid, u32 gid);
long sys_fchown(int fd, u32 uid, u32 gid);
long sys_fchownat(int dirfd, const char *path, u32 uid, u32 gid, int flags);
long sys_umask(u32 mask);

/* utimes.c */
long sys_utime(const char *path, const s64 *times);
long sys_utimes(const char *path, const struct k_timeval *tv);
long sys_futimesat(int dirfd, const char *path, const struct k_timeval *tv);
long sys_utimensat(int dirfd, const char *path, const struct k_timespec *ts,
		   int flags);

/* xattr.c: there are none */
long sys_setxattr(const char *path, const char *name, const void *value,
		  size_t len, int flags);
long sys_lsetxattr(const char *path, const char *name, const void *value,
		   size_t len, int flags);
long sys_fsetxattr(int fd, const char *name, const void *value, size_t len,
		   int flags);
long sys_getxattr(const char *path, const char *name, void *value, size_t len);
long sys_lgetxattr(const char *path, const char *name, void *value,
		   size_t len);
long sys_fgetxattr(int fd, const char *name, void *value, size_t len);
long sys_listxattr(const char *path, char *list, size_t len);
long sys_llistxattr(const char *path, char *list, size_t len);
long sys_flistxattr(int fd, char *list, size_t len);
long sys_removexattr(const char *path, const char *name);
long sys_lremovexattr(const char *path, const char *name);
long sys_fremovexattr(int fd, const char *name);
long sys_name_to_handle_at(int dirfd, const char *path, void *handle,
			   int *mount_id, int flags);

/* sysname.c */
long sys_mkdir(const char *path, u32 mode);
long sys_mkdirat(int dirfd, const char *path, u32 mode);
long sys_mknod(const char *path, u32 mode, u64 dev);
long sys_mknodat(int dirfd, const char *path, u32 mode, u64 dev);
long sys_rmdir(const char *path);
long sys_unlink(const char *path);
long sys_unlinkat(int dirfd, const char *path, int flags);
long sys_symlink(const char *target, const char *path);
long sys_symlinkat(const char *target, int dirfd, const char *path);
long sys_readlink(const char *path, char *buf, int len);
long sys_readlinkat(int dirfd, const char *path, char *buf, int len);
long sys_link(const char *old, const char *new);
long sys_linkat(int olddir, const char *old, int newdir, const char *new,
		int flags);

/* rename.c */
long sys_rename(const char *old, const char *new);
long sys_renameat(int olddir, const char *old, int newdir, const char *new);
long sys_renameat2(int olddir, const char *old, int newdir, const char *new,
		   u32 flags);

/* sysdir.c */
long sys_getdents64(int fd, void *buf, u32 len);
long sys_getcwd(char *buf, size_t len);
long sys_chdir(const char *path);
long sys_fchdir(int fd);

#endif
