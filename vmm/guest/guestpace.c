/*
 * guestpace.c - how often a guest may have its tender do something
 *
 * Each doorbell and each exception is a turn of the tender's, and where both
 * are processes two of the scheduler's.  On Linux 6.18 a session, which is the
 * scheduler's group (hostshare.c), whose processes wake each other or sleep
 * some 5,000 times a second each, kept all others from both processors for 1
 * to 90 s; at 2,000 it has its share and no more, or nearly, on a machine that
 * is busy otherwise too.  What a request asks at first is free: most never ask
 * that much, and the gateway lies between them.
 */
#include <poll.h>
#include <time.h>

#include "conf/nstime.h"
#include "vmm/guest/guest.h"

#define FREE		128		/* turns of a boot, child or request */
#define TURN_NS		500000u		/* and what each of the others takes */

void guest_pace(struct guest *g)
{
	uint64_t now = nstime_now(), earned = now - FREE * TURN_NS;
	struct timespec ts = { 0 };

	/* a debugger's turns are as many as it likes */
	if (tender_debug)
		return;
	if (g->turns_end < earned)
		g->turns_end = earned;
	g->turns_end += TURN_NS;
	if (g->turns_end <= now)
		return;
	ts.tv_nsec = (long)((g->turns_end - now) % NSEC_PER_SEC);
	/* a tick ends it; the next turn takes so much longer then */
	ppoll(NULL, 0, &ts, NULL);
}
