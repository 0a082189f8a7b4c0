/*
 * hostsaved.h - a host region in a file: what a request had been given so far
 *
 *   struct hostsaved, HOSTSAVED_HEAD bytes | pages
 *
 * The host table, the event and the bodies that had come, each where it lay.  A
 * clone's tender writes it, which maps all of that, and the gateway of another
 * server gives it to another clone.  Fetches that were under way are PENDING in
 * it; whoever restores it makes them FAILED.
 */
#ifndef ETLFS_HOSTSAVED_H
#define ETLFS_HOSTSAVED_H

#include <stdint.h>

#include "etlfs/format.h"

#define HOSTSAVED_MAGIC	0x3173746f68767375ull	/* "usvhost1" */
#define HOSTSAVED_HEAD	0x2000u
/* the table with the event, and of each ticket its text and its body */
#define HOSTSAVED_RUNS	(1 + 2 * ETLFS_TICKETS)

/* bytes, whole pages: off from UK_HOST_BASE, at from the file's start */
struct hostsaved_run {
	uint64_t off, len, at;
};

struct hostsaved {
	uint64_t magic;
	uint32_t runs, zero;
	uint64_t event_len;
	uint64_t left_ns;		/* of the request's time */
	struct hostsaved_run run[HOSTSAVED_RUNS];
};
_Static_assert(sizeof(struct hostsaved) <= HOSTSAVED_HEAD, "head has room");

/* fd's, checked: each run inside one window and the file; 0 or -EINVAL */
int hostsaved_read(int fd, struct hostsaved *h);

#endif
