/*
 * pack_seen.h - what a layer was made from, so that it can be looked at again
 *
 * A look at a path is a line of text.  Of a file it has all that stat(2) says
 * of its content: size, times, inode.  The time of change (ctime) is the
 * kernel's alone, so a file that was written in place and had its mtime set
 * back differs, too.  What was changed shortly before a look, or after it, may
 * have another content and the same times: such a look is not to be relied on,
 * as with git's index.
 *
 * Whoever remembers looks before the content is read, and once more when all
 * was read: then no change in between goes unseen.
 */
#ifndef ETLFS_PACK_SEEN_H
#define ETLFS_PACK_SEEN_H

#include <jansson.h>

#include "etlfs/bake/tree.h"

struct seen {
	json_t *look;			/* path, by enum tree_look: its text */
	int64_t began;			/* seconds since the epoch */
	int64_t steady;			/* the same moment by CLOCK_BOOTTIME */
	int doubt;
};

/* 0 or -ENOMEM */
int seen_begin(struct seen *s);
void seen_end(struct seen *s);
/* looks at a path; what was looked at before is not looked at again */
void seen_add(struct seen *s, const char *path, enum tree_look how);
/*
 * 1 when all that was looked at is as it was, and was so for a while when it
 * began.
 */
int seen_stands(const struct seen *s);
/* 1 when all of another's s->look is still so */
int seen_same(const json_t *look);

#endif
