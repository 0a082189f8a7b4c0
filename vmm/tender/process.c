/*
 * process.c - the process tender: a guest in a locked child, no /dev/kvm
 *
 * The same image, the same libOS; what a virtual machine gives elsewhere is
 * here an address space of its own and a seccomp filter (process_child.c).
 * Isolation is the host kernel's: usetl-isolation(7).
 *
 * What the child tells (struct process_rw) is hostile.  For a rollback the
 * tender trusts nothing of it but where /proc/PID/syscall says that it sleeps
 * (process_stub.S): settle() first sees it asleep at process_wait, sends it to
 * process_parked, and sees it there.
 */
#include "vmm/tender/process_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/tender/hostclock.h"
#include "vmm/tender/machine.h"

volatile sig_atomic_t process_child_ended;

/* a signal to us, so that a wait for the child's futex ends with the child */
static void on_child(int sig)
{
	process_child_ended = 1;
}

static void process_stubs(struct ram *ram)
{
	memcpy(ram_sys(ram, UK_STUB), process_stub,
	       (size_t)(process_stub_end - process_stub));
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

/*
 * In a clone, what lies beyond the snapshot's spans: a hole of the snapshot
 * would be filled by whoever reads there, and stay so.  Small pages, because
 * one touch of a large one is 512 pages to restore.
 */
static int beyond_map(struct ram *ram)
{
	for (int i = 0; ram->snap && i < UK_ARENAS; i++) {
		const struct ram_window *w = &ram->win[i];
		void *at = ram_sys(ram, w->base + w->sealed);
		uint64_t len = w->cap - w->sealed;

		if (!len)
			continue;
		if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
		    MAP_FAILED)
			return -errno;
		madvise(at, len, MADV_NOHUGEPAGE);
	}
	return 0;
}

static void ro_init(struct process *p)
{
	const struct uk_header *h = machine_header();
	struct process_ro *ro = p->ro;

	memset(ro, 0, sizeof(*ro));
	ro->seq = SEQ_PARK;
	ro->syscall = h->syscall;
	ro->text = h->text;
	ro->text_end = h->text_end;
	ro->xmask = tender_cpu.xcr0;
	process_filter_set(ro);
}

static int process_create(struct tender **out, struct ram *ram, struct err *err)
{
	struct process *p = calloc(1, sizeof(*p));
	struct sigaction sa = { .sa_handler = on_child };
	int rc;

	if (!p)
		return -ENOMEM;
	p->t.ops = &tender_process;
	p->t.regs = &p->regs;
	p->ram = ram;
	p->pid = p->pidfd = p->syscall_fd = p->statm_fd = -1;
	p->status_fd = -1;
	p->windows_fd = -1;
	process_pin_init(p);
	process_child_ended = 0;
	sigaction(SIGCHLD, &sa, NULL);
	p->remote = (struct ram_remote){
		.orders = &process_orders, .stat = -1, .mem = -1,
		.shared = PROC_SHARED, .shared_end = PROC_SHARED_END,
	};
	rc = shared_map(p);
	if (rc == 0)
		rc = beyond_map(ram);
	if (rc == 0)
		rc = process_windows_create(p);
	if (rc < 0) {
		p->t.ops->destroy(&p->t);
		return err_set(err, rc, "cannot make a guest's process: %s",
			       strerror(-rc));
	}
	p->ro = ram_sys(ram, PROC_RO);
	p->rw = ram_sys(ram, PROC_RW);
	process_shared_restore(p);
	ro_init(p);
	*out = &p->t;
	return 0;
}

static void process_descriptors(struct tender *t, int fd[TENDER_FDS])
{
	struct process *p = (struct process *)t;

	fd[0] = p->pidfd;
	fd[1] = p->syscall_fd;
	fd[2] = p->statm_fd;
	fd[3] = p->windows_fd;
	fd[4] = p->status_fd;
	fd[5] = p->remote.stat;
	fd[6] = p->remote.mem;
}

static void process_destroy(struct tender *t)
{
	struct process *p = (struct process *)t;
	int fd[TENDER_FDS];

	if (!p)
		return;
	if (p->pid > 0) {
		process_signal(p, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	ram_remote_end(p->ram, &p->remote);
	signal(SIGCHLD, SIG_IGN);
	if (p->windows)
		munmap(p->windows, WINDOWS_SIZE);
	process_descriptors(t, fd);
	for (int i = 0; i < TENDER_FDS; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	free(p);
}

static int child_start(struct process *p, const struct tender_wait *w)
{
	struct process_child c = {
		.ram = p->ram, .wait = w,
		.windows = p->windows, .windows_size = WINDOWS_SIZE,
	};
	int rc;

	atomic_store(&p->rw->ring, 0);
	rc = process_child_start(&c, &p->pidfd);
	if (rc < 0)
		return rc;
	p->pid = rc;
	return 0;
}

/* it has left this program */
static int child_up(struct process *p)
{
	int rc = process_ring_soon(p);

	if (rc == PROC_CLEAN)
		return 0;
	if (rc == PROC_FAILED)
		return (int)p->rw->regs.rax ? (int)p->rw->regs.rax : -EIO;
	return rc < 0 && p->rw->kind == PROC_FAILED &&
	       (int)p->rw->regs.rax < 0 ? (int)p->rw->regs.rax : -EIO;
}

static int child_reach(struct process *p)
{
	int rc = fd_open(p, "syscall", &p->syscall_fd);

	if (rc == 0)
		rc = fd_open(p, "statm", &p->statm_fd);
	if (rc == 0)
		rc = fd_open(p, "status", &p->status_fd);
	p->t.remote = p->remote.pid = p->pid;
	ram_remote_begin(p->ram, &p->remote);
	return rc;
}

/* what the child lays by itself must leave that to this process */
static void keep_apart(struct ram *ram)
{
	ram->apart = PROC_SHARED;
	ram->apart_end = PROC_SHARED_END;
}

/* all that was mapped so far goes to the child; nothing can be added */
static int child_create(struct process *p)
{
	int rc;

	keep_apart(p->ram);
	rc = child_start(p, NULL);
	if (rc == 0)
		rc = child_up(p);
	return rc == 0 ? child_reach(p) : rc;
}

static int process_stand(struct tender *t, const struct tender_wait *w)
{
	struct process *p = (struct process *)t;
	int rc;

	p->ram->waits = 1;
	keep_apart(p->ram);
	rc = child_start(p, w);
	return rc == 0 ? child_reach(p) : rc;
}

/* what was placed, as the child has mapped it */
static void last_note(struct process *p)
{
	uint32_t to;

	ram_delta_extent(&p->ram->delta[p->ram->deltas - 1], &p->last_from,
			 &to);
	p->last = 1;
}

static int process_load(struct tender *t, const struct cpu_state *s)
{
	struct process *p = (struct process *)t;
	int rc = 0;

	if (p->pid < 0 || p->ram->waits) {
		rc = p->ram->waits ? child_up(p) : child_create(p);
		if (rc == 0 && p->ram->waits)
			last_note(p);
		p->ram->waits = 0;
		p->ram->apart = p->ram->apart_end = 0;
		/* late: it may have to wait for it, less the later it is */
		if (!tender_cpu.tsc_khz)
			tender_cpu.tsc_khz = hostclock_khz();
		if (rc == 0)
			rc = process_new(p);
	} else if (p->place != PARKED) {
		rc = -EPROTO;
	}
	process_unpin(t);
	if (rc < 0)
		return rc;
	p->woken = 0;
	p->regs = s->regs;
	p->ro->fs = s->fs_base;
	p->ro->gs = s->gs_base;
	memcpy(ram_sys(p->ram, PROC_LOAD_AREA), s->xsave, sizeof(s->xsave));
	t->regs_dirty = 0;
	return 0;
}

/* at a doorbell: what it will be when that returns */
static int process_save(struct tender *t, struct cpu_state *s)
{
	struct process *p = (struct process *)t;
	int rc;

	if (p->place != AT_DOORBELL)
		return -EPROTO;
	s->regs = p->regs;
	s->fs_base = p->rw->fs;
	s->gs_base = p->rw->gs;
	s->xcr0 = tender_cpu.xcr0;
	process_go_on(p, PROC_SAVE);
	rc = process_ring_soon(p);
	if (rc != PROC_SAVED)
		return rc < 0 ? rc : -EPROTO;
	p->place = AT_DOORBELL;
	memcpy(s->xsave, ram_sys(p->ram, PROC_SAVE_AREA), sizeof(s->xsave));
	return 0;
}

const struct tender_ops tender_process = {
	.name = "process",
	.jail = &process_jail,
	.check = process_check,
	.init = process_init,
	.create = process_create,
	.stubs = process_stubs,
	.map = process_map,
	.unmap = process_unmap,
	.load = process_load,
	.stand = process_stand,
	.lays = 1,
	.settle = process_settle,
	.save = process_save,
	.verify = process_verify,
	.rest = process_rest,
	.run = process_run,
	.kick = process_kick,
	.idle = process_unpin,
	.locate = process_locate,
	.trap = process_trap,
	.descriptors = process_descriptors,
	.destroy = process_destroy,
};
