/*
 * delta.c - a snapshot over a snapshot: only the pages that differ
 *
 * What a guest has written since the snapshot below it are the pages that are
 * private in its process.  They are copied into a file, one after the other, and
 * mapped over the base in runs.  Each run is a mapping, which a fork and a
 * process tender's child pay for; so runs with few pages between them are
 * joined, and hold these as they were.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/memory/ram_ops.h"
#include "vmm/memory/runs.h"

/*
 * What the tender writes, whoever has the other pages (vmm/tender/process.h):
 * clock, control page, what the guest tells, its report and its log.
 */
#define TOLD	(UK_CLOCK / UK_PAGE)
#define TOLD_END ((UK_LOG + UK_LOG_SIZE) / UK_PAGE)

/*
 * The runs of what is private, of the spans alone: nothing beyond them is of
 * the snapshot.  The list is ascending.
 */
static int private_find(struct ram *ram, struct ram_delta *d, uint32_t join,
			int memfd)
{
	int rc = 0, told = 0;

	for (size_t i = 0; rc == 0 && i < ram->list.n; i++) {
		uint32_t page = ram->list.page[i];

		if (!told && page >= TOLD) {
			rc = runs_add(d, TOLD, TOLD_END, join);
			told = 1;
		}
		if (rc == 0 && (page < TOLD || page >= TOLD_END) &&
		    runs_window(ram, (uint64_t)page * UK_PAGE))
			rc = runs_add(d, page, page + 1, join);
	}
	return rc < 0 || told ? rc : runs_add(d, TOLD, TOLD_END, join);
}

/* in RAM, once whoever runs the guest has brought them */
static int in_ram(struct ram *ram, uint64_t addr, uint64_t len,
		  const uint8_t **at)
{
	*at = ram->base + addr;
	return ram->ops->read(ram, addr, len);
}

static int delta_write(struct ram *ram, struct ram_delta *d, uint64_t head)
{
	uint64_t size;
	int rc = ram->ops->scan(ram);

	if (rc == 0)
		rc = runs_make(ram, d, private_find, -1, head, &size);
	return rc == 0 ? runs_write(ram, d, size, in_ram) : rc;
}

int ram_delta_write(struct ram *ram, int fd, uint64_t head,
		    struct ram_run **run, uint32_t *n)
{
	struct ram_delta d = { .fd = fd };
	int rc = delta_write(ram, &d, head);

	*run = d.run;
	*n = d.n;
	return rc;
}

int ram_delta_take(struct ram *ram, int fd, uint64_t head, struct err *err)
{
	struct ram_delta d = { .fd = fd };
	int rc = fd < 0 ? -EBADF : ram->deltas < RAM_DELTAS ?
		 delta_write(ram, &d, head) : -EMLINK;

	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		free(d.run);
		return err_set(err, rc, "cannot take a snapshot: %s",
			       strerror(-rc));
	}
	for (int i = 0; i < RAM_WINDOWS; i++)
		ram->win[i].sealed = ram->win[i].span;
	ram->delta[ram->deltas++] = d;
	return 0;
}

int ram_delta_add(struct ram *ram, int fd, const struct ram_run *run,
		  uint32_t n, uint64_t head)
{
	struct ram_delta d = { fd, malloc(n * sizeof(*run) + 1), n };
	int rc = !d.run ? -ENOMEM : ram->deltas == RAM_DELTAS ? -EINVAL : 0;

	/* a copy: what is looked at is what is used */
	if (rc == 0) {
		memcpy(d.run, run, n * sizeof(*run));
		rc = runs_check(ram, fd, d.run, n, head);
	}
	if (rc < 0) {
		close(fd);
		free(d.run);
		return rc;
	}
	ram->delta[ram->deltas++] = d;
	return 0;
}

static int snap_run(struct ram *ram, const struct ram_run *r, int fd)
{
	return mmap((void *)(ram->snap + (uint64_t)r->page * UK_PAGE),
		    (uint64_t)r->n * UK_PAGE, PROT_READ, MAP_SHARED |
		    MAP_FIXED | MAP_NORESERVE, fd, (off_t)r->at * UK_PAGE) ==
	       MAP_FAILED ? -errno : 0;
}

static int base_run(struct ram *ram, const struct ram_run *r, int fd)
{
	return mmap(ram->base + (uint64_t)r->page * UK_PAGE,
		    (uint64_t)r->n * UK_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		    (off_t)r->at * UK_PAGE) == MAP_FAILED ? -errno : 0;
}

/* the same where some of its pages are private already */
static int place_run(struct ram *ram, const struct ram_run *r, int fd)
{
	uint32_t n;
	int copy, rc = 0;

	for (uint32_t i = 0; rc == 0 && i < r->n; i += n) {
		struct ram_run piece;

		n = ram_ahead_piece(ram, r, i, &copy);
		piece = (struct ram_run){ r->page + i, n, r->at + i };
		rc = copy ? ram_ahead_copy(ram, r, i, n, fd) :
		     base_run(ram, &piece, fd);
	}
	return rc;
}

/* of the deltas from number k on those runs that are not before or behind */
static int runs_lay(struct ram *ram, unsigned k, uint64_t from, uint64_t to,
		    int (*lay)(struct ram *ram, const struct ram_run *r,
			       int fd))
{
	int rc = 0;

	for (; k < ram->deltas; k++)
		for (uint32_t i = 0; rc == 0 && i < ram->delta[k].n; i++) {
			const struct ram_run *r = &ram->delta[k].run[i];

			if (((uint64_t)r->page + r->n) * UK_PAGE > from &&
			    (uint64_t)r->page * UK_PAGE < to)
				rc = lay(ram, r, ram->delta[k].fd);
		}
	return rc;
}

static int base_lay(struct ram *ram,
		    int (*lay)(struct ram *ram, const struct ram_run *r,
			       int fd))
{
	int rc = runs_lay(ram, ram->laid, 0, UINT64_MAX, lay);

	ram->laid = ram->deltas;
	ram->list.n = 0;
	ram->faults = -1;
	return rc;
}

static int snap_lay(struct ram *ram)
{
	int rc = runs_lay(ram, ram->snap_laid, 0, UINT64_MAX, snap_run);

	ram->snap_laid = ram->deltas;
	return rc;
}

int ram_lay_snap(struct ram *ram)
{
	unsigned k = ram->snap_laid;
	int rc = snap_lay(ram);

	for (; k < ram->deltas; k++) {
		close(ram->delta[k].fd);
		ram->delta[k].fd = -1;
	}
	return rc;
}

static int laid(struct ram *ram, int rc, struct err *err)
{
	ram->torn |= rc < 0;
	return rc == 0 ? 0 : err_set(err, rc, "cannot map guest memory: %s",
				     strerror(-rc));
}

int ram_lay(struct ram *ram, int base, struct err *err)
{
	int rc = ram_map_private(ram, base);

	ram->laid = 0;
	if (rc == 0 && !ram->there)
		rc = base_lay(ram, base_run);
	/* what the tender writes is of the snapshot at first */
	if (rc == 0 && ram->once)
		rc = runs_lay(ram, 0, (uint64_t)TOLD * UK_PAGE,
			      (uint64_t)TOLD_END * UK_PAGE, snap_run);
	else if (rc == 0)
		rc = snap_lay(ram);
	return laid(ram, rc, err);
}

/* what its span has more than before is the base's, as the rest of it */
static int span_lay(struct ram *ram, const struct ram_window *w, uint64_t was,
		    int base)
{
	uint64_t a = w->base + was, len = w->sealed - was;

	if (w->sealed <= was)
		return 0;
	if (mmap(ram->base + a, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, base, (off_t)a) ==
	    MAP_FAILED)
		return -errno;
	/* the guest's process has no more of the snapshot than the spans */
	return !ram->moved ||
	       mmap((void *)(ram->snap + a), len, PROT_READ, MAP_SHARED |
		    MAP_FIXED | MAP_NORESERVE, base, (off_t)a) != MAP_FAILED ?
	       0 : -errno;
}

int ram_lay_last(struct ram *ram, int base, const struct ram_window *was,
		 struct err *err)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < RAM_WINDOWS; i++)
		rc = span_lay(ram, &ram->win[i], was[i].sealed, base);
	if (rc == 0 && ram->deltas)
		rc = ram_ahead_note(ram, &ram->delta[ram->deltas - 1]);
	if (rc == 0 && !ram->waits)
		rc = base_lay(ram, place_run);
	else if (rc == 0 && ram->own)	/* what both have, the tender sets */
		rc = runs_lay(ram, ram->snap_laid, ram->apart, ram->apart_end,
			      snap_run);
	return laid(ram, rc, err);
}

uint64_t ram_lay_next(const struct ram *ram, uint64_t addr)
{
	uint64_t page = addr / UK_PAGE, next = UINT64_MAX / UK_PAGE;

	for (unsigned k = 0; k < ram->laid; k++)
		for (uint32_t i = 0; i < ram->delta[k].n; i++) {
			const struct ram_run *r = &ram->delta[k].run[i];

			if (r->page > page && r->page < next)
				next = r->page;
			if ((uint64_t)r->page + r->n > page &&
			    (uint64_t)r->page + r->n < next)
				next = (uint64_t)r->page + r->n;
			if (r->page > page)
				break;
		}
	return next * UK_PAGE;
}

void ram_delta_extent(const struct ram_delta *d, uint32_t *from, uint32_t *to)
{
	*from = d->n ? d->run[0].at : 0;
	*to = *from;
	for (uint32_t i = 0; i < d->n; i++) {
		const struct ram_run *r = &d->run[i];

		*from = r->at < *from ? r->at : *from;
		*to = r->at + r->n > *to ? r->at + r->n : *to;
	}
}

const struct ram_run *ram_delta_run(const struct ram_delta *d, uint32_t page)
{
	uint32_t a = 0, b = d->n;

	while (a < b) {
		uint32_t mid = (a + b) / 2;
		const struct ram_run *r = &d->run[mid];

		if (page < r->page)
			b = mid;
		else if (page - r->page >= r->n)
			a = mid + 1;
		else
			return r;
	}
	return NULL;
}

uint64_t ram_delta_bytes(const struct ram *ram)
{
	const struct ram_delta *d = ram->delta + ram->deltas - 1;
	uint64_t pages = 0;

	for (uint32_t i = 0; ram->deltas > ram->base_deltas && i < d->n; i++)
		pages += d->run[i].n;
	return pages * UK_PAGE;
}
