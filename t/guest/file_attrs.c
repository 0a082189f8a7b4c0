/*
 * file_attrs.c - what stat says, and what changes it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "t/guest/tap.h"

static void *volatile bad = (void *)8;

static int later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
		(a->tv_sec == b->tv_sec && a->tv_nsec >= b->tv_nsec);
}

static void test_stat(void)
{
	struct stat a, b;
	struct statx x;
	int fd = open("f", O_CREAT | O_RDWR, 0644);

	fstat(fd, &a);
	ok(S_ISREG(a.st_mode) && a.st_nlink == 1 && a.st_size == 0 &&
	   a.st_uid == geteuid(), "a new file");
	usleep(20000);
	write(fd, "12345", 5);
	ok(stat("f", &b) == 0 && b.st_size == 5 && b.st_ino == a.st_ino &&
	   b.st_dev == a.st_dev, "written");
	ok(later(&b.st_mtim, &a.st_mtim) && later(&b.st_ctim, &a.st_ctim) &&
	   (b.st_mtim.tv_sec != a.st_mtim.tv_sec ||
	    b.st_mtim.tv_nsec != a.st_mtim.tv_nsec),
	   "a write moves a file's times");
	ok(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x) == 0 &&
	   x.stx_size == 5 && x.stx_ino == b.st_ino &&
	   x.stx_mode == b.st_mode && x.stx_nlink == 1 &&
	   makedev(x.stx_dev_major, x.stx_dev_minor) == b.st_dev &&
	   x.stx_mtime.tv_sec == b.st_mtim.tv_sec &&
	   x.stx_mtime.tv_nsec == (unsigned)b.st_mtim.tv_nsec,
	   "statx agrees");
	ok(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x) == 0 &&
	   x.stx_size == 5, "statx of a descriptor");
	fails(statx(fd, "", 0, STATX_SIZE, &x), ENOENT, "statx: no path");
	fails(statx(fd, "f", 0x40000000, STATX_SIZE, &x), EINVAL,
	      "statx: flags");
	ok(fstatat(fd, "", &b, AT_EMPTY_PATH) == 0 && b.st_size == 5,
	   "fstatat of a descriptor");
	fails(stat("f", bad), EFAULT, "stat: a bad buffer");
	fails(stat("nosuch", &b), ENOENT, "stat: missing");
	fails(fstat(999, &b), EBADF, "fstat: closed");
	ok(stat("/", &a) == 0 && stat("/..", &b) == 0 && a.st_ino == b.st_ino,
	   "'/..' is '/'");
	ok(stat("/dev/null", &a) == 0 && S_ISCHR(a.st_mode) &&
	   a.st_rdev == makedev(1, 3), "/dev/null");
	close(fd);
}

static void test_mode(void)
{
	struct stat st;
	mode_t old = umask(027);
	int fd = open("m", O_CREAT | O_RDWR, 0666);

	ok(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640, "umask");
	ok(umask(old) == 027, "umask answers the old one");
	ok(fchmod(fd, 04751) == 0 && stat("m", &st) == 0 &&
	   (st.st_mode & 07777) == 04751, "fchmod");
	ok(chmod("m", 0600) == 0 && access("m", R_OK | W_OK) == 0, "chmod");
	fails(access("m", X_OK), EACCES, "nobody may execute it");
	ok(chmod("m", 0100) == 0 && access("m", X_OK) == 0, "somebody may");
	fails(access("m", 64), EINVAL, "access: what");
	ok(faccessat(AT_FDCWD, "m", F_OK, AT_SYMLINK_NOFOLLOW) == 0,
	   "faccessat");
	ok(chown("m", -1, -1) == 0 && fchown(fd, getuid(), getgid()) == 0,
	   "chown");
	if (geteuid() == 0)
		ok(chown("m", 12, 34) == 0 && fstat(fd, &st) == 0 &&
		   st.st_uid == 12 && st.st_gid == 34, "chown to another");
	else
		skip("chown to another", "not root");
	close(fd);
	unlink("m");
}

static void test_times(void)
{
	struct timespec ts[2] = { { 1000, 5 }, { 2000, 999999999 } };
	struct timeval tv[2] = { { 11, 12 }, { 13, 14 } };
	struct utimbuf ub = { 21, 22 };
	struct stat st;
	int fd = open("f", O_RDWR);

	ok(utimensat(AT_FDCWD, "f", ts, 0) == 0 && stat("f", &st) == 0 &&
	   st.st_atim.tv_sec == 1000 && st.st_atim.tv_nsec == 5 &&
	   st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 999999999,
	   "utimensat");
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	ok(futimens(fd, ts) == 0 && fstat(fd, &st) == 0 &&
	   st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 1000000000,
	   "UTIME_OMIT and UTIME_NOW");
	ts[0].tv_nsec = 1000000000;
	fails(futimens(fd, ts), EINVAL, "too many nanoseconds");
	ok(utimes("f", tv) == 0 && stat("f", &st) == 0 &&
	   st.st_mtim.tv_sec == 13 && st.st_mtim.tv_nsec == 14000, "utimes");
	ok(utime("f", &ub) == 0 && stat("f", &st) == 0 &&
	   st.st_atim.tv_sec == 21 && st.st_mtim.tv_sec == 22, "utime");
	ok(utimes("f", NULL) == 0 && stat("f", &st) == 0 &&
	   st.st_mtim.tv_sec > 1000000000, "utimes: NULL is now");
	symlink("nosuch", "l");
	ts[0] = ts[1] = (struct timespec){ -7, 0 };
	ok(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW) == 0 &&
	   lstat("l", &st) == 0 && st.st_mtim.tv_sec == -7,
	   "utimensat of a link, before the epoch");
	fails(utimensat(AT_FDCWD, "l", ts, 0), ENOENT,
	      "utimensat does not go through a link");
	unlink("l");
	close(fd);
}

static void test_dir_times(void)
{
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;

	mkdir("d", 0755);
	utimensat(AT_FDCWD, "d", old, 0);
	stat("d", &st);
	ok(st.st_mtim.tv_sec == 1000, "a directory's times");
	close(open("d/x", O_CREAT | O_RDWR, 0600));
	stat("d", &st);
	ok(st.st_mtim.tv_sec > 1000000000,
	   "a directory's times move with a new name");
	utimensat(AT_FDCWD, "d", old, 0);
	unlink("d/x");
	stat("d", &st);
	ok(st.st_mtim.tv_sec > 1000000000,
	   "a directory's times move with a removed name");
	rmdir("d");
}

static void test_others(void)
{
	struct statfs sf;
	char buf[64];

	ok(statfs(".", &sf) == 0 && sf.f_bsize > 0 && sf.f_blocks > 0 &&
	   sf.f_namelen >= 255, "statfs");
	fails(statfs("nosuch", &sf), ENOENT, "statfs: missing");
	ok(getxattr("f", "user.none", buf, 64) == -1 &&
	   (errno == ENODATA || errno == ENOTSUP), "getxattr");
	fails(getxattr("nosuch", "user.none", buf, 64), ENOENT,
	      "getxattr: missing");
	ok(listxattr("f", buf, 0) >= 0, "listxattr");
}

int main(void)
{
	char dir[] = "/tmp/file_attrs.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	test_stat();
	test_mode();
	test_times();
	test_dir_times();
	test_others();
	unlink("f");
	ok(chdir("/") == 0 && rmdir(dir) == 0, "nothing is left");
	return done_testing();
}
