/*
 * refused.c - the first mapping that the memory limit refused a request
 *
 * A program that is refused memory seldom says so.  Whoever tells how a
 * request ended says it as well; one that ended well harmed nothing.
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
