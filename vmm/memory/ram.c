/*
 * ram.c - guest memory on the host's side: reserve, limit, grow, reach, seal
 *
 * Rollback is in rollback.c; where the pages are, ram_ops.h.
 *
 * A window is mapped to its cap, which is what the limits could let it have,
 * and not to where the address map ends it: where overcommit is off each byte
 * of a private mapping counts, MAP_NORESERVE or not, and before Linux 6.7 a
 * process tender reads 8 bytes of pagemap for each page of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/madvise.h"
#include "etlfs/format.h"
#include "vmm/memory/ram_ops.h"

#ifndef F_SEAL_SEAL
#define F_SEAL_SEAL	0x0001
#endif

/* what every guest has before it asks for more, in bytes: about what a
   CPython with a small function needs, since all but USF is made huge */
#define SPAN_EXEC	(16u << 20)
#define SPAN_HEAP	(2u << 20)
#define SPAN_DATA	(8u << 20)
#define SPAN_USF	(2u << 20)
/* of SYS and STACK, what a boot touches: tables and libOS; the stack's top */
#define WARM_SYS	(2 * UK_BIG)
#define WARM_STACK	UK_BIG

static uint64_t big_up(uint64_t n)
{
	return (n + UK_BIG - 1) & ~(uint64_t)(UK_BIG - 1);
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* bytes of the address map that are a window's */
static const struct {
	uint64_t base, size;
} place[RAM_WINDOWS] = {
	[UK_ARENA_EXEC] = { UK_EXEC_BASE, UK_EXEC_END - UK_EXEC_BASE },
	[UK_ARENA_HEAP] = { UK_HEAP_BASE, UK_HEAP_END - UK_HEAP_BASE },
	[UK_ARENA_DATA] = { UK_DATA_BASE, UK_DATA_END - UK_DATA_BASE },
	[UK_ARENA_USF] = { UK_USF_BASE, UK_USF_END - UK_USF_BASE },
	[RAM_SYS] = { UK_SYS_BASE, UK_SYS_END - UK_SYS_BASE },
	[RAM_STACK] = { UK_STACK_BASE, UK_STACK_END - UK_STACK_BASE },
};

/* what the limits could let a window have, if it had all */
static uint64_t cap_by_limits(const struct ram *ram, int window)
{
	uint64_t limit = window == UK_ARENA_USF ? ram->files_limit :
			 window < UK_ARENA_USF ? ram->mem_limit : UINT64_MAX;

	return min64(place[window].size, limit);
}

static void limits_set(struct ram *ram, uint64_t mem, uint64_t files)
{
	ram->mem_limit = big_up(mem);
	ram->files_limit = min64(big_up(files), place[UK_ARENA_USF].size);
}

static void windows_init(struct ram *ram)
{
	const uint64_t mem = ram->mem_limit, span[RAM_WINDOWS] = {
		[UK_ARENA_EXEC] = min64(SPAN_EXEC, mem / 2),
		[UK_ARENA_HEAP] = min64(SPAN_HEAP, mem / 8),
		[UK_ARENA_DATA] = min64(SPAN_DATA, mem / 4),
		[UK_ARENA_USF] = SPAN_USF,
		[RAM_SYS] = UINT64_MAX,
		[RAM_STACK] = UINT64_MAX,
	};

	for (int i = 0; i < RAM_WINDOWS; i++) {
		struct ram_window *w = &ram->win[i];

		w->base = place[i].base;
		w->cap = cap_by_limits(ram, i);
		w->span = w->top = w->sealed = min64(span[i], w->cap);
	}
}

static int windows_map(struct ram *ram, int memfd, int prot, int flags)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		struct ram_window *w = &ram->win[i];

		if (mmap(ram->base + w->base, w->cap, prot,
			 flags | MAP_FIXED | MAP_NORESERVE, memfd,
			 (off_t)w->base) == MAP_FAILED)
			return -errno;
	}
	return 0;
}

int ram_map_private(struct ram *ram, int memfd)
{
	return windows_map(ram, memfd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

void ram_warm(struct ram *ram, uint64_t addr, uint64_t len)
{
	if (ram->snap)
		return;
	for (; len >= UK_BIG; addr += UK_BIG, len -= UK_BIG) {
		volatile uint8_t *p = ram->base + addr;

		/* a range with nothing in it yet is not collapsed */
		*p = *p;
		madvise((void *)p, UK_BIG, MADV_COLLAPSE);
	}
}

static void windows_warm(struct ram *ram)
{
	for (int i = UK_ARENA_EXEC; i <= UK_ARENA_DATA; i++)
		ram_warm(ram, ram->win[i].base, ram->win[i].span);
	ram_warm(ram, UK_SYS_BASE, WARM_SYS);
	ram_warm(ram, UK_STACK_END - WARM_STACK, WARM_STACK);
}

int ram_create_cold(struct ram *ram, uint64_t mem_limit, uint64_t files_limit,
		    struct err *err)
{
	int rc;

	memset(ram, 0, sizeof(*ram));
	ram->memfd = ram->pagemap = -1;
	ram->ops = &ram_local_ops;
	limits_set(ram, mem_limit, files_limit);
	windows_init(ram);
	ram->base = mmap(NULL, UK_END + UK_BIG, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram->base == MAP_FAILED) {
		ram->base = NULL;
		return err_set(err, -errno, "cannot reserve %llu GB of address "
			       "space: %s; see `ulimit -v`",
			       (unsigned long long)UK_END >> 30,
			       strerror(errno));
	}
	/* so that guest 2 MB pages can lie on host 2 MB pages */
	ram->base = (uint8_t *)big_up((uintptr_t)ram->base);
	ram->memfd = memfd_create("usetl-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ram->memfd < 0 || ftruncate(ram->memfd, UK_RAM_END) < 0)
		goto fail;
	rc = windows_map(ram, ram->memfd, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (rc == 0)
		return 0;
	errno = -rc;
fail:
	rc = -errno;
	err_set(err, rc, "cannot make guest memory: %s", strerror(errno));
	ram_destroy(ram);
	return rc;
}

int ram_create(struct ram *ram, uint64_t mem_limit, uint64_t files_limit,
	       struct err *err)
{
	int rc = ram_create_cold(ram, mem_limit, files_limit, err);

	if (rc == 0)
		windows_warm(ram);
	return rc;
}

void ram_destroy(struct ram *ram)
{
	if (!ram->base)
		return;
	munmap(ram->base, UK_END);
	if (ram->snap)
		munmap((void *)ram->snap, UK_RAM_END);
	if (ram->memfd >= 0)
		close(ram->memfd);
	if (ram->pagemap >= 0)
		close(ram->pagemap);
	memset(ram, 0, sizeof(*ram));
	ram->memfd = ram->pagemap = -1;
}

/* [addr, addr + len) inside [base, base + size) */
static int inside(uint64_t addr, uint64_t len, uint64_t base, uint64_t size)
{
	return addr >= base && addr - base <= size &&
	       len <= size - (addr - base);
}

static int inside_image(const struct ram *ram, uint64_t addr, uint64_t len)
{
	for (int i = 0; i < UK_LAYERS; i++)
		if (ram->layer[i].size &&
		    inside(addr, len, ram->layer[i].addr, ram->layer[i].size))
			return 1;
	return 0;
}

static int inside_host(const struct ram *ram, uint64_t addr, uint64_t len)
{
	uint64_t n = (addr - UK_HOST_BASE) / ETLFS_WINDOW_STRIDE;

	return addr >= UK_HOST_BASE && addr < UK_HOST_END &&
	       inside(addr, len, UK_HOST_BASE + n * ETLFS_WINDOW_STRIDE,
		      ram->host_size[n]);
}

void *ram_ptr(const struct ram *ram, uint64_t addr, uint64_t len, int write)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		const struct ram_window *w = &ram->win[i];

		if (i == RAM_SYS) {
			if (inside(addr, len, UK_OUT, UK_SYS_END - UK_OUT))
				return ram->base + addr;
		} else if (inside(addr, len, w->base, w->span)) {
			return ram->base + addr;
		}
	}
	if (!write && (inside_image(ram, addr, len) ||
		       inside_host(ram, addr, len)))
		return ram->base + addr;
	return NULL;
}

const void *ram_pull(struct ram *ram, uint64_t addr, uint64_t len)
{
	void *p = ram_ptr(ram, addr, len, 0);

	/* before there is a snapshot all see the same, and in windows always */
	if (!p || !len || !ram->snap || addr >= UK_RAM_END)
		return p;
	return ram->ops->read(ram, addr, len) == 0 ? p : NULL;
}

/*
 * Beyond the old cap nothing is the snapshot's and nothing was ever the
 * guest's, so what is mapped there is zeros, in small pages: one touch of a
 * large one is 512 to restore.
 */
static int cap_raise(struct ram *ram, struct ram_window *w, uint64_t cap)
{
	uint64_t len = cap - w->cap;
	void *at = ram->base + w->base + w->cap;

	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	madvise(at, len, MADV_NOHUGEPAGE);
	w->cap = cap;
	return 0;
}

int ram_limit(struct ram *ram, uint64_t mem_limit, uint64_t files_limit)
{
	int rc = 0;

	if (!ram->snap)
		return -EINVAL;
	limits_set(ram, mem_limit, files_limit);
	for (int i = 0; i < UK_ARENAS && rc == 0; i++) {
		struct ram_window *w = &ram->win[i];
		uint64_t cap = cap_by_limits(ram, i);

		if (cap > w->cap)
			rc = ram->own && !ram->waits ? -EBUSY :
			     cap_raise(ram, w, cap);
		else
			w->cap = cap > w->top ? cap : w->top;
	}
	return rc;
}

int ram_beyond(const struct ram *ram, uint64_t addr)
{
	for (int i = 0; i < UK_ARENAS; i++)
		if (addr - place[i].base < place[i].size)
			return addr - place[i].base >= ram->win[i].cap;
	return 0;
}

uint64_t ram_spans(const struct ram *ram)
{
	uint64_t sum = 0;

	for (int i = UK_ARENA_EXEC; i <= UK_ARENA_DATA; i++)
		sum += ram->win[i].span;
	return sum;
}

uint64_t ram_most(const struct ram *ram)
{
	const struct ram_window *w = ram->win;
	uint64_t there = ram_spans(ram);

	return (there > ram->mem_limit ? there : ram->mem_limit) +
	       w[UK_ARENA_USF].cap + w[RAM_STACK].cap + w[RAM_SYS].cap;
}

int ram_grow(struct ram *ram, unsigned arena, uint64_t span, uint64_t *from)
{
	struct ram_window *w;

	if (arena >= UK_ARENAS || span > UK_END)
		return -EINVAL;
	w = &ram->win[arena];
	span = big_up(span);
	if (span <= w->span)
		return 0;
	if (span > cap_by_limits(ram, (int)arena))
		return -ENOMEM;
	if (arena != UK_ARENA_USF &&
	    ram_spans(ram) - w->span + span > ram->mem_limit)
		return -ENOMEM;
	w->span = span;
	if (span <= w->top)
		return 0;
	*from = w->top;
	w->top = span;
	/* pages that were populated there are on no list, and never fault */
	ram->faults = -1;
	return 1;
}

uint64_t ram_image_end(const struct ram *ram)
{
	uint64_t end = UK_IMAGE_BASE;

	for (int i = 0; i < UK_LAYERS; i++)
		if (ram->layer[i].size)
			end = ram->layer[i].addr + ram->layer[i].size;
	return end;
}

int ram_map_layer(struct ram *ram, unsigned n, const struct uk_layer *layer,
		  int fd, uint64_t off)
{
	if (n >= UK_LAYERS || layer->size == 0 || layer->size % UK_PAGE ||
	    layer->addr != big_up(ram_image_end(ram)))
		return -EINVAL;
	for (unsigned i = n; i < UK_LAYERS; i++)
		if (ram->layer[i].size)
			return -EEXIST;
	if (layer->addr >= UK_IMAGE_END ||
	    layer->size > UK_IMAGE_END - layer->addr)
		return -EFBIG;
	if (mmap(ram->base + layer->addr, layer->size, PROT_READ,
		 MAP_SHARED | MAP_FIXED, fd, (off_t)off) == MAP_FAILED)
		return -errno;
	ram->layer[n] = *layer;
	return 0;
}

int ram_map_host(struct ram *ram, unsigned window, int fd, uint64_t size)
{
	struct stat st;

	if (window >= ETLFS_WINDOWS || size == 0 || size % UK_PAGE ||
	    size > ETLFS_WINDOW_STRIDE || ram->host_size[window])
		return -EINVAL;
	/* the whole of it must be there: a hole past the end is SIGBUS */
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < size)
		return -EINVAL;
	if (mmap(ram->base + UK_HOST_BASE + window * ETLFS_WINDOW_STRIDE, size,
		 PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -errno;
	ram->host_size[window] = size;
	return 0;
}

void ram_unmap_host(struct ram *ram, unsigned window)
{
	if (window >= ETLFS_WINDOWS || !ram->host_size[window])
		return;
	/* back to a reservation, so that nothing else comes to lie there */
	mmap(ram->base + UK_HOST_BASE + window * ETLFS_WINDOW_STRIDE,
	     ram->host_size[window], PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	ram->host_size[window] = 0;
}

/* RAM_ASIDE from the guest's addresses; NULL and errno */
static const uint8_t *snapshot_map(const struct ram *ram)
{
	uint64_t at, size = UK_RAM_END + RAM_ALIAS;
	uint8_t *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
			  MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	at = ((uintptr_t)ram->base + RAM_ASIDE - (uintptr_t)p) %
	     RAM_ALIAS;
	if (at)
		munmap(p, at);
	munmap(p + at + UK_RAM_END, RAM_ALIAS - at);
	p = mmap(p + at, UK_RAM_END, PROT_READ, MAP_SHARED | MAP_NORESERVE |
		 MAP_FIXED, ram->memfd, 0);
	return p == MAP_FAILED ? NULL : p;
}

int ram_seal(struct ram *ram, struct err *err)
{
	int rc;

	ram->torn = 1;
	/* F_SEAL_WRITE wants no writable shared mapping left */
	for (int i = 0; i < RAM_WINDOWS; i++)
		munmap(ram->base + ram->win[i].base, ram->win[i].cap);
	if (fcntl(ram->memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
		  F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set(err, -errno, "cannot seal the snapshot: %s",
			       strerror(errno));
	ram->snap = snapshot_map(ram);
	if (!ram->snap)
		return err_set(err, -errno, "cannot map the snapshot: %s",
			       strerror(errno));
	rc = ram_map_private(ram, ram->memfd);
	if (rc < 0)
		return err_set(err, rc, "cannot map guest memory: %s",
			       strerror(-rc));
	for (int i = 0; i < RAM_WINDOWS; i++)
		ram->win[i].sealed = ram->win[i].span;
	rc = ram->memfd;
	ram->memfd = -1;
	ram->torn = 0;
	return rc;
}

void ram_collapse(const struct ram *ram, int memfd)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		const struct ram_window *w = &ram->win[i];
		uint64_t a = w->base;

		while (a < w->base + w->sealed) {
			off_t data = lseek(memfd, (off_t)a, SEEK_DATA);

			if (data < 0 ||
			    (uint64_t)data >= w->base + w->sealed)
				break;
			a = (uint64_t)data & ~(uint64_t)(UK_BIG - 1);
			madvise((void *)(ram->snap + a), UK_BIG, MADV_COLLAPSE);
			a += UK_BIG;
		}
	}
}

uint64_t ram_resident_in(int memfd)
{
	struct stat st;

	return fstat(memfd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

uint64_t ram_resident(const struct ram *ram)
{
	return ram_resident_in(ram->memfd);
}
