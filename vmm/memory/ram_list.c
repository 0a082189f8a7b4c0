/* ram_list.c - lists of a guest's pages, and what the kernel says of them */
#include <errno.h>
#include <stdlib.h>

#include "conf/madvise.h"
#include "vmm/memory/pagemap.h"
#include "vmm/memory/ram_ops.h"

int ram_list_add(struct ram_list *l, uint32_t page)
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

struct found {
	struct ram_list *list;
	uint64_t at;
};

static int add_run(void *arg, uint64_t from, uint64_t to)
{
	struct found *f = arg;
	int rc = 0;

	for (; rc == 0 && from < to; from += UK_PAGE)
		rc = ram_list_add(f->list,
				  (uint32_t)((from - f->at) / UK_PAGE));
	return rc;
}

static uint64_t extent(const struct ram_window *w, int to_caps)
{
	return to_caps ? w->cap : w->top;
}

int ram_list_scan(struct ram *ram, uint64_t at, int to_caps)
{
	static const int ascending[RAM_WINDOWS] = {
		UK_ARENA_EXEC, RAM_SYS, RAM_STACK, UK_ARENA_HEAP,
		UK_ARENA_DATA, UK_ARENA_USF,
	};
	struct found f = { &ram->list, at };
	int rc = 0;

	ram->list.n = 0;
	for (int i = 0; i < RAM_WINDOWS && rc == 0; i++) {
		const struct ram_window *w = &ram->win[ascending[i]];
		uint64_t base = at + w->base, end = extent(w, to_caps);

		rc = pagemap_private(ram->pagemap, base, w->sealed, 0, add_run,
				     &f);
		if (rc == 0 && end > w->sealed)
			rc = pagemap_private(ram->pagemap, base + w->sealed,
					     end - w->sealed, 1, add_run, &f);
	}
	return rc == 0 ? ram_ahead_list(ram) : rc;
}

uint64_t ram_list_present(const struct ram *ram, uint64_t at, int to_caps)
{
	uint64_t n = 0;

	for (int i = 0; i < RAM_WINDOWS; i++)
		pagemap_present(ram->pagemap, at + ram->win[i].base,
				extent(&ram->win[i], to_caps), &n);
	return n;
}

void ram_list_runs(const uint32_t *page, size_t n,
		   void (*fn)(void *arg, uint64_t addr, uint64_t len),
		   void *arg)
{
	size_t i = 0;

	while (i < n) {
		size_t j = i + 1;

		while (j < n && page[j] == page[j - 1] + 1)
			j++;
		fn(arg, (uint64_t)page[i] * UK_PAGE, (j - i) * UK_PAGE);
		i = j;
	}
}

/* other clones could write the list: a bad one costs time, no more */
static void populate_run(void *base, uint64_t addr, uint64_t len)
{
	if (addr + len <= UK_RAM_END)
		madvise((void *)((uintptr_t)base + addr), len,
			MADV_POPULATE_WRITE);
}

void ram_list_populate(uint8_t *base, const uint32_t *page, size_t n)
{
	ram_list_runs(page, n, populate_run, base);
}
