/* hostsaved.c - a host region in a file, read back (hostsaved.h) */
#include "etlfs/region/hostsaved.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE	4096u

static int run_ok(const struct hostsaved_run *r, uint64_t size)
{
	uint64_t in = r->off % ETLFS_WINDOW_STRIDE;
	uint64_t most = r->off < ETLFS_WINDOW_STRIDE ? ETLFS_WINDOW0 :
			ETLFS_WINDOW_STRIDE;

	return r->len && !(r->off % PAGE) && !(r->len % PAGE) &&
	       !(r->at % PAGE) &&
	       r->off / ETLFS_WINDOW_STRIDE < ETLFS_WINDOWS && in < most &&
	       r->len <= most - in && r->at >= HOSTSAVED_HEAD &&
	       r->at < size && r->len <= size - r->at;
}

int hostsaved_read(int fd, struct hostsaved *h)
{
	struct stat st;

	if (fstat(fd, &st) < 0 ||
	    pread(fd, h, sizeof(*h), 0) != sizeof(*h) ||
	    h->magic != HOSTSAVED_MAGIC || !h->runs ||
	    h->runs > HOSTSAVED_RUNS ||
	    h->event_len > ETLFS_EVENT_MAX - ETLFS_EVENT_OFF)
		return -EINVAL;
	for (uint32_t i = 0; i < h->runs; i++)
		if (!run_ok(&h->run[i], (uint64_t)st.st_size))
			return -EINVAL;
	/* the table and the event are first */
	return h->run[0].off == 0 && h->run[0].len >= ETLFS_EVENT_OFF ? 0 :
	       -EINVAL;
}
