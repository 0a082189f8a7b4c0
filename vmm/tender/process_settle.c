/*
 * process_settle.c - bring a guest's process where it is the snapshot again
 *
 * Everything that the child says may be a lie, and it may not even wait for
 * an answer.  What the kernel says in /proc/PID/syscall is not: a child that
 * sleeps in the futex call before process_wait, for the seq that there is, with
 * no timeout, stays there until seq changes, and goes on with the stub's
 * code.  With PROC_PARK that cleans flags, selectors and vector state, copies
 * the pages of PROC_LIST from PROC_SNAP and PROC_LAST, clears the registers, and sleeps
 * before process_parked for the new seq, for which no call could have slept
 * before the order was given.  A child that is seen there, for that seq, has
 * therefore gone all of that way; and all that it took from memory on the way
 * lies in pages that are the tender's alone to write.
 *
 *   - It cannot be diverted unseen.  TF, AC against a frame, protection keys,
 *     a fault in the copying: each is a signal, whose handler is the stub's,
 *     ends up at process_wait and tells so; the order is given again.  Handlers
 *     begin with clean vector state and, but for AC and ID, clean flags.
 *   - Pages that it may have made private since the list was made, a signal
 *     stack for example, count as faults; ram_rollback() compares the count
 *     once the child is parked, and has what is new copied too.  From parked
 *     to parked nothing runs but the stub.
 *   - A tick is sent by this process only, and before: one that is pending
 *     wakes the child, so it is not seen asleep.  One that an operator sends
 *     finds no register of the guest's to save.
 *   - Jumping into the copying with registers of its own, or with a list that
 *     was left over, the guest overwrites what it could have overwritten
 *     anyway, and sleeps until its time is up: process_parked is no answer to
 *     any order but PARK and LOAD.
 *
 * A child that is new has gone there by itself, from process_leave, since
 * nothing was the guest's to change before.
 *
 * So nothing is written from outside, and nothing is needed of the kernel but
 * to read /proc/PID/syscall, pagemap and stat.
 */
#include "vmm/tender/process_impl.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "conf/nstime.h"

#define PATIENCE_NS	1000000		/* then look if it is alive */
#define PAUSE_NS	1000000		/* from then on, between two looks */
#define TRIES		4		/* its own doing can divert it */
#define RAN_NS		100000000	/* from ring to sleep takes few 1000 */

/*
 * Does the child sleep in the futex call before pc, for this seq?  proc(5):
 * the call's number, six arguments, stack pointer and program counter; the
 * last two arguments and the stack pointer mean nothing here.  -EPROTO: it
 * sleeps for process_ro.seq otherwise than the stub would.
 */
static int asleep_at(struct process *p, uint64_t pc, uint32_t seq)
{
	char text[256], want[80];
	ssize_t n = pread(p->syscall_fd, text, sizeof(text) - 1, 0);
	int head, tail;

	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	text[n] = '\0';
	if (text[0] == 'r')
		return 0;		/* "running" */
	head = snprintf(want, sizeof(want), "%d 0x%x 0x0 0x%x 0x0 ", SYS_futex,
			RO_SEQ, seq);
	if (!strncmp(text, want, (size_t)head)) {
		tail = snprintf(want, sizeof(want), " 0x%llx\n",
				(unsigned long long)pc);
		return n > head + tail && !strcmp(text + n - tail, want) ? 1 :
		       -EPROTO;
	}
	head = snprintf(want, sizeof(want), "%d 0x%x ", SYS_futex, RO_SEQ);
	return strncmp(text, want, (size_t)head) ? 0 : -EPROTO;
}

/*
 * The processor time that the child has had: a clock's number is made of a
 * process's by ~pid << 3 | 2 (linux/posix-timers.h).
 */
static uint64_t ran(const struct process *p)
{
	return nstime_of((clockid_t)(~(unsigned)p->pid << 3 | 2));
}

/*
 * A caller's next request may be waiting for this already, so it is no place
 * for patience with a guest that does not come.
 */
static int asleep_wait(struct process *p, uint64_t pc, uint32_t seq)
{
	const struct timespec pause = { 0, PAUSE_NS };
	uint64_t start = nstime_now(), had = ran(p), t;
	int rc;

	for (;;) {
		rc = asleep_at(p, pc, seq);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		/* it told something instead: a trap, by its own doing */
		if (atomic_load(&p->rw->ring))
			return -EAGAIN;
		t = nstime_now() - start;
		if (t <= PATIENCE_NS) {
			sched_yield();
			continue;
		}
		if (process_dead(p))
			return -ESRCH;
		if (ran(p) - had > RAN_NS || t > SETTLE_NS)
			return -ETIMEDOUT;
		ppoll(NULL, 0, &pause, NULL);
	}
}

/*
 * Its word that it is done only ends the wait for it; to ask for its state
 * again and again would take the processor from it, where others want that.
 */
static int parked_wait(struct process *p, uint32_t seq)
{
	int rc = process_ring_soon(p);

	if (rc != PROC_CLEAN)
		return rc < 0 ? rc : -EAGAIN;
	return asleep_wait(p, process_stub_at(process_parked), seq);
}

/*
 * Where page number at of the snapshot is in PROC_LAST, by number; 0: in
 * PROC_SNAP
 */
static uint32_t in_last(const struct process *p, uint32_t at)
{
	const struct ram_delta *d = p->ram->delta;
	const struct ram_run *r = !p->last ? NULL :
				  ram_delta_run(d + p->ram->deltas - 1, at);

	return r ? (uint32_t)(PROC_LAST / UK_PAGE) + r->at - p->last_from +
	       (at - r->page) : 0;
}

/* one more page; 0: there is no room */
static int list_add(struct process_run *run, uint32_t *runs, uint32_t at,
		    uint32_t op, uint32_t source)
{
	const uint32_t n = op == RUN_LAST ? 2 : 1;
	struct process_run *last = *runs ? &run[*runs - 1] : NULL;

	/* of which the source, of no pages, is an entry behind it */
	if (last && !last->n)
		last--;
	if (last && at == last->page + last->n && op == last->op &&
	    (op != RUN_LAST || source == last[1].page + last->n)) {
		last->n++;
		return 1;
	}
	if (*runs + n > PROC_RUNS)
		return 0;
	run[(*runs)++] = (struct process_run){ at, 1, op };
	if (op == RUN_LAST)
		run[(*runs)++] = (struct process_run){ source, 0, RUN_LAST };
	return 1;
}

/*
 * The pages' runs, as many as fit in the list: how many pages those are.  The
 * numbers may be a hostile clone's (ram_workset), so they are looked up.
 */
static size_t list_write(struct process *p, const uint32_t *page, size_t n,
			 int drop)
{
	struct process_run *run = ram_sys(p->ram, PROC_LIST);
	const struct ram_window *w = p->ram->win;
	uint32_t runs = 0, from = 0, sealed = 0, end = 0, op, source;
	size_t i;

	for (i = 0; i < n; i++) {
		uint32_t at = page[i];

		if (at < from || at >= end) {
			unsigned k = 0;

			while (k < RAM_WINDOWS &&
			       at - w[k].base / UK_PAGE >= w[k].cap / UK_PAGE)
				k++;
			if (k == RAM_WINDOWS)
				continue;
			from = (uint32_t)(w[k].base / UK_PAGE);
			sealed = from + (uint32_t)(w[k].sealed / UK_PAGE);
			end = from + (uint32_t)(w[k].cap / UK_PAGE);
		}
		source = drop ? 0 : in_last(p, at);
		op = drop ? RUN_DROP : source ? RUN_LAST :
		     at < sealed ? RUN_COPY : RUN_ZERO;
		if (!list_add(run, &runs, at, op, source))
			break;
	}
	p->ro->runs = runs;
	return i;
}

static uint32_t order(struct process *p, uint32_t seq)
{
	uint32_t park = seq == SEQ_PARK ? SEQ_PARK_ODD : SEQ_PARK;

	process_go(p, PROC_PARK, park);
	return park;
}

/* of a parked child: further orders, until no page is left */
static int restore(struct process *p, const uint32_t *page, size_t n, int drop)
{
	uint32_t seq = atomic_load(&p->ro->seq);
	int rc = 0;

	if (p->place != PARKED)
		return -EPROTO;
	for (size_t i = 0; rc == 0 && i < n;) {
		i += list_write(p, page + i, n - i, drop);
		seq = order(p, seq);
		rc = parked_wait(p, seq);
	}
	return rc;
}

static struct process *of_remote(const struct ram_remote *r)
{
	return (struct process *)((char *)r - offsetof(struct process, remote));
}

static int order_copy(struct ram_remote *r, const uint32_t *page, size_t n)
{
	return restore(of_remote(r), page, n, 0);
}

static int order_drop(struct ram_remote *r, const uint32_t *page, size_t n)
{
	return restore(of_remote(r), page, n, 1);
}

/* what both map of RAM, but for the pages of process.h */
static const struct {
	uint64_t addr, len;
} shared[] = {
	{ UK_CLOCK, UK_PAGE }, { UK_CTL, UK_CTL_PAGES * UK_PAGE },
	{ UK_OUT, UK_PAGE }, { UK_REPORT, UK_REPORT_SIZE },
	{ UK_LOG, UK_LOG_SIZE },
};
#define SHARED	(sizeof(shared) / sizeof(shared[0]))

static int shared_verify(const struct ram_remote *r, uint64_t *addr)
{
	const struct ram *ram = of_remote(r)->ram;

	for (size_t i = 0; i < SHARED; i++) {
		*addr = shared[i].addr;
		if (memcmp(ram->base + *addr, ram->snap + *addr,
			   shared[i].len))
			return -EUCLEAN;
	}
	return 0;
}

const struct ram_orders process_orders = {
	order_copy, order_drop, shared_verify,
};

static void shared_restore(struct ram *ram)
{
	for (size_t i = 0; ram->snap && i < SHARED; i++)
		memcpy(ram_sys(ram, shared[i].addr),
		       ram->snap + shared[i].addr, shared[i].len);
}

void process_shared_restore(struct process *p)
{
	shared_restore(p->ram);
	if (p->ram->snap)
		memset(p->rw, 0, 2 * UK_PAGE);
}

static int parked(struct process *p)
{
	int rc = process_limit_windows(p);

	if (rc < 0)
		return rc;
	p->place = PARKED;
	if (p->ram->snap)
		memset(p->rw, 0, 2 * UK_PAGE);
	return 0;
}

int process_new(struct process *p)
{
	int rc = asleep_wait(p, process_stub_at(process_parked),
			     atomic_load(&p->ro->seq));

	/* in a shell the snapshot is another by now */
	shared_restore(p->ram);
	return rc < 0 ? rc : parked(p);
}

int process_settle(struct tender *t)
{
	struct process *p = (struct process *)t;
	const struct ram_list *l = &p->ram->list;
	uint32_t seq = atomic_load(&p->ro->seq);
	size_t done = 0;
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < TRIES; i++) {
		atomic_store(&p->rw->ring, 0);
		rc = asleep_wait(p, process_stub_at(process_wait), seq);
		if (rc < 0)
			continue;
		done = list_write(p, l->page, l->n, 0);
		seq = order(p, seq);
		shared_restore(p->ram);
		rc = parked_wait(p, seq);
	}
	if (rc == 0)
		rc = parked(p);
	if (rc < 0)
		return rc;
	/* with nothing to restore there is no list */
	return done == l->n ? 0 :
	       restore(p, l->page + done, l->n - done, 0);
}

/* nobody looks at it from here on: no tick, so no limit of time or memory */
int process_rest(struct tender *t, int over)
{
	struct process *p = (struct process *)t;
	int rc = -ECANCELED;

	if (!over)
		rc = asleep_wait(p, process_stub_at(process_wait),
				 atomic_load(&p->ro->seq));
	if (rc < 0)
		process_signal(p, SIGKILL);
	p->rests = rc == 0;
	return rc;
}

/* a line of /proc/PID/status is this mask */
static int mask_is(const char *status, const char *line, uint64_t want)
{
	const char *at = strstr(status, line);
	unsigned long long mask;

	return at && sscanf(at + strlen(line), "%llx", &mask) == 1 &&
	       mask == want;
}

/*
 * No guest can change these, nor the signal stack, which /proc does not show:
 * none of its system calls does.
 */
int process_verify(struct tender *t)
{
	static const int caught[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGALRM,
	};
	struct process *p = (struct process *)t;
	char text[4096];
	uint64_t handlers = 0;
	ssize_t n = pread(p->status_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	text[n] = '\0';
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		handlers |= 1ull << (caught[i] - 1);
	return mask_is(text, "\nSigPnd:", 0) && mask_is(text, "\nShdPnd:", 0) &&
	       mask_is(text, "\nSigBlk:", 0) && mask_is(text, "\nSigIgn:", 0) &&
	       mask_is(text, "\nSigCgt:", handlers) ? 0 : -EUCLEAN;
}
