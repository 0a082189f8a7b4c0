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
#include "vmm/process_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmm/board.h"

#define LOOK_NS		50000000	/* how often to see if it is alive */
/* what a guest may touch beyond its limits before a tick finds it out */
#define SLACK_PAGES	4096u

static long futex(_Atomic uint32_t *at, int op, uint32_t val,
		  const struct timespec *timeout)
{
	long rc = syscall(SYS_futex, at, op, val, timeout, NULL, 0);

	return rc < 0 ? -errno : rc;
}

uint64_t proc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* the child's end */

int proc_dead(struct process *p)
{
	int status = 0;

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

void proc_go(struct process *p, uint32_t mode, uint32_t seq)
{
	p->ro->mode = mode;
	atomic_store(&p->ro->seq, seq);
	futex(&p->ro->seq, FUTEX_WAKE, 1, NULL);
}

static void go_on(struct process *p, uint32_t mode)
{
	uint32_t seq = atomic_load(&p->ro->seq) + 1;

	proc_go(p, mode, seq < SEQ_RUN ? SEQ_RUN : seq);
	p->place = RUNNING;
}

/* until the child rings: its kind; -EINTR when we were kicked, -ESRCH when it
   has ended, -ETIMEDOUT */
static int ring_wait(struct process *p, uint64_t until)
{
	struct timespec look = { 0, LOOK_NS };

	while (!atomic_load(&p->rw->ring)) {
		if (p->kicked)
			return -EINTR;
		if (futex(&p->rw->ring, FUTEX_WAIT, 0, &look) == 0 ||
		    atomic_load(&p->rw->ring))
			continue;
		if (proc_dead(p))
			return -ESRCH;
		if (proc_now() > until)
			return -ETIMEDOUT;
	}
	atomic_store(&p->rw->ring, 0);
	return (int)*(volatile uint32_t *)&p->rw->kind;
}

/* the child's answer to an order of ours that takes no time */
static int ring_soon(struct process *p)
{
	uint64_t until = proc_now() + SETTLE_NS;
	int rc;

	do {
		p->kicked = 0;
		rc = ring_wait(p, until);
	} while (rc == -EINTR && proc_now() < until);
	return rc;
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
		rc = proc_windows_create(p);
	if (rc < 0) {
		p->t.ops->destroy(&p->t);
		return err_set(err, rc, "cannot make a guest's process: %s",
			       strerror(-rc));
	}
	p->ro = ram_sys(ram, PROC_RO);
	p->rw = ram_sys(ram, PROC_RW);
	proc_shared_restore(p);
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

static void send_off(struct process *p, int probe)
{
	struct proc_ro *ro = p->ro;
	const struct cpu_regs *r = &p->regs;

	switch (p->place) {
	case PARKED:
		ro->regs = *r;
		ro->iret[0] = probe ? UK_STUB : r->rip;
		ro->iret[1] = 0x33;
		ro->iret[2] = r->rflags;
		ro->iret[3] = r->rsp;
		ro->iret[4] = 0x2b;
		proc_go(p, PROC_LOAD, SEQ_RUN);
		break;
	case AT_DOORBELL:
		proc_windows_copy(p);
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

	send_off(p, probe);
	if (probe) {
		rc = ring_soon(p);
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
