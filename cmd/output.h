/*
 * output.h - where bake and pull write an image
 *
 * It is written beside its destination and gets its name only when it is
 * whole, so a failure leaves an older image alone.
 */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include <limits.h>
#include <pthread.h>

#include "conf/err.h"

struct output {
	const char *path;
	char temp[PATH_MAX];		/* "" while there is none */
	pthread_t flush;		/* while flushing */
	int flushing;
};

/*
 * 0 when there is nothing at path, or an image, or an empty file; else
 * -EISDIR or -EEXIST
 */
int output_check(const char *path, struct err *err);
/*
 * A hidden file beside path, a text that has to live as long as o: its
 * descriptor, the caller's, or -errno
 */
int output_create(struct output *o, const char *path, struct err *err);
/*
 * It is all written.  Where it is to take an older one's place, file systems
 * begin to bring it to the disk first, so that a crash leaves one of both: that
 * begins now, while the caller has other things to do with it.
 */
void output_flush(struct output *o);
/* the file gets its name; 0 or -errno */
int output_commit(struct output *o, struct err *err);
/* what has not got its name is removed */
void output_drop(struct output *o);
/* -errno, as what went wrong with path */
int output_cannot(const char *path, struct err *err);

#endif
