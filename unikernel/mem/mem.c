/*
 * mem.c - arenas of pages, and the break (mem.h)
 *
 * EXEC and DATA have a map, one byte (enum page_kind) for each page that the
 * address map gives them: the limit may change, the map need not.  The maps are
 * the end of the libOS's bss, where what was never touched takes no memory.
 * Invariants:
 *
 *   - pages at and above `high` were never handed out: they read as zero, and
 *     so does the map, which nobody has to read there
 *   - every page from `first` to `low` is taken
 *   - free pages below `high` may hold anything
 *   - a page that is not free lies below the span
 *
 * A search goes upward from `low` and takes the first run that is long
 * enough, so what was used is used again before the span grows.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/lib/kabi.h"

#define PAGE_SHIFT	12
#define VARIETY		256	/* pages by which a start is randomised */

struct arena {
	u64 base, end;		/* end: where the address map ends it */
	u64 span;		/* bytes that have memory */
	u8 *map;		/* for EXEC and DATA only */
	u64 pages;		/* that map covers, to the arena's end */
	u64 first;		/* first page for the program */
	u64 low, high;		/* page numbers, see above */
	u64 used;		/* pages taken */
	u64 wipe, wipe_end;	/* all PAGE_WIPED pages lie in between */
};

#define EXEC_PAGES	((UK_EXEC_END - UK_EXEC_BASE) >> PAGE_SHIFT)
#define DATA_PAGES	((UK_DATA_END - UK_DATA_BASE) >> PAGE_SHIFT)
#define EXEC_MAP	ROUND_UP(EXEC_PAGES, UK_PAGE)

/*
 * EXEC's map, then DATA's, each page of them for 16 MB.  Where libos.ld puts
 * this, what any usual function touches of it lies on the libOS's huge pages.
 */
static u8 maps[EXEC_MAP + DATA_PAGES]
	__attribute__((aligned(UK_PAGE), section(".bss.maps")));

static struct arena arenas[UK_ARENAS] = {
	[UK_ARENA_EXEC] = {
		.base = UK_EXEC_BASE, .end = UK_EXEC_END,
		.map = maps, .pages = EXEC_PAGES,
	},
	[UK_ARENA_HEAP] = { .base = UK_HEAP_BASE, .end = UK_HEAP_END },
	[UK_ARENA_DATA] = {
		.base = UK_DATA_BASE, .end = UK_DATA_END,
		.map = maps + EXEC_MAP, .pages = DATA_PAGES,
	},
	[UK_ARENA_USF] = { .base = UK_USF_BASE, .end = UK_USF_END },
};

static u64 heap_start, heap_brk, heap_high;

u64 arena_span(int arena)
{
	return arenas[arena].span;
}

/* the largest span that this arena may have now; the limits may change */
static u64 span_max(int arena)
{
	const struct arena *a = &arenas[arena];
	u64 others = 0, max, i;

	if (arena == UK_ARENA_USF) {
		max = ROUND_UP(uk_ctl->files_limit, UK_BIG);
		return MIN(max, a->end - a->base);
	}
	for (i = 0; i < UK_ARENA_USF; i++)
		if (i != (u64)arena)
			others += arenas[i].span;
	if (others >= uk_ctl->mem_limit)
		return 0;
	max = ROUND_DOWN(uk_ctl->mem_limit - others, UK_BIG);
	return MIN(max, a->end - a->base);
}

/*
 * A span grows by more than is asked for, so that doorbells are few, but not in
 * the last quarter of the limit, which another arena may need.
 */
int arena_grow(int arena, u64 span)
{
	struct arena *a = &arenas[arena];
	u64 max, need, ahead;

	if (span <= a->span)
		return 0;
	max = span_max(arena);
	if (span > max)
		return -ENOMEM;
	need = ROUND_UP(span, UK_BIG);
	ahead = ROUND_UP(span + a->span / 4, UK_BIG);
	if (ahead - a->span > (max - a->span) / 4)
		ahead = need;
	if (doorbell(arena, ahead, 0, DB_GROW) == 0) {
		a->span = ahead;
		return 0;
	}
	if (ahead == need || doorbell(arena, need, 0, DB_GROW) < 0)
		return -ENOMEM;
	a->span = need;
	return 0;
}

static u64 page_addr(const struct arena *a, u64 page)
{
	return a->base + (page << PAGE_SHIFT);
}

u64 arena_high(int arena)
{
	return page_addr(&arenas[arena], arenas[arena].high);
}

/* the arena, EXEC or DATA, in which all of the range lies; or NULL */
static struct arena *arena_of(u64 addr, u64 npages)
{
	static const u8 mapped[] = { UK_ARENA_EXEC, UK_ARENA_DATA };
	struct arena *a;
	u64 page, i;

	for (i = 0; i < ARRAY_LEN(mapped); i++) {
		a = &arenas[mapped[i]];
		page = (addr - a->base) >> PAGE_SHIFT;
		if (addr >= a->base && page < a->pages &&
		    npages <= a->pages - page)
			return a;
	}
	return NULL;
}

static u64 page_of(const struct arena *a, u64 addr)
{
	return (addr - a->base) >> PAGE_SHIFT;
}

void mem_init(void)
{
	u16 skip[2];
	int i;

	random_bytes(skip, sizeof(skip));
	for (i = 0; i < UK_ARENAS; i++)
		arenas[i].span = uk_ctl->span[i];
	/* what is loaded into EXEC varies its addresses enough */
	arenas[UK_ARENA_DATA].first = skip[0] % VARIETY;
	arenas[UK_ARENA_DATA].low = arenas[UK_ARENA_DATA].first;
	heap_start = UK_HEAP_BASE + (u64)(skip[1] % VARIETY) * UK_PAGE;
	heap_brk = heap_high = heap_start;
}

/* first page in [page, end) that is not free; end when there is none */
static u64 skip_free(const struct arena *a, u64 page, u64 end)
{
	while (page < end && (page & 7)) {
		if (a->map[page])
			return page;
		page++;
	}
	while (page + 8 <= end && !*(const u64 *)(a->map + page))
		page += 8;
	while (page < end && !a->map[page])
		page++;
	return page;
}

/* first page in [page, end) that is free; end when there is none */
static u64 skip_used(const struct arena *a, u64 page, u64 end)
{
	const u64 ones = 0x0101010101010101ull, tops = ones << 7;
	u64 w;

	while (page < end && (page & 7)) {
		if (!a->map[page])
			return page;
		page++;
	}
	for (; page + 8 <= end; page += 8) {
		w = *(const u64 *)(a->map + page);
		if ((w - ones) & ~w & tops)
			break;
	}
	while (page < end && a->map[page])
		page++;
	return page;
}

/* skip_free() of a free page, and from the high-water mark on all are free */
static u64 free_end(const struct arena *a, u64 page, u64 end)
{
	u64 known = MIN(end, a->high), stop = skip_free(a, page, known);

	return stop < known ? stop : end;
}

/* the first run of npages free pages at or after page; a->pages if none */
static u64 find_free(const struct arena *a, u64 page, u64 npages)
{
	u64 end;

	for (;;) {
		page = skip_used(a, page, a->high);
		if (npages > a->pages - page)
			return a->pages;
		end = free_end(a, page, page + npages);
		if (end == page + npages)
			return page;
		page = end;
	}
}

/* marks pages as taken, some of which may be taken already */
static void take(struct arena *a, u64 page, u64 npages, enum page_kind kind)
{
	u64 i;

	for (i = page; i < page + npages; i++) {
		a->used += !a->map[i];
		a->map[i] = kind;
	}
	if (kind == PAGE_WIPED) {
		a->wipe = a->wipe_end ? MIN(a->wipe, page) : page;
		a->wipe_end = MAX(a->wipe_end, page + npages);
	}
	a->high = MAX(a->high, page + npages);
	if (page <= a->low && a->low < page + npages)
		a->low = page + npages;
}

/* zeroes the part of the range below the high-water mark `high` */
static void zero_below(const struct arena *a, u64 page, u64 npages, u64 high)
{
	u64 end = MIN(page + npages, high);

	if (page < end)
		memset((void *)page_addr(a, page), 0,
		       (end - page) << PAGE_SHIFT);
}

static u64 alloc(int arena, u64 npages, int zero)
{
	struct arena *a = &arenas[arena];
	u64 page, high = a->high;

	if (!npages || npages > a->pages)
		return 0;
	page = find_free(a, a->low, npages);
	if (page == a->pages ||
	    arena_grow(arena, (page + npages) << PAGE_SHIFT) < 0)
		return 0;
	take(a, page, npages, PAGE_LIBOS);
	if (zero)
		zero_below(a, page, npages, high);
	return page_addr(a, page);
}

u64 pages_alloc(int arena, u64 npages)
{
	return alloc(arena, npages, 1);
}

u64 pages_alloc_dirty(int arena, u64 npages)
{
	return alloc(arena, npages, 0);
}

static void release(u64 addr, u64 npages, int libos_too)
{
	struct arena *a = arena_of(addr, npages);
	u64 page, end, i;

	assert(a);
	page = page_of(a, addr);
	end = MIN(page + npages, a->high);
	for (i = page; i < end; i++) {
		if (!a->map[i] || (a->map[i] == PAGE_LIBOS && !libos_too))
			continue;
		a->map[i] = PAGE_FREE;
		a->used--;
		if (i < a->low && i >= a->first)
			a->low = i;
	}
}

void pages_free(u64 addr, u64 npages)
{
	release(addr, npages, 1);
}

void pages_unmap(u64 addr, u64 npages)
{
	u64 end = addr + (npages << PAGE_SHIFT), lo, hi;
	int i;

	for (i = 0; i < UK_ARENAS; i++) {
		if (!arenas[i].map)
			continue;
		lo = MAX(addr, arenas[i].base);
		hi = MIN(end, page_addr(&arenas[i], arenas[i].pages));
		if (lo < hi)
			release(lo, (hi - lo) >> PAGE_SHIFT, 0);
	}
}

void pages_mark(u64 addr, u64 npages, enum page_kind kind)
{
	struct arena *a = arena_of(addr, npages);

	assert(a && kind != PAGE_FREE);
	take(a, page_of(a, addr), npages, kind);
}

enum page_kind mem_page_kind(u64 addr)
{
	struct arena *a = arena_of(addr, 1);

	return a ? a->map[page_of(a, addr)] : PAGE_FREE;
}

u64 pages_run(u64 addr, u64 max)
{
	struct arena *a = arena_of(addr, 1);
	u64 page, n;

	if (!a)
		return 0;
	page = page_of(a, addr);
	max = MIN(max, a->pages - page);
	if (max && a->map[page] == PAGE_FREE)
		return free_end(a, page, page + max) - page;
	for (n = 1; n < max && a->map[page + n] == a->map[page]; n++)
		;
	return n;
}

int pages_take(u64 addr, u64 npages, enum page_kind kind, int zero)
{
	struct arena *a = arena_of(addr, npages);
	u64 page, high, i;

	if (!a)
		return -ENOMEM;
	page = page_of(a, addr);
	for (i = page; i < MIN(page + npages, a->high); i++)
		if (a->map[i] == PAGE_LIBOS)
			return -EINVAL;
	if (arena_grow(a - arenas, (page + npages) << PAGE_SHIFT) < 0)
		return -ENOMEM;
	high = a->high;
	take(a, page, npages, kind);
	if (zero)
		zero_below(a, page, npages, high);
	return 0;
}

void pages_wipe(void)
{
	u64 page;
	int i;

	for (i = 0; i < UK_ARENAS; i++)
		for (page = arenas[i].wipe; page < arenas[i].wipe_end; page++)
			if (arenas[i].map[page] == PAGE_WIPED)
				memset((void *)page_addr(&arenas[i], page), 0,
				       UK_PAGE);
}

u64 mem_used(void)
{
	return ((arenas[UK_ARENA_EXEC].used + arenas[UK_ARENA_DATA].used)
		<< PAGE_SHIFT) + (heap_brk - heap_start);
}

u64 mem_left(void)
{
	u64 used = mem_used();

	return uk_ctl->mem_limit > used ? uk_ctl->mem_limit - used : 0;
}

u64 heap_range(u64 *start)
{
	*start = heap_start;
	return heap_brk;
}

/*
 * Only whole pages become zero, as on Linux: what the program left in the
 * break's last page stays.
 */
long sys_brk(u64 addr)
{
	u64 old = ROUND_UP(heap_brk, UK_PAGE), end = ROUND_UP(addr, UK_PAGE);

	if (addr < heap_start || addr > UK_HEAP_END)
		return heap_brk;
	if (arena_grow(UK_ARENA_HEAP, end - UK_HEAP_BASE) < 0)
		return heap_brk;
	if (end > old && old < heap_high)
		memset((void *)old, 0, MIN(end, heap_high) - old);
	heap_high = MAX(heap_high, end);
	heap_brk = addr;
	return heap_brk;
}
