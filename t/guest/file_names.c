/*
 * file_names.c - names: directories, links, rename, removal, listing
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "t/guest/tap.h"

static char buf[8192];

static int make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -1;
	return close(fd);
}

static const char *text(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n < 0 ? "?" : buf;
}

static long links(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? -1 : (long)st.st_nlink;
}

static int count(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_dirs(void)
{
	ok(mkdir("d", 0755) == 0 && links("d") == 2, "mkdir");
	fails(mkdir("d", 0755), EEXIST, "mkdir: there");
	fails(mkdir("x/y", 0755), ENOENT, "mkdir: no parent");
	ok(mkdir("d/s/", 0755) == 0 && links("d") == 3, "mkdir with a slash");
	make("d/f", "f");
	fails(rmdir("d"), ENOTEMPTY, "rmdir: not empty");
	fails(rmdir("d/f"), ENOTDIR, "rmdir: a file");
	fails(rmdir("d/."), EINVAL, "rmdir: '.'");
	fails(unlink("d"), EISDIR, "unlink: a directory");
	fails(unlink("d/f/"), ENOTDIR, "unlink: a file with a slash");
	fails(unlink("d/g"), ENOENT, "unlink: missing");
	ok(count("d") == 4, "a folder has four names");
	ok(rmdir("d/s") == 0 && unlink("d/f") == 0 && links("d") == 2,
	   "emptied");
	ok(rmdir("d") == 0 && count("d") == -1, "rmdir");
}

static void test_links(void)
{
	struct stat a, b;

	make("a", "text");
	ok(link("a", "b") == 0 && links("a") == 2, "link");
	ok(stat("a", &a) == 0 && stat("b", &b) == 0 && a.st_ino == b.st_ino &&
	   a.st_dev == b.st_dev, "link: it is the same file");
	make("b", "new");
	ok(!strcmp(text("a"), "new"), "written through one, read by the other");
	ok(unlink("a") == 0 && links("b") == 1, "unlink takes one");
	mkdir("d", 0755);
	fails(link("d", "e"), EPERM, "link: a directory");
	fails(link("b", "d"), EEXIST, "link: there");
	ok(symlink("b", "l") == 0 && readlink("l", buf, 9) == 1, "symlink");
	ok(!strcmp(text("l"), "new"), "symlink: it is followed");
	fails(open("l", O_RDONLY | O_NOFOLLOW), ELOOP,
	      "symlink: not followed with O_NOFOLLOW");
	fails(readlink("b", buf, 9), EINVAL, "readlink: a file");
	ok(lstat("l", &a) == 0 && S_ISLNK(a.st_mode) && a.st_size == 1,
	   "lstat sees it");
	ok(link("l", "l2") == 0 && links("l") == 2, "a link to a link");
	ok(symlink("../d/../b", "d/m") == 0 && !strcmp(text("d/m"), "new"),
	   "a link is relative to where it is");
	symlink("dangling", "g");
	fails(open("g", O_RDONLY), ENOENT, "a dangling one");
	ok(make("g", "made") == 0 && !strcmp(text("dangling"), "made"),
	   "O_CREAT makes what it names");
	fails(open("g", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST,
	      "O_EXCL does not follow");
	symlink("loop", "loop");
	fails(open("loop", O_RDONLY), ELOOP, "a loop");
	fails(symlink("", "empty"), ENOENT, "an empty target");
	unlink("loop");
	unlink("g");
	unlink("dangling");
	unlink("d/m");
	rmdir("d");
	unlink("l");
	unlink("l2");
	ok(unlink("b") == 0 && count(".") == 2, "all removed");
}

static void test_long(void)
{
	char name[300], path[5000];
	int i, fd;

	memset(name, 'n', 255);
	name[255] = 0;
	ok(make(name, "x") == 0 && unlink(name) == 0, "255 bytes of name");
	name[255] = 'n';
	name[256] = 0;
	fails(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG, "256 bytes");
	for (i = 0; i < 4095; i++)
		path[i] = i % 2 ? '/' : '.';
	path[4094] = '.';
	path[4095] = 0;
	fd = open(path, O_RDONLY);
	ok(fd >= 0, "4095 bytes of path");
	close(fd);
	path[4095] = '/';
	path[4096] = 0;
	fails(open(path, O_RDONLY), ENAMETOOLONG, "4096 bytes");
}

static void test_rename(void)
{
	int fd;

	make("a", "A");
	make("b", "B");
	ok(rename("a", "b") == 0 && !strcmp(text("b"), "A") &&
	   links("a") == -1, "rename over a file");
	fd = open("b", O_RDONLY);
	make("c", "C");
	ok(rename("c", "b") == 0 && read(fd, buf, 9) == 1 && buf[0] == 'A',
	   "the one it replaced is still open");
	close(fd);
	mkdir("d", 0755);
	mkdir("e", 0755);
	make("d/x", "x");
	fails(rename("b", "d"), EISDIR, "a file over a directory");
	fails(rename("d", "b"), ENOTDIR, "a directory over a file");
	fails(rename("e", "d"), ENOTEMPTY, "rename over a full directory");
	fails(rename("d", "d/in"), EINVAL, "rename: a directory into itself");
	ok(rename("d", "e") == 0 && !strcmp(text("e/x"), "x"),
	   "rename over an empty directory, with what is in it");
	mkdir("d", 0755);
	ok(rename("e", "d/e") == 0 && links("d") == 3 && links(".") == 3,
	   "rename into another directory: link counts follow");
	ok(!strcmp(text("d/e/../e/x"), "x"),
	   "a folder's '..' follows a rename");
	link("b", "same");
	ok(rename("b", "same") == 0 && links("b") == 2,
	   "two names of one file: nothing happens");
	fails(renameat2(AT_FDCWD, "b", AT_FDCWD, "d", RENAME_NOREPLACE),
	      EEXIST, "RENAME_NOREPLACE");
	ok(renameat2(AT_FDCWD, "b", AT_FDCWD, "d/e", RENAME_EXCHANGE) == 0 &&
	   !strcmp(text("d/e"), "C") && !strcmp(text("b/x"), "x") &&
	   links("d") == 2 && links(".") == 4, "RENAME_EXCHANGE");
	fails(rename("nosuch", "b"), ENOENT, "rename: missing");
	fails(rename("b/.", "z"), EBUSY, "rename: '.'");
	unlink("b/x");
	rmdir("b");
	unlink("d/e");
	rmdir("d");
	ok(unlink("same") == 0 && count(".") == 2, "all removed");
}

static void test_listing(void)
{
	char name[300], seen[600] = { 0 };
	struct dirent *e;
	int i, bad = 0, n = 600, dots = 0;
	long at;
	DIR *d;

	mkdir("many", 0755);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		bad |= make(name, "");
	}
	ok(!bad && count("many") == n + 2, "600 names");
	d = opendir("many");
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.') {
			dots++;
			continue;
		}
		bad |= e->d_type != DT_REG;
		seen[atoi(e->d_name)]++;
		snprintf(name, sizeof(name), "many/%s", e->d_name);
		unlink(name);
	}
	for (i = 0; i < n; i++)
		bad |= seen[i] != 1;
	ok(!bad && dots == 2,
	   "each of 600 names is read once while they are removed");
	ok(count("many") == 2, "of 600 names none is left");
	make("many/one", "");
	rewinddir(d);
	at = telldir(d);
	for (n = 0; readdir(d); n++)
		;
	ok(n == 3, "rewinddir sees a new one");
	seekdir(d, at);
	ok(readdir(d) != NULL, "seekdir");
	closedir(d);
	unlink("many/one");
	rmdir("many");
}

static void test_cwd(const char *home)
{
	char want[100];
	int fd;

	mkdir("w", 0755);
	mkdir("w/in", 0755);
	ok(chdir("w/in") == 0, "chdir");
	snprintf(want, sizeof(want), "%s/w/in", home);
	ok(getcwd(buf, sizeof(buf)) && !strcmp(buf, want), "getcwd");
	ok(rename("../../w", "../../v") == 0,
	   "the parent of the working directory is renamed");
	snprintf(want, sizeof(want), "%s/v/in", home);
	ok(getcwd(buf, sizeof(buf)) && !strcmp(buf, want), "getcwd follows");
	ok(syscall(SYS_getcwd, buf, strlen(want)) == -1 && errno == ERANGE,
	   "a small buffer is ERANGE");
	rmdir("../in");
	fails(syscall(SYS_getcwd, buf, 100), ENOENT, "a removed directory");
	fails(open("x", O_CREAT | O_RDWR, 0600), ENOENT,
	      "a removed directory takes no names");
	ok(chdir("..") == 0 && getcwd(buf, sizeof(buf)) &&
	   !strncmp(buf, want, strlen(want) - 3),
	   "a removed directory still lies somewhere");
	mkdir("x", 0755);
	mkdir("x/y", 0755);
	ok(chdir("x/y") == 0 && rmdir("../../x/y") == 0 &&
	   rmdir("../../x") == 0 && chdir("../..") == 0 &&
	   access("x", F_OK) < 0,
	   "a removed directory in another lies somewhere");
	ok(chdir(home) == 0 && rmdir("v") == 0, "back");
	fails(chdir("nosuch"), ENOENT, "chdir: missing");
	make("f", "");
	fails(chdir("f"), ENOTDIR, "chdir: a file");
	fd = open(".", O_RDONLY);
	ok(chdir("/") == 0 && fchdir(fd) == 0 && unlink("f") == 0, "fchdir");
	ok(mkdirat(fd, "at", 0755) == 0 && unlinkat(fd, "at", AT_REMOVEDIR)
	   == 0, "mkdirat, unlinkat");
	close(fd);
	fails(openat(fd, "x", O_RDONLY), EBADF, "openat: a closed directory");
	fd = open("f", O_CREAT | O_RDWR, 0600);
	fails(openat(fd, "x", O_RDONLY), ENOTDIR, "openat: a file");
	snprintf(buf, 100, "%s/f", home);
	ok(openat(fd, buf, O_RDONLY) >= 0,
	   "openat: a full path ignores the directory");
	close(fd);
	unlink("f");
}

static void test_nodes(void)
{
	struct stat st;

	ok(mknod("n", S_IFREG | 0600, 0) == 0 && stat("n", &st) == 0 &&
	   S_ISREG(st.st_mode), "mknod: a file");
	ok(mkfifo("p", 0600) == 0 && stat("p", &st) == 0 &&
	   S_ISFIFO(st.st_mode), "mkfifo");
	fails(mknod("q", S_IFDIR | 0600, 0), EPERM, "mknod: a directory");
	ok(unlink("n") == 0 && unlink("p") == 0, "removed");
}

int main(void)
{
	char home[] = "/tmp/file_names.XXXXXX";

	if (!mkdtemp(home) || chdir(home) < 0)
		return 1;
	test_dirs();
	test_links();
	test_long();
	test_rename();
	test_listing();
	test_cwd(home);
	test_nodes();
	ok(chdir("/") == 0 && rmdir(home) == 0, "nothing is left");
	return done_testing();
}
