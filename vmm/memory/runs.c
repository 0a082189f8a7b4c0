/* runs.c - which pages of guest memory a file has (runs.h) */
#include "vmm/memory/runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOIN	4u		/* pages: so many are copied to save a mapping */
#define BIG_PAGES (UK_BIG / UK_PAGE)

const struct ram_window *runs_window(const struct ram *ram, uint64_t addr)
{
	for (int i = 0; i < RAM_WINDOWS; i++)
		if (addr - ram->win[i].base < ram->win[i].span)
			return &ram->win[i];
	return NULL;
}

static int runs_room(struct ram_delta *d)
{
	void *p;

	if (d->n && (d->n & (d->n - 1)))
		return 0;
	p = realloc(d->run, (d->n ? d->n * 2 : 1) * sizeof(*d->run));
	if (!p)
		return -ENOMEM;
	d->run = p;
	return 0;
}

int runs_add(struct ram_delta *d, uint32_t page, uint32_t end, uint32_t join)
{
	struct ram_run *last = d->n ? &d->run[d->n - 1] : NULL;
	int rc;

	if (last && page <= last->page + last->n + join &&
	    page / BIG_PAGES == last->page / BIG_PAGES) {
		if (end > last->page + last->n)
			last->n = end - last->page;
		return 0;
	}
	rc = runs_room(d);
	if (rc == 0)
		d->run[d->n++] = (struct ram_run){ page, end - page, 0 };
	return rc;
}

int runs_make(struct ram *ram, struct ram_delta *d, runs_find_fn *find,
	      int memfd, uint64_t head, uint64_t *size)
{
	int rc = 0;

	for (uint32_t join = JOIN; rc == 0; join *= 4) {
		d->n = 0;
		rc = find(ram, d, join, memfd);
		if (d->n <= RAM_RUNS)
			break;
		if (join >= BIG_PAGES)
			rc = -E2BIG;
	}
	*size = head;
	for (uint32_t i = 0; i < d->n; i++) {
		d->run[i].at = (uint32_t)(*size / UK_PAGE);
		*size += (uint64_t)d->run[i].n * UK_PAGE;
	}
	return rc;
}

int runs_write(struct ram *ram, const struct ram_delta *d, uint64_t size,
	       runs_at_fn *find)
{
	const uint8_t *from;
	uint8_t *to;
	int rc = 0;

	if (ftruncate(d->fd, (off_t)size) < 0)
		return -errno;
	to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (to == MAP_FAILED)
		return -errno;
	for (uint32_t i = 0; rc == 0 && i < d->n; i++) {
		const struct ram_run *r = &d->run[i];
		uint64_t len = (uint64_t)r->n * UK_PAGE;

		rc = find(ram, (uint64_t)r->page * UK_PAGE, len, &from);
		if (rc == 0)
			memcpy(to + (uint64_t)r->at * UK_PAGE, from, len);
	}
	munmap(to, size);
	return rc;
}

static int run_ok(const struct ram *ram, const struct ram_run *r, uint64_t size)
{
	uint64_t a = (uint64_t)r->page * UK_PAGE, len = (uint64_t)r->n * UK_PAGE;
	const struct ram_window *w = runs_window(ram, a);

	return w && r->n && a + len <= w->base + w->span &&
	       ((uint64_t)r->at + r->n) * UK_PAGE <= size;
}

int runs_check(const struct ram *ram, int fd, const struct ram_run *run,
	       uint32_t n, uint64_t head)
{
	struct stat st;
	uint64_t end = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (n > RAM_RUNS)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		if (run[i].page < end || run[i].at < head / UK_PAGE ||
		    !run_ok(ram, &run[i], (uint64_t)st.st_size))
			return -EINVAL;
		end = (uint64_t)run[i].page + run[i].n;
	}
	return 0;
}
