/* mmap_file.c - files in memory: private, shared, past the end, resized */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

#define PAGE	4096
#define RW	(PROT_READ | PROT_WRITE)
#define SIZE	(5 * PAGE + 100)

static int fd;

static void make(void)
{
	static char data[SIZE];
	char name[] = "/tmp/mmap_file.XXXXXX";
	int i;

	fd = mkstemp(name);
	unlink(name);
	for (i = 0; i < SIZE; i++)
		data[i] = 'a' + i / PAGE;
	ok(fd >= 0 && write(fd, data, SIZE) == SIZE, "a file of %d bytes",
	   SIZE);
}

static void test_private(void)
{
	char *p = mmap(NULL, SIZE, RW, MAP_PRIVATE, fd, 0), c = 0;
	int i, zero = 1;

	if (!ok(p != MAP_FAILED, "private mapping"))
		return;
	ok(p[0] == 'a' && p[PAGE] == 'b' && p[SIZE - 1] == 'f',
	   "a mapping has the file's bytes");
	for (i = SIZE; i < 6 * PAGE; i++)
		zero &= p[i] == 0;
	ok(zero, "zeros after the end of the file");
	p[0] = 'X';
	pread(fd, &c, 1, 0);
	ok(c == 'a', "the file does not see what is written to it");
	munmap(p, SIZE);
	p = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 2 * PAGE);
	ok(p != MAP_FAILED && p[0] == 'c', "a mapping from an offset");
	munmap(p, PAGE);
}

static void test_shared(void)
{
	char *p = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0), *q, c = 0;

	if (!ok(p != MAP_FAILED, "shared mapping"))
		return;
	p[10] = 'S';
	ok(pread(fd, &c, 1, 10) == 1 && c == 'S', "a write by memory is read");
	ok(pwrite(fd, "T", 1, 11) == 1 && p[11] == 'T',
	   "a write to the file is seen in memory");
	q = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	p[12] = 'U';
	ok(q != MAP_FAILED && q[12] == 'U',
	   "a write to the file is seen in another mapping");
	munmap(q, SIZE);
	ok(p[12] == 'U' && msync(p, SIZE, MS_SYNC) == 0,
	   "unmapping one leaves the other");
	munmap(p, SIZE);
	ok(pread(fd, &c, 1, 12) == 1 && c == 'U', "a write by memory stays");
}

static void test_resize(void)
{
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);

	p[0] = 'R';
	ok(ftruncate(fd, 64 * PAGE) == 0, "the file grows");
	p = mremap(p, PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	ok(p != MAP_FAILED && p[0] == 'R' && p[PAGE] == 'b' &&
	   p[63 * PAGE] == 0, "a file that grows: its mapping, too");
	p[63 * PAGE] = 'E';
	munmap(p, 64 * PAGE);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 63 * PAGE);
	ok(p != MAP_FAILED && p[0] == 'E',
	   "what was written past the old end is in the file");
	munmap(p, PAGE);
}

/* what is behind the end belongs to the mapping alone */
static void test_tail(void)
{
	int f = open("/tmp/mmap_tail", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char back[600] = "", *p;

	write(f, "abc", 3);
	p = mmap(NULL, PAGE, RW, MAP_SHARED, f, 0);
	p[100] = 'x';
	ok(fallocate(f, 0, 0, 200) == 0 && pread(f, back, 200, 0) == 200 &&
	   back[100] == 0, "fallocate does not show what was past the end");
	p[300] = 'x';
	ok(ftruncate(f, 400) == 0 && pread(f, back, 400, 0) == 400 &&
	   back[300] == 0, "ftruncate does not show what was past the end");
	p[500] = 'x';
	ok(pwrite(f, "z", 1, 599) == 1 && pread(f, back, 600, 0) == 600 &&
	   back[500] == 0,
	   "a write further on does not show what was past the end");
	munmap(p, PAGE);
	close(f);
	unlink("/tmp/mmap_tail");
}

/* a file that cannot grow where it is stays mapped where it is */
static void test_stuck(void)
{
	enum { SMALL = 64 * 1024, LARGE = 4 * SMALL };
	int f = open("/tmp/mmap_stuck", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int g = open("/tmp/mmap_other", O_RDWR | O_CREAT | O_TRUNC, 0600);
	static char other[LARGE];
	char back[8] = "", *p, *q;
	int i;

	ftruncate(f, LARGE);
	p = mmap(NULL, SMALL, RW, MAP_SHARED, f, 0);
	strcpy(p, "first");
	memset(other, 'o', sizeof(other));
	write(g, other, sizeof(other));
	q = mremap(p, SMALL, LARGE, 0);
	if (q != MAP_FAILED)
		p = q;
	ok(!strcmp(p, "first"), "mremap in place, or not at all");
	for (i = 0; i < 4; i++)
		write(g, other, sizeof(other));
	strcpy(p, "after");
	ok(pread(f, back, 6, 0) == 6 && !strcmp(back, "after"),
	   "mremap: it is the file's memory still");
	ok(pread(g, back, 1, 0) == 1 && back[0] == 'o',
	   "mremap: it is no other file's memory");
	munmap(p, q != MAP_FAILED ? LARGE : SMALL);
	close(f);
	close(g);
	unlink("/tmp/mmap_stuck");
	unlink("/tmp/mmap_other");
}

static void test_life(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);

	close(fd);
	ok(p != MAP_FAILED && p[0] == 'b', "a mapping outlives its descriptor");
	munmap(p, PAGE);
}

static void test_errors(void)
{
	int ro = open("/proc/self/exe", O_RDONLY), dir = open("/", O_RDONLY);
	int wo = open("/tmp/mmap_wo", O_WRONLY | O_CREAT, 0600);
	char *p;

	fails(mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0), EACCES,
	      "shared and writable of a read-only descriptor");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES,
	      "a mapping of a write-only descriptor");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV,
	      "a mapping of a directory");
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 1), EINVAL,
	      "offset not aligned");
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0);
	ok(p != MAP_FAILED && !memcmp(p, "\177ELF", 4),
	   "the program's own file");
	munmap(p, PAGE);
	unlink("/tmp/mmap_wo");
	close(ro);
	close(wo);
	close(dir);
}

static void test_zero(void)
{
	int z = open("/dev/zero", O_RDWR);
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, z, 0);

	ok(p != MAP_FAILED && p[0] == 0 && p[2 * PAGE - 1] == 0, "/dev/zero");
	p[0] = 1;
	munmap(p, 2 * PAGE);
	close(z);
}

int main(void)
{
	make();
	test_private();
	test_shared();
	test_resize();
	test_tail();
	test_stuck();
	test_life();
	test_errors();
	test_zero();
	return done_testing();
}
