/*
 * rollback_test.c - guest memory in this process: the snapshot, and its rollback
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/madvise.h"
#include "t/unit/tap.h"
#include "vmm/memory/ram.h"

#define PAGES	300		/* more than a turn of anything */

static struct ram ram;

static volatile uint64_t *word(uint64_t addr)
{
	return (volatile uint64_t *)(ram.base + addr);
}

/* the reference's memory: each page's first word is its address */
static int make(void)
{
	struct err err;
	int fd, proc = open("/proc", O_RDONLY), rc;

	rc = ram_create(&ram, 64 << 20, 64 << 20, &err);
	for (uint64_t i = 0; rc == 0 && i < PAGES; i++)
		*word(UK_DATA_BASE + i * UK_PAGE) = UK_DATA_BASE + i * UK_PAGE;
	fd = rc < 0 ? rc : ram_seal(&ram, &err);
	if (fd < 0 || ram_workset_init(&ram, -1) < 0 ||
	    ram_clone_init(&ram, proc) < 0)
		return -1;
	close(proc);
	return fd;
}

static void test_snapshot(int fd)
{
	uint64_t aside = (uint64_t)((uintptr_t)ram.snap - (uintptr_t)ram.base);
	uint64_t there = 0;

	ok(aside % RAM_ALIAS == RAM_ASIDE && aside % UK_BIG == 0,
	   "the snapshot lies aside of RAM, on 2 MB pages");
	ok(*(const uint64_t *)(ram.snap + UK_DATA_BASE + UK_PAGE) ==
	   UK_DATA_BASE + UK_PAGE &&
	   pread(fd, &there, 8, UK_DATA_BASE + UK_PAGE) == 8 &&
	   there == UK_DATA_BASE + UK_PAGE,
	   "a guest's address is the snapshot's, and the file's");
	ok(pwrite(fd, &there, 8, UK_DATA_BASE) < 0, "and it is sealed");
}

static void test_rollback(void)
{
	struct ram_stats st;
	uint64_t addr;

	for (uint64_t i = 0; i < PAGES; i += 2)
		*word(UK_DATA_BASE + i * UK_PAGE + 8 * (i % 512)) ^= ~0ull;
	*word(UK_STACK_END - 8) = 1;
	ok(ram_verify(&ram, &addr) < 0 && addr == UK_DATA_BASE,
	   "what was written differs, and the first address is told");
	ok(ram_rollback(&ram, &st) == 0 && ram_verify(&ram, &addr) == 0 &&
	   st.pages_copied == PAGES / 2 + 1, "all of it is copied back");
	*word(UK_DATA_BASE + UK_PAGE) = 1;
	*word(UK_DATA_BASE + 2 * UK_PAGE + 4088) = 1;
	ok(ram_rollback(&ram, &st) == 0 && ram_verify(&ram, &addr) == 0 &&
	   st.pages_copied == PAGES / 2 + 2, "again, and one page more");
	ok(ram_rollback(&ram, &st) == 0 && ram_verify(&ram, &addr) == 0,
	   "where nothing was written");
}

/* pages that were there before the guest could reach them: a working set's */
static void test_grown(void)
{
	struct ram_window *w = &ram.win[UK_ARENA_HEAP];
	uint64_t at = w->base + w->span, addr, from = 0;
	struct ram_stats st;
	int rc;

	rc = madvise(ram.base + at, 4 * UK_PAGE, MADV_POPULATE_WRITE);
	for (int i = 0; rc == 0 && i < 3; i++)
		rc = ram_rollback(&ram, &st);
	if (rc == 0)
		rc = ram_grow(&ram, UK_ARENA_HEAP, w->span + UK_BIG, &from);
	for (int i = 0; rc == 1 && i < 4; i++)
		*word(at + (uint64_t)i * UK_PAGE) = 1;
	if (rc == 1)
		rc = ram_rollback(&ram, &st);
	ok(rc == 0 && w->base + from == at &&
	   ram_verify(&ram, &addr) == 0,
	   "pages that were populated before the guest grew to them: %d", rc);
}

int main(void)
{
	int fd = make();

	ok(fd >= 0, "memory that is sealed");
	if (fd < 0)
		return plan();
	test_snapshot(fd);
	test_rollback();
	test_grown();
	close(fd);
	ram_destroy(&ram);
	return plan();
}
