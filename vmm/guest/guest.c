/*
 * guest.c - run a guest: exits, traps, ticks, the control page
 *
 * The control page is the host's to write and the guest's to read; what is
 * read from the guest (struct uk_out, registers) is hostile.
 */
#include "vmm/guest/guest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "etlfs/format.h"
#include "vmm/guest/snapshot.h"
#include "vmm/tender/machine.h"

#define TICK_US		10000
#define GRACE_NS	100000000	/* for last words at the deadline */

static struct tender *tick_target;
static volatile sig_atomic_t tick_armed, running;

static struct uk_ctl *ctl(struct guest *g)
{
	return ram_sys(g->ram, UK_CTL);
}

static void on_tick(int sig)
{
	/* between runs it only ends a wait: see guest_idle() */
	if (running)
		tick_target->ops->kick(tick_target);
}

static void tick_set(long us)
{
	struct itimerval it = {
		.it_interval.tv_usec = us, .it_value.tv_usec = us,
	};

	setitimer(ITIMER_REAL, &it, NULL);
	tick_armed = us != 0;
}

void guest_idle(struct guest *g)
{
	tick_set(0);
	if (g->t->ops->idle)
		g->t->ops->idle(g->t);
}

int guest_create(struct guest *g, const struct tender_ops *ops,
		 struct err *err)
{
	struct sigaction sa = { .sa_handler = on_tick };
	int rc = ops->create(&g->t, g->ram, err);

	if (rc < 0)
		return rc;
	rc = guest_windows_map(g);
	if (rc < 0) {
		guest_destroy(g);
		return err_set(err, rc, "cannot map guest memory: %s",
			       strerror(-rc));
	}
	tick_target = g->t;
	sigaction(SIGALRM, &sa, NULL);
	return 0;
}

int guest_stand(struct guest *g, const struct tender_ops *ops,
		const struct snapshot *s, int window0, int proc,
		const struct tender_wait *w, struct err *err)
{
	int rc = ram_map_host(g->ram, 0, window0, ETLFS_WINDOW0);

	/* a change of user made /proc/self root's */
	prctl(PR_SET_DUMPABLE, 1);
	if (rc == 0)
		rc = guest_create(g, ops, err);
	if (rc == 0) {
		rc = w && ops->stand ? ops->stand(g->t, w) :
		     ops->load(g->t, &s->cpu);
		if (rc < 0)
			err_set(err, rc, "cannot start the guest: %s",
				g->t->broken[0] ? g->t->broken :
				strerror(-rc));
	}
	if (rc == 0)
		rc = ram_clone_init(g->ram, proc);
	return rc == 0 || err->msg[0] ? rc :
	       err_set(err, rc, "cannot go on from the snapshot: %s",
		       strerror(-rc));
}

int guest_resume(struct guest *g, const struct tender_ops *ops,
		 const struct snapshot *s, int window0, int proc,
		 struct err *err)
{
	return guest_stand(g, ops, s, window0, proc, NULL, err);
}

int guest_replace(struct guest *g, const struct snapshot *s,
		  const struct ram_window *was, uint64_t image_end)
{
	int rc = guest_windows_more(g, was, image_end);

	return rc < 0 ? rc : g->t->ops->load(g->t, &s->cpu);
}

void guest_destroy(struct guest *g)
{
	tick_set(0);
	tick_target = NULL;
	if (g->t)
		g->t->ops->destroy(g->t);
	g->t = NULL;
}

/* what the guest is told of what it is to run */
static void ctl_place(struct guest *g)
{
	const struct place *p = g->place;
	struct uk_ctl *c = ctl(g);

	c->flags = (p->trace ? UK_CTL_TRACE : 0) | UK_CTL_TRACE_UNKNOWN |
		   (g->overdue ? UK_CTL_OVERDUE : 0) |
		   (p->fork_boot ? UK_CTL_FORK_BOOT : 0);
	c->mem_limit = g->ram->mem_limit;
	c->files_limit = g->ram->files_limit;
	c->timeout_ms = (uint32_t)(p->timeout_ns / 1000000);
	c->argc = p->argc;
	c->envc = p->envc;
	memcpy(c->layer, p->layer, sizeof(c->layer));
	c->strings_len = p->strings_len;
	memcpy(c->strings, p->strings, p->strings_len);
}

void guest_ctl_init(struct guest *g)
{
	struct uk_ctl *c = ctl(g);

	c->magic = UK_CTL_MAGIC;
	c->version = UK_ABI_VERSION;
	for (int i = 0; i < UK_ARENAS; i++)
		c->span[i] = g->ram->win[i].span;
	c->host_size = g->ram->host_size[0];
	c->event_off = ETLFS_EVENT_OFF;
	c->xcr0 = tender_cpu.xcr0;
	c->xsave_size = tender_cpu.xsave_size;
	c->cpus = 1;
	ctl_place(g);
}

void guest_placed(struct guest *g)
{
	guest_refresh(g);
	ctl_place(g);
	g->placed = 1;
	guest_answer(g, UK_PLACED);
}

void guest_refresh(struct guest *g)
{
	struct uk_ctl *c = ctl(g);

	/* nothing of it knows what an earlier request was told */
	g->clock = (struct uk_clock){ .mono = g->mono_least };
	guest_clock(g);
	/* never fails for up to 256 bytes once the pool is up (random(4)) */
	if (getrandom(c->entropy, sizeof(c->entropy), 0) !=
	    (ssize_t)sizeof(c->entropy))
		_exit(1);
	c->windows = g->windows | 1;
	c->entropy_gen = ++g->entropy_gen;
	c->ticks = g->ticks;
}

void guest_child(struct guest *g, uint32_t pid, uint64_t deadline)
{
	guest_refresh(g);
	g->phase = PHASE_CHILD;
	g->turns_end = 0;
	g->deadline = deadline;
	g->overdue = 0;
	ctl(g)->flags &= ~(UK_CTL_OVERDUE | UK_CTL_RING);
	ctl(g)->pid = pid;
	ctl(g)->event_here = 0;
	guest_answer(g, UK_CHILD);
}

void guest_event_here(struct guest *g)
{
	ctl(g)->event_here = 1;
}

void guest_answer(struct guest *g, long ret)
{
	g->t->regs->rax = (uint64_t)ret;
	g->t->regs_dirty = 1;
}

void guest_set_event(struct guest *g, uint64_t off, uint64_t len,
		     uint64_t timeout_ns)
{
	uint64_t ms = timeout_ns / 1000000;

	g->phase = PHASE_REQUEST;
	g->turns_end = 0;
	g->deadline = nstime_now() + timeout_ns;
	g->overdue = 0;
	ctl(g)->flags &= ~(UK_CTL_OVERDUE | UK_CTL_RING);
	ctl(g)->event_off = off;
	ctl(g)->event_len = len;
	ctl(g)->timeout_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void guest_go_on(struct guest *g, uint64_t timeout_ns)
{
	/* they are counted, and it has seen these */
	g->ticks = ctl(g)->ticks;
	guest_refresh(g);
	g->phase = PHASE_REQUEST;
	g->turns_end = 0;
	g->deadline = nstime_now() + timeout_ns;
	g->overdue = 0;
	ctl(g)->flags &= ~(UK_CTL_OVERDUE | UK_CTL_RING);
}

enum guest_end guest_died(struct guest *g, enum died why, uint64_t status,
			  const char *host)
{
	union {
		struct uk_report r;
		uint8_t bytes[UK_REPORT_SIZE];
	} said;
	unsigned frames;

	memcpy(&said, ram_sys(g->ram, UK_REPORT), sizeof(said));
	frames = report_lines(&said.r, host, g->report, sizeof(g->report));
	/* it says that it ended by a signal, but that was not the program's */
	g->died = why == DIED_SIGNAL && frames ? DIED_FAULT : why;
	g->died_status = status;
	return GUEST_DIED;
}

enum guest_end guest_overdue(struct guest *g, const char *host)
{
	struct uk_out *out = ram_sys(g->ram, UK_OUT);

	if (g->overdue)
		return guest_died(g, DIED_TIMEOUT, 0, g->where);
	g->overdue = 1;
	g->deadline = nstime_now() + GRACE_NS;
	snprintf(g->where, sizeof(g->where), "%s", host);
	ctl(g)->flags |= UK_CTL_OVERDUE;
	/* however few threads there are */
	out->want_tick = 1;
	return GUEST_GOES_ON;
}

void guest_ring(struct guest *g, int on)
{
	struct uk_out *out = ram_sys(g->ram, UK_OUT);

	if (!on) {
		ctl(g)->flags &= ~UK_CTL_RING;
		return;
	}
	ctl(g)->flags |= UK_CTL_RING;
	/* however few threads there are */
	out->want_tick = 1;
}

static enum guest_end died(struct guest *g, enum died why, const char *host)
{
	return guest_died(g, why, 0, host);
}

/* the guest is in the libOS or in a stub: not to be pre-empted */
static int in_libos(uint64_t rip)
{
	const struct uk_header *h = machine_header();

	return (rip >= h->text && rip < h->text_end) ||
	       (rip & ~(uint64_t)(UK_PAGE - 1)) == UK_SUPTEXT ||
	       (rip & ~(uint64_t)(UK_PAGE - 1)) == UK_BOUNCE ||
	       (rip & ~(uint64_t)(UK_PAGE - 1)) == UK_STUB;
}

static void running_at(uint64_t rip, char *buf, size_t size)
{
	char name[64];

	/* not every tender knows where */
	if (rip == MACHINE_DB_RET)
		snprintf(buf, size, "running");
	else if (report_symbol(rip, name, sizeof(name)) == 0)
		snprintf(buf, size, "running in the libOS at %s", name);
	else
		snprintf(buf, size, "running at address 0x%llx",
			 (unsigned long long)rip);
}

/* killed, perhaps: then nobody else would end this process before its time */
static int gateway_gone(struct guest *g)
{
	struct pollfd p = { .fd = g->sock };
	struct timespec now = { 0 };

	return ppoll(&p, 1, &now, NULL) > 0;
}

static enum guest_end tick(struct guest *g)
{
	struct uk_out *out = ram_sys(g->ram, UK_OUT);
	struct cpu_regs *r = g->t->regs;
	enum guest_end end = GUEST_GOES_ON;
	char at[sizeof(g->where)];

	if (gateway_gone(g))
		return GUEST_ORPHAN;
	guest_save_look(g);
	if (nstime_now() >= g->deadline) {
		if (g->t->ops->locate)
			g->t->ops->locate(g->t);
		running_at(r->rip, at, sizeof(at));
		end = guest_overdue(g, at);
	}
	ctl(g)->ticks = ++g->ticks;
	if (*(volatile uint32_t *)&out->want_tick && !in_libos(r->rip)) {
		ctl(g)->preempt = (struct uk_regs3){ r->rip, r->rsp,
						     r->rflags };
		r->rip = machine_header()->preempt;
		r->rsp = 0;
		r->rflags = 0x202;
		g->t->regs_dirty = 1;
	}
	return end;
}

/* the libOS learns of an exception as of a call */
static enum guest_end trap(struct guest *g)
{
	struct uk_trap facts;

	if (g->t->ops->trap(g->t, &facts, machine_header()->trap) < 0)
		return died(g, DIED_FAULT, g->t->broken);
	ctl(g)->trap = facts;
	return GUEST_GOES_ON;
}

/* first: what it was to do from here on it has seen nothing of */
static enum died by_whom(const struct tender *t, int first)
{
	if (t->killed == TENDER_KILLED_IDLE && first)
		return DIED_ROLLBACK;
	return t->killed == TENDER_OWN_DOING ? DIED_FAULT : DIED_KILLED;
}

enum guest_end guest_run(struct guest *g)
{
	enum guest_end end = GUEST_GOES_ON;
	uint64_t exits = g->t->exits, t0 = nstime_now();
	int first = 1;

	running = 1;
	if (!tick_armed)
		tick_set(TICK_US);
	while (end == GUEST_GOES_ON) {
		switch (g->t->ops->run(g->t)) {
		case TENDER_DOORBELL:
			end = doorbell_ring(g);
			break;
		case TENDER_TRAP:
			end = trap(g);
			break;
		case TENDER_INTR:
			end = tick(g);
			break;
		case TENDER_BROKEN:
			end = died(g, by_whom(g->t, first), g->t->broken);
			break;
		}
		first = 0;
		if (end == GUEST_GOES_ON)
			guest_pace(g);
	}
	running = 0;
	g->st.guest_ns += nstime_now() - t0;
	g->st.exits += g->t->exits - exits;
	return end;
}
