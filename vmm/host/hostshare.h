/*
 * hostshare.h - what a function's processes have of the machine, all together
 */
#ifndef VMM_HOSTSHARE_H
#define VMM_HOSTSHARE_H

#include "conf/err.h"

/*
 * This process and whoever it forks are what the kernel ends first when memory
 * is short, not the gateway.  Before the lock: /proc is read-only after it.
 * 0 or -errno.
 */
int hostshare_memory(void);
/*
 * A session of their own: where the scheduler groups by sessions they have one
 * share of the processors, however many they are.  Where it groups by cgroups,
 * only those count.  Signals of the terminal reach them no more.
 */
void hostshare_cpu(void);
/*
 * Would functions of a server that is started here have a share each, by their
 * sessions or by cgroups (cgroup.h)?  1, or 0 when each process has a share of
 * its own; why: one line, which or what to do.
 */
int hostshare_check(struct err *why);

#endif
