/* mmap_anon.c - anonymous memory: mmap, munmap, mprotect, madvise, mremap */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

#define PAGE	4096
#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

static char *get(size_t len)
{
	char *p = mmap(NULL, len, RW, ANON, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int all(const char *p, char c, size_t n)
{
	while (n--)
		if (*p++ != c)
			return 0;
	return 1;
}

static void test_mmap(void)
{
	char *p = get(5 * PAGE), *q;

	ok(p && (uintptr_t)p % PAGE == 0 && all(p, 0, 5 * PAGE),
	   "anonymous memory is zero");
	memset(p, 1, 5 * PAGE);
	ok(munmap(p, 5 * PAGE) == 0, "munmap");
	p = get(5 * PAGE);
	ok(all(p, 0, 5 * PAGE), "memory that comes again is zero again");
	memset(p, 2, 5 * PAGE);
	q = mmap(p + PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	ok(q == p + PAGE && all(q, 0, 2 * PAGE) && p[0] == 2 &&
	   p[3 * PAGE] == 2, "MAP_FIXED replaces what was there");
	ok(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED
	   && errno == EEXIST, "MAP_FIXED_NOREPLACE: EEXIST");
	ok(munmap(p + 2 * PAGE, PAGE) == 0 &&
	   mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) ==
	   p + 2 * PAGE, "MAP_FIXED_NOREPLACE into a hole");
	munmap(p, 5 * PAGE);
	p = get(1);
	ok(p && all(p, 0, PAGE) && munmap(p, 1) == 0, "one byte is a page");
	p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ok(p != MAP_FAILED && all(p, 0, PAGE), "shared anonymous memory");
	munmap(p, PAGE);
}

static void test_errors(void)
{
	char *p = get(PAGE);

	fails(mmap(NULL, 0, RW, ANON, -1, 0), EINVAL, "mmap: length 0");
	fails(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL,
	      "mmap: neither shared nor private");
	fails(mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL,
	      "mmap: MAP_FIXED not aligned");
	fails(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF,
	      "mmap: no such file");
	fails(mmap(NULL, SIZE_MAX - 2 * PAGE, RW, ANON, -1, 0), ENOMEM,
	      "mmap: too long");
	fails(munmap(p + 1, PAGE), EINVAL, "munmap: not aligned");
	fails(munmap(p, 0), EINVAL, "munmap: length 0");
	fails(mprotect(p + 1, PAGE, PROT_READ), EINVAL,
	      "mprotect: not aligned");
	munmap(p, PAGE);
	fails(mprotect(p, PAGE, PROT_READ), ENOMEM, "mprotect: not mapped");
	fails(madvise(p, PAGE, MADV_DONTNEED), ENOMEM,
	      "madvise: not mapped");
	p = get(PAGE);
	fails(madvise(p, PAGE, 12345), EINVAL, "madvise: no such advice");
	fails(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL, "msync: both");
	ok(msync(p, PAGE, MS_SYNC) == 0, "msync");
	munmap(p, PAGE);
}

static void test_advice(void)
{
	char *p = get(3 * PAGE);
	unsigned char vec[3] = { 0, 0, 0 };

	memset(p, 3, 3 * PAGE);
	ok(madvise(p + PAGE, PAGE, MADV_DONTNEED) == 0 &&
	   all(p + PAGE, 0, PAGE) && p[0] == 3 && p[2 * PAGE] == 3,
	   "MADV_DONTNEED gives zeros");
	ok(madvise(p, 3 * PAGE, MADV_WILLNEED) == 0 &&
	   madvise(p, 3 * PAGE, MADV_NORMAL) == 0, "advice without effect");
	ok(mprotect(p, PAGE, PROT_READ) == 0 && p[0] == 3 &&
	   mprotect(p, PAGE, RW) == 0, "mprotect there and back");
	p[0] = 4;
	p[PAGE] = 4;
	ok(mincore(p, 3 * PAGE, vec) == 0 && (vec[0] & 1) && (vec[1] & 1),
	   "mincore");
	ok(mlock(p, 3 * PAGE) == 0 && munlock(p, 3 * PAGE) == 0,
	   "mlock, munlock");
	munmap(p, 3 * PAGE);
}

/* as a file's pages are: others may look at it */
static void test_shared(void)
{
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	p[0] = 7;
	ok(madvise(p, 2 * PAGE, MADV_DONTNEED) == 0 && p[0] == 7 &&
	   p[PAGE] == 0, "shared memory outlives MADV_DONTNEED");
	munmap(p, 2 * PAGE);
}

static void test_exec(void)
{
	static const unsigned char code[] = {
		0xb8, 42, 0, 0, 0, 0xc3		/* mov $42, %eax; ret */
	};
	unsigned char *p = mmap(NULL, PAGE, RW | PROT_EXEC, ANON, -1, 0);

	if (!ok(p != MAP_FAILED, "memory to write and execute"))
		return;
	memcpy(p, code, sizeof(code));
	ok(((int (*)(void))p)() == 42, "code made there runs");
	munmap(p, PAGE);
}

static void test_mremap(void)
{
	char *p = get(4 * PAGE), *q, *r;

	memset(p, 5, 4 * PAGE);
	q = mremap(p, 4 * PAGE, 2 * PAGE, 0);
	ok(q == p && all(p, 5, 2 * PAGE), "mremap shrinks in place");
	r = mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	fails(mremap(p, 2 * PAGE, 4 * PAGE, 0), ENOMEM,
	      "mremap: no room in place");
	q = mremap(p, 2 * PAGE, 600 * PAGE, MREMAP_MAYMOVE);
	ok(q != MAP_FAILED && q != p && all(q, 5, 2 * PAGE) &&
	   all(q + 2 * PAGE, 0, 598 * PAGE), "mremap moves, zeros follow");
	p = get(2 * PAGE);
	ok(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) ==
	   p && all(p, 5, 2 * PAGE), "mremap to a fixed address");
	munmap(q + 2 * PAGE, 598 * PAGE);
	munmap(p, 2 * PAGE);
	munmap(r, PAGE);
	fails(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT,
	      "mremap: not mapped");
	fails(mremap(p + 1, PAGE, PAGE, 0), EINVAL, "mremap: not aligned");
}

/* many pieces, freed in another order, with a check of each one's bytes */
static void test_many(void)
{
	enum { N = 300 };
	static char *p[N];
	int i, k, kept = 1;

	for (i = 0; i < N; i++) {
		p[i] = get((1 + i % 7) * PAGE);
		if (!p[i])
			break;
		memset(p[i], i, (1 + i % 7) * PAGE);
	}
	ok(i == N, "300 mappings");
	for (i = 0; i < N; i++) {
		k = i * 7 % N;
		kept &= all(p[k], (char)k, (1 + k % 7) * PAGE);
		kept &= munmap(p[k], (1 + k % 7) * PAGE) == 0;
	}
	ok(kept, "300 mappings: each kept its bytes");
}

int main(void)
{
	test_mmap();
	test_errors();
	test_advice();
	test_shared();
	test_exec();
	test_mremap();
	test_many();
	return done_testing();
}
