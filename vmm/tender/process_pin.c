/*
 * process_pin.c - tender and child on one processor
 *
 * They take turns, one of them always sleeps.  Left alone, the scheduler wakes
 * each on an idle processor, which costs an interrupt to it and two cold
 * caches, for every turn; on the tender's own it costs a switch.  So both stay
 * where the scheduler had woken the tender from the first entry to the end of
 * the rollback, or to the next tick: what runs longer, and what waits for a
 * request, is balanced like everything else.  (To stay from one request to the
 * next would save 4 us, and left a processor idle under load.)
 */
#include "vmm/tender/process_impl.h"

#include <sched.h>

void process_pin_init(struct process *p)
{
	/* nothing to choose, or more processors than the set has room for */
	if (sched_getaffinity(0, sizeof(p->cpus), &p->cpus) < 0 ||
	    CPU_COUNT(&p->cpus) < 2)
		CPU_ZERO(&p->cpus);
}

void process_pin(struct process *p)
{
	cpu_set_t one;
	int cpu;

	if (p->pinned || !CPU_COUNT(&p->cpus))
		return;
	cpu = sched_getcpu();
	CPU_ZERO(&one);
	if (cpu >= 0 && cpu < CPU_SETSIZE)
		CPU_SET((unsigned)cpu, &one);
	if (sched_setaffinity(p->pid, sizeof(one), &one) < 0)
		CPU_ZERO(&p->cpus);	/* it is not to be had here */
	else
		p->pinned = 1;
	if (p->pinned)
		sched_setaffinity(0, sizeof(one), &one);
}

void process_unpin(struct tender *t)
{
	struct process *p = (struct process *)t;

	if (!p->pinned)
		return;
	sched_setaffinity(p->pid, sizeof(p->cpus), &p->cpus);
	sched_setaffinity(0, sizeof(p->cpus), &p->cpus);
	p->pinned = 0;
}
