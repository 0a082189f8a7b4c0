/*
 * window_test.c - windows read as zeros whoever had them before
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "etlfs/format.h"
#include "etlfs/region/window.h"
#include "t/unit/server.h"

#define MB	((size_t)1 << 20)

static int all_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

static size_t allocated(const struct window *w)
{
	struct stat st;

	return fstat(w->fd, &st) ? 0 : (size_t)st.st_blocks * 512;
}

static void scribble(struct window *w, size_t from, size_t to)
{
	memset(w->map + from, 0xa5, to - from);
	if (w->used < to)
		w->used = to;
}

static void test_one(void)
{
	struct window *w;
	uint8_t *ro;

	ok(!window_create(5000, &w) && w->size == 8192,
	   "a window has whole pages");
	ok(all_zero(w->map, w->size), "a new window reads as zeros");
	scribble(w, 0, 6000);
	ro = mmap(NULL, 8192, PROT_READ, MAP_SHARED, w->fd, 0);
	ok(ro != MAP_FAILED && ro[5999] == 0xa5,
	   "what is written is seen through its descriptor");
	ok(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0) ==
	   MAP_FAILED && errno == EACCES,
	   "a window's descriptor cannot be mapped writable");
	ok(ftruncate(w->fd, 0) < 0 && pwrite(w->fd, "x", 1, 0) < 0,
	   "a window's descriptor cannot be truncated or written");
	ok(fcntl(w->fd, F_GETFD) & FD_CLOEXEC,
	   "a window's descriptor is closed by exec");
	window_clear(w);
	ok(!allocated(w), "cleared: nothing stays allocated");
	ok(all_zero(ro, 8192) && !w->used, "cleared: it reads as zeros");
	w->resident = 4096;
	scribble(w, 0, 6000);
	window_clear(w);
	ok(allocated(w) == 4096 && all_zero(ro, 8192),
	   "a resident part stays, and reads as zeros too");
	munmap(ro, 8192);
	window_destroy(w);
	window_destroy(NULL);
}

static void test_warm(void)
{
	struct window *w;

	ok(!window_create(9 * MB, &w), "a window of 9 MB");
	ok(!((uintptr_t)w->map % (2 * MB)),
	   "a window of 9 MB lies on a 2 MB boundary");
	ok(!window_warm(w, 0, 3 * MB) && w->huge == 4 * MB,
	   "3 MB warm are two huge pages");
	ok(allocated(w) == 4 * MB, "3 MB warm are allocated");
	ok(all_zero(w->map, 9 * MB), "3 MB warm are zero");
	scribble(w, MB, 3 * MB);
	ok(!window_warm(w, 0, 64 * MB) && w->huge == 9 * MB,
	   "warming ends where the window does");
	ok(w->map[3 * MB - 1] == 0xa5 && w->map[MB] == 0xa5 &&
	   all_zero(w->map + 3 * MB, 6 * MB), "warming keeps what is there");
	window_clear(w);
	ok(!allocated(w) && !w->huge, "cleared: all of it is given back");
	window_destroy(w);
}

static void test_pool(void)
{
	struct window_pool *pool;
	struct window *a, *b, *c, *first;

	ok(!window_pool_create(&pool, 2, 4 * MB), "a pool that keeps two");
	ok(!window_pool_prepare(pool), "a pool that keeps two is prepared");
	ok(!window_get(pool, 64 * MB, 0, &a) && !window_get(pool, 1, 0, &b) &&
	   !window_get(pool, ETLFS_WINDOW_STRIDE, 0, &c),
	   "a pool that keeps two hands out three, one of them new");
	ok(a->resident == 4 * MB && allocated(a) == 4 * MB &&
	   b->resident == 4 * MB && !allocated(c),
	   "kept windows are resident as far as they were to be warm");
	first = a;
	window_warm(a, 0, 7 * MB);
	window_warm(c, 0, 2 * MB);
	scribble(a, 0, 7 * MB);
	scribble(c, 0, MB);
	window_put(pool, a);
	window_put(pool, c);
	window_put(pool, b);
	ok(!window_get(pool, 1, 0, &b) && !window_get(pool, 1, 0, &a),
	   "two windows come back to their pool");
	ok(a == first || b == first,
	   "used windows are handed out, not new ones");
	ok(allocated(first) == 4 * MB,
	   "of a used window the warm part stays, the rest not");
	ok(all_zero(a->map, 8 * MB) && all_zero(b->map, 8 * MB),
	   "used windows read as zeros, before any prepare");
	scribble(a, 0, 5 * MB);
	window_put(pool, a);
	window_put(pool, b);
	ok(!window_pool_prepare(pool) && !window_get(pool, 1, 0, &a) &&
	   !window_get(pool, 1, 0, &b) && allocated(a) == 4 * MB &&
	   allocated(b) == 4 * MB && all_zero(a->map, 8 * MB) &&
	   all_zero(b->map, 8 * MB),
	   "prepare zeroes used windows and warms them");
	ok(window_get(pool, ETLFS_WINDOW_STRIDE + 1, 0, &c) == -EFBIG,
	   "more than a window can be: EFBIG");
	window_put(pool, a);
	window_put(pool, b);
	window_put(pool, NULL);
	window_pool_destroy(pool);
	window_pool_destroy(NULL);
}

/* what a process of one owner may still read is not another's */
static void test_owner(void)
{
	struct window_pool *pool;
	struct window *a, *b, *first;
	struct stat sa, sb;

	ok(!window_pool_create(&pool, 1, 0) && !window_get(pool, 1, 7, &a),
	   "an owner gets a window");
	first = a;
	scribble(a, 0, MB);
	a->owner = 7;
	window_put(pool, a);
	ok(!window_get(pool, 1, 7, &a) && a == first && all_zero(a->map, MB),
	   "an owner gets its window again, zeroed");
	fstat(a->fd, &sa);
	window_put(pool, a);
	ok(!window_get(pool, 1, 8, &b) && !fstat(b->fd, &sb) &&
	   sb.st_ino != sa.st_ino && !b->owner,
	   "another owner gets other memory");
	window_put(pool, b);
	ok(!window_get(pool, 1, 7, &a) && !fstat(a->fd, &sa) &&
	   sb.st_ino == sa.st_ino, "what nobody kept is anybody's");
	window_put(pool, a);
	window_pool_destroy(pool);
}

int main(void)
{
	test_one();
	test_warm();
	test_pool();
	test_owner();
	return plan();
}
