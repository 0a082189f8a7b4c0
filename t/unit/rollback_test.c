/*
 * rollback_test.c - guest memory in this process: the snapshot, and its rollback
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

int main(void)
{
	int fd = make();

	ok(fd >= 0, "memory that is sealed");
	if (fd < 0)
		return plan();
	test_snapshot(fd);
	test_rollback();
	close(fd);
	ram_destroy(&ram);
	return plan();
}
