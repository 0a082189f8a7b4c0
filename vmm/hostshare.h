/*
 * hostshare.h - what a function's processes have of the machine, all together
 */
#ifndef VMM_HOSTSHARE_H
#define VMM_HOSTSHARE_H

#include <stddef.h>

/*
 * This process and whoever it forks are what the kernel ends first when memory
 * is short, not the gateway.  Before the lock: /proc is read-only after it.
 * 0 or -errno.
 */
int hostshare_memory(void);
/*
 * A session of their own: where the scheduler groups by sessions they have one
 * share of the processors, however many they are.  Signals of the terminal
 * reach them no more.
 */
void hostshare_cpu(void);
/*
 * Does the scheduler group by sessions here?  1, or 0 when each process has a
 * share of its own; why: one line.
 */
int hostshare_check(char *why, size_t size);

#endif
