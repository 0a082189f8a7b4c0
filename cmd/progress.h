/*
 * progress.h - how far bake is, on standard error
 *
 * On a terminal one line that is drawn again and again; elsewhere a line
 * every ten seconds, so that a log shows what takes so long.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdint.h>

#include "etlfs/bake/pack.h"

struct progress {
	const char *who;		/* stands before lines */
	int tty;
	uint64_t began;
	const char *what;		/* the last step that was told */
	uint64_t since;			/* when that began */
	uint64_t drawn;			/* when there was a line; 0: erased */
};

void progress_begin(struct progress *p, const char *who);
/* as often as anything may have changed */
void progress_tell(struct progress *p, const struct pack_progress *now);
/* before other lines */
void progress_erase(struct progress *p);

#endif
