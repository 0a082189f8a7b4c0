/*
 * transfer.h - what push and pull have in common: options, signals, progress
 */
#ifndef CMD_TRANSFER_H
#define CMD_TRANSFER_H

#include <getopt.h>

#include "cmd/progress.h"
#include "etlfs/bake/registry.h"

struct transfer {
	struct registry registry;
	struct progress progress;
	const char *output;		/* of pull, or NULL */
	const char *store;		/* NULL: the user's own */
	int no_store;
	char *log;			/* of a skopeo that failed, or NULL */
};

/*
 * Options, and handlers of signals, after which progress stops the work.
 * -1: all is well, and optind stands; else the exit status
 */
int transfer_begin(struct transfer *t, int argc, char **argv,
		   const char *usage);
/* rc of the work; prints why it failed; the exit status */
int transfer_end(struct transfer *t, int rc, const struct err *err);

#endif
