/*
 * process_limit.c - a guest that takes memory which nobody gave it
 *
 * The child's arenas are mapped as far as the limits could let them grow that
 * there were when it became the guest, since nothing can be mapped later; the
 * libOS asks by DB_GROW all the same.
 * A guest that does not ask is found out by what it has taken, and ends.
 * There are three things to take:
 *
 *   - while the reference boots, pages of the guest's RAM, a memfd: looked at
 *     at every tick;
 *   - in a clone, private pages: the same, and a rollback drops what is many;
 *   - in both, by reading, pages of the windows, which are sparse: at every
 *     tick and in every rollback, since they would add up.
 *
 * The files' own counts are looked at, not what the child has mapped: it can
 * drop that (MADV_DONTNEED), the files' pages not.
 */
#include "vmm/tender/process_impl.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* what a guest may touch beyond its limits before a tick finds it out */
#define SLACK_PAGES	4096u

static int too_much(struct process *p, const char *what)
{
	snprintf(p->t.broken, sizeof(p->t.broken), "more memory was %s than "
		 "the limits allow", what);
	return -ENOMEM;
}

/* private pages; 0 when that cannot be read */
static uint64_t pages_written(const struct process *p)
{
	unsigned long long size, resident, shared;
	char text[128];
	ssize_t n = pread(p->statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3)
		return 0;
	return resident > shared ? resident - shared : 0;
}

static uint64_t window_pages_max(const struct process *p)
{
	uint64_t sum = SLACK_PAGES;

	for (unsigned w = 1; w < ETLFS_WINDOWS; w++)
		sum += (p->used[w] + UK_PAGE - 1) / UK_PAGE;
	return sum;
}

int process_limit_windows(struct process *p)
{
	struct stat st;

	if (fstat(p->windows_fd, &st) == 0 &&
	    (uint64_t)st.st_blocks * 512 / UK_PAGE > window_pages_max(p))
		return too_much(p, "read");
	return 0;
}

int process_limit_check(struct process *p)
{
	uint64_t written = p->ram->snap ? pages_written(p) :
			   ram_resident(p->ram) / UK_PAGE;

	if (written > SLACK_PAGES + ram_most(p->ram) / UK_PAGE)
		return too_much(p, "written");
	return process_limit_windows(p);
}
