/*
 * process_run.c - orders to a guest's process, and what it tells
 *
 * One of the two always sleeps: the child for process_ro.seq, the tender for
 * process_rw.ring.  All that the child tells may be a lie; what it tells that
 * it cannot have to tell is its end.
 */
#include "vmm/tender/process_impl.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "vmm/tender/machine.h"

#define LOOK_NS		50000000	/* how often to see if it is alive */
#define NAP_NS		250000		/* twice that, and twice, ... */
#define NAPS		6
#define LOCATE_NS	20000000	/* what a tick takes at most */

static long futex(_Atomic uint32_t *at, int op, uint32_t val,
		  const struct timespec *timeout)
{
	long rc = syscall(SYS_futex, at, op, val, timeout, NULL, 0);

	return rc < 0 ? -errno : rc;
}

/* the child's end */

/* a guest can bring upon itself no other signal than these */
static int own_doing(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE ||
	       sig == SIGILL || sig == SIGTRAP || sig == SIGSYS;
}

int process_dead(struct process *p)
{
	int status = 0;
	pid_t pid;

	if (p->pid <= 0)
		return 1;
	pid = waitpid(p->pid, &status, WNOHANG);
	if (pid == 0)
		return 0;
	if (pid < 0) {
		snprintf(p->t.broken, sizeof(p->t.broken), "the guest's "
			 "process is nobody's child: %s", strerror(errno));
	} else if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		snprintf(p->t.broken, sizeof(p->t.broken), "the guest's "
			 "process was killed by signal %d%s%s",
			 WTERMSIG(status), name ? ", SIG" : "",
			 name ? name : "");
		if (!own_doing(WTERMSIG(status)))
			p->t.killed = TENDER_KILLED;
	} else {
		snprintf(p->t.broken, sizeof(p->t.broken), "the guest's "
			 "process ended with status %d", WEXITSTATUS(status));
	}
	p->pid = -1;
	return 1;
}

void process_signal(struct process *p, int sig)
{
	syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

void process_go(struct process *p, uint32_t mode, uint32_t seq)
{
	p->ro->mode = mode;
	atomic_store(&p->ro->seq, seq);
	futex(&p->ro->seq, FUTEX_WAKE, 1, NULL);
}

void process_go_on(struct process *p, uint32_t mode)
{
	uint32_t seq = atomic_load(&p->ro->seq) + 1;

	process_go(p, mode, seq < SEQ_RUN ? SEQ_RUN : seq);
	p->place = RUNNING;
}

/*
 * A wake without a ring: the stub's own may come after we have seen its ring,
 * and any other is a guest's, that has found the call.  Who is woken and
 * sleeps without end keeps others from the processors (guestpace.c), so from
 * the second one on we do not wait to be woken but look now and then, ever more
 * seldom; each ring makes that one step better.
 */
static void nap(struct process *p)
{
	struct timespec ts = { 0, NAP_NS << p->woken };

	if (p->woken < NAPS)
		p->woken++;
	ppoll(NULL, 0, &ts, NULL);
}

/*
 * Until the child rings: its kind; -EINTR when we were kicked, -ESRCH when it
 * has ended, -ETIMEDOUT.  It can ring and wake without end, and that must keep
 * nobody from hearing of a tick, or of the time.
 */
static int ring_wait(struct process *p, uint64_t until)
{
	struct timespec look = { 0, LOOK_NS };
	long rc;

	for (;;) {
		if (p->kicked)
			return -EINTR;
		if (atomic_load(&p->rw->ring))
			break;
		if (p->woken < 2) {
			rc = futex(&p->rw->ring, FUTEX_WAIT, 0, &look);
			if (rc == 0 && !atomic_load(&p->rw->ring))
				p->woken++;
		} else {
			rc = -EAGAIN;
			nap(p);
		}
		/* at once: its end and a tick may come together */
		if (rc < 0 && !atomic_load(&p->rw->ring) && process_dead(p))
			return -ESRCH;
		if (until != UINT64_MAX && nstime_now() > until)
			return -ETIMEDOUT;
	}
	atomic_store(&p->rw->ring, 0);
	if (p->woken)
		p->woken--;
	return (int)*(volatile uint32_t *)&p->rw->kind;
}

/* the child's answer to an order of ours that takes no time */
int process_ring_soon(struct process *p)
{
	uint64_t until = nstime_now() + SETTLE_NS;
	int rc;

	do {
		p->kicked = 0;
		rc = ring_wait(p, until);
	} while (rc == -EINTR && nstime_now() < until);
	return rc;
}

/* run */

/* a tick: answered at once; the child's own answer, if any, comes later */
static enum tender_exit kicked(struct process *p)
{
	struct uk_out *out = ram_sys(p->ram, UK_OUT);

	p->kicked = 0;
	process_unpin(&p->t);
	if (process_limit_check(p) < 0)
		return TENDER_BROKEN;
	if (*(volatile uint32_t *)&out->want_tick)
		process_signal(p, SIGALRM);
	/* nothing is known of where it is, so nothing is done to it there */
	p->regs.rip = MACHINE_DB_RET;
	return TENDER_INTR;
}

/* to where the registers say, from wherever it waits */
static void send_off(struct process *p, int probe)
{
	struct process_ro *ro = p->ro;
	const struct cpu_regs *r = &p->regs;

	switch (p->place) {
	case PARKED:
		process_pin(p);
		ro->regs = *r;
		ro->iret[0] = probe ? UK_STUB : r->rip;
		ro->iret[1] = 0x33;
		ro->iret[2] = r->rflags;
		ro->iret[3] = r->rsp;
		ro->iret[4] = 0x2b;
		process_go(p, PROC_LOAD, SEQ_RUN);
		break;
	case AT_DOORBELL:
		process_windows_copy(p);
		ro->rax = r->rax;
		process_go_on(p, PROC_RET);
		break;
	case AT_TRAP:
		ro->rip = p->enter;
		process_go_on(p, PROC_ENTER);
		break;
	case AT_TICK:
		ro->rip = r->rip;
		process_go_on(p, p->t.regs_dirty ? PROC_ENTER : PROC_BACK);
		break;
	default:
		break;
	}
	p->t.regs_dirty = 0;
	p->place = RUNNING;
}

static void facts_take(struct process *p)
{
	struct process_rw *rw = p->rw;

	memcpy(&p->regs, &rw->regs, sizeof(p->regs));
	p->facts = (struct uk_trap){
		.vector = *(volatile uint64_t *)&rw->vector & 0xff,
		.error = rw->error, .cr2 = rw->cr2,
		.at = { p->regs.rip, p->regs.rsp, p->regs.rflags },
	};
	p->cs = *(volatile uint64_t *)&rw->cs;
	p->t.vector = p->facts.vector;
	if (p->t.vector != 14)
		p->facts.cr2 = 0;
}

/* what a guest tells that it cannot have to tell is its end */
static enum tender_exit told(struct process *p, int kind)
{
	p->t.exits++;
	switch (kind) {
	case PROC_DOORBELL:
		memcpy(&p->regs, &p->rw->regs, sizeof(p->regs));
		p->regs.rip = MACHINE_DB_RET;
		p->place = AT_DOORBELL;
		return TENDER_DOORBELL;
	case PROC_TRAP:
		facts_take(p);
		p->place = AT_TRAP;
		return TENDER_TRAP;
	case PROC_TICK:
		facts_take(p);
		p->place = AT_TICK;
		return TENDER_INTR;
	}
	snprintf(p->t.broken, sizeof(p->t.broken), "the stub told %d, which is "
		 "not its to tell", kind);
	return TENDER_BROKEN;
}

enum tender_exit process_run(struct tender *t)
{
	struct process *p = (struct process *)t;
	/* kicked before it began: enter, go through the doorbell, stop */
	int probe = p->place == PARKED && p->kicked, rc;

	/* nothing of what it is to do now was seen */
	if ((p->place == PARKED || p->rests) && process_child_ended &&
	    process_dead(p)) {
		p->t.killed = TENDER_KILLED_IDLE;
		return TENDER_BROKEN;
	}
	p->rests = 0;
	send_off(p, probe);
	if (probe) {
		rc = process_ring_soon(p);
		p->kicked = 0;
		if (rc >= 0 && told(p, rc) == TENDER_DOORBELL)
			return TENDER_INTR;
		return TENDER_BROKEN;
	}
	rc = ring_wait(p, UINT64_MAX);
	if (rc == -EINTR)
		return kicked(p);
	return rc < 0 ? TENDER_BROKEN : told(p, rc);
}

void process_kick(struct tender *t)
{
	((struct process *)t)->kicked = 1;
}

/*
 * A tick that is told from inside the libOS too.  Not from the stub, where it
 * would destroy what is being told: then that comes, and no place is named.
 */
int process_locate(struct tender *t)
{
	struct process *p = (struct process *)t;
	uint64_t until = nstime_now() + LOCATE_NS;
	struct timespec look = { 0, LOCATE_NS / 2 };

	if (p->place != RUNNING)
		return 0;
	p->ro->tell = 1;
	process_signal(p, SIGALRM);
	while (!atomic_load(&p->rw->ring) && nstime_now() < until)
		futex(&p->rw->ring, FUTEX_WAIT, 0, &look);
	p->ro->tell = 0;
	if (!atomic_load(&p->rw->ring) ||
	    *(volatile uint32_t *)&p->rw->kind != PROC_TICK)
		return -EAGAIN;
	atomic_store(&p->rw->ring, 0);
	facts_take(p);
	p->place = AT_TICK;
	return 0;
}

int process_trap(struct tender *t, struct uk_trap *facts, uint64_t entry)
{
	struct process *p = (struct process *)t;

	if (p->cs != 0x33) {
		int n = snprintf(t->broken, sizeof(t->broken), "exception %u "
				 "in 32-bit code", t->vector);

		/*
		 * The kernel's fast 32-bit entries return to the vDSO, which
		 * the child has not, but this program has, there.
		 */
		if (p->regs.rip < UK_END)
			snprintf(t->broken + n, sizeof(t->broken) - (size_t)n,
				 " at rip 0x%llx",
				 (unsigned long long)p->regs.rip);
		return -EFAULT;
	}
	*facts = p->facts;
	p->enter = entry;
	return 0;
}
