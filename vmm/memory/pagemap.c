/* pagemap.c - which pages are mapped, and which are private */
#include "vmm/memory/pagemap.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "unikernel/abi.h"

/* Linux 6.7's PAGEMAP_SCAN, for headers that are older */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};
_Static_assert(_IOWR('f', 16, struct scan_arg) == PAGEMAP_SCAN_CALL, "its size");
#define SCAN_FILE	(1u << 2)
#define SCAN_PRESENT	(1u << 3)
#define SCAN_SWAPPED	(1u << 4)
#define SCAN_ZERO	(1u << 5)	/* the zero page: read, not written */

#define PM_PRESENT	(1ull << 63)
#define PM_SWAPPED	(1ull << 62)
#define PM_FILE		(1ull << 61)

#define REGIONS		1024
#define ENTRIES		4096

/* -ENOTTY, -EINVAL or -EPERM where this is not to be had */
static int scan(int fd, uint64_t at, uint64_t end, uint64_t not_of,
		int (*fn)(void *arg, uint64_t from, uint64_t to), void *arg)
{
	static struct scan_region vec[REGIONS];

	while (at < end) {
		struct scan_arg scan = {
			.size = sizeof(scan), .start = at, .end = end,
			.vec = (uint64_t)(uintptr_t)vec, .vec_len = REGIONS,
			.category_inverted = not_of,
			.category_mask = not_of,
			.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
			.return_mask = SCAN_PRESENT,
		};
		int n = ioctl(fd, PAGEMAP_SCAN_CALL, &scan), rc;
		uint64_t seen;

		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++) {
			rc = fn(arg, vec[i].start, vec[i].end);
			if (rc < 0)
				return rc;
		}
		/*
		 * Where a walk comes to its end after the kernel's own buffer,
		 * of 512 regions, has been full, walk_end is where that was.
		 */
		seen = n > 0 ? vec[n - 1].end : 0;
		if (seen < scan.walk_end)
			seen = scan.walk_end;
		if (seen <= at)
			return -EIO;
		at = seen;
	}
	return 0;
}

/* fn is called for each page's entry */
static int walk(int fd, uint64_t at, uint64_t len,
		int (*fn)(void *arg, uint64_t addr, uint64_t entry), void *arg)
{
	static uint64_t entry[ENTRIES];
	uint64_t end = at + len;

	while (at < end) {
		uint64_t n = (end - at) / UK_PAGE;
		ssize_t got;
		int rc;

		if (n > ENTRIES)
			n = ENTRIES;
		got = pread(fd, entry, n * 8, (off_t)(at / UK_PAGE * 8));
		if (got <= 0 || got % 8)
			return got < 0 ? -errno : -EIO;
		for (ssize_t i = 0; i < got / 8; i++, at += UK_PAGE) {
			rc = fn(arg, at, entry[i]);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

struct privates {
	int (*fn)(void *arg, uint64_t from, uint64_t to);
	void *arg;
};

static int if_private(void *arg, uint64_t addr, uint64_t entry)
{
	struct privates *p = arg;

	if ((entry & (PM_PRESENT | PM_SWAPPED)) && !(entry & PM_FILE))
		return p->fn(p->arg, addr, addr + UK_PAGE);
	return 0;
}

int pagemap_read_private(int fd, uint64_t at, uint64_t len,
			 int (*fn)(void *arg, uint64_t from, uint64_t to),
			 void *arg)
{
	struct privates p = { fn, arg };

	return walk(fd, at, len, if_private, &p);
}

int pagemap_private(int fd, uint64_t at, uint64_t len, int anonymous,
		    int (*fn)(void *arg, uint64_t from, uint64_t to), void *arg)
{
	static int no_scan;
	int rc = -ENOTTY;

	if (!no_scan)
		rc = scan(fd, at, at + len,
			  SCAN_FILE | (anonymous ? SCAN_ZERO : 0), fn, arg);
	if (rc != -ENOTTY && rc != -EINVAL && rc != -EPERM)
		return rc;
	no_scan = 1;
	return pagemap_read_private(fd, at, len, fn, arg);
}

static int if_present(void *arg, uint64_t addr, uint64_t entry)
{
	if (entry & PM_PRESENT)
		++*(uint64_t *)arg;
	return 0;
}

int pagemap_present(int fd, uint64_t at, uint64_t len, uint64_t *n)
{
	return walk(fd, at, len, if_present, n);
}
