/*
 * clone.c - the life of a clone: set up, lock, then request after request
 *
 * A request begins from the reference's state with a fresh clock, seed and
 * process id: READY returns in the guest as fork(2) does in a child.  The
 * answer goes out first, then the clone rolls back, and the child of the next
 * request begins.  After anything but an answer the process ends: what cannot
 * be trusted is not reused.
 */
#include "vmm/guest/clone.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "vmm/tender/machine.h"
#include "vmm/guest/chan.h"
#include "vmm/guest/writers.h"

#define CLOSE_NS	3000000		/* from one request to the next */
/* of a shell, for the layers of its function: a slot that is added under a
   vCPU waits for others (RCU), and its size costs memory */
#define IMAGE_ROOM	(16ull << 20)

struct clone {
	const struct clone_opts *o;
	struct guest g;
	uint64_t rollback_ns, child_ns, copied, private;
	uint64_t begun;			/* mono ns: the request, or its child */
	uint32_t pid;			/* of the guest's next process */
	int first;
	char pages[WRITERS_MAX];	/* INVOKE_PAGES: whose were written */
	int pages_len;
};

static void send_died(struct clone *c)
{
	struct guest *g = &c->g;
	struct msg m = { .type = MSG_DIED };
	const char *log;
	struct iovec iov[3] = {
		{ &g->st, sizeof(g->st) },
		{ g->report, strlen(g->report) },
		{ .iov_len = guest_log(g, &log) },
	};

	iov[2].iov_base = (void *)log;
	m.a[0] = g->died;
	m.a[1] = iov[1].iov_len;
	m.a[2] = iov[2].iov_len;
	m.a[3] = g->died_status;
	m.a[4] = guest_log_lost(g);
	chan_send(g->sock, &m, iov, 3);
}

static void fail_as(struct clone *c, enum died died, const char *what, int rc)
{
	c->g.died = died;
	snprintf(c->g.report, sizeof(c->g.report), "%s: %s", what,
		 strerror(-rc));
	send_died(c);
	_exit(1);
}

static void fail(struct clone *c, const char *what, int rc)
{
	fail_as(c, DIED_HOST, what, rc);
}

static void send_result(struct clone *c)
{
	struct guest *g = &c->g;
	struct msg m = { .type = MSG_RESULT };
	const char *log;
	struct iovec iov[3] = {
		{ &g->st, sizeof(g->st) },
		{ (void *)g->result, g->result_len },
		{ .iov_len = guest_log(g, &log) },
	};

	iov[2].iov_base = (void *)log;
	m.a[0] = g->kind;
	m.a[1] = g->result_len;
	m.a[2] = iov[2].iov_len;
	m.a[4] = guest_log_lost(g);
	if (chan_send(g->sock, &m, iov, 3) < 0)
		_exit(0);
}

/* everything that a guest could change must be as it was at READY */
static void verify(struct clone *c)
{
	static struct cpu_state now;
	struct guest *g = &c->g;
	uint64_t addr;

	if (ram_verify(g->ram, &addr) < 0) {
		snprintf(g->report, sizeof(g->report), "rollback left a "
			 "difference at address 0x%llx",
			 (unsigned long long)addr);
		g->died = DIED_HOST;
		send_died(c);
		_exit(1);
	}
	/* enter and leave at once, so that the registers are the vCPU's */
	g->t->ops->kick(g->t);
	if (g->t->ops->run(g->t) != TENDER_INTR ||
	    g->t->ops->save(g->t, &now) < 0)
		fail(c, "verify", -EIO);
	if (!snapshot_cpu_same(c->o->from, &now))
		fail(c, "rollback left different registers", -EUCLEAN);
	if (g->t->ops->verify && g->t->ops->verify(g->t) < 0)
		fail(c, "rollback left different signals", -EUCLEAN);
}

static void rollback(struct clone *c)
{
	struct guest *g = &c->g;
	uint64_t t0 = nstime_now();
	struct ram_stats st;
	int rc = 0;

	if (g->t->ops->settle)
		rc = g->t->ops->settle(g->t);
	if (rc == 0)
		rc = ram_rollback(g->ram, &st);
	if (rc < 0)
		fail_as(c, DIED_ROLLBACK, "rollback", rc);
	if (c->first) {
		ram_learn(g->ram);
		c->first = 0;
	}
	rc = g->t->ops->load(g->t, &c->o->from->cpu);
	if (rc < 0)
		fail_as(c, DIED_ROLLBACK, "rollback of registers", rc);
	guest_detach(g);
	c->rollback_ns = nstime_now() - t0;
	c->copied = st.pages_copied;
	c->private = st.pages_private;
	if (c->o->place->verify)
		verify(c);
}

/* a process that goes on meanwhile only makes the figures wrong */
static void note_pages(struct clone *c)
{
	int n = writers_lines(c->g.ram, c->pages, sizeof(c->pages));

	c->pages_len = n > 0 ? n : 0;
}

static void send_idle(struct clone *c)
{
	struct guest *g = &c->g;
	struct msg m = { .type = MSG_IDLE };
	struct iovec iov[2] = {
		{ &g->st, sizeof(g->st) },
		{ c->pages, (size_t)c->pages_len },
	};

	g->st.rollback_ns = c->rollback_ns;
	g->st.pages_copied = c->copied;
	g->st.pages_private = c->private;
	g->window_seen = 0;
	if (chan_send(g->sock, &m, iov, 2) < 0)
		_exit(0);
}

/*
 * An INVOKE: 1 when there is one; 0 when none came for a while, ns, or NULL:
 * for ever.  Ends the process when the gateway hangs up.
 */
static int next_invoke(struct clone *c, struct msg *m,
		       const struct timespec *wait)
{
	struct guest *g = &c->g;
	struct pollfd p = { .fd = g->sock, .events = POLLIN };
	int fds[CHAN_FDS], rc;

	for (;;) {
		rc = wait ? ppoll(&p, 1, wait, NULL) : 1;
		if (rc == 0)
			return 0;
		rc = rc < 0 ? -EINTR : chan_recv(g->sock, m, fds);
		if (rc == -EINTR) {
			guest_idle(g);
			continue;
		}
		if (rc < 0)
			_exit(0);
		/* ATTACH and SNAPSHOT bring some, and came too late */
		chan_close_fds(fds);
		if (m->type == MSG_INVOKE)
			return 1;
		if (m->type == MSG_ATTACH)
			send_idle(c);
		else if (m->type != MSG_KICK && m->type != MSG_SNAPSHOT)
			_exit(1);
	}
}

/*
 * The gateway has wiped the last request out of window 0.  Until then a child
 * would see its event and what it fetched.
 */
static int region_empty(const struct clone *c)
{
	const struct etlfs_host *h = ram_sys(c->g.ram, UK_HOST_BASE);

	return __atomic_load_n(&h->empty, __ATOMIC_ACQUIRE) == 1;
}

static void stats_begin(struct clone *c)
{
	struct guest *g = &c->g;
	uint64_t setup = g->st.setup_ns;

	memset(&g->st, 0, sizeof(g->st));
	g->st.setup_ns = setup;
	g->st.rollback_ns = c->rollback_ns;
	g->st.child_ns = c->child_ns;
	g->st.pages_copied = c->copied;
	g->st.pages_private = c->private;
	c->begun = nstime_now();
}

static void begin(struct clone *c, const struct msg *m)
{
	struct guest *g = &c->g;

	stats_begin(c);
	c->pid = (uint32_t)m->a[4];
	guest_log_limit(g, m->a[3]);
	guest_clock(g);
	guest_set_event(g, ETLFS_EVENT_OFF, m->a[0], m->a[1]);
}

/* what its process has for what it does before there is a request */
static uint64_t child_deadline(const struct clone *c)
{
	return tender_debug ? UINT64_MAX :
		nstime_now() + c->o->place->timeout_ns;
}

/* it may have told that it is done, and go on; a debugger may hold it there */
static int rest(struct guest *g, int over)
{
	return g->t->ops->rest && !tender_debug ? g->t->ops->rest(g->t, over) :
	       0;
}

/*
 * A child that has no request yet: GUEST_EVENT where it waits for one.  What it
 * ends by otherwise is told to whoever asks next: it is no answer to a request
 * that was before.
 */
static enum guest_end run_ahead(struct clone *c)
{
	struct guest *g = &c->g;
	enum guest_end end = guest_run(g);

	c->child_ns = nstime_now() - c->begun;
	switch (end) {
	case GUEST_EVENT:
		return rest(g, 0) < 0 ?
			guest_died(g, DIED_FAULT, 0, "the guest asked for its "
				   "event and ran on") : GUEST_EVENT;
	case GUEST_RESULT:
		end = guest_died(g, DIED_FAULT, 0, "the guest answered before "
				 "it was asked");
		break;
	case GUEST_DIED:
		/* whoever killed it, the request had not begun */
		if (g->died == DIED_KILLED)
			g->died = DIED_ROLLBACK;
		break;
	default:
		break;
	}
	rest(g, 1);
	return end;
}

/*
 * READY returns, in another process, which does what a child has to and asks
 * for its event.  Where requests follow each other closely the event is there
 * by then, and it need not ask: an exit costs more than all that a child does.
 */
static enum guest_end child(struct clone *c, struct msg *m)
{
	static const struct timespec close = { 0, CLOSE_NS };
	struct guest *g = &c->g;
	enum guest_end end;
	int here;

	/* what a debugger waits for has not run at all before */
	do
		here = next_invoke(c, m, tender_debug ? NULL : &close);
	while (!here && !region_empty(c));
	c->child_ns = 0;
	stats_begin(c);
	snapshot_begin(c->o->from, g);
	guest_child(g, c->pid, child_deadline(c));
	guest_log_limit(g, UK_LOG_SIZE - 1);
	if (here) {
		begin(c, m);
		guest_event_here(g);
		return guest_run(g);
	}
	end = run_ahead(c);
	next_invoke(c, m, NULL);
	if (end != GUEST_EVENT)
		return end;
	begin(c, m);
	guest_answer(g, (long)m->a[0]);
	return guest_run(g);
}

/* of a host region that was there already */
static void tickets_take(struct guest *g)
{
	const struct etlfs_host *h = ram_sys(g->ram, UK_HOST_BASE);

	for (unsigned i = 0; i < UK_TICKETS; i++)
		if (__atomic_load_n(&h->ticket[i].state, __ATOMIC_ACQUIRE) !=
		    ETLFS_FREE)
			g->ticket_used |= 1ull << i;
}

/* its bodies, and then the word to go on */
static void run_recv(struct clone *c, struct msg *m)
{
	int fds[CHAN_FDS], rc;

	do {
		rc = chan_recv(c->g.sock, m, fds);
		if (rc == -EINTR)
			continue;
		if (rc < 0)
			_exit(0);
		if (m->type == MSG_INVOKE)
			chan_close_fds(fds);
		else if (guest_message(&c->g, m, fds) == -EPROTO)
			_exit(1);
	} while (rc == -EINTR || m->type != MSG_INVOKE);
}

/* a request of another process's, from where that was */
static enum guest_end go_on(struct clone *c, struct msg *m)
{
	struct guest *g = &c->g;

	snapshot_begin(c->o->from, g);
	run_recv(c, m);
	stats_begin(c);
	guest_log_limit(g, m->a[3]);
	tickets_take(g);
	guest_go_on(g, m->a[1]);
	return guest_run(g);
}

/* state is kept: the last answer's doorbell returns with the next event */
static enum guest_end another(struct clone *c, struct msg *m)
{
	int rc = rest(&c->g, 0);

	next_invoke(c, m, NULL);
	if (rc < 0)
		return guest_died(&c->g, DIED_ROLLBACK, 0,
				  "the guest answered and ran on");
	begin(c, m);
	guest_answer(&c->g, (long)m->a[0]);
	return guest_run(&c->g);
}

static void serve(struct clone *c)
{
	const enum recycle recycle = c->o->place->recycle;
	struct guest *g = &c->g;
	enum guest_end end;
	struct msg m;
	int asked = 0;

	for (;;) {
		if (c->o->run)
			end = go_on(c, &m);
		else if (!asked || recycle == RECYCLE_ROLLBACK)
			end = child(c, &m);
		else
			end = another(c, &m);
		asked = 1;
		g->st.run_ns = nstime_now() - c->begun;
		guest_save_drop(g);
		if (m.a[2] & INVOKE_IDLE)
			g->st.pages_touched = ram_touched(g->ram);
		switch (end) {
		case GUEST_RESULT:
			/* before the answer: it is killed after it */
			if (recycle == RECYCLE_FORK)
				ram_learn(g->ram);
			send_result(c);
			if (c->o->run || c->o->once)
				_exit(0);
			break;
		case GUEST_ORPHAN:
			_exit(0);
		case GUEST_READY:
			g->died = DIED_FAULT;
			strcpy(g->report, "the guest rang READY twice");
			/* fall through */
		default:
			send_died(c);
			_exit(0);
		}
		c->pages_len = 0;
		if (recycle == RECYCLE_ROLLBACK) {
			if (m.a[2] & INVOKE_PAGES)
				note_pages(c);
			rollback(c);
		}
		if (m.a[2] & INVOKE_IDLE || g->window_seen)
			send_idle(c);
	}
}

static void init(struct clone *c, const struct clone_opts *o)
{
	c->o = o;
	c->first = 1;
	c->pid = o->pid;
	c->g.ram = o->ram;
	c->g.place = o->place;
	c->g.from = o->from;
	c->g.sock = o->sock;
}

/*
 * Whoever reads what this program prints hears that there is no more as it
 * ends, also where it was killed and its clone ends after it.
 */
static unsigned close_from(const struct clone *c)
{
#ifndef USETL_SANITIZE			/* there it says what it finds */
	if (c->o->once)
		return 0;
#endif
	return JAIL_NOT_STDIO;
}

/* what a clone has open, and what a shell needs besides */
static int close_others(struct clone *c, const int more[CLONE_MORE])
{
	int keep[2 + CLONE_MORE + TENDER_FDS] = {
		c->o->sock, c->o->ram->pagemap,
	};

	for (int i = 0; i < CLONE_MORE; i++)
		keep[2 + i] = more ? more[i] : -1;
	c->g.t->ops->descriptors(c->g.t, keep + 2 + CLONE_MORE);
	return jail_close_others(close_from(c), keep,
				 2 + CLONE_MORE + TENDER_FDS);
}

/* all that is closed, and the filter, before it can run a guest */
static void lock(struct clone *c, const int more[CLONE_MORE])
{
	int rc = close_others(c, more);

	if (rc < 0)
		fail(c, "descriptors", rc);
	/* the gateway sees it all the same, by its capability */
	if (c->o->hide)
		prctl(PR_SET_DUMPABLE, 0);
	rc = jail_lock(c->o->jail, c->g.t->remote);
	if (rc < 0)
		fail(c, "jail", rc);
}

static void stand(struct clone *c, const struct clone_opts *o,
		  const struct tender_wait *w)
{
	struct guest *g = &c->g;
	struct err err = { "" };

	init(c, o);
	g->image_room = w ? IMAGE_ROOM : 0;
	snapshot_layout(o->from, o->ram);
	if (guest_stand(g, o->ops, o->from, o->window0, o->proc, w, &err) == 0)
		return;
	g->died = DIED_HOST;
	snprintf(g->report, sizeof(g->report), "%s", err.msg);
	send_died(c);
	_exit(1);
}

static void say_up(struct clone *c, uint64_t populated)
{
	struct guest *g = &c->g;
	struct msg up = { .type = MSG_UP };

	up.a[0] = g->st.setup_ns = nstime_now() - c->o->forked;
	up.a[1] = populated;
	up.a[2] = (uint64_t)g->t->remote;
	if (chan_send(g->sock, &up, NULL, 0) < 0)
		_exit(0);
}

static struct clone clone;

void clone_main(const struct clone_opts *o)
{
	struct clone *c = &clone;
	uint64_t populated;

	prctl(PR_SET_NAME, "usetl-clone");
	signal(SIGCHLD, SIG_DFL);
	if (tender_debug)		/* no deadline would end it */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	stand(c, o, NULL);
	populated = ram_populate(o->ram);
	lock(c, NULL);
	say_up(c, populated);
	serve(c);
	_exit(0);
}

void clone_stand(const struct clone_opts *o, const struct tender_wait *w,
		 const int more[CLONE_MORE])
{
	struct clone *c = &clone;

	stand(c, o, w);
	if (!o->ops->stand)
		ram_ahead_populate(o->ram);
	lock(c, more);
	if (o->ops->touch)
		o->ops->touch(c->g.t, o->ram->ahead.page, o->ram->ahead.n);
	say_up(c, o->ram->ahead.n);
}

void clone_placed(const struct clone_opts *o, const struct ram_window *was,
		  uint64_t image_end)
{
	struct clone *c = &clone;
	uint64_t populated;
	int rc;

	prctl(PR_SET_NAME, "usetl-clone");
	init(c, o);
	populated = ram_populate(o->ram);
	rc = guest_replace(&c->g, o->from, was, image_end);
	if (rc < 0)
		fail(c, "cannot place the function", rc);
	say_up(c, populated);
	serve(c);
	_exit(0);
}

void clone_failed(const char *why)
{
	clone.g.died = DIED_HOST;
	snprintf(clone.g.report, sizeof(clone.g.report), "%s", why);
	send_died(&clone);
	_exit(1);
}
