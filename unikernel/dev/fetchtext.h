/*
 * fetchtext.h - what a program reads of /dev/usetl/fetch (see dev.h)
 */
#ifndef UNIKERNEL_FETCHTEXT_H
#define UNIKERNEL_FETCHTEXT_H

#include "etlfs/format.h"
#include "unikernel/lib/lib.h"

struct fetchtext {
	char *text;			/* kmalloc'd; NULL: not composed yet */
	size_t len;
};

/*
 * The text of a fetch that ended: t is a copy of the row that the ticket has
 * in the host table.  0 or -ENOMEM.
 */
int fetchtext_ended(struct fetchtext *x, u32 ticket,
		    const struct etlfs_ticket *t);
/* of one that did not end in the invocation that it belongs to */
int fetchtext_lost(struct fetchtext *x);

#endif
