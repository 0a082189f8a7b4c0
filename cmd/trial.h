/*
 * trial.h - boots an image once, so that bake can say what is wrong with it
 */
#ifndef CMD_TRIAL_H
#define CMD_TRIAL_H

#include <stdint.h>

#include "conf/err.h"
#include "conf/manifest.h"

struct trial_opts {
	const char *image;
	const char *store;		/* of a thin image's layers, or NULL */
	uint64_t boot_ns;		/* at most; 0: as long as serve waits */
	const char *snapshots;		/* where it finds its packages imported,
					   when the image says which; or NULL */
	/* ten times a second; < 0 stops it */
	int (*tick)(void *arg);
	void *arg;
};

/*
 * 0 when the function of the image got as far as READY; else -errno, and err
 * says why.  *log, which the caller frees, is the end of what the interpreter
 * said, whole lines, or NULL; after a success only what the runtime noticed,
 * without trial_note before each line.
 */
extern const char trial_note[];
/* the same before the modules that functions with these packages may share */
extern const char trial_preload[];
/* *preload: these, empty before, the caller's; none after a failure */
int trial_boot(const struct trial_opts *o, char **log, struct strings *preload,
	       struct err *err);

#endif
