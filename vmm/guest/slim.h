/*
 * slim.h - a reference hands on to its clones only what they use
 */
#ifndef VMM_SLIM_H
#define VMM_SLIM_H

/*
 * Marks every shared library of this process but the C library as not to be
 * inherited by a fork: a fork's price is in its mappings, and a clone calls
 * nothing else.  proc is an open /proc.  The caller forks by _Fork(), which
 * runs no library's handlers.  0 or -errno; nothing is lost on a failure.
 */
int slim_forks(int proc);

#endif
