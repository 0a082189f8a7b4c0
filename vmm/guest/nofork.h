/*
 * nofork.h - a reference hands on to its clones only what they use
 */
#ifndef VMM_NOFORK_H
#define VMM_NOFORK_H

/*
 * Marks every shared library of this process but the C library as not to be
 * inherited by a fork: a fork's price is in its mappings, and a clone calls
 * nothing else.  proc is an open /proc.  The caller forks by _Fork(), which
 * runs no library's handlers.  0 or -errno; nothing is lost on a failure.
 */
int nofork_libraries(int proc);

#endif
