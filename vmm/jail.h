/*
 * jail.h - what a clone's process may still do once its VM stands
 *
 * The filter is compiled once, in the reference; locking costs a clone one
 * system call.
 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/err.h"
#include "vmm/tender.h"

struct jail {
	struct sock_fprog prog;
};

int jail_prepare(struct jail *j, const struct tender_ops *ops, struct err *err);
/*
 * No new privileges, user uid (0: unchanged), then the filter; 0 or -errno.
 * remote: the process whose memory it may reach, and no other's (0: none's).
 */
int jail_lock(const struct jail *j, uid_t uid, pid_t remote);
/* closes every descriptor from 3 but those listed (n <= 8) */
void jail_close_others(const int *keep, int n);

#endif
