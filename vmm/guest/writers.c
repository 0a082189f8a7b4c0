/*
 * writers.c - whose pages a request wrote (writers.h)
 *
 * Addresses in SYS say by themselves whose they are, and in the libOS its
 * symbols do.  For the others the libOS's own records are read, from the
 * snapshot: the map of pages, EXEC's and then DATA's
 * (unikernel/mem/mem.c), and the list of files' code (unikernel/mem/module.h).
 * A guest has written those: they are followed only inside of the snapshot and
 * for so many steps, and what they say is shown to people and used for nothing
 * else.
 */
#include "vmm/guest/writers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/guest/report.h"

#define LINE		64u		/* bytes: what a processor caches */
#define ROWS		192u
#define NAME_SIZE	72u
#define MODULES		1024u		/* MODULES_MAX of the libOS */
/* bytes of EXEC's map, in whole pages */
#define EXEC_MAP	(((UK_EXEC_END - UK_EXEC_BASE) / UK_PAGE + UK_PAGE - 1) \
			 & ~(UK_PAGE - 1ull))

/* what the libOS's map has of a page, its enum page_kind */
enum { FREE, LIBOS, ANON, COPY, STACK, WIPED };
/* and its struct module, up to the path */
struct module {
	uint64_t next, addr, len, off;
};

struct writer {
	char name[NAME_SIZE];
	unsigned held, changed, lines;
};

struct writers {
	const struct ram *ram;
	unsigned n;
	struct writer row[ROWS];
};

static const struct {
	uint64_t from, to;
	const char *name;
} sys[] = {
	{ UK_SYS_BASE, UK_STUB, "page tables and gates" },
	{ UK_CLOCK, UK_CTL, "tender: clock" },
	{ UK_CTL, UK_OUT, "tender: control" },
	{ UK_OUT, UK_REPORT, "doorbells: out" },
	{ UK_REPORT, UK_LOG, "report" },
	{ UK_LOG, UK_LOG + UK_LOG_SIZE, "log" },
	{ UK_STUB, UK_LIBOS, "tender" },
};

/* len bytes of the snapshot at a guest address; NULL where it has none */
static const void *snapshot_at(const struct ram *ram, uint64_t addr,
			       uint64_t len)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		const struct ram_window *w = &ram->win[i];

		if (addr >= w->base && addr - w->base < w->sealed &&
		    len <= w->sealed - (addr - w->base))
			return ram->snap + addr;
	}
	return NULL;
}

/* the file's name that follows a struct module, without its folders */
static void module_name(const struct ram *ram, uint64_t at, char *name,
			size_t size)
{
	const char *path = snapshot_at(ram, at + sizeof(struct module), size);
	const char *base;

	snprintf(name, size, "%.*s", (int)size - 1, path ? path : "?");
	base = strrchr(name, '/');
	if (base)
		memmove(name, base + 1, strlen(base));
	for (char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			*p = '?';
}

/* a file's variables lie behind its code, before the next file's */
static void name_exec(const struct ram *ram, uint64_t addr, char *name,
		      size_t size)
{
	uint64_t at = 0, best = 0, found = 0;
	struct module m;
	const void *p;
	char file[256];

	if (report_variable("modules", &at) == 0 &&
	    (p = snapshot_at(ram, at, sizeof(at))))
		memcpy(&at, p, sizeof(at));
	for (unsigned i = 0; i < MODULES && at; i++, at = m.next) {
		p = snapshot_at(ram, at, sizeof(m));
		if (!p)
			break;
		memcpy(&m, p, sizeof(m));
		if (m.addr <= addr && m.addr >= best) {
			best = m.addr;
			found = at;
		}
	}
	if (!found) {
		snprintf(name, size, "executable memory");
		return;
	}
	module_name(ram, found, file, sizeof(file));
	snprintf(name, size, "%.60s", file);
}

static void name_mapped(const struct ram *ram, unsigned arena, uint64_t addr,
			char *name, size_t size)
{
	static const char *const kinds[] = {
		[FREE] = "mmap: new", [LIBOS] = "libOS: allocated",
		[ANON] = "mmap: anonymous", [COPY] = "mmap: of files",
		[STACK] = "stacks of threads", [WIPED] = "mmap: wiped",
	};
	uint64_t page = (addr - ram->win[arena].base) / UK_PAGE, map;
	const uint8_t *kind = NULL;

	if (report_variable("maps", &map) == 0)
		kind = snapshot_at(ram, map + page + (arena == UK_ARENA_DATA ?
				   EXEC_MAP : 0), 1);
	if (!kind || *kind > WIPED)
		snprintf(name, size, "memory");
	else if (arena == UK_ARENA_EXEC && *kind != LIBOS)
		name_exec(ram, addr, name, size);
	else
		snprintf(name, size, "%s", kinds[*kind]);
}

/* "libOS: " and those of its variables that were changed in the page */
static void name_libos(uint64_t addr, const uint8_t *now, const uint8_t *was,
		       char *name, size_t size)
{
	char last[48] = "", next[48];
	int n = snprintf(name, size, "libOS:%s",
			 memcmp(now, was, UK_PAGE) ? "" : " unchanged");

	for (unsigned at = 0; at < UK_PAGE && n < (int)size; at += 8) {
		if (!memcmp(now + at, was + at, 8) ||
		    report_object(addr + at, next, sizeof(next)) < 0 ||
		    !strcmp(next, last))
			continue;
		strcpy(last, next);
		n += snprintf(name + n, size - (size_t)n, " %s", next);
	}
}

static void name_sys(uint64_t addr, const uint8_t *now, const uint8_t *was,
		     char *name, size_t size)
{
	for (size_t i = 0; i < sizeof(sys) / sizeof(sys[0]); i++)
		if (addr >= sys[i].from && addr < sys[i].to) {
			snprintf(name, size, "%s", sys[i].name);
			return;
		}
	name_libos(addr, now, was, name, size);
}

static void name_of(const struct ram *ram, uint64_t addr, const uint8_t *now,
		    const uint8_t *was, char *name, size_t size)
{
	if (addr >= UK_USF_BASE)
		snprintf(name, size, "files");
	else if (addr >= UK_DATA_BASE)
		name_mapped(ram, UK_ARENA_DATA, addr, name, size);
	else if (addr >= UK_HEAP_BASE)
		snprintf(name, size, "heap (brk)");
	else if (addr >= UK_STACK_BASE)
		snprintf(name, size, "stack");
	else if (addr >= UK_SYS_BASE)
		name_sys(addr, now, was, name, size);
	else
		name_mapped(ram, UK_ARENA_EXEC, addr, name, size);
}

static unsigned lines_changed(const uint8_t *now, const uint8_t *was)
{
	unsigned n = 0;

	for (unsigned at = 0; at < UK_PAGE; at += LINE)
		n += memcmp(now + at, was + at, LINE) != 0;
	return n;
}

static void add_page(void *arg, uint64_t addr, const uint8_t *now,
		     const uint8_t *was)
{
	struct writers *w = arg;
	char name[NAME_SIZE];
	unsigned i = 0, lines = lines_changed(now, was);

	name_of(w->ram, addr, now, was, name, sizeof(name));
	while (i < w->n && strcmp(w->row[i].name, name))
		i++;
	if (i == ROWS)
		i--;		/* so many: the last one stands for the rest */
	else if (i == w->n)
		strcpy(w->row[w->n++].name, name);
	w->row[i].held++;
	w->row[i].changed += lines != 0;
	w->row[i].lines += lines;
}

static int most_first(const void *a, const void *b)
{
	const struct writer *x = a, *y = b;

	return x->held != y->held ? (x->held < y->held ? 1 : -1) :
	       strcmp(x->name, y->name);
}

int writers_lines(struct ram *ram, char *buf, size_t size)
{
	static struct writers w;
	int rc, n;

	w.n = 0;
	w.ram = ram;
	rc = ram_written(ram, add_page, &w);
	if (rc < 0)
		return rc;
	qsort(w.row, w.n, sizeof(w.row[0]), most_first);
	n = snprintf(buf, size, "%6s %8s %6s  %s\n", "pages", "changed",
		     "lines", "whose");
	for (unsigned i = 0; i < w.n && n < (int)size; i++)
		n += snprintf(buf + n, size - (size_t)n, "%6u %8u %6u  %s\n",
			      w.row[i].held, w.row[i].changed, w.row[i].lines,
			      w.row[i].name);
	memset(w.row, 0, sizeof(w.row));
	return n < (int)size ? n : (int)size - 1;
}
