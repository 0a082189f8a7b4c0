/*
 * refused.c - the first mapping that the memory limit refused a request
 *
 * A program that is refused memory seldom says so, so the libOS does when a
 * request ends badly.  When it ends well the refusal did no harm.
 */
#include "unikernel/mem/mem.h"

static u64 refused;			/* bytes, 0: none */

void refused_note(u64 len)
{
	if (!refused)
		refused = len;
}

void refused_tell(void)
{
	if (refused)
		log_printf("usetl: %lu KB more would have passed the memory "
			   "limit of %lu MB; see memory in function.ini(5)\n",
			   refused >> 10, uk_ctl->mem_limit >> 20);
	refused_forget();
}

void refused_forget(void)
{
	if (refused)			/* a write costs a page */
		refused = 0;
}
