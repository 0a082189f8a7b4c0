/*
 * process.c - the process tender: a guest in a locked child, no /dev/kvm
 *
 * The same image, the same libOS; what a virtual machine gives elsewhere is
 * here an address space of its own and a seccomp filter (process_child.c).
 * Isolation is the host kernel's: usetl-isolation(7).
 *
 * What the child tells (struct proc_rw) is hostile.  For a rollback the
 * tender trusts nothing of it but where /proc/PID/syscall says that it sleeps
 * (process_stub.S): settle() first sees it asleep at proc_wait, sends it to
 * proc_parked, and sees it there.
 */
#include "vmm/process.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "etlfs/format.h"
#include "vmm/board.h"

#define WINDOWS_SIZE	((ETLFS_WINDOWS - 1) * ETLFS_WINDOW_STRIDE)
#define LOOK_NS		50000000	/* how often to see if it is alive */
#define SETTLE_NS	500000000ull
#define PATIENCE_NS	1000000		/* then look if it is alive */
#define PROBLEM_TRIES	4
/* what a guest may touch beyond its limits before a tick finds it out */
#define SLACK_PAGES	4096u

/* proc_ro.seq while parked: never one of a run, so that runs can begin at 2 */
#define SEQ_PARK	0
#define SEQ_PARK_ODD	1
#define SEQ_RUN		2

enum place { NOWHERE, PARKED, RUNNING, AT_DOORBELL, AT_TRAP, AT_TICK };

struct process {
	struct tender t;
	struct ram *ram;
	uid_t uid;
	struct cpu_regs regs;		/* t.regs */
	enum place place;
	struct proc_ro *ro;
	struct proc_rw *rw;
	uint64_t text, text_end;
	pid_t pid;
	int pidfd, syscall_fd, statm_fd;
	volatile sig_atomic_t kicked;
	struct uk_trap facts;
	uint64_t cs;
	uint64_t enter;			/* AT_TRAP: where to */
	uint64_t pages_max;
	/* host windows 1 and up: the child's, and the gateway's */
	uint8_t *windows;
	const uint8_t *source[ETLFS_WINDOWS];
	uint64_t used[ETLFS_WINDOWS];	/* bytes from 0 that may not be 0 */
	uint32_t copied[ETLFS_TICKETS];	/* gen of what was copied last */
};

static long futex(_Atomic uint32_t *at, int op, uint32_t val,
		  const struct timespec *timeout)
{
	long rc = syscall(SYS_futex, at, op, val, timeout, NULL, 0);

	return rc < 0 ? -errno : rc;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* processor */

static void cpu_learn(void)
{
	unsigned a, b, c, d, lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	/* what unikernel/xstate.c keeps; no AMX */
	tender_cpu.xcr0 = ((uint64_t)hi << 32 | lo) & 0x2e7;
	tender_cpu.xsave_size = 576;
	for (unsigned i = 2; i < 63; i++) {
		if (!(tender_cpu.xcr0 >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		if (a + b > tender_cpu.xsave_size)
			tender_cpu.xsave_size = a + b;
	}
}

/* by CLOCK_MONOTONIC, over 10 ms: good to some 10 ppm */
static void tsc_learn(void)
{
	uint64_t t0, t1, c0, c1;

	if (tender_cpu.tsc_khz)
		return;
	t0 = now();
	c0 = __builtin_ia32_rdtsc();
	do {
		t1 = now();
		c1 = __builtin_ia32_rdtsc();
	} while (t1 - t0 < 10000000);
	tender_cpu.tsc_khz = (uint64_t)((__uint128_t)(c1 - c0) * 1000000 /
					(t1 - t0));
}

/* the child's end */

static int dead(struct process *p)
{
	int status;

	if (p->pid <= 0)
		return 1;
	if (waitpid(p->pid, &status, WNOHANG) == 0)
		return 0;
	if (WIFSIGNALED(status))
		snprintf(p->t.broken, sizeof(p->t.broken), "the guest's "
			 "process was killed by signal %d", WTERMSIG(status));
	else
		snprintf(p->t.broken, sizeof(p->t.broken), "the guest's "
			 "process ended");
	p->pid = -1;
	return 1;
}

/* a signal to us, so that a wait for the child's futex ends with the child */
static void on_child(int sig)
{
}

static void signal_child(struct process *p, int sig)
{
	syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

static void go(struct process *p, uint32_t mode, uint32_t seq)
{
	p->ro->mode = mode;
	atomic_store(&p->ro->seq, seq);
	futex(&p->ro->seq, FUTEX_WAKE, 1, NULL);
}

static void go_on(struct process *p, uint32_t mode)
{
	uint32_t seq = atomic_load(&p->ro->seq) + 1;

	go(p, mode, seq < SEQ_RUN ? SEQ_RUN : seq);
	p->place = RUNNING;
}

/* until the child rings: its kind; -EINTR when we were kicked, -ESRCH */
static int ring_wait(struct process *p)
{
	struct timespec look = { 0, LOOK_NS };

	while (!atomic_load(&p->rw->ring)) {
		if (p->kicked)
			return -EINTR;
		if (futex(&p->rw->ring, FUTEX_WAIT, 0, &look) != 0 &&
		    !atomic_load(&p->rw->ring) && dead(p))
			return -ESRCH;
	}
	atomic_store(&p->rw->ring, 0);
	return (int)*(volatile uint32_t *)&p->rw->kind;
}

/* the child's answer to an order of ours that takes no time */
static int ring_soon(struct process *p)
{
	uint64_t until = now() + SETTLE_NS;
	int rc;

	do {
		rc = ring_wait(p);
		if (rc == -EINTR)
			p->kicked = 0;
	} while (rc == -EINTR && now() < until);
	return rc;
}

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
	uint64_t start = now(), t;
	int rc;

	for (;;) {
		rc = asleep_at(p, pc, seq);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		/* it told something instead: a trap, by its own doing */
		if (atomic_load(&p->rw->ring))
			return -EAGAIN;
		t = now() - start;
		if (t > PATIENCE_NS && dead(p))
			return -ESRCH;
		if (t > SETTLE_NS)
			return -ETIMEDOUT;
		sched_yield();
	}
}

/* the shared part of RAM; the child's part is rollback.c's */
static void shared_restore(struct process *p)
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

static int proc_settle(struct tender *t)
{
	struct process *p = (struct process *)t;
	uint32_t seq = atomic_load(&p->ro->seq), park;
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < PROBLEM_TRIES; i++) {
		atomic_store(&p->rw->ring, 0);
		rc = asleep_wait(p, proc_stub_at(proc_wait), seq);
		if (rc < 0)
			continue;
		park = seq == SEQ_PARK ? SEQ_PARK_ODD : SEQ_PARK;
		go(p, PROC_PARK, park);
		rc = asleep_wait(p, proc_stub_at(proc_parked), park);
		seq = park;
	}
	if (rc < 0)
		return rc;
	p->place = PARKED;
	shared_restore(p);
	return 0;
}

/* begin */

static void proc_stubs(struct ram *ram)
{
	memcpy(ram_sys(ram, UK_STUB), proc_stub,
	       (size_t)(proc_stub_end - proc_stub));
}

static int fd_open(struct process *p, const char *name, int *out)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)p->pid, name);
	*out = open(path, O_RDONLY | O_CLOEXEC);
	return *out < 0 ? -errno : 0;
}

/* in a clone, memory of its own for what both sides see */
static int shared_map(struct process *p)
{
	struct ram *ram = p->ram;
	size_t len = PROC_SHARED_END - PROC_SHARED;
	void *at = ram_sys(ram, PROC_SHARED);
	int fd, rc = 0;

	if (!ram->snap)
		return 0;		/* all of RAM is */
	fd = memfd_create("usetl-shared", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)len) < 0 ||
	    mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED)
		rc = -errno;
	close(fd);
	return rc;
}

static int windows_make(struct process *p)
{
	int fd = memfd_create("usetl-windows", MFD_CLOEXEC), rc = 0;
	void *at;

	if (fd < 0)
		return -errno;
	at = MAP_FAILED;
	if (ftruncate(fd, (off_t)WINDOWS_SIZE) == 0)
		at = mmap(NULL, WINDOWS_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (at == MAP_FAILED)
		rc = -errno;
	else
		p->windows = at;
	close(fd);
	return rc;
}

static void ro_init(struct process *p)
{
	const struct uk_header *h = board_header();
	struct proc_ro *ro = p->ro;

	memset(ro, 0, sizeof(*ro));
	ro->seq = SEQ_RUN;
	ro->syscall = h->syscall;
	ro->text = h->text;
	ro->text_end = h->text_end;
	ro->xmask = tender_cpu.xcr0;
	proc_filter_set(ro);
}

static int proc_create(struct tender **out, struct ram *ram, uid_t uid,
		       struct err *err)
{
	struct process *p = calloc(1, sizeof(*p));
	struct sigaction sa = { .sa_handler = on_child };
	int rc;

	if (!p)
		return -ENOMEM;
	p->t.ops = &tender_process;
	p->t.regs = &p->regs;
	p->ram = ram;
	p->uid = uid;
	p->pid = p->pidfd = p->syscall_fd = p->statm_fd = -1;
	p->pages_max = SLACK_PAGES + (ram->mem_limit +
				      ram->win[UK_ARENA_USF].cap +
				      ram->win[RAM_STACK].cap) / UK_PAGE;
	sigaction(SIGCHLD, &sa, NULL);
	rc = shared_map(p);
	if (rc == 0)
		rc = windows_make(p);
	if (rc < 0) {
		p->t.ops->destroy(&p->t);
		return err_set(err, rc, "cannot make a guest's process: %s",
			       strerror(-rc));
	}
	p->ro = ram_sys(ram, PROC_RO);
	p->rw = ram_sys(ram, PROC_RW);
	shared_restore(p);
	ro_init(p);
	*out = &p->t;
	return 0;
}

static void proc_destroy(struct tender *t)
{
	struct process *p = (struct process *)t;

	if (!p)
		return;
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	p->ram->remote = 0;
	signal(SIGCHLD, SIG_IGN);
	if (p->windows)
		munmap(p->windows, WINDOWS_SIZE);
	if (p->pidfd >= 0)
		close(p->pidfd);
	if (p->syscall_fd >= 0)
		close(p->syscall_fd);
	if (p->statm_fd >= 0)
		close(p->statm_fd);
	free(p);
}

/* all that was mapped so far goes to the child; nothing can be added */
static int child_create(struct process *p)
{
	struct proc_child c = {
		.ram = p->ram, .uid = p->uid,
		.windows = p->windows, .windows_size = WINDOWS_SIZE,
	};
	int rc;

	atomic_store(&p->rw->ring, 0);
	rc = proc_child_start(&c);
	if (rc < 0)
		return rc;
	p->pid = rc;
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return -errno;
	rc = ring_soon(p);
	if (rc == PROC_FAILED)
		return (int)p->rw->regs.rax ? (int)p->rw->regs.rax : -EIO;
	if (rc != PROC_UP)
		return rc < 0 && p->rw->kind == PROC_FAILED &&
		       (int)p->rw->regs.rax < 0 ? (int)p->rw->regs.rax : -EIO;
	rc = fd_open(p, "syscall", &p->syscall_fd);
	if (rc == 0)
		rc = fd_open(p, "statm", &p->statm_fd);
	p->ram->remote = p->pid;
	return rc;
}

static int proc_load(struct tender *t, const struct cpu_state *s)
{
	struct process *p = (struct process *)t;
	int rc = 0;

	if (p->pid < 0) {
		rc = child_create(p);
		if (rc == 0)
			rc = proc_settle(t);
	} else if (p->place != PARKED) {
		rc = -EPROTO;
	}
	if (rc < 0)
		return rc;
	p->regs = s->regs;
	p->ro->fs = s->fs_base;
	p->ro->gs = s->gs_base;
	memcpy(ram_sys(p->ram, PROC_LOAD_AREA), s->xsave, sizeof(s->xsave));
	t->regs_dirty = 0;
	return 0;
}

/* at a doorbell: what it will be when that returns */
static int proc_save(struct tender *t, struct cpu_state *s)
{
	struct process *p = (struct process *)t;

	if (p->place != AT_DOORBELL)
		return -EPROTO;
	s->regs = p->regs;
	s->fs_base = p->rw->fs;
	s->gs_base = p->rw->gs;
	s->xcr0 = tender_cpu.xcr0;
	go_on(p, PROC_SAVE);
	if (ring_soon(p) != PROC_SAVED)
		return -EIO;
	p->place = AT_DOORBELL;
	memcpy(s->xsave, ram_sys(p->ram, PROC_SAVE_AREA), sizeof(s->xsave));
	return 0;
}

/* memory */

/* RAM is there to its caps; only the gateway's large windows come later */
static int proc_map(struct tender *t, unsigned slot, uint64_t addr,
		    uint64_t len, void *from, int readonly)
{
	struct process *p = (struct process *)t;
	uint64_t w = (addr - UK_HOST_BASE) / ETLFS_WINDOW_STRIDE;

	if (addr < UK_HOST_BASE || w == 0)
		return 0;
	if (w >= ETLFS_WINDOWS)
		return -EINVAL;
	p->source[w] = from;
	p->used[w] = 0;
	return 0;
}

static int proc_unmap(struct tender *t, unsigned slot)
{
	struct process *p = (struct process *)t;
	unsigned w = slot - TENDER_SLOT_HOST;

	if (w < 1 || w >= ETLFS_WINDOWS)
		return 0;
	if (p->used[w])
		madvise(p->windows + (w - 1) * ETLFS_WINDOW_STRIDE,
			(p->used[w] + UK_PAGE - 1) & ~(UK_PAGE - 1ull),
			MADV_REMOVE);
	p->source[w] = NULL;
	p->used[w] = 0;
	return 0;
}

/* 0 when its window has yet to be attached */
static int window_copy(struct process *p, uint64_t at, uint64_t len)
{
	uint64_t w = at / ETLFS_WINDOW_STRIDE, off = at % ETLFS_WINDOW_STRIDE;

	if (w < 1 || w >= ETLFS_WINDOWS || !len)
		return 1;
	if (!p->source[w] || off > p->ram->host_size[w] ||
	    len > p->ram->host_size[w] - off)
		return 0;
	memcpy(p->windows + (w - 1) * ETLFS_WINDOW_STRIDE + off,
	       p->source[w] + off, len);
	if (off + len > p->used[w])
		p->used[w] = off + len;
	return 1;
}

/*
 * Bodies that came in the gateway's windows, which the child cannot map any
 * more: each is copied once it is whole, before the guest can see its ticket.
 */
static void windows_copy(struct process *p)
{
	const struct etlfs_host *h = ram_sys(p->ram, UK_HOST_BASE);

	for (unsigned i = 0; i < ETLFS_TICKETS; i++) {
		const struct etlfs_ticket *k = &h->ticket[i];
		uint32_t state = __atomic_load_n(&k->state, __ATOMIC_ACQUIRE);

		if ((state != ETLFS_DONE && state != ETLFS_FAILED) ||
		    p->copied[i] == k->gen)
			continue;
		if (window_copy(p, k->body_off, k->body_len) &&
		    window_copy(p, k->head_off, k->head_len) &&
		    window_copy(p, k->url_off, k->url_len))
			p->copied[i] = k->gen;
	}
}

static int windows_attached(const struct process *p)
{
	for (unsigned w = 1; w < ETLFS_WINDOWS; w++)
		if (p->source[w])
			return 1;
	return 0;
}

/* run */

static int too_large(struct process *p)
{
	unsigned long long size, resident, shared;
	char text[128];
	ssize_t n = pread(p->statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%llu %llu %llu", &size, &resident, &shared) == 3
	       && resident - shared > p->pages_max;
}

/* a tick: answered at once; the child's own answer, if any, comes later */
static enum tender_exit kicked(struct process *p)
{
	struct uk_out *out = ram_sys(p->ram, UK_OUT);

	p->kicked = 0;
	if (too_large(p)) {
		snprintf(p->t.broken, sizeof(p->t.broken), "more memory was "
			 "written than the limits allow");
		return TENDER_BROKEN;
	}
	if (*(volatile uint32_t *)&out->want_tick)
		signal_child(p, SIGALRM);
	/* nothing is known of where it is, so nothing is done to it there */
	p->regs.rip = BOARD_DB_RET;
	return TENDER_INTR;
}

static void send_off(struct process *p)
{
	struct proc_ro *ro = p->ro;
	const struct cpu_regs *r = &p->regs;

	switch (p->place) {
	case PARKED:
		ro->regs = *r;
		ro->iret[0] = p->kicked ? UK_STUB : r->rip;
		ro->iret[1] = 0x33;
		ro->iret[2] = r->rflags;
		ro->iret[3] = r->rsp;
		ro->iret[4] = 0x2b;
		go(p, PROC_LOAD, SEQ_RUN);
		break;
	case AT_DOORBELL:
		if (windows_attached(p))
			windows_copy(p);
		ro->rax = r->rax;
		go_on(p, PROC_RET);
		break;
	case AT_TRAP:
		ro->rip = p->enter;
		go_on(p, PROC_ENTER);
		break;
	case AT_TICK:
		ro->rip = r->rip;
		go_on(p, p->t.regs_dirty ? PROC_ENTER : PROC_BACK);
		break;
	default:
		break;
	}
	p->t.regs_dirty = 0;
	p->place = RUNNING;
}

static void facts_take(struct process *p)
{
	struct proc_rw *rw = p->rw;

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
		p->regs.rip = BOARD_DB_RET;
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

static enum tender_exit proc_run(struct tender *t)
{
	struct process *p = (struct process *)t;
	/* kicked before it began: enter, go through the doorbell, stop */
	int probe = p->place == PARKED && p->kicked, rc;

	send_off(p);
	if (probe) {
		rc = ring_soon(p);
		p->kicked = 0;
		if (rc >= 0 && told(p, rc) == TENDER_DOORBELL)
			return TENDER_INTR;
		return TENDER_BROKEN;
	}
	rc = ring_wait(p);
	if (rc == -EINTR)
		return kicked(p);
	return rc < 0 ? TENDER_BROKEN : told(p, rc);
}

static void proc_kick(struct tender *t)
{
	((struct process *)t)->kicked = 1;
}

static int proc_trap(struct tender *t, struct uk_trap *facts, uint64_t entry)
{
	struct process *p = (struct process *)t;

	if (p->cs != 0x33) {
		snprintf(t->broken, sizeof(t->broken), "exception %u in 32-bit "
			 "code at rip 0x%llx", t->vector,
			 (unsigned long long)p->regs.rip);
		return -EFAULT;
	}
	*facts = p->facts;
	p->enter = entry;
	return 0;
}

static void proc_descriptors(struct tender *t, int fd[TENDER_FDS])
{
	struct process *p = (struct process *)t;

	fd[0] = p->pidfd;
	fd[1] = p->syscall_fd;
	fd[2] = p->statm_fd;
}

/* whether it works here */

static int proc_init(struct err *err)
{
	int rc = tender_process.check(err);

	if (rc < 0)
		return rc;
	cpu_learn();
	tsc_learn();
	return 0;
}

const struct tender_ops tender_process = {
	.name = "process",
	.check = proc_check,
	.init = proc_init,
	.create = proc_create,
	.stubs = proc_stubs,
	.map = proc_map,
	.unmap = proc_unmap,
	.load = proc_load,
	.settle = proc_settle,
	.save = proc_save,
	.run = proc_run,
	.kick = proc_kick,
	.trap = proc_trap,
	.descriptors = proc_descriptors,
	.destroy = proc_destroy,
};
