/*
 * process_settle.c - bring a guest's process where a rollback can begin
 *
 * Everything that the child says may be a lie, and it may not even wait for
 * an answer.  What the kernel says in /proc/PID/syscall is not: a child that
 * sleeps in the futex call before proc_wait, for the seq that there is, with
 * no timeout, stays there until seq changes, and goes on with the stub's
 * code; so does one before proc_parked, where its registers are clean, too.
 * Only a signal interrupts it, and the handlers are the stub's.
 */
#include "vmm/process_impl.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATIENCE_NS	1000000		/* then look if it is alive */
#define TRIES		4		/* its own doing can divert it */

/* does the child sleep in the futex call before pc, for this seq? */
static int asleep_at(struct process *p, uint64_t pc, uint32_t seq)
{
	unsigned long long nr, a[6], sp, at;
	char text[256];
	ssize_t n = pread(p->syscall_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	text[n] = '\0';
	if (sscanf(text, "%llu %llx %llx %llx %llx %llx %llx %llx %llx", &nr,
		   &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &sp, &at) != 9)
		return 0;		/* it runs */
	return nr == SYS_futex && at == pc && a[0] == RO_SEQ &&
	       a[1] == FUTEX_WAIT && (uint32_t)a[2] == seq && a[3] == 0;
}

static int asleep_wait(struct process *p, uint64_t pc, uint32_t seq)
{
	uint64_t start = proc_now(), t;
	int rc;

	for (;;) {
		rc = asleep_at(p, pc, seq);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		/* it told something instead: a trap, by its own doing */
		if (atomic_load(&p->rw->ring))
			return -EAGAIN;
		t = proc_now() - start;
		if (t > PATIENCE_NS && proc_dead(p))
			return -ESRCH;
		if (t > SETTLE_NS)
			return -ETIMEDOUT;
		sched_yield();
	}
}

/* the shared part of RAM; the child's part is rollback.c's */
void proc_shared_restore(struct process *p)
{
	struct ram *ram = p->ram;

	if (!ram->snap)
		return;
	memcpy(ram_sys(ram, UK_CLOCK), ram->snap + UK_CLOCK,
	       UK_CTL + UK_CTL_PAGES * UK_PAGE - UK_CLOCK);
	memcpy(ram_sys(ram, UK_OUT), ram->snap + UK_OUT, UK_PAGE);
	memcpy(ram_sys(ram, UK_LOG), ram->snap + UK_LOG, UK_LOG_SIZE);
	memset(p->rw, 0, 2 * UK_PAGE);
}

int proc_settle(struct tender *t)
{
	struct process *p = (struct process *)t;
	uint32_t seq = atomic_load(&p->ro->seq), park;
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < TRIES; i++) {
		atomic_store(&p->rw->ring, 0);
		rc = asleep_wait(p, proc_stub_at(proc_wait), seq);
		if (rc < 0)
			continue;
		park = seq == SEQ_PARK ? SEQ_PARK_ODD : SEQ_PARK;
		proc_go(p, PROC_PARK, park);
		rc = asleep_wait(p, proc_stub_at(proc_parked), park);
		seq = park;
	}
	if (rc < 0)
		return rc;
	p->place = PARKED;
	proc_shared_restore(p);
	return 0;
}
