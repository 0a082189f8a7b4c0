/*
 * kvm.c - the KVM tender: one VM, one vCPU that never leaves CPL 3 but for
 * the stubs
 *
 * Linux Documentation/virt/kvm/api.rst.  Registers travel in the shared
 * kvm_run page (KVM_CAP_SYNC_REGS).  KVM descriptors do not survive a fork:
 * they are destroyed before it and made anew in the clone; /dev/kvm itself
 * is opened once and inherited.
 *
 * After an `out` exit rip may be at the instruction (hardware) or behind it
 * (emulated), so a saved state never takes rip from an unfinished exit:
 * whoever saves sets rip to a known place (MACHINE_DB_RET).
 */
#include "vmm/tender/tender.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/memory/ram_ops.h"
#include "vmm/tender/kvm_cpu.h"
#include "vmm/tender/kvm_jail.h"
#include "vmm/tender/machine.h"

/* parts of one access that KVM asks for one by one, more than there are */
#define FRAGMENTS	16

/* error code of a page fault */
#define PF_WRITE	2
#define PF_USER		4

struct kvm {
	struct tender t;
	int vm, vcpu;
	struct kvm_run *run;
	struct kvm_sregs sregs;		/* all that load sets but fs, gs */
	struct ram *ram;
	uint64_t barred;		/* address of the fault to tell, or 0 */
	int barred_write;
};

/* host-wide, set by init, inherited by every fork */
static struct {
	int fd;
	int run_size;
	int events;			/* run->s.regs.events counts */
} host = { .fd = -1 };

static int xioctl(int fd, unsigned long req, void *arg)
{
	int rc = ioctl(fd, req, arg);

	return rc < 0 ? -errno : rc;
}

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM" },
	{ KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	{ KVM_CAP_XCRS, "KVM_CAP_XCRS" },
	{ KVM_CAP_XSAVE, "KVM_CAP_XSAVE" },
};

/* who may use the device, and how one becomes that */
static int device_denied(struct err *err)
{
	static const char join[] = "sudo usermod -aG";
	struct stat st = { 0 };
	struct group *g = NULL;
	unsigned mode;

	if (stat("/dev/kvm", &st) == 0 && st.st_gid)
		g = getgrgid(st.st_gid);
	mode = st.st_mode & 0777;
	if ((mode & 06) == 06)
		return err_set(err, -EACCES, "/dev/kvm: permission denied, "
			       "though its mode is %04o; look for a security "
			       "module's rule in dmesg", mode);
	if ((mode & 060) == 060 && g)
		return err_set(err, -EACCES, "/dev/kvm: permission denied; add "
			       "yourself to its group: %s %s $USER, then log "
			       "in again", join, g->gr_name);
	return err_set(err, -EACCES, "/dev/kvm: permission denied, and it is "
		       "of no group to join (mode %04o); sudo chgrp kvm "
		       "/dev/kvm && sudo chmod 660 /dev/kvm && %s kvm $USER, "
		       "then log in again", mode, join);
}

static int device_open(struct err *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return err_set(err, -errno, "no /dev/kvm; load the kvm_intel "
			       "or kvm_amd module, or enable (nested) "
			       "virtualisation");
	if (errno == EACCES)
		return device_denied(err);
	return err_set(err, -errno, "/dev/kvm: %s%s", strerror(errno),
		       errno == EPERM ? "; in a container: "
		       "--device=/dev/kvm" : "");
}

static int capabilities(int fd, struct err *err)
{
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return err_set(err, -ENOTSUP, "/dev/kvm: this kernel "
				       "lacks %s; use Linux 5.10 or newer",
				       needed[i].name);
	return 0;
}

static int kvm_check(struct err *err)
{
	int fd = device_open(err), rc = 0, vm;

	if (fd < 0)
		return fd;
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		rc = err_set(err, -ENOTSUP, "/dev/kvm: KVM of version %d does "
			     "not answer there; load the kvm_intel or kvm_amd "
			     "module", KVM_API_VERSION);
	if (rc == 0)
		rc = capabilities(fd, err);
	/* others may hold the processor's extensions, or policy forbid it */
	vm = rc == 0 ? ioctl(fd, KVM_CREATE_VM, 0) : -1;
	if (rc == 0 && vm < 0)
		rc = err_set(err, -errno, "/dev/kvm: cannot make a virtual "
			     "machine: %s; %s", strerror(errno), errno == EBUSY
			     ? "another hypervisor has the processor" :
			     "see the kernel's log, and in a container its "
			     "seccomp profile and devices");
	if (vm >= 0)
		close(vm);
	close(fd);
	return rc;
}

static int kvm_init(struct err *err)
{
	int rc;

	if (host.fd >= 0)
		return 0;
	rc = device_open(err);
	if (rc < 0)
		return rc;
	host.fd = rc;
	/* whoever hopes that it works has not asked kvm_check() */
	rc = capabilities(host.fd, err);
	if (rc < 0) {
		close(host.fd);
		host.fd = -1;
		return rc;
	}
	host.run_size = ioctl(host.fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	/* KVM_SYNC_X86_EVENTS; 0 where there are none */
	host.events = ioctl(host.fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) &
		      KVM_SYNC_X86_EVENTS;
	rc = kvm_cpu_learn(host.fd);
	if (rc < 0 || host.run_size <= 0) {
		close(host.fd);
		host.fd = -1;
		return err_set(err, rc < 0 ? rc : -EIO, "/dev/kvm: cannot read "
			       "the supported processor features");
	}
	return 0;
}

static void kvm_destroy(struct tender *t)
{
	struct kvm *k = (struct kvm *)t;

	if (!k)
		return;
	if (k->run)
		munmap(k->run, (size_t)host.run_size);
	if (k->vcpu >= 0)
		close(k->vcpu);
	if (k->vm >= 0)
		close(k->vm);
	free(k);
}

/* only once memory is mapped: changing slots under a vCPU is slower */
static int vcpu_create(struct kvm *k)
{
	k->vcpu = xioctl(k->vm, KVM_CREATE_VCPU, NULL);
	if (k->vcpu < 0)
		return k->vcpu;
	fcntl(k->vcpu, F_SETFD, FD_CLOEXEC);
	k->run = mmap(NULL, (size_t)host.run_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, k->vcpu, 0);
	if (k->run == MAP_FAILED) {
		k->run = NULL;
		return -errno;
	}
	k->t.regs = (struct cpu_regs *)&k->run->s.regs.regs;
	k->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	return kvm_cpu_init(k->vcpu, &k->sregs);
}

static int kvm_create(struct tender **out, struct ram *ram, struct err *err)
{
	struct kvm *k = calloc(1, sizeof(*k));
	int rc;

	if (!k)
		return -ENOMEM;
	k->vm = k->vcpu = -1;
	rc = k->vm = xioctl(host.fd, KVM_CREATE_VM, NULL);
	if (rc < 0) {
		kvm_destroy(&k->t);
		return err_set(err, rc, "cannot make a virtual machine: %s",
			       strerror(-rc));
	}
	fcntl(k->vm, F_SETFD, FD_CLOEXEC);
	k->t.ops = &tender_kvm;
	k->ram = ram;
	ram->ops = &ram_local_ops;
	*out = &k->t;
	return 0;
}

static int kvm_map(struct tender *t, unsigned slot, uint64_t addr,
		   uint64_t len, void *p, int readonly)
{
	struct kvm *k = (struct kvm *)t;
	struct kvm_userspace_memory_region r = {
		.slot = slot, .flags = readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = addr, .memory_size = len,
		.userspace_addr = (uintptr_t)p,
	};

	return xioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static int kvm_unmap(struct tender *t, unsigned slot, uint64_t addr)
{
	struct kvm *k = (struct kvm *)t;
	struct kvm_userspace_memory_region r = { .slot = slot };

	return xioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &r);
}

/*
 * What a request left pending is not the next one's: after `mov ss` and `out`
 * with TF set, for example, an interrupt shadow and a debug exception, with
 * which the processor refuses to enter a guest whose TF is clear.
 */
static void events_clear(struct kvm *k)
{
	if (!host.events)
		return;
	k->run->s.regs.events = (struct kvm_vcpu_events){
		.flags = KVM_VCPUEVENT_VALID_SHADOW,
	};
	k->run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
}

static int kvm_load(struct tender *t, const struct cpu_state *s)
{
	struct kvm *k = (struct kvm *)t;
	int rc = k->vcpu < 0 ? vcpu_create(k) : 0;

	if (rc < 0)
		return rc;
	/* general and special registers go in with the next run */
	memcpy(&k->run->s.regs.regs, &s->regs, sizeof(s->regs));
	k->run->s.regs.sregs = k->sregs;
	k->run->s.regs.sregs.fs.base = s->fs_base;
	k->run->s.regs.sregs.gs.base = s->gs_base;
	k->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	events_clear(k);
	t->regs_dirty = 1;
	return xioctl(k->vcpu, KVM_SET_XSAVE, (void *)s->xsave);
}

static int kvm_save(struct tender *t, struct cpu_state *s)
{
	struct kvm *k = (struct kvm *)t;
	struct kvm_sregs sregs;
	int rc = xioctl(k->vcpu, KVM_GET_SREGS, &sregs);

	if (rc < 0)
		return rc;
	memcpy(&s->regs, &k->run->s.regs.regs, sizeof(s->regs));
	s->fs_base = sregs.fs.base;
	s->gs_base = sregs.gs.base;
	s->xcr0 = tender_cpu.xcr0;
	return xioctl(k->vcpu, KVM_GET_XSAVE, s->xsave);
}

static enum tender_exit broken(struct kvm *k)
{
	struct kvm_run *run = k->run;
	char *to = k->t.broken;
	size_t len = sizeof(k->t.broken);
	unsigned long long rip = run->s.regs.regs.rip;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		snprintf(to, len, "access to address 0x%llx, outside its "
			 "memory, at rip 0x%llx",
			 (unsigned long long)run->mmio.phys_addr, rip);
		break;
	case KVM_EXIT_IO:
		snprintf(to, len, "unknown port 0x%x at rip 0x%llx",
			 run->io.port, rip);
		break;
	case KVM_EXIT_SHUTDOWN:
		snprintf(to, len, "triple fault at rip 0x%llx", rip);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(to, len, "KVM internal error %u at rip 0x%llx",
			 run->internal.suberror, rip);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(to, len, "KVM entry failure 0x%llx",
			 (unsigned long long)run->fail_entry
			 .hardware_entry_failure_reason);
		break;
	default:
		snprintf(to, len, "unknown exit %u at rip 0x%llx",
			 run->exit_reason, rip);
	}
	return TENDER_BROKEN;
}

/*
 * A processor that does not honour the I/O bitmap (QEMU's emulated AMD-V
 * wants another type of TSS) answers the stub's `out` with #GP.  That is the
 * doorbell all the same: make the vCPU look as if it had rung.
 */
static int refused_doorbell(struct kvm *k)
{
	struct cpu_regs *r = k->t.regs;
	struct kvm_sregs *s = &k->run->s.regs.sregs;
	uint64_t frame[6];

	if (k->t.vector != 13 || r->rsp != MACHINE_RSP0 - 48)
		return 0;
	/* error code, rip, cs, rflags, rsp, ss */
	memcpy(frame, ram_sys(k->ram, r->rsp), sizeof(frame));
	if (frame[0] != 0 || frame[1] != UK_STUB || frame[2] != 0x33 ||
	    xioctl(k->vcpu, KVM_GET_SREGS, s) < 0)
		return 0;
	s->cs = k->sregs.cs;
	s->ss = k->sregs.ss;
	k->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	r->rip = MACHINE_DB_RET;
	r->rflags = frame[3] & ~(uint64_t)(1u << 16);	/* RF, set by faults */
	r->rsp = frame[4];
	k->t.regs_dirty = 1;
	return 1;
}

static enum tender_exit io_exit(struct kvm *k)
{
	unsigned port = k->run->io.port;

	if (k->run->io.direction != KVM_EXIT_IO_OUT || k->run->io.count != 1)
		return broken(k);
	if (port == UK_PORT_DB)
		return TENDER_DOORBELL;
	if (port >= UK_PORT_TRAP && port < UK_PORT_TRAP + 32) {
		k->t.vector = port - UK_PORT_TRAP;
		return refused_doorbell(k) ? TENDER_DOORBELL : TENDER_TRAP;
	}
	return broken(k);
}

/*
 * Page tables cover the arenas whole, whatever the limits.  An address that
 * these could let an arena have ends the guest, which has not asked for it; of
 * one beyond that the program hears by a page fault, as of any other that is no
 * memory.
 *
 * KVM has begun to emulate the access: it ends with the next entry, and what
 * that makes of the registers is undone.  0 where it does not end (rep), or it
 * is no such address.  rip may be behind an instruction that stores.
 */
static int barred(struct kvm *k)
{
	struct cpu_regs at = *k->t.regs;
	struct kvm_run *run = k->run;
	uint64_t addr = run->mmio.phys_addr;
	int rc = 0, write = run->mmio.is_write;

	if (!ram_beyond(k->ram, addr) ||
	    xioctl(k->vcpu, KVM_GET_SREGS, &run->s.regs.sregs) < 0 ||
	    run->s.regs.sregs.cs.selector != 0x33)
		return 0;
	for (int i = 0; i < FRAGMENTS && rc == 0; i++) {
		run->immediate_exit = 1;
		rc = xioctl(k->vcpu, KVM_RUN, NULL);
		if (rc == 0 && run->exit_reason != KVM_EXIT_MMIO)
			break;
	}
	run->immediate_exit = 0;
	if (rc != -EINTR)
		return 0;
	*k->t.regs = at;
	k->t.vector = 14;
	k->barred = addr;
	k->barred_write = write;
	return 1;
}

static enum tender_exit kvm_run(struct tender *t)
{
	struct kvm *k = (struct kvm *)t;
	struct kvm_run *run = k->run;
	int rc;

	for (;;) {
		if (t->regs_dirty) {
			run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
			t->regs_dirty = 0;
		}
		rc = ioctl(k->vcpu, KVM_RUN, 0);
		t->exits++;
		if (rc < 0) {
			if (errno == EAGAIN)
				continue;
			run->immediate_exit = 0;
			if (errno == EINTR)
				return TENDER_INTR;
			snprintf(t->broken, sizeof(t->broken), "KVM_RUN: %s",
				 strerror(errno));
			return TENDER_BROKEN;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			return io_exit(k);
		case KVM_EXIT_INTR:
			return TENDER_INTR;
		case KVM_EXIT_MMIO:
			return barred(k) ? TENDER_TRAP : broken(k);
		default:
			return broken(k);
		}
	}
}

/*
 * The only code that runs is the stub's.  What it is told by, and what an
 * exception would leave, is dropped: memory is the snapshot's as before.
 */
static void kvm_touch(struct tender *t, const uint32_t *page, size_t n)
{
	struct kvm *k = (struct kvm *)t;

	if (machine_touch(k->ram, t->regs, page, n)) {
		t->regs_dirty = 1;
		kvm_run(t);
	}
	madvise(ram_sys(k->ram, UK_LOG), UK_LOG_SIZE, MADV_DONTNEED);
	madvise(ram_sys(k->ram, UK_SUPSTACK), UK_PAGE, MADV_DONTNEED);
}

static void kvm_kick(struct tender *t)
{
	((struct kvm *)t)->run->immediate_exit = 1;
}

static uint64_t kvm_fault_address(struct tender *t)
{
	struct kvm *k = (struct kvm *)t;
	struct kvm_sregs sregs;

	return xioctl(k->vcpu, KVM_GET_SREGS, &sregs) < 0 ? 0 : sregs.cr2;
}

/* as machine_trap(), but no gate was called */
static void barred_trap(struct kvm *k, struct uk_trap *facts, uint64_t entry)
{
	struct cpu_regs *r = k->t.regs;

	*facts = (struct uk_trap){
		.vector = 14, .error = PF_USER | (k->barred_write ? PF_WRITE : 0),
		.cr2 = k->barred, .at = { r->rip, r->rsp, r->rflags },
	};
	r->rip = entry;
	r->rsp = 0;
	r->rflags = 0x202;
	k->barred = 0;
	k->t.regs_dirty = 1;
}

static int kvm_trap(struct tender *t, struct uk_trap *facts, uint64_t entry)
{
	struct kvm *k = (struct kvm *)t;
	int rc;

	if (k->barred) {
		barred_trap(k, facts, entry);
		return 0;
	}
	rc = machine_trap(k->ram, t->regs, t->vector, facts, entry,
			  t->broken, sizeof(t->broken));
	if (rc == 0 && t->vector == 14)
		facts->cr2 = kvm_fault_address(t);
	t->regs_dirty = 1;
	return rc;
}

static void kvm_descriptors(struct tender *t, int fd[TENDER_FDS])
{
	fd[0] = ((struct kvm *)t)->vm;
	fd[1] = ((struct kvm *)t)->vcpu;
	for (int i = 2; i < TENDER_FDS; i++)
		fd[i] = -1;
}

const struct tender_ops tender_kvm = {
	.name = "kvm",
	.jail = &kvm_jail,
	.check = kvm_check,
	.init = kvm_init,
	.create = kvm_create,
	.stubs = machine_stubs,
	.map = kvm_map,
	.unmap = kvm_unmap,
	.load = kvm_load,
	.save = kvm_save,
	.run = kvm_run,
	.touch = kvm_touch,
	.kick = kvm_kick,
	.trap = kvm_trap,
	.descriptors = kvm_descriptors,
	.destroy = kvm_destroy,
};
