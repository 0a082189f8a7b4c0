/*
 * fuzz_saved.c - a snapshot's file, and a host region's, of any bytes
 *
 * The first byte chooses.  The sum of a head is mended, so that what is behind
 * it is reached; that of the parts is left as it is, or there would be none.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "etlfs/region/hostsaved.h"
#include "t/fuzz/fuzz.h"
#include "unikernel/abi.h"
#include "vmm/guest/saved.h"

const unsigned fuzz_runs = 20000;

static void part(struct saved_head *h, uint32_t kind)
{
	struct saved_part *p = &h->part[h->parts];

	p->kind = kind;
	p->off = h->parts ? p[-1].off + p[-1].len : SAVED_HEAD;
	p->len = UK_PAGE;
	h->parts++;
}

static size_t seed_saved(uint8_t *out, int runs)
{
	struct saved_head *h = (void *)(out + 8);
	size_t size;

	memset(out, 0, FUZZ_MAX);
	saved_here(h, TENDER_PROCESS);
	part(h, SAVED_BASE);
	part(h, SAVED_DELTA);
	if (runs) {
		part(h, SAVED_RUN);
		part(h, SAVED_HOST);
	}
	size = SAVED_HEAD + h->parts * UK_PAGE;
	h->sum = XXH3_64bits((uint8_t *)h + SAVED_HEAD, size - SAVED_HEAD);
	return 8 + size;
}

static size_t seed_host(uint8_t *out)
{
	struct hostsaved *h = (void *)(out + 8);

	memset(out, 0, FUZZ_MAX);
	out[0] = 1;
	h->magic = HOSTSAVED_MAGIC;
	h->runs = 2;
	h->run[0] = (struct hostsaved_run){ 0, 3 * UK_PAGE, HOSTSAVED_HEAD };
	h->run[1] = (struct hostsaved_run){ ETLFS_WINDOW_STRIDE, UK_PAGE,
					    HOSTSAVED_HEAD + 3 * UK_PAGE };
	return 8 + HOSTSAVED_HEAD + 4 * UK_PAGE;
}

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	return n < 2 ? seed_saved(out, n == 1) : n == 2 ? seed_host(out) : 0;
}

static void saved(int fd, const uint8_t *data, size_t size)
{
	struct saved_head h;
	struct saved *s = NULL;
	struct err err = { "" };
	char path[64];

	if (size >= sizeof(h)) {
		memcpy(&h, data, sizeof(h));
		h.head_sum = XXH3_64bits(&h, offsetof(struct saved_head,
						      head_sum));
		MUST(pwrite(fd, &h, sizeof(h), 0) == sizeof(h));
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (saved_open(&s, path, &err) < 0) {
		MUST(err.msg[0] && !strchr(err.msg, '\n') && !s);
		return;
	}
	MUST(s->head.parts >= 1 && s->head.parts <= SAVED_PARTS);
	for (uint32_t i = 0; i < SAVED_PARTS; i++)
		MUST((s->fd[i] >= 0) == (i < s->head.parts));
	/* what a reference is given fits there */
	MUST(s->head.parts - saved_runs(&s->head) - 1 <= RAM_DELTAS);
	saved_fits(s, TENDER_PROCESS, path, &err);
	saved_close(s);
}

static void host(int fd, size_t size)
{
	struct hostsaved h;

	if (hostsaved_read(fd, &h) < 0)
		return;
	for (uint32_t i = 0; i < h.runs; i++) {
		const struct hostsaved_run *r = &h.run[i];

		MUST(r->len && r->at + r->len <= size);
		MUST(r->off / ETLFS_WINDOW_STRIDE < ETLFS_WINDOWS);
		MUST((r->off + r->len - 1) / ETLFS_WINDOW_STRIDE ==
		     r->off / ETLFS_WINDOW_STRIDE);
		MUST(r->off >= ETLFS_WINDOW_STRIDE ||
		     r->off + r->len <= ETLFS_WINDOW0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (size < 8)
		return 0;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	MUST(fd >= 0 && fchmod(fd, 0600) == 0 &&
	     pwrite(fd, data + 8, size - 8, 0) == (ssize_t)size - 8);
	if (data[0] & 1)
		host(fd, size - 8);
	else
		saved(fd, data + 8, size - 8);
	close(fd);
	return 0;
}
