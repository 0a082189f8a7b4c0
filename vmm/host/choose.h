/*
 * choose.h - which tender runs guests on this host
 */
#ifndef VMM_CHOOSE_H
#define VMM_CHOOSE_H

#include "conf/err.h"
#include "vmm/tender/tender.h"

/*
 * The operations of a kind.  AUTO is KVM where that works, else process;
 * NULL and an error where none does.
 */
const struct tender_ops *choose_ops(enum tender_kind t, struct err *err);
/* can this host run KVM or PROCESS?  0, or -errno and a line with the fix */
int choose_check(enum tender_kind t, struct err *err);
/*
 * The same for who has run guests here before, and asks choose_check() only when
 * something goes wrong: AUTO becomes what is there, and of what is named only
 * the processor and the limit of open files are looked at.
 */
int choose_hope(enum tender_kind *t, struct err *why, struct err *err);
/* what AUTO is here; why, unless "", says what KVM lacked.  0, or -errno */
int choose_auto(enum tender_kind *t, struct err *why, struct err *err);

#endif
