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
 * dropping would cost the next request (DESIGN 4).  Beyond BUDGET pages the
 * excess is dropped, to give memory back; and a clone that one request made
 * far larger than its kin is made small again (tidy()).
 *
 * A remote guest's process does both itself (struct ram_far).  When this
 * begins it has copied back the pages of the list of last time, which is all
 * there is to do unless it has faulted since that was made; if it has, what
 * is new is copied, too.
 */
#include "vmm/memory/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vmm/memory/pagemap.h"
#include "vmm/memory/remote.h"

#define BUDGET		8192u		/* private pages kept: 32 MB */
#define WORKSET_MAX	4096u
#define USUAL_LEAST	1024u		/* pages that are never too many */
#define PATIENCE	8u		/* rollbacks until some are, at first */
#define PATIENCE_MAX	1024u

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct ram_workset {
	_Atomic uint32_t state;		/* 0 empty, 1 being written, 2 there */
	uint32_t n;
	uint32_t page[WORKSET_MAX];
};

static struct ram_workset *workset_create(void)
{
	void *p = mmap(NULL, sizeof(struct ram_workset),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int list_add(struct ram_list *l, uint32_t page)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 1024;
		void *p = realloc(l->page, cap * sizeof(uint32_t));

		if (!p)
			return -ENOMEM;
		l->page = p;
		l->cap = cap;
	}
	l->page[l->n++] = page;
	return 0;
}

/* where RAM is mapped in the guest's process, and how much of a window */
static uint64_t mapped_at(const struct ram *ram)
{
	return ram->remote ? 0 : (uint64_t)(uintptr_t)ram->base;
}

static uint64_t extent(const struct ram *ram, const struct ram_window *w)
{
	return ram->remote ? w->cap : w->top;
}

static int add_run(void *arg, uint64_t from, uint64_t to)
{
	struct ram *ram = arg;
	uint64_t base = mapped_at(ram);
	int rc = 0;

	for (; rc == 0 && from < to; from += UK_PAGE)
		rc = list_add(&ram->list, (uint32_t)((from - base) / UK_PAGE));
	return rc;
}

static int scan(struct ram *ram)
{
	static const int ascending[RAM_WINDOWS] = {
		UK_ARENA_EXEC, RAM_SYS, RAM_STACK, UK_ARENA_HEAP,
		UK_ARENA_DATA, UK_ARENA_USF,
	};
	int rc = 0;

	ram->list.n = 0;
	for (int i = 0; i < RAM_WINDOWS && rc == 0; i++) {
		const struct ram_window *w = &ram->win[ascending[i]];
		uint64_t base = mapped_at(ram) + w->base, end = extent(ram, w);

		rc = pagemap_private(ram->pagemap, base, w->sealed, 0, add_run,
				     ram);
		if (rc == 0 && end > w->sealed)
			rc = pagemap_private(ram->pagemap, base + w->sealed,
					     end - w->sealed, 1, add_run, ram);
	}
	return rc;
}

/* of the guest's process; below 0 when that is not known */
static long faults_of(const struct ram *ram)
{
	struct rusage ru;

	if (ram->remote)
		return remote_faults(ram);
	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt + ru.ru_majflt;
}

static void drop_here(struct ram *ram, size_t i)
{
	const struct ram_list *l = &ram->list;

	while (i < l->n) {
		size_t j = i + 1;

		while (j < l->n && l->page[j] == l->page[j - 1] + 1)
			j++;
		madvise(ram->base + (uint64_t)l->page[i] * UK_PAGE,
			(j - i) * UK_PAGE, MADV_DONTNEED);
		i = j;
	}
}

/* drops the list's tail, runs of pages at a time */
static int drop_beyond(struct ram *ram, size_t keep, struct ram_stats *st)
{
	struct ram_list *l = &ram->list;
	int rc = 0;

	if (l->n <= keep)
		return 0;
	if (ram->remote)
		rc = ram->far->drop(ram->far, l->page + keep, l->n - keep);
	else
		drop_here(ram, keep);
	st->pages_dropped += l->n - keep;
	l->n = keep;
	return rc;
}

/* what others of this reference wrote, as it was, and present again */
static int repopulate(struct ram *ram)
{
	struct ram_workset *ws = ram->ws;
	uint32_t n;

	if (!ram->remote) {
		ram_populate(ram, ram->base);
		return 0;
	}
	n = *(volatile uint32_t *)&ws->n;
	return ram->far->copy(ram->far, ws->page,
			      n < WORKSET_MAX ? n : WORKSET_MAX);
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
	if (rc == 0)
		rc = repopulate(ram);
	return rc < 0 ? rc : 1;
}

static void copy_here(struct ram *ram)
{
	for (size_t i = 0; i < ram->list.n; i++) {
		uint64_t a = (uint64_t)ram->list.page[i] * UK_PAGE;

		memcpy(ram->base + a, ram->snap + a, UK_PAGE);
	}
}

/* the list's pages that were not in the one before */
static int copy_fresh(struct ram *ram)
{
	const struct ram_list *old = &ram->before, *new = &ram->list;
	size_t o = 0;
	int rc = 0;

	ram->fresh.n = 0;
	for (size_t i = 0; rc == 0 && i < new->n; i++) {
		while (o < old->n && old->page[o] < new->page[i])
			o++;
		if (o == old->n || old->page[o] != new->page[i])
			rc = list_add(&ram->fresh, new->page[i]);
	}
	if (rc == 0 && ram->fresh.n)
		rc = ram->far->copy(ram->far, ram->fresh.page, ram->fresh.n);
	return rc;
}

int ram_rollback(struct ram *ram, struct ram_stats *st)
{
	long faults = faults_of(ram);
	int stale = faults < 0 || faults != ram->minflt, rc = 0, tidied;
	struct ram_list old = ram->list;

	if (stale && ram->remote) {
		ram->list = ram->before;
		ram->before = old;
	}
	if (stale)
		rc = scan(ram);
	if (rc < 0)
		return rc;
	st->pages_private = ram->list.n;
	st->pages_dropped = 0;
	rc = drop_beyond(ram, BUDGET, st);
	tidied = rc < 0 ? rc : tidy(ram, old.n, st);
	if (tidied < 0)
		return tidied;
	if (!ram->remote)
		copy_here(ram);
	else if (stale)
		rc = copy_fresh(ram);
	st->pages_copied = ram->list.n;
	for (int i = 0; i < RAM_WINDOWS; i++)
		ram->win[i].span = ram->win[i].sealed;
	/* a remote's were counted before it copied: at worst a scan too many */
	if (stale)
		ram->minflt = ram->remote ? faults : faults_of(ram);
	if (tidied)
		ram->minflt = -1;	/* the list is to be read anew */
	remote_forget(ram);
	return rc;
}

int ram_clone_init(struct ram *ram, int proc)
{
	ram->minflt = -1;
	if (ram->remote)
		return remote_open(ram, proc);
	ram->pagemap = openat(proc, "self/pagemap", O_RDONLY | O_CLOEXEC);
	return ram->pagemap < 0 ? -errno : 0;
}

uint64_t ram_populate(struct ram *ram, uint8_t *base)
{
	struct ram_workset *ws = ram->ws;
	uint32_t n, i = 0;

	if (!ws || atomic_load(&ws->state) != 2)
		return 0;
	/* other clones could write here: a bad list costs time, no more */
	n = *(volatile uint32_t *)&ws->n;
	if (n > WORKSET_MAX)
		n = WORKSET_MAX;
	while (i < n && !(ram->remote && base)) {
		uint64_t a = (uint64_t)ws->page[i] * UK_PAGE;
		uint32_t j = i + 1;

		while (j < n && ws->page[j] == ws->page[j - 1] + 1)
			j++;
		if (a + (uint64_t)(j - i) * UK_PAGE <= UK_RAM_END)
			madvise((void *)((uintptr_t)base + a),
				(size_t)(j - i) * UK_PAGE,
				MADV_POPULATE_WRITE);
		i = j;
	}
	return n;
}

void ram_learn(struct ram *ram)
{
	uint32_t empty = 0, n;

	if (!ram->ws || !atomic_compare_exchange_strong(&ram->ws->state,
							 &empty, 1))
		return;
	/* a clone for one request never rolls back, so it has not looked */
	if (!ram->list.n && scan(ram) < 0)
		ram->list.n = 0;
	/* of one's own: other clones could write what is in there */
	n = ram->list.n < WORKSET_MAX ? (uint32_t)ram->list.n : WORKSET_MAX;
	memcpy(ram->ws->page, ram->list.page, n * sizeof(uint32_t));
	ram->ws->n = n;
	atomic_store(&ram->ws->state, 2);
}

int ram_workset_init(struct ram *ram)
{
	ram->ws = workset_create();
	return ram->ws ? 0 : -ENOMEM;
}

int ram_verify(const struct ram *ram, uint64_t *addr)
{
	if (ram->remote)
		return remote_verify(ram, addr);
	for (int i = 0; i < RAM_WINDOWS; i++) {
		const struct ram_window *w = &ram->win[i];

		for (uint64_t a = w->base; a < w->base + w->top;
		     a += UK_PAGE) {
			if (!memcmp(ram->base + a, ram->snap + a, UK_PAGE))
				continue;
			while (ram->base[a] == ram->snap[a])
				a++;
			*addr = a;
			return -EUCLEAN;
		}
	}
	return 0;
}

uint64_t ram_touched(const struct ram *ram)
{
	uint64_t n = 0;

	for (int i = 0; i < RAM_WINDOWS; i++)
		pagemap_present(ram->pagemap,
				mapped_at(ram) + ram->win[i].base,
				extent(ram, &ram->win[i]), &n);
	return n;
}
