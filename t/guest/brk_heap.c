/* brk_heap.c - the break, and libc's malloc on top of it */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

#define PAGE	4096

static uintptr_t brk_raw(uintptr_t addr)
{
	return syscall(SYS_brk, addr);
}

static int all(const char *p, char c, size_t n)
{
	while (n--)
		if (*p++ != c)
			return 0;
	return 1;
}

static void test_brk(void)
{
	uintptr_t start = brk_raw(0), top = (start + PAGE - 1) & -PAGE;

	ok(start > 0, "brk(0) tells the break");
	ok(brk_raw(top + 10 * PAGE) == top + 10 * PAGE, "the break grows");
	ok(all((char *)top, 0, 10 * PAGE), "the break: what is new is zero");
	memset((char *)top, 1, 10 * PAGE);
	ok(brk_raw(top + 3 * PAGE) == top + 3 * PAGE, "the break shrinks");
	ok(brk_raw(top + 10 * PAGE) == top + 10 * PAGE &&
	   all((char *)top, 1, 3 * PAGE) &&
	   all((char *)top + 3 * PAGE, 0, 7 * PAGE),
	   "the break: what was given back is zero");
	ok(brk_raw(1) == top + 10 * PAGE,
	   "the break: below its start, no change");
	ok(brk_raw(UINTPTR_MAX - PAGE) == top + 10 * PAGE,
	   "the break: too far, no change");
	ok(brk_raw(start) == start, "the break goes back to its start");
}

enum { N = 2000 };

static void test_malloc(void)
{
	static char *p[N];
	static size_t len[N];
	int i, k, kept = 1;

	srand(7);
	for (i = 0; i < 40000; i++) {
		k = rand() % N;
		if (p[k]) {
			kept &= p[k][0] == (char)k &&
				p[k][len[k] - 1] == (char)k;
			free(p[k]);
			p[k] = NULL;
			continue;
		}
		len[k] = 1 + rand() % (rand() % 100 ? 1000 : 300000);
		p[k] = malloc(len[k]);
		if (!p[k])
			continue;
		p[k][0] = p[k][len[k] - 1] = k;
	}
	for (k = 0; k < N; k++)
		free(p[k]);
	ok(kept, "malloc: 40000 random steps");
	p[0] = calloc(1000, 1000);
	ok(p[0] && all(p[0], 0, 1000000), "calloc: zeros");
	p[0] = realloc(p[0], 3000000);
	ok(p[0] && all(p[0], 0, 1000000), "realloc: bytes are kept");
	free(p[0]);
	ok(malloc(SIZE_MAX / 2) == NULL && errno == ENOMEM,
	   "malloc: too much is ENOMEM");
}

int main(void)
{
	static char out[BUFSIZ];

	/* nothing but the test may move the break meanwhile */
	setvbuf(stdout, out, _IOLBF, sizeof(out));
	test_brk();
	test_malloc();
	return done_testing();
}
