/*
 * hostclock.h - the kernel's clocks and the processor's counter at one moment
 */
#ifndef VMM_HOSTCLOCK_H
#define VMM_HOSTCLOCK_H

#include <stdint.h>

struct hostclock {
	uint64_t tsc;			/* counts */
	uint64_t mono, real;		/* ns */
	uint64_t width;			/* counts, in which all were read */
};

/*
 * Whoever reads one after the other may be off the processor for
 * milliseconds between them: what was read closest together, of some tries.
 */
void hostclock_read(struct hostclock *h);

/*
 * The counter's rate is told by two readings that are 10 ms apart, good to some
 * 10 ppm, or as far as makes it good to 100 at worst.  This is the first of them, for who will want to know it: then nobody
 * waits for the second.
 */
void hostclock_begin(void);
/* counts per ms; found out once, and inherited by fork */
uint64_t hostclock_khz(void);

#endif
