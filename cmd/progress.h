/*
 * progress.h - how far bake is, on standard error
 *
 * On a terminal one line that is redrawn; elsewhere a line every ten seconds,
 * so that a log shows what takes so long.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdint.h>

#include "etlfs/bake/pack.h"

struct progress {
	const char *who;		/* printed at the head of lines */
	int tty;
	uint64_t began;
	const char *what;		/* the step that was told last */
	uint64_t since;			/* when that step began */
	uint64_t drawn;			/* when it was drawn; 0: erased */
};

void progress_begin(struct progress *p, const char *who);
/* to call whenever something may have changed */
void progress_tell(struct progress *p, const struct pack_progress *now);
/* to call before printing other lines */
void progress_erase(struct progress *p);

#endif
