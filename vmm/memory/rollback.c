/*
 * rollback.c - give a clone's memory back the snapshot's content
 *
 * Everything that a guest can write is a private mapping of the snapshot, so
 * the pages to restore are those of its process that are no longer the
 * file's: present or swapped out, and not file pages.  A page once private
 * stays so until it is dropped, so the list only grows, and is read anew
 * only after a fault of the guest's process, which has one thread.
 *
 * Pages are copied back, not dropped: a copy costs a tenth of the fault that
 * dropping would cost the next request.  Beyond BUDGET pages the excess is
 * dropped, to give memory back; and a clone that one request made far larger
 * than its kin is made small again (tidy()).
 *
 * Who has the pages finds and restores them (ram_ops.h); when, and how many
 * are kept, is decided here.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/memory/ram_ops.h"

#define BUDGET		8192u		/* private pages kept: 32 MB */
#define WORKSET_MAX	4096u
/* so few pages cost a shell less than the mapping between them (ahead.c) */
#define AHEAD_GAP	1u
#define USUAL_LEAST	1024u		/* pages that are never too many */
#define PATIENCE	8u		/* rollbacks until some are, at first */
#define PATIENCE_MAX	1024u

struct ram_workset {
	_Atomic uint32_t state;		/* 0 empty, 1 being written, 2 there */
	uint32_t n;
	uint32_t page[WORKSET_MAX];
};

uint64_t ram_workset_size(void)
{
	return (sizeof(struct ram_workset) + UK_PAGE - 1) & ~(UK_PAGE - 1ull);
}

static struct ram_workset *workset_create(int fd)
{
	void *p = mmap(NULL, ram_workset_size(), PROT_READ | PROT_WRITE,
		       MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* drops the list's tail, but for what lies over other pages than its own */
static int drop_beyond(struct ram *ram, size_t keep, struct ram_stats *st)
{
	struct ram_list *l = &ram->list;
	size_t i = keep, n = l->n;
	int rc = 0;

	while (rc == 0 && i < n) {
		size_t from = i;

		while (i < n && !ram_list_has(&ram->copied, l->page[i]))
			i++;
		if (i > from)
			rc = ram->ops->drop(ram, l->page + from, i - from);
		st->pages_dropped += i - from;
		while (i < n && ram_list_has(&ram->copied, l->page[i]))
			l->page[keep++] = l->page[i++];
	}
	l->n = keep < n ? keep : n;
	return rc;
}

/* other clones could write here: a bad list costs time, no more */
static uint32_t workset_pages(const struct ram *ram)
{
	struct ram_workset *ws = ram->ws;
	uint32_t n;

	if (!ws || atomic_load(&ws->state) != 2)
		return 0;
	n = *(volatile uint32_t *)&ws->n;
	return n < WORKSET_MAX ? n : WORKSET_MAX;
}

uint32_t ram_workset_pages(const struct ram *ram, const uint32_t **page)
{
	uint32_t n = workset_pages(ram);

	*page = n ? ram->ws->page : NULL;
	return n;
}

/* those of it that are not there yet: how many, and where */
static uint32_t workset_missing(const struct ram *ram, const uint32_t **page)
{
	static uint32_t list[WORKSET_MAX];
	uint32_t n = ram_workset_pages(ram, page), missing = 0;

	if (!ram->ahead.n)
		return n;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t p = *(volatile uint32_t *)&ram->ws->page[i];

		if (!ram_list_has(&ram->ahead, p) &&
		    !ram_list_has(&ram->copied, p))
			list[missing++] = p;
	}
	*page = list;
	return missing;
}

/*
 * One request that wrote a lot would make each later one pay for copying all
 * of that back.  So when a list is much longer than the working set, and no
 * more than that was added to it in some requests (`before`: how long it was
 * after the last one), all is dropped and the working set fetched anew.  If
 * the list soon grows back that was wrong, and twice the patience is had with
 * it the next time.  1 when it was done.
 */
static int tidy(struct ram *ram, size_t before, struct ram_stats *st)
{
	struct ram_workset *ws = ram->ws;
	size_t usual = ws && atomic_load(&ws->state) == 2 ? 4 * (size_t)ws->n :
		       BUDGET;
	int rc;

	ram->since++;
	if (ram->list.n <= USUAL_LEAST || ram->list.n <= usual)
		return 0;
	if (st->pages_private > before + ws->n) {
		if (!ram->patience || ram->since > 4 * ram->patience)
			ram->patience = PATIENCE;
		else if (!ram->calm && ram->patience < PATIENCE_MAX)
			ram->patience *= 2;
		ram->calm = 1;
		return 0;
	}
	if (ram->calm++ < ram->patience)
		return 0;
	ram->calm = ram->since = 0;
	rc = drop_beyond(ram, 0, st);
	/* what others of this reference wrote, as it was, and present again */
	if (rc == 0)
		rc = ram->ops->refill(ram, ws->page, workset_pages(ram));
	return rc < 0 ? rc : 1;
}

int ram_rollback(struct ram *ram, struct ram_stats *st)
{
	const struct ram_ops *ops = ram->ops;
	long faults = ops->faults(ram);
	int anew = faults < 0 || faults != ram->faults, rc = 0, tidied;
	size_t before = ram->list.n;

	if (ram->once)
		return -ENOTSUP;
	if (ram->snap_laid < ram->deltas)
		rc = ram_lay_snap(ram);
	if (rc == 0 && anew) {
		ram->faults = faults;
		rc = ops->scan(ram);
	}
	if (rc < 0)
		return rc;
	st->pages_private = ram->list.n;
	st->pages_dropped = 0;
	rc = drop_beyond(ram, BUDGET, st);
	tidied = rc < 0 ? rc : tidy(ram, before, st);
	if (tidied < 0)
		return tidied;
	rc = ops->restore(ram, anew);
	st->pages_copied = ram->list.n;
	for (int i = 0; i < RAM_WINDOWS; i++)
		ram->win[i].span = ram->win[i].sealed;
	if (tidied)
		ram->faults = -1;	/* the list is to be read anew */
	return rc;
}

/* the rollback scans once more: this list may have pages of before */
int ram_written(struct ram *ram,
		void (*fn)(void *arg, uint64_t addr, const uint8_t *now,
			   const uint8_t *was), void *arg)
{
	static uint8_t now[UK_PAGE];
	static const uint8_t zero[UK_PAGE];
	int rc = ram->snap_laid < ram->deltas ? ram_lay_snap(ram) : 0;

	if (rc == 0)
		rc = ram->ops->scan(ram);
	ram->faults = -1;
	for (size_t i = 0; rc == 0 && i < ram->list.n; i++) {
		uint64_t addr = (uint64_t)ram->list.page[i] * UK_PAGE;
		const struct ram_window *w = ram->win;

		while (addr - w->base >= w->cap)
			w++;
		rc = ram->ops->look(ram, addr, now);
		if (rc == 0)
			fn(arg, addr, now, addr - w->base < w->sealed ?
			   ram->snap + addr : zero);
	}
	return rc;
}

int ram_clone_init(struct ram *ram, int proc)
{
	ram->faults = -1;
	return ram->ops->open(ram, proc);
}

uint64_t ram_populate_at(struct ram *ram, uint8_t *base)
{
	const uint32_t *page;
	uint32_t n = workset_missing(ram, &page);

	if (n)
		ram_list_populate(base, page, n);
	return n;
}

uint64_t ram_populate(struct ram *ram)
{
	const uint32_t *page;
	uint32_t n = workset_missing(ram, &page);

	if (n && ram->ops->populate)
		ram->ops->populate(ram, page, n);
	return n;
}

/* between two pages so many others are taken along */
static void publish(struct ram *ram, struct ram_workset *ws, uint32_t gap)
{
	const struct ram_list *l = &ram->list;
	uint32_t empty = 0, n = 0;

	if (!ws || !atomic_compare_exchange_strong(&ws->state, &empty, 1))
		return;
	/* a clone for one request never rolls back, so it has not looked */
	if (!ram->list.n && ram->ops->scan(ram) < 0)
		ram->list.n = 0;
	/* of one's own: other clones could write what is in there */
	for (size_t i = 0; i < l->n; i++) {
		uint32_t p = i && l->page[i] - l->page[i - 1] <= gap + 1 ?
			     l->page[i - 1] + 1 : l->page[i];

		for (; p <= l->page[i] && n < WORKSET_MAX; p++)
			ws->page[n++] = p;
	}
	ws->n = n;
	atomic_store(&ws->state, 2);
}

void ram_learn(struct ram *ram)
{
	publish(ram, ram->ws, 0);
	publish(ram, ram->base_ws, AHEAD_GAP);
}

int ram_workset_init(struct ram *ram, int fd)
{
	ram->base_ws = ram->ws;
	ram->ws = workset_create(fd);
	return ram->ws ? 0 : -ENOMEM;
}

int ram_verify(const struct ram *ram, uint64_t *addr)
{
	return ram->ops->verify(ram, addr);
}

uint64_t ram_touched(const struct ram *ram)
{
	return ram->ops->touched(ram);
}
