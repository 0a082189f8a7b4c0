/*
 * window.c - memory that the gateway writes and a clone reads
 *
 * Fresh shared memory costs a fault per 4 KB page in each process that
 * touches it.  MADV_COLLAPSE turns a 2 MB range that has one page into one
 * huge page, zeroed by the kernel, even where shmem_enabled says "never": 64
 * MB in 3.5 ms here, against 60 ms by plain faults and 190 ms for
 * collapsing memory that was already there.
 */
#include "etlfs/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "etlfs/format.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25	/* Linux 6.1 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif

#define PAGE		((size_t)4096)
#define HUGE		((size_t)2 << 20)
#define ROUND(n, to)	(((n) + (to) - 1) & ~((to) - 1))

struct window_pool {
	unsigned keep, kept;		/* kept: in clean and dirty */
	size_t warm;
	uint64_t held, limit;		/* bytes of bodies; limit 0: none */
	struct window *clean;		/* read as zeros, prepared ones first */
	struct window *dirty;
};

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* shared mapping of fd on a huge page boundary, so that it can have some */
static void *map_aligned(int fd, size_t size)
{
	size_t room = size + HUGE;
	uint8_t *base, *p;

	base = mmap(NULL, room, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	p = (uint8_t *)ROUND((uintptr_t)base, HUGE);
	if (p > base)
		munmap(base, p - base);
	munmap(p + size, base + room - (p + size));
	if (mmap(p, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

/* the same memory, for reading only: what a tender is given */
static int reopen_readonly(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int window_create(size_t size, struct window **out)
{
	struct window *w;
	int fd = -1, err;

	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->fd = -1;
	w->size = ROUND(size, PAGE);
	fd = memfd_create("usetl-window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, w->size) < 0 ||
	    fcntl(fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto fail;
	w->fd = reopen_readonly(fd);
	if (w->fd < 0)
		goto fail;
	w->map = map_aligned(fd, w->size);
	if (!w->map)
		goto fail;
	close(fd);
	*out = w;
	return 0;
fail:
	err = -errno;
	if (fd >= 0)
		close(fd);
	window_destroy(w);
	return err;
}

void window_destroy(struct window *w)
{
	if (!w)
		return;
	if (w->map)
		munmap(w->map, w->size);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

/* frees all from there on; a kernel that cannot must at least zero it */
static void punch(struct window *w, size_t from)
{
	if (from >= w->size)
		return;
	if (madvise(w->map + from, w->size - from, MADV_REMOVE) < 0 &&
	    w->used > from)
		memset(w->map + from, 0, w->used - from);
}

void window_clear(struct window *w)
{
	size_t from = min_size(ROUND(w->resident, PAGE), w->size);

	memset(w->map, 0, min_size(w->used, from));
	if (w->used > from || w->huge > from)
		punch(w, from);
	w->used = 0;
	w->huge = min_size(w->huge, from);
}

/*
 * A clone that reads where nothing was written makes the kernel allocate
 * zeros there, so a window that had been handed out is punched to its end.
 */
static void window_recycle(struct window *w)
{
	window_clear(w);
	punch(w, min_size(ROUND(w->resident, PAGE), w->size));
}

static int populate(uint8_t *p, size_t len)
{
	if (!madvise(p, len, MADV_POPULATE_WRITE))
		return 0;
	/* a kernel without it: let the writes fault */
	return errno == EINVAL ? 0 : -ENOMEM;
}

int window_warm(struct window *w, size_t end)
{
	uint8_t *p;
	size_t len;
	int err;

	end = min_size(end, w->size);
	while (w->huge < end) {
		p = w->map + w->huge;
		len = min_size(HUGE, w->size - w->huge);
		/* there must be something to collapse */
		err = populate(p, PAGE);
		if (!err && (len < HUGE || madvise(p, HUGE, MADV_COLLAPSE)))
			err = populate(p, len);
		if (err)
			return err;
		w->huge += len;
	}
	return 0;
}

int window_pool_create(struct window_pool **out, unsigned keep, size_t warm)
{
	struct window_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->keep = keep;
	pool->warm = min_size(ROUND(warm, HUGE), ETLFS_WINDOW_STRIDE);
	*out = pool;
	return 0;
}

static struct window *list_pop(struct window **list)
{
	struct window *w = *list;

	if (w) {
		*list = w->next;
		w->next = NULL;
	}
	return w;
}

static struct window *list_take(struct window **list, uint64_t owner)
{
	while (*list && (*list)->owner != owner)
		list = &(*list)->next;
	return list_pop(list);
}

static void list_push(struct window **list, struct window *w)
{
	w->next = *list;
	*list = w;
}

void window_pool_destroy(struct window_pool *pool)
{
	struct window *w;

	if (!pool)
		return;
	while ((w = list_pop(&pool->clean)) || (w = list_pop(&pool->dirty)))
		window_destroy(w);
	free(pool);
}

/*
 * A window that is short of huge pages goes on working on small ones, so a
 * failure to warm is no failure to prepare.
 */
int window_pool_prepare(struct window_pool *pool)
{
	struct window *w;
	int err;

	while ((w = list_pop(&pool->dirty))) {
		window_recycle(w);
		list_push(&pool->clean, w);
	}
	while (pool->kept < pool->keep) {
		err = window_create(ETLFS_WINDOW_STRIDE, &w);
		if (err)
			return err;
		list_push(&pool->clean, w);
		pool->kept++;
	}
	for (w = pool->clean; w; w = w->next)
		if (!window_warm(w, pool->warm))
			w->resident = pool->warm;
	return 0;
}

/* one that this owner may have, which reads as zeros; NULL: there is none */
static struct window *pool_take(struct window_pool *pool, uint64_t owner)
{
	struct window *w = list_take(&pool->clean, owner);

	if (!w && (w = list_take(&pool->dirty, owner)))
		window_recycle(w);
	if (w)
		pool->kept--;
	return w;
}

int window_get(struct window_pool *pool, size_t size, uint64_t owner,
	       struct window **out)
{
	struct window *w;

	if (size > ETLFS_WINDOW_STRIDE)
		return -EFBIG;
	w = pool_take(pool, owner);
	if (!w && owner)
		w = pool_take(pool, 0);
	if (w) {
		*out = w;
		return 0;
	}
	/* what others have had makes room for what this one will put */
	w = list_pop(&pool->dirty);
	if (!w)
		w = list_pop(&pool->clean);
	if (w) {
		pool->kept--;
		window_destroy(w);
	}
	return window_create(ETLFS_WINDOW_STRIDE, out);
}

void window_pool_limit(struct window_pool *pool, uint64_t limit)
{
	pool->limit = limit;
}

int window_pool_charge(struct window_pool *pool, uint64_t bytes)
{
	if (pool->limit && (bytes > pool->limit ||
			    pool->held > pool->limit - bytes))
		return -ENOMEM;
	pool->held += bytes;
	return 0;
}

void window_pool_uncharge(struct window_pool *pool, uint64_t bytes)
{
	pool->held -= bytes;
}

void window_put(struct window_pool *pool, struct window *w)
{
	size_t have;

	if (!w)
		return;
	if (pool->kept >= pool->keep) {
		window_destroy(w);
		return;
	}
	/* what is warm stays warm, up to the pool's measure */
	have = min_size(w->huge, pool->warm);
	if (w->resident < have)
		w->resident = have;
	list_push(&pool->dirty, w);
	pool->kept++;
}
