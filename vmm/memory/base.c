/*
 * base.c - a base in a file: all of its pages that hold anything
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/memory/ram.h"
#include "vmm/memory/runs.h"

static int is_zero(const uint8_t *p)
{
	return !*p && !memcmp(p, p + 1, UK_PAGE - 1);
}

/* what lies in [a, end) of a sealed base, in spans */
static int find_in(const struct ram *ram, struct ram_delta *d, uint64_t a,
		   uint64_t end, uint32_t join)
{
	int rc = 0;

	for (; rc == 0 && a < end; a += UK_PAGE)
		if (runs_window(ram, a) && !is_zero(ram->snap + a))
			rc = runs_add(d, (uint32_t)(a / UK_PAGE),
				      (uint32_t)(a / UK_PAGE + 1), join);
	return rc;
}

static int base_find(struct ram *ram, struct ram_delta *d, uint32_t join,
		     int memfd)
{
	off_t at = 0, end;
	int rc = 0;

	while (rc == 0 && (at = lseek(memfd, at, SEEK_DATA)) >= 0) {
		end = lseek(memfd, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		rc = find_in(ram, d, (uint64_t)at & ~(uint64_t)(UK_PAGE - 1),
			     (uint64_t)end, join);
		at = end;
	}
	return rc < 0 || errno == ENXIO ? rc : -errno;
}

static int in_snapshot(struct ram *ram, uint64_t addr, uint64_t len,
		       const uint8_t **at)
{
	*at = ram->snap + addr;
	return 0;
}

int ram_base_write(struct ram *ram, int memfd, int fd, uint64_t head,
		   struct ram_run **run, uint32_t *n, struct err *err)
{
	struct ram_delta d = { .fd = fd };
	uint64_t size;
	int rc = runs_make(ram, &d, base_find, memfd, head, &size);

	if (rc == 0)
		rc = runs_write(ram, &d, size, in_snapshot);
	if (rc < 0) {
		free(d.run);
		return err_set(err, rc, "cannot write a snapshot: %s",
			       strerror(-rc));
	}
	*run = d.run;
	*n = d.n;
	return 0;
}

static int run_read(struct ram *ram, int fd, const struct ram_run *r)
{
	uint64_t at = (uint64_t)r->at * UK_PAGE, len = (uint64_t)r->n * UK_PAGE;
	uint8_t *to = ram->base + (uint64_t)r->page * UK_PAGE;

	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)at);

		if (n <= 0)
			return n < 0 ? -errno : -EINVAL;
		to += n;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int ram_base_read(struct ram *ram, int fd, const struct ram_run *run, uint32_t n,
		  uint64_t head)
{
	int rc = runs_check(ram, fd, run, n, head);

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = run_read(ram, fd, &run[i]);
	return rc;
}

int ram_base_map(struct ram *ram, int fd, const struct ram_run *run, uint32_t n,
		 uint64_t head, struct err *err)
{
	int memfd = ram_seal(ram, err), rc;

	if (memfd < 0) {
		close(fd);
		return memfd;
	}
	rc = ram_delta_add(ram, fd, run, n, head);
	if (rc < 0) {
		close(memfd);
		return rc;
	}
	ram->base_deltas = 1;
	return memfd;
}
