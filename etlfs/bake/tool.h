/*
 * tool.h - a program of this host, run and heard: the interpreter, skopeo
 *
 * No shell is between; it has no descriptors but the three and the spool, and
 * is a process group of its own, so that what it forks ends with it.
 */
#ifndef ETLFS_TOOL_H
#define ETLFS_TOOL_H

#include "conf/err.h"

struct tool {
	char *const *argv;		/* [0] without a slash: by PATH */
	const char *in;			/* its standard input */
	int spool;			/* >= 0: open in it, the same number */
	const char *without;		/* variables that begin so are not in
					   its environment; or NULL */
	const char *const *env;		/* "NAME=value", instead of ours; ends
					   with NULL */
	/* each may be NULL */
	int (*wait)(void *arg);		/* while it runs; not 0 stops it */
	/* the last 20 lines when it failed, if there are several */
	void (*said)(void *arg, const char *text);
	void *arg;
};

/*
 * *out is the whole of its standard output, NUL-terminated, the caller's.
 * 0, or -errno with err set: -ECHILD when it failed, of which its last line on
 * standard error is the reason, -ENOENT when there is no such program, -EINTR
 * when it was stopped.
 */
int tool_run(const struct tool *t, char **out, struct err *err);

#endif
