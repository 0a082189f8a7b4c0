/*
 * cgroup.h - a cgroup for each function, where one is delegated to the server
 *
 * cgroups(7), of version 2, and systemd's "Control Group APIs and Delegation".
 * Whoever is started in a cgroup that is delegated may make others below it,
 * moves into one of these, and touches nothing above:
 *
 *	PATH			the one that it was started in
 *	PATH/usetl-PID.gateway	the server
 *	PATH/usetl-PID.NAME.ID	a function: its references, clones and guests
 *
 * PID is the server's.  The cpu controller is enabled for what is below PATH,
 * with its default weights, so each of them has the same share of the
 * processors.  All of it is done by the gateway: its references enter theirs
 * before they are locked, and can leave it no more.
 */
#ifndef VMM_CGROUP_H
#define VMM_CGROUP_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/err.h"

struct cgroup;				/* the delegated one */

enum cgroup_place {
	CGROUP_NONE,			/* it has no share of the processors:
					   sessions count */
	CGROUP_FOREIGN,			/* it has, and is not delegated */
	CGROUP_CROWDED,			/* it is, and others are in it */
	CGROUP_OWN,			/* it is delegated to this process */
};

/*
 * The cgroup of version 2 that this process is in; nothing is changed.  Who
 * may write to it has it delegated; root, who may always, where systemd runs
 * only by systemd's mark.  path: its directory, PATH_MAX bytes; why: one line,
 * unless it is CGROUP_OWN.  root: "", or the folder that stands for / in
 * tests.
 */
enum cgroup_place cgroup_find(const char *root, char *path, struct err *why);

/*
 * Where that is CGROUP_OWN: moves this process into the gateway's and removes
 * what servers that are no more have left.  0 and *out, which is NULL where
 * nothing is delegated; -errno when something is and cannot be used, which
 * leaves all as it was.
 */
int cgroup_open(struct cgroup **out, const char *root, struct err *err);
/* the process is back where it was; waits, a second at most, for functions'
   processes to end.  NULL is nothing */
void cgroup_close(struct cgroup *c);

/* a function's: a descriptor for cgroup_enter(), or -errno */
int cgroup_add(struct cgroup *c, const char *function, uint64_t id);
/* 0, -EBUSY while a process is in it, -errno; c may be NULL */
int cgroup_remove(struct cgroup *c, const char *function, uint64_t id);
/* this process, and whoever it forks, is in it from here on; 0 or -errno */
int cgroup_enter(int procs);
/* process pid, and whoever it forks from here on */
int cgroup_move(int procs, pid_t pid);

#endif
