/*
 * file_io.c - the bytes of files: open, read, write, seek, size, copy
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "t/guest/tap.h"

/* not mapped, and hidden from the compiler */
static void *volatile bad = (void *)8;
static char buf[300000];

static void test_open(void)
{
	struct stat st;
	int fd;

	fails(open("f", O_RDONLY), ENOENT, "open: missing");
	fd = open("f", O_CREAT | O_EXCL | O_RDWR, 0640);
	ok(fd >= 0, "open: O_CREAT");
	fails(open("f", O_CREAT | O_EXCL | O_RDWR, 0640), EEXIST,
	      "open: O_EXCL");
	ok(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640,
	   "open: the mode of a new file");
	ok(write(fd, "hello", 5) == 5, "write");
	close(fd);
	fd = open("f", O_WRONLY | O_TRUNC);
	ok(fstat(fd, &st) == 0 && st.st_size == 0, "open: O_TRUNC");
	fails(read(fd, buf, 1), EBADF, "read: not open for it");
	close(fd);
	fails(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY");
	fails(open(".", O_RDWR), EISDIR, "a directory for writing");
	fails(open("f/x", O_RDONLY), ENOTDIR, "a file as a directory");
	fails(open(bad, O_RDONLY), EFAULT, "a bad path");
	fails(open("", O_RDONLY), ENOENT, "an empty path");
	fails(read(fd, buf, 1), EBADF, "a closed descriptor");
	fd = open("f", O_RDONLY);
	fails(write(fd, "x", 1), EBADF, "write: not open for it");
	close(fd);
	fd = open("f", O_RDWR);
	fails(write(fd, bad, 5), EFAULT, "write: a bad buffer");
	write(fd, "hello", 5);
	lseek(fd, 0, SEEK_SET);
	fails(read(fd, bad, 5), EFAULT, "read: a bad buffer");
	close(fd);
	fd = open(".", O_RDONLY);
	fails(read(fd, buf, 10), EISDIR, "a directory is not read");
	close(fd);
	fd = open("f", O_PATH);
	fails(read(fd, buf, 1), EBADF, "O_PATH is not read");
	ok(fstat(fd, &st) == 0 && S_ISREG(st.st_mode), "O_PATH has a stat");
	close(fd);
}

static void test_seek(void)
{
	int fd = open("s", O_CREAT | O_RDWR, 0600);

	ok(write(fd, "0123456789", 10) == 10, "ten bytes");
	ok(lseek(fd, -3, SEEK_END) == 7 && read(fd, buf, 9) == 3 &&
	   !memcmp(buf, "789", 3), "lseek: from the end");
	fails(lseek(fd, -11, SEEK_END), EINVAL, "lseek: before the start");
	fails(lseek(fd, 0, 99), EINVAL, "lseek: whence");
	ok(lseek(fd, 5, SEEK_SET) == 5 && lseek(fd, 2, SEEK_CUR) == 7,
	   "lseek: from here");
	ok(lseek(fd, 100000, SEEK_SET) == 100000 && write(fd, "x", 1) == 1,
	   "a hole");
	ok(pread(fd, buf, 100, 50000) == 100 && buf[0] == 0 && buf[99] == 0,
	   "a hole reads as zeros");
	ok(pread(fd, buf, 100, 100001) == 0, "the end of the file is 0");
	fails(pread(fd, buf, 1, -1), EINVAL, "pread: negative offset");
	ok(pwrite(fd, "AB", 2, 1) == 2 && lseek(fd, 0, SEEK_CUR) == 100001,
	   "pwrite leaves the position");
	ok(ftruncate(fd, 3) == 0 && lseek(fd, 0, SEEK_END) == 3, "ftruncate");
	ok(pread(fd, buf, 9, 0) == 3 && !memcmp(buf, "0AB", 3),
	   "ftruncate cuts");
	ok(ftruncate(fd, 40000) == 0 && pread(fd, buf, 40000, 0) == 40000 &&
	   buf[3] == 0 && buf[39999] == 0, "ftruncate grows with zeros");
	fails(ftruncate(fd, -1), EINVAL, "ftruncate: negative");
	fails(truncate(".", 0), EISDIR, "truncate: a directory");
	close(fd);
	unlink("s");
}

static void test_append(void)
{
	int fd = open("a", O_CREAT | O_RDWR | O_APPEND, 0600), fd2;
	struct stat st;

	fd2 = open("a", O_WRONLY);
	ok(write(fd, "aaa", 3) == 3 && write(fd2, "bbbbb", 5) == 5 &&
	   write(fd, "cc", 2) == 2, "two writers");
	ok(pread(fd, buf, 10, 0) == 7 && !memcmp(buf, "bbbbbcc", 7),
	   "O_APPEND writes at the end");
	ok(fcntl(fd, F_SETFL, 0) == 0 && (fcntl(fd, F_GETFL) & O_APPEND) == 0,
	   "F_SETFL takes O_APPEND away");
	ok(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "X", 1) == 1 &&
	   fstat(fd, &st) == 0 && st.st_size == 7,
	   "without O_APPEND it writes in place");
	close(fd);
	close(fd2);
	unlink("a");
}

static void test_vectors(void)
{
	char x[3], y[4], z[2];
	struct iovec iov[3] = { { x, 3 }, { y, 4 }, { z, 2 } };
	int fd = open("v", O_CREAT | O_RDWR, 0600);

	memcpy(x, "abc", 3);
	memcpy(y, "defg", 4);
	memcpy(z, "hi", 2);
	ok(writev(fd, iov, 3) == 9, "writev");
	ok(pread(fd, buf, 20, 0) == 9 && !memcmp(buf, "abcdefghi", 9),
	   "writev: in order");
	memset(x, 0, 3);
	memset(z, 0, 2);
	ok(preadv(fd, iov, 3, 1) == 8 && !memcmp(x, "bcd", 3) &&
	   !memcmp(z, "i", 1), "preadv is short at the end");
	ok(pwritev(fd, iov, 2, 100) == 7 && lseek(fd, 0, SEEK_END) == 107,
	   "pwritev");
	ok(preadv2(fd, iov, 1, -1, 0) == 0, "preadv2 at the position");
	ok(pwritev2(fd, iov, 1, 0, RWF_APPEND) == 3 &&
	   lseek(fd, 0, SEEK_END) == 110, "pwritev2 with RWF_APPEND");
	fails(syscall(SYS_writev, fd, iov, -1L), EINVAL, "writev: how many");
	fails(syscall(SYS_writev, fd, iov, IOV_MAX + 1L), EINVAL,
	      "writev: too many");
	iov[1].iov_base = bad;
	lseek(fd, 0, SEEK_SET);
	fails(readv(fd, bad, 2), EFAULT, "readv: a bad vector");
	ok(writev(fd, iov, 0) == 0, "writev: nothing");
	close(fd);
	unlink("v");
}

static void test_space(void)
{
	int fd = open("p", O_CREAT | O_RDWR, 0600);
	struct stat st;

	ok(posix_fallocate(fd, 0, 100000) == 0 && fstat(fd, &st) == 0 &&
	   st.st_size == 100000 && st.st_blocks * 512 >= 100000, "fallocate");
	memset(buf, 'z', 100000);
	ok(pwrite(fd, buf, 100000, 0) == 100000, "filled");
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000,
		     90000) == 0, "a hole is punched");
	pread(fd, buf, 100000, 0);
	ok(buf[999] == 'z' && buf[1000] == 0 && buf[90999] == 0 &&
	   buf[91000] == 'z', "a hole is punched just there");
	ok(fstat(fd, &st) == 0 && st.st_size == 100000,
	   "a punched hole keeps the size");
	ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 100000, 50000) == 0 &&
	   fstat(fd, &st) == 0 && st.st_size == 100000, "KEEP_SIZE");
	fails(fallocate(fd, 0, 0, 0), EINVAL, "fallocate: no length");
	fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 5), EOPNOTSUPP,
	      "a hole has to keep the size");
	ok(lseek(fd, 0, SEEK_DATA) == 0, "SEEK_DATA");
	fails(lseek(fd, 100000, SEEK_DATA), ENXIO, "SEEK_DATA past the end");
	ok(lseek(fd, 99000, SEEK_HOLE) == 100000, "SEEK_HOLE at the end");
	ok(fsync(fd) == 0 && fdatasync(fd) == 0 && syncfs(fd) == 0, "sync");
	close(fd);
	unlink("p");
}

static void test_copy(void)
{
	int in = open("c1", O_CREAT | O_RDWR, 0600);
	int out = open("c2", O_CREAT | O_RDWR, 0600), i, same = 1;
	off_t from = 5, to = 0;

	for (i = 0; i < 200000; i++)
		buf[i] = (char)(i * 31 >> 3);
	ok(write(in, buf, 200000) == 200000, "200,000 bytes");
	ok(copy_file_range(in, &from, out, &to, 150000, 0) == 150000 &&
	   from == 150005 && to == 150000, "copy_file_range");
	pread(out, buf + 200000 - 100000, 100000, 0);
	for (i = 0; i < 100000; i++)
		same &= buf[100000 + i] == (char)((i + 5) * 31 >> 3);
	ok(same, "copy_file_range: the bytes are right");
	from = 0;
	to = 5;
	fails(copy_file_range(in, &from, in, &to, 10, 0), EINVAL,
	      "copy_file_range: onto itself");
	lseek(out, 0, SEEK_SET);
	ftruncate(out, 0);
	from = 199990;
	ok(sendfile(out, in, &from, 100) == 10 && from == 200000, "sendfile");
	ok(lseek(out, 0, SEEK_CUR) == 10, "sendfile moves the position");
	ok(sendfile(in, out, NULL, 1) == 0, "sendfile: at the end");
	close(in);
	close(out);
	unlink("c1");
	unlink("c2");
}

static void test_descriptors(void)
{
	int fd = open("d", O_CREAT | O_RDWR | O_CLOEXEC, 0600), d2, n = 0, on;
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	write(fd, "12345", 5);
	ok(fcntl(fd, F_GETFD) == FD_CLOEXEC, "O_CLOEXEC");
	d2 = dup(fd);
	ok(d2 > fd && fcntl(d2, F_GETFD) == 0, "dup clears it");
	ok(lseek(d2, 2, SEEK_SET) == 2 && lseek(fd, 0, SEEK_CUR) == 2,
	   "dup shares the position");
	ok(dup2(fd, fd) == fd && dup2(fd, 100) == 100, "dup2");
	fails(dup3(fd, fd, 0), EINVAL, "dup3 onto itself");
	ok(dup3(fd, 101, O_CLOEXEC) == 101 && fcntl(101, F_GETFD) == 1,
	   "dup3");
	ok(fcntl(fd, F_DUPFD, 200) == 200, "F_DUPFD");
	ok(fcntl(fd, F_DUPFD_CLOEXEC, 200) == 201, "F_DUPFD_CLOEXEC");
	ok(ioctl(fd, FIONREAD, &n) == 0 && n == 3, "FIONREAD");
	on = 1;
	ok(ioctl(fd, FIONBIO, &on) == 0 && fcntl(fd, F_GETFL) & O_NONBLOCK,
	   "FIONBIO");
	ok(ioctl(d2, FIOCLEX) == 0 && fcntl(d2, F_GETFD) == 1, "FIOCLEX");
	fails(ioctl(fd, 0x5401, buf), ENOTTY, "no terminal");
	ok(!isatty(fd), "isatty");
	ok(fcntl(fd, F_SETLK, &l) == 0 && fcntl(fd, F_GETLK, &l) == 0 &&
	   l.l_type == F_UNLCK, "record locks");
	ok(flock(fd, LOCK_EX) == 0 && flock(fd, LOCK_UN) == 0, "flock");
	fails(flock(fd, 7), EINVAL, "flock: what");
	ok(close_range(100, 300, 0) == 0, "close_range");
	fails(fcntl(201, F_GETFD), EBADF, "close_range closed them");
	fails(dup2(999, 5), EBADF, "dup2: what");
	fails(dup2(fd, -1), EBADF, "dup2: where");
	fails(fcntl(fd, 9999), EINVAL, "fcntl: what");
	close(fd);
	close(d2);
	unlink("d");
}

/* a vector that is read over, lengths and flags at their ends */
static void test_edges(void)
{
	struct iovec v[2] = { { &v[1], 4 }, { buf, 3 } };
	int fd = open("e", O_CREAT | O_RDWR | O_TRUNC, 0600), p[2], dir;

	write(fd, "\0\0\0\0abc", 7);
	ok(preadv(fd, v, 2, 0) == 7 && !memcmp(buf, "abc", 3),
	   "a vector is taken before it is read over");
	pipe(p);
	write(p[1], "\0\0\0\0abc", 7);
	memset(buf, 0, 3);
	v[0] = (struct iovec){ &v[1], 4 };
	v[1] = (struct iovec){ buf, 3 };
	ok(readv(p[0], v, 2) == 7 && !memcmp(buf, "abc", 3),
	   "a vector of a pipe is taken before it is read over");
	fails(read(fd, buf, -1), EFAULT, "read: more than memory");
	fails(write(fd, buf, -1), EFAULT, "write: more than memory");
	v[0] = (struct iovec){ buf, 3 };
	ok(preadv2(fd, v, 1, 4, RWF_NOWAIT) == 3 && !memcmp(buf, "abc", 3),
	   "a file makes nobody wait");
	dir = open(".", O_RDONLY);
	fails(sendfile(p[1], dir, NULL, 1), EINVAL, "sendfile: a directory");
	close(dir);
	close(p[0]);
	close(p[1]);
	close(fd);
	unlink("e");
}

static void test_nameless(void)
{
	int fd = memfd_create("mem", MFD_ALLOW_SEALING), fd2;
	char path[64];
	struct stat st;

	ok(fd >= 0 && write(fd, "mem", 3) == 3, "memfd_create");
	ok(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0 &&
	   fcntl(fd, F_GET_SEALS) == F_SEAL_GROW, "a seal");
	fails(write(fd, "x", 1), EPERM, "a seal holds");
	fails(ftruncate(fd, 10), EPERM, "a seal holds in every way");
	ok(pwrite(fd, "X", 1, 0) == 1, "a seal holds no more than that");
	close(fd);

	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0 && errno == EOPNOTSUPP) {
		skip("O_TMPFILE", "not on this file system");
		return;
	}
	ok(fd >= 0 && write(fd, "tmp", 3) == 3, "O_TMPFILE");
	ok(fstat(fd, &st) == 0 && st.st_nlink == 0, "O_TMPFILE has no name");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0,
	   "linkat gives it one");
	fd2 = open("named", O_RDONLY);
	ok(read(fd2, buf, 10) == 3, "a file that linkat named is found");
	unlink("named");
	ok(pread(fd2, buf, 10, 0) == 3, "a removed open file is read");
	fails(linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW),
	      ENOENT, "a removed open file has lost its name for good");
	close(fd);
	close(fd2);
}

int main(void)
{
	char dir[] = "/tmp/file_io.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	test_open();
	test_seek();
	test_append();
	test_vectors();
	test_space();
	test_copy();
	test_descriptors();
	test_edges();
	test_nameless();
	unlink("f");
	ok(chdir("/") == 0 && rmdir(dir) == 0, "nothing is left");
	return done_testing();
}
