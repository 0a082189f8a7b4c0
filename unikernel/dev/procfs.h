/*
 * procfs.h - what procfs.c makes files of
 *
 * A file's text is composed as the file is opened, and read from there.
 */
#ifndef UNIKERNEL_PROCFS_H
#define UNIKERNEL_PROCFS_H

#include "unikernel/lib/kabi.h"

#define SELF		"/proc/1"	/* where the process's files are made */
#define TICK_NS		(NSEC_PER_SEC / USER_HZ)	/* of processor times */

struct proctext;

struct procfs_file {
	const char *path;
	void (*write)(struct proctext *t);
};

/* ended by a NULL path */
extern const struct procfs_file procself_files[];	/* procself.c */
extern const struct procfs_file procsys_files[];	/* procsys.c */

void cpuinfo_text(struct proctext *t);			/* cpuinfo.c */

#endif
