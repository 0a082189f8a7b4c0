/*
 * ahead.c - pages that a shell has as its own before its function comes
 *
 * Which pages a request writes is nearly the same for all functions over a base.
 * A shell makes these private ahead, as the base has them.  Of what the
 * function's delta has, those that are private already get a copy, and the rest is
 * mapped: no page has to be made then, and a virtual machine keeps what it knows of
 * them.  A few pages between two that are copied are copied, too: that costs
 * less than a mapping, and less than the mappings that it would be cut into.
 *
 * Below a page that was copied lies the base's, not the snapshot's.  So it is
 * never dropped (rollback.c), and is on each list of pages to restore, whatever
 * the kernel says: a guest that is a process can give it back by itself.
 *
 * Which pages are copied follows from the list of the shell and from the delta,
 * so that a tender and its guest's process, which copies them, come to the same.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/memory/ram_ops.h"

#define MOST	256u		/* pages: 1 MB for each shell that waits */
#define GAP	1u		/* so many cost less to copy than a mapping */

/* where page is in l, or would be */
static size_t place_in(const struct ram_list *l, uint32_t page)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (l->page[mid] < page)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

int ram_list_has(const struct ram_list *l, uint32_t page)
{
	size_t i = place_in(l, page);

	return i < l->n && l->page[i] == page;
}

static int in_spans(const struct ram *ram, uint32_t page, int sys)
{
	uint64_t addr = (uint64_t)page * UK_PAGE;

	for (int i = 0; i < RAM_WINDOWS; i++)
		if (addr - ram->win[i].base < ram->win[i].sealed)
			return sys || i != RAM_SYS;
	return 0;
}

int ram_ahead(struct ram *ram, int sys)
{
	const uint32_t *page;
	uint32_t n = ram_workset_pages(ram, &page);
	uint32_t next = 0;
	int rc = 0;

	ram->ahead.n = 0;
	ram->ahead_sys = sys;
	for (uint32_t i = 0; rc == 0 && i < n && ram->ahead.n < MOST; i++) {
		uint32_t p = *(const volatile uint32_t *)&page[i];

		if (p < next || !in_spans(ram, p, sys))
			continue;
		rc = ram_list_add(&ram->ahead, p);
		next = p + 1;
	}
	return rc;
}

void ram_ahead_populate(const struct ram *ram)
{
	ram_list_populate(ram->base, ram->ahead.page, ram->ahead.n);
}

/* of the run from its page i on: pages until one is private, or to the end */
static uint32_t others(const struct ram *ram, const struct ram_run *r,
		       uint32_t i)
{
	size_t at = place_in(&ram->ahead, r->page + i);

	return at < ram->ahead.n && ram->ahead.page[at] < r->page + r->n ?
	       ram->ahead.page[at] - r->page - i : r->n - i;
}

static int copies(const struct ram *ram, const struct ram_run *r)
{
	uint64_t addr = (uint64_t)r->page * UK_PAGE;

	return ram->ahead.n && (ram->ahead_sys || addr < UK_SYS_BASE ||
				addr >= UK_SYS_END);
}

uint32_t ram_ahead_piece(const struct ram *ram, const struct ram_run *r,
			 uint32_t i, int *copy)
{
	uint32_t from = i, n = copies(ram, r) ? others(ram, r, i) : r->n;

	*copy = copies(ram, r) && n <= GAP;
	if (!*copy)
		return n < r->n - i ? n : r->n - i;
	for (i += n; i < r->n; i += n) {
		n = others(ram, r, i);
		if (n > GAP)
			break;
		n += n == 0;
	}
	return i - from;
}

/* by the call's number: a sanitizer would look up what a low address is */
int ram_ahead_copy(const struct ram *ram, const struct ram_run *r, uint32_t i,
		   uint32_t n, int fd)
{
	uint64_t len = (uint64_t)n * UK_PAGE;
	long got = syscall(SYS_pread64, fd,
			   ram->base + (uint64_t)(r->page + i) * UK_PAGE, len,
			   (off_t)((uint64_t)(r->at + i) * UK_PAGE));

	return got == (long)len ? 0 : got < 0 ? -errno : -EIO;
}

static int note_run(struct ram *ram, const struct ram_run *r)
{
	uint32_t n;
	int copy, rc = 0;

	for (uint32_t i = 0; rc == 0 && i < r->n; i += n) {
		n = ram_ahead_piece(ram, r, i, &copy);
		for (uint32_t k = 0; copy && rc == 0 && k < n; k++)
			rc = ram_list_add(&ram->copied, r->page + i + k);
	}
	return rc;
}

int ram_ahead_note(struct ram *ram, const struct ram_delta *d)
{
	int rc = 0;

	ram->copied.n = 0;
	for (uint32_t i = 0; rc == 0 && i < d->n; i++)
		rc = note_run(ram, &d->run[i]);
	return rc;
}

int ram_ahead_list(struct ram *ram)
{
	struct ram_list *l = &ram->list;
	const struct ram_list *must = &ram->copied;
	size_t missing = 0, from = l->n, to, i = must->n;
	int rc = 0;

	for (size_t k = 0; k < must->n; k++)
		missing += !ram_list_has(l, must->page[k]);
	if (!missing)
		return 0;
	for (size_t k = 0; rc == 0 && k < missing; k++)
		rc = ram_list_add(l, 0);
	if (rc < 0)
		return rc;
	/* from its end on, where there is room now */
	for (to = l->n; i; ) {
		uint32_t a = must->page[i - 1];

		if (from && l->page[from - 1] >= a) {
			i -= l->page[from - 1] == a;
			l->page[--to] = l->page[--from];
		} else {
			l->page[--to] = a;
			i--;
		}
	}
	return 0;
}
