/*
 * window.c - memory that the gateway writes and a clone reads
 *
 * Fresh shared memory costs a fault per 4 KB page in each process that
 * touches it.  MADV_COLLAPSE turns a 2 MB range that has one page into one
 * huge page, zeroed by the kernel, even where shmem_enabled says "never": 64
 * MB in 3.5 ms here, against 60 ms by plain faults and 190 ms for
 * collapsing memory that was already there.
 *
 * It also waits until every processor has emptied its list of pages
 * (lru_add_drain_all), which on a loaded machine was seen to take more than a
 * second.  The whole gateway waits with it, so after a slow collapse small
 * pages are used for a time.  Small pages take long to free; where there are
 * many, a thread does it.
 */
#include "etlfs/region/window.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/madvise.h"
#include "conf/nstime.h"

#define PAGE		((size_t)4096)
#define HUGE		WINDOW_BIG
/* a collapse that takes longer is slow */
#define SLOW_NS		5000000ull
/* no other for this many times as long */
#define SLOW_FOR	1000ull
#define SLOW_MAX_NS	60000000000ull
/* up to this much is freed at once */
#define COOL_HERE	((size_t)16 << 20)
#define ROUND(n, to)	(((n) + (to) - 1) & ~((to) - 1))

struct window_pool {
	pthread_mutex_t lock;		/* of the lists and counts */
	pthread_cond_t cooled;
	unsigned cooling;		/* windows that threads are freeing */
	unsigned keep, kept;		/* kept: in the lists, or soon to be */
	size_t warm;
	struct share share;		/* bytes in use */
	/* these read as zeros; prepared first */
	struct window *clean;
	struct window *dirty;
};

static int is_warm(const struct window *w, size_t big)
{
	return w->warm[big / 64] >> big % 64 & 1;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void set_warm(struct window *w, size_t big, int warm)
{
	size_t len;

	if (warm == is_warm(w, big))
		return;
	len = min_size(HUGE, w->size - big * HUGE);
	w->warm[big / 64] ^= (uint64_t)1 << big % 64;
	w->huge = warm ? w->huge + len : w->huge - len;
}

/* a shared mapping of fd at a huge page boundary, so it can have huge pages */
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

/* the same memory for reading only, which is what a tender is given */
static int reopen_readonly(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int window_create(size_t size, struct window **out)
{
	struct window *w;
	int fd = -1, rc;

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
	rc = -errno;
	if (fd >= 0)
		close(fd);
	window_destroy(w);
	return rc;
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

/*
 * Frees all memory from `from` on; a kernel that cannot must at least zero it.
 */
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
	size_t from = min_size(ROUND(w->resident, PAGE), w->size), i;

	memset(w->map, 0, min_size(w->used, from));
	if (w->used > from || w->huge > from)
		punch(w, from);
	w->used = 0;
	for (i = ROUND(from, HUGE) / HUGE; i < WINDOW_BIGS; i++)
		set_warm(w, i, 0);
	/* a part of this 2 MB page has been freed */
	if (from % HUGE)
		set_warm(w, from / HUGE, 0);
}

/*
 * A read by a clone makes the kernel allocate zero pages even where nothing was
 * written, so a window that had been handed out is punched to its end.
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
	/* a kernel without it lets the writes fault instead */
	return errno == EINVAL ? 0 : -ENOMEM;
}

/* 0 when [p, p + HUGE), in which a page is present, is one huge page now */
static int collapse(uint8_t *p)
{
	static uint64_t not_before;
	uint64_t from = nstime_now(), took;
	int rc;

	if (from < not_before)
		return -EAGAIN;
	rc = madvise(p, HUGE, MADV_COLLAPSE);
	took = nstime_now() - from;
	if (took > SLOW_NS)
		not_before = from + (took < SLOW_MAX_NS / SLOW_FOR ?
				     took * SLOW_FOR : SLOW_MAX_NS);
	return rc;
}

int window_warm(struct window *w, size_t from, size_t end)
{
	size_t big, len;
	uint8_t *p;
	int rc;

	end = min_size(end, w->size);
	for (big = from / HUGE; big * HUGE < end; big++) {
		if (is_warm(w, big))
			continue;
		p = w->map + big * HUGE;
		len = min_size(HUGE, w->size - big * HUGE);
		/* a collapse needs a page that is present */
		rc = populate(p, PAGE);
		if (!rc && (len < HUGE || collapse(p)))
			rc = populate(p, len);
		if (rc < 0)
			return rc;
		set_warm(w, big, 1);
	}
	return 0;
}

void window_cool(struct window *w, size_t from, size_t end)
{
	size_t big;

	for (big = ROUND(from, HUGE) / HUGE; (big + 1) * HUGE <= end; big++) {
		if (big * HUGE < w->resident || !is_warm(w, big))
			continue;
		if (madvise(w->map + big * HUGE, HUGE, MADV_REMOVE) < 0)
			continue;
		set_warm(w, big, 0);
	}
}

int window_pool_create(struct window_pool **out, unsigned keep, size_t warm)
{
	struct window_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->cooled, NULL);
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
	pthread_mutex_lock(&pool->lock);
	while (pool->cooling)
		pthread_cond_wait(&pool->cooled, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	while ((w = list_pop(&pool->clean)) || (w = list_pop(&pool->dirty)))
		window_destroy(w);
	pthread_cond_destroy(&pool->cooled);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* pops from list, or when that is empty from other */
static struct window *pool_pop(struct window_pool *pool, struct window **list,
			       struct window **other)
{
	struct window *w;

	pthread_mutex_lock(&pool->lock);
	w = list_pop(list);
	if (!w && other)
		w = list_pop(other);
	pool->kept -= w != NULL;
	pthread_mutex_unlock(&pool->lock);
	return w;
}

static void pool_push(struct window_pool *pool, struct window **list,
		      struct window *w)
{
	pthread_mutex_lock(&pool->lock);
	list_push(list, w);
	pool->kept++;
	pthread_mutex_unlock(&pool->lock);
}

int window_pool_prepare(struct window_pool *pool)
{
	struct window *w;
	int rc;

	while ((w = pool_pop(pool, &pool->dirty, NULL))) {
		window_recycle(w);
		pool_push(pool, &pool->clean, w);
	}
	while (pool->kept < pool->keep) {
		rc = window_create(ETLFS_WINDOW_STRIDE, &w);
		if (rc < 0)
			return rc;
		pool_push(pool, &pool->clean, w);
	}
	/* threads put windows only into `dirty` */
	for (w = pool->clean; w; w = w->next)
		if (!window_warm(w, 0, pool->warm))
			w->resident = pool->warm;
	return 0;
}

/* a window that this owner may have and that reads as zeros, or NULL */
static struct window *pool_take(struct window_pool *pool, uint64_t owner)
{
	struct window *w;
	int dirty = 0;

	pthread_mutex_lock(&pool->lock);
	w = list_take(&pool->clean, owner);
	if (!w)
		dirty = (w = list_take(&pool->dirty, owner)) != NULL;
	pool->kept -= w != NULL;
	pthread_mutex_unlock(&pool->lock);
	if (dirty)
		window_recycle(w);
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
	/*
	 * One of another owner is freed, as this one will be kept in its place.
	 */
	window_destroy(pool_pop(pool, &pool->dirty, &pool->clean));
	return window_create(ETLFS_WINDOW_STRIDE, out);
}

struct share *window_pool_share(struct window_pool *pool)
{
	return &pool->share;
}

void window_pool_limit(struct window_pool *pool, uint64_t limit)
{
	pool->share.limit = limit;
}

/* how many bytes from 0 on are warm */
static size_t warm_prefix(const struct window *w)
{
	size_t big = 0;

	while (big < WINDOW_BIGS && is_warm(w, big))
		big++;
	return big * HUGE;
}

/* frees all but the resident part of a window that is kept, or all of it */
static void cool_down(struct window *w)
{
	struct window_pool *pool = w->pool;
	size_t big;

	if (!w->kept) {
		window_destroy(w);
		return;
	}
	punch(w, w->resident);
	w->used = min_size(w->used, w->resident);
	for (big = ROUND(w->resident, HUGE) / HUGE; big < WINDOW_BIGS; big++)
		set_warm(w, big, 0);
	pthread_mutex_lock(&pool->lock);
	list_push(&pool->dirty, w);
	pthread_mutex_unlock(&pool->lock);
}

static void *cool_thread(void *arg)
{
	struct window *w = arg;
	struct window_pool *pool = w->pool;

	cool_down(w);
	pthread_mutex_lock(&pool->lock);
	pool->cooling--;
	pthread_cond_signal(&pool->cooled);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* 0 when a thread does it */
static int cool_elsewhere(struct window *w)
{
	struct window_pool *pool = w->pool;
	sigset_t all, was;
	pthread_t id;
	int rc;

	pthread_mutex_lock(&pool->lock);
	pool->cooling++;
	pthread_mutex_unlock(&pool->lock);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	rc = pthread_create(&id, NULL, cool_thread, w);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (!rc) {
		pthread_detach(id);
		return 0;
	}
	pthread_mutex_lock(&pool->lock);
	pool->cooling--;
	pthread_mutex_unlock(&pool->lock);
	return -rc;
}

void window_put(struct window_pool *pool, struct window *w)
{
	size_t have;

	if (!w)
		return;
	w->pool = pool;
	pthread_mutex_lock(&pool->lock);
	w->kept = pool->kept < pool->keep;
	pool->kept += w->kept;
	pthread_mutex_unlock(&pool->lock);
	/* what is warm stays so, up to as much as the pool prepares */
	have = min_size(warm_prefix(w), pool->warm);
	if (w->kept && w->resident < have)
		w->resident = have;
	/* Freed now, so that the next function does not wait for it. */
	if (w->huge > w->resident + COOL_HERE && !cool_elsewhere(w))
		return;
	cool_down(w);
}
