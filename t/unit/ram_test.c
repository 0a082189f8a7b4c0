/*
 * ram_test.c - limits of guest memory, and other ones after it was sealed
 *
 * What a clone does: the memory is this process's, and nothing runs in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "vmm/memory/ram.h"

#define MEM	(64ull << 20)
#define FILES	(16ull << 20)
#define MOST	(UK_DATA_END - UK_DATA_BASE)

static struct ram ram;
static uint64_t from;

static int grow(unsigned arena, uint64_t span)
{
	return ram_grow(&ram, arena, span, &from);
}

static uint64_t span(unsigned arena)
{
	return ram.win[arena].span;
}

static uint64_t spans(void)
{
	return span(UK_ARENA_EXEC) + span(UK_ARENA_HEAP) + span(UK_ARENA_DATA);
}

/* the most that an arena may have while the others are as they are */
static uint64_t room(unsigned arena)
{
	return ram.mem_limit - spans() + span(arena);
}

/* is every byte of a page there, and was it zero? */
static int fresh(uint64_t addr)
{
	static const uint8_t zero[UK_PAGE];
	uint8_t *p = ram_ptr(&ram, addr, UK_PAGE, 1);
	int was = p && !memcmp(p, zero, UK_PAGE);

	if (p)
		memset(p, 'D', UK_PAGE);
	return was;
}

static void test_boot(void)
{
	ok(ram.mem_limit == MEM && ram.files_limit == FILES,
	   "limits of a boot");
	ok(grow(UK_ARENA_DATA, room(UK_ARENA_DATA) + 1) == -ENOMEM &&
	   grow(UK_ARENA_USF, FILES + 1) == -ENOMEM &&
	   grow(UK_ARENA_EXEC, UK_END) == -ENOMEM &&
	   grow(UK_ARENA_EXEC, ~0ull) == -EINVAL &&
	   grow(UK_ARENAS, UK_BIG) == -EINVAL, "past its limits nothing grows");
	ok(grow(UK_ARENA_DATA, 20u << 20) == 1 && span(UK_ARENA_DATA) ==
	   20u << 20, "within its limits it grows");
	ok(ram_limit(&ram, 2 * MEM, FILES) == -EINVAL && ram.mem_limit == MEM,
	   "while it boots the limits stay");
	ok(ram_beyond(&ram, UK_DATA_BASE + MEM) &&
	   ram_beyond(&ram, UK_USF_END - 1) &&
	   !ram_beyond(&ram, UK_DATA_BASE + MEM - 1) &&
	   !ram_beyond(&ram, UK_SYS_BASE) && !ram_beyond(&ram, UK_DATA_END +
	   FILES - 1) && !ram_beyond(&ram, UK_IMAGE_BASE),
	   "addresses of arenas beyond the limits");
}

static void test_smaller(void)
{
	uint64_t had = spans();

	ok(ram_limit(&ram, UK_BIG, 0) == 0 && ram.mem_limit == UK_BIG &&
	   ram.files_limit == 0, "a smaller limit");
	ok(spans() == had && grow(UK_ARENA_DATA, span(UK_ARENA_DATA)) == 0,
	   "a smaller limit: what is there stays");
	ok(grow(UK_ARENA_DATA, span(UK_ARENA_DATA) + 1) == -ENOMEM &&
	   grow(UK_ARENA_HEAP, span(UK_ARENA_HEAP) + 1) == -ENOMEM &&
	   grow(UK_ARENA_USF, span(UK_ARENA_USF) + 1) == -ENOMEM,
	   "a smaller limit: nothing grows");
	ok(ram_most(&ram) >= had + span(UK_ARENA_USF),
	   "a smaller limit: what is there may be written");
	ok(ram_beyond(&ram, UK_DATA_BASE + span(UK_ARENA_DATA)) &&
	   !ram_beyond(&ram, UK_DATA_BASE + span(UK_ARENA_DATA) - 1),
	   "a smaller limit: it ends where the spans do");
	ok(ram_limit(&ram, had + 2 * UK_BIG - 1, 0) == 0 &&
	   grow(UK_ARENA_HEAP, span(UK_ARENA_HEAP) + UK_BIG) == 1 &&
	   grow(UK_ARENA_EXEC, span(UK_ARENA_EXEC) + UK_BIG) == 1 &&
	   grow(UK_ARENA_DATA, span(UK_ARENA_DATA) + 1) == -ENOMEM,
	   "a limit above what is there is rounded up to 2 MB");
}

static void rolled_back(const char *name)
{
	struct ram_stats st;
	uint64_t addr;

	ok(ram_rollback(&ram, &st) == 0 && st.pages_private,
	   "%s: it is rolled back", name);
	/* to compare gigabytes would take as many */
	if (ram.mem_limit <= 4 * MEM)
		ok(ram_verify(&ram, &addr) == 0, "%s: all is the snapshot's "
		   "after a rollback", name);
}

static void test_larger(const char *name, uint64_t mem, uint64_t files)
{
	uint64_t top;

	ok(ram_limit(&ram, mem, files) == 0, "%s", name);
	ok(grow(UK_ARENA_DATA, room(UK_ARENA_DATA) + 1) == -ENOMEM &&
	   grow(UK_ARENA_USF, files + 1) == -ENOMEM,
	   "%s: past it nothing grows", name);
	top = room(UK_ARENA_DATA);
	ok(grow(UK_ARENA_DATA, top) >= 0 && spans() == mem &&
	   grow(UK_ARENA_USF, files) >= 0, "%s: arenas grow up to it", name);
	ok(fresh(UK_DATA_BASE + top - UK_PAGE) &&
	   fresh(UK_DATA_BASE + MEM - UK_PAGE) && fresh(UK_DATA_BASE + MEM) &&
	   fresh(UK_USF_BASE + files - UK_PAGE),
	   "%s: memory there is zero and can be written", name);
	ok(!ram_ptr(&ram, UK_DATA_BASE + top, 1, 0), "%s: and ends there", name);
	rolled_back(name);
	ok(spans() < mem && span(UK_ARENA_DATA) == 20u << 20,
	   "%s: a rollback takes the spans back", name);
}

static void test_most(void)
{
	struct ram_window *w = &ram.win[UK_ARENA_DATA];

	ok(ram_limit(&ram, 2 * MOST, 2 * MOST) == 0 &&
	   ram.files_limit == UK_USF_END - UK_USF_BASE,
	   "more than there are addresses");
	ok(grow(UK_ARENA_DATA, MOST + 1) == -ENOMEM &&
	   grow(UK_ARENA_DATA, MOST) == 1 &&
	   grow(UK_ARENA_EXEC, UK_EXEC_END - UK_EXEC_BASE) == 1 &&
	   grow(UK_ARENA_HEAP, UK_HEAP_END - UK_HEAP_BASE) == 1 &&
	   grow(UK_ARENA_USF, ram.files_limit) == 1,
	   "more than there are addresses: arenas grow to their ends");
	ok(fresh(UK_DATA_END - UK_PAGE) && fresh(UK_EXEC_END - UK_PAGE) &&
	   fresh(UK_HEAP_END - UK_PAGE) && fresh(UK_USF_END - UK_PAGE),
	   "more than there are addresses: and that can be written");
	ok(w->base + w->cap == UK_DATA_END && !ram_beyond(&ram, UK_DATA_END - 1),
	   "more than there are addresses: no limit is beyond");
}

/* the guest is another process, which maps no more */
static void test_remote(void)
{
	ram.own = &ram;
	ok(ram_limit(&ram, MEM / 2, FILES) == 0, "of a process that runs: less");
	ram.win[UK_ARENA_DATA].top = ram.win[UK_ARENA_DATA].cap = MEM;
	ok(ram_limit(&ram, 4 * MEM, FILES) == -EBUSY,
	   "of a process that runs: more is refused");
	ram.own = NULL;
}

int main(void)
{
	struct err err = { "" };
	int proc = open("/proc", O_PATH | O_DIRECTORY), fd;

	if (ram_create(&ram, MEM, FILES, &err) < 0) {
		printf("1..0 # SKIP %s\n", err.msg);
		return 0;
	}
	test_boot();
	memset(ram_sys(&ram, UK_DATA_BASE), 'S', 20u << 20);
	fd = ram_seal(&ram, &err);
	ok(fd >= 0 && ram_clone_init(&ram, proc) == 0, "it is sealed: %s",
	   err.msg);
	test_smaller();
	fresh(UK_USF_BASE);
	rolled_back("a smaller limit");
	test_larger("a larger limit", 4 * MEM, 4 * FILES);
	test_larger("a limit between", 3 * MEM, 3 * FILES);
	test_larger("gigabytes", 8ull << 30, 3ull << 30);
	test_most();
	test_remote();
	close(fd);
	close(proc);
	free(ram.list.page);
	ram_destroy(&ram);
	return plan();
}
