/*
 * probe.h - what the processes around a guest need of this host
 *
 * This folder: what this host allows: can it run guests, by which tender, and
 * how are processors and memory shared.
 *
 * Asked by doing it: processes like a clone's live for a millisecond, with
 * its user, its limits and its locks.  A container, an older kernel or a
 * security module refuses what it does not want to be used; so it is known
 * before a function boots, and by its name.
 */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

#include "conf/err.h"
#include "vmm/tender/tender.h"

/*
 * 0; or -errno and one line that says what is missing and how to allow it.
 * *files, unless NULL: 0, or -errno when only this is missing: that a gateway
 * reads a clone's memory, without which functions cannot send files.
 */
int probe_check(enum tender_kind tender, int *files, struct err *err);
/* may files enough be open?  0, or -EMFILE and one line; it costs nothing */
int probe_files(struct err *err);

#endif
