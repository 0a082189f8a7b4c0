/*
 * saved.h - a snapshot in a file by itself, from which another process goes on
 *
 *   struct saved_head, SAVED_HEAD bytes | part 0 | part 1 | ...
 *
 * Parts are whole pages.  Those of a function that waits for a request:
 *
 *   SAVED_BASE    a base, or the whole of a function that has none, as
 *                 snapshot_write() has it
 *   SAVED_DELTA   what lies over it, up to RAM_DELTAS of them, lowest first
 *
 * and behind these, of one that was in a request:
 *
 *   SAVED_RUN     a further delta, of a guest that goes on: guestsave.c
 *   SAVED_HOST    what it had been given: etlfs/region/hostsaved.h
 *
 * The image is not in it: the head names it, and its digest.  What the memory
 * is of, its build, kernel, processor and tender, has to be the same where it
 * goes on.  The checksum finds damage, it does not keep out who forges: a file
 * counts only if its reader owns it and nobody else may write it.
 */
#ifndef VMM_SAVED_H
#define VMM_SAVED_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/build.h"
#include "conf/err.h"
#include "conf/value.h"
#include "conf/words.h"
#include "vmm/memory/ram.h"

#define SAVED_MAGIC	0x3130766173747375ull	/* "ustsav01" */
#define SAVED_HEAD	0x4000u
#define SAVED_PARTS	(2 + RAM_DELTAS)

enum saved_kind { SAVED_BASE = 1, SAVED_DELTA, SAVED_RUN, SAVED_HOST };

struct saved_part {
	uint32_t kind, zero;
	uint64_t off, len;		/* in the file; whole pages */
};

struct saved_head {
	uint64_t magic;
	uint32_t parts;
	uint32_t tender;		/* enum tender_kind */
	char build[BUILD_ID_MAX + 7];
	char kernel[512];
	uint64_t processor;		/* signature_here() */
	char image[PATH_MAX];		/* where it was, as the server knew it */
	char digest[72];
	char name[VALUE_NAME_MAX + 8];	/* of the function */
	uint64_t memory;		/* its limit, bytes */
	int64_t made;			/* ns since the epoch */
	struct saved_part part[SAVED_PARTS];
	uint64_t sum;			/* XXH3 of all parts */
	uint64_t head_sum;		/* and of all before this */
};
_Static_assert(sizeof(struct saved_head) <= SAVED_HEAD, "its head has room");

/* what this process would have there; -ENOENT: its build has no name */
int saved_here(struct saved_head *h, enum tender_kind tender);
/*
 * To fd, an empty file: h with parts, kinds and lengths set, and from[i] with as
 * many bytes.  Synced.
 */
int saved_write(int fd, struct saved_head *h, const int from[], struct err *err);

/* one that was opened: fd has copies of the parts, which nobody can change */
struct saved {
	struct saved_head head;
	int fd[SAVED_PARTS];
};

/* is there one, of whatever state, at path?  Or nothing, or an empty file. */
int saved_replaceable(const char *path);
/*
 * rc is why it could not be opened as an image, with *err: where it is one of
 * these, *err says so, and how to go on from it.  Returns rc.
 */
int saved_no_image(const char *path, int rc, struct err *err);
int saved_open(struct saved **out, const char *path, struct err *err);
/* takes NULL */
void saved_close(struct saved *s);
/* is it of a request? */
static inline int saved_runs(const struct saved_head *h)
{
	return h->parts > 2 && h->part[h->parts - 1].kind == SAVED_HOST;
}
/* was it made where the same goes on?  path stands in the message */
int saved_fits(const struct saved *s, enum tender_kind tender,
	       const char *path, struct err *err);

#endif
