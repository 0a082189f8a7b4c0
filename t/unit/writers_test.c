/*
 * writers_test.c - whose pages were written, by records that a guest could
 * have made wrong
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "vmm/guest/report.h"
#include "vmm/guest/writers.h"

#define CODE	(UK_EXEC_BASE + 64 * UK_PAGE)
#define LIST	(UK_DATA_BASE + 64 * UK_PAGE)

struct module {
	uint64_t next, addr, len, off;
	char path[32];
};

static struct ram ram;
static char buf[WRITERS_MAX];
static uint64_t modules, maps;

static void module(uint64_t at, uint64_t next, uint64_t addr, const char *path)
{
	struct module *m = ram_sys(&ram, at);

	*m = (struct module){ .next = next, .addr = addr, .len = UK_PAGE };
	strcpy(m->path, path);
}

static void kind(uint64_t arena, uint64_t addr, uint8_t kind)
{
	uint64_t map = maps + (addr - arena) / UK_PAGE;

	/* EXEC's map has a byte for each page, and is whole pages */
	if (arena == UK_DATA_BASE)
		map += ((UK_EXEC_END - UK_EXEC_BASE) / UK_PAGE + UK_PAGE - 1) /
		       UK_PAGE * UK_PAGE;
	*(uint8_t *)ram_sys(&ram, map) = kind;
}

static void change(uint64_t addr)
{
	volatile uint64_t *p = ram_sys(&ram, addr);

	*p ^= 1;
}

/* what clones are made of; the list's last entry is the guest's, to break */
static void make(uint64_t last)
{
	struct err err;
	int fd;

	ram_create(&ram, 64 << 20, 64 << 20, &err);
	*(uint64_t *)ram_sys(&ram, modules) = LIST;
	module(LIST, LIST + 0x100, CODE, "/usr/lib/liba.so");
	module(LIST + 0x100, last, CODE + 8 * UK_PAGE, "/lib\b\x1b.so");
	kind(UK_EXEC_BASE, CODE + UK_PAGE, 3);
	kind(UK_EXEC_BASE, CODE + 9 * UK_PAGE, 3);
	kind(UK_DATA_BASE, LIST + UK_PAGE, 2);
	kind(UK_DATA_BASE, LIST + 2 * UK_PAGE, 200);
	fd = ram_seal(&ram, &err);
	close(fd);
	fd = open("/proc", O_RDONLY);
	ram_workset_init(&ram, -1);
	ram_clone_init(&ram, fd);
	close(fd);
}

static int has(const char *line)
{
	return strstr(buf, line) != NULL;
}

static void test_names(void)
{
	make(0);
	ok(writers_lines(&ram, buf, sizeof(buf)) > 0 && !strchr(buf, '1'),
	   "nothing written, a head alone");
	change(CODE + UK_PAGE);
	change(CODE + 9 * UK_PAGE);
	change(LIST + UK_PAGE);
	change(LIST + UK_PAGE + 512);
	change(LIST + 2 * UK_PAGE);
	change(UK_HEAP_BASE);
	change(UK_HEAP_BASE);
	change(maps);
	change(modules);
	writers_lines(&ram, buf, sizeof(buf));
	ok(has("     1        1      1  liba.so\n"), "variables of a file");
	ok(has("  lib??.so\n"), "a file's name is made printable");
	ok(has("     1        1      2  mmap: anonymous\n"),
	   "the lines of a page that differ");
	ok(has("  memory\n"), "a kind of page that there is not");
	ok(has("     1        0      0  heap (brk)\n"),
	   "a page that is as it was");
	ok(has("  libOS: maps\n"), "the map itself");
	ok(has("  libOS: modules\n"), "a variable of the libOS");
	ok(writers_lines(&ram, buf, 60) == 59 && strlen(buf) == 59,
	   "what does not fit is left out");
	ram_destroy(&ram);
}

static void test_broken(uint64_t last, const char *what)
{
	make(last);
	change(CODE + UK_PAGE);
	ok(writers_lines(&ram, buf, sizeof(buf)) > 0 && has("  liba.so\n"),
	   "a list that %s", what);
	ram_destroy(&ram);
}

int main(void)
{
	ok(report_variable("modules", &modules) == 0 &&
	   report_variable("maps", &maps) == 0 &&
	   report_variable("no such variable", &modules) < 0,
	   "the address of a variable");
	ok(report_object(modules + 7, buf, sizeof(buf)) == 0 &&
	   !strcmp(buf, "modules") &&
	   report_object(UK_STUB, buf, sizeof(buf)) < 0,
	   "the variable at an address");
	test_names();
	test_broken(LIST, "has no end");
	test_broken(UK_DATA_END - 8, "leaves the snapshot");
	test_broken(~0ull, "leaves memory");
	return plan();
}
