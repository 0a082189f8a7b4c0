/*
 * jail.c - the system calls of a clone's process, each with its reason
 *
 * Nothing here opens, connects, forks or executes.  A call that is not in
 * the list kills the process; the gateway sees its socket close and clones
 * again.
 */
#include "vmm/jail.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int allowed[] = {
	SCMP_SYS(recvmsg),		/* messages from the gateway */
	SCMP_SYS(sendmsg),		/* results, fetches, logs */
	SCMP_SYS(ppoll),		/* DB_WAIT */
	SCMP_SYS(pread64),		/* pagemap, for the rollback */
	SCMP_SYS(getrusage),		/* have there been faults since? */
	SCMP_SYS(madvise),		/* drop or populate pages */
	SCMP_SYS(munmap),		/* allocator; host windows */
	SCMP_SYS(mremap),		/* allocator: the page list grows */
	SCMP_SYS(brk),			/* allocator */
	SCMP_SYS(fstat),		/* size of a host window */
	SCMP_SYS(newfstatat),		/* the same, as glibc 2.33 asks */
	SCMP_SYS(close),		/* a host window's descriptor */
	SCMP_SYS(setitimer),		/* the tick */
	SCMP_SYS(clock_gettime),	/* where the vDSO cannot */
	SCMP_SYS(getrandom),		/* a guest's seed */
	SCMP_SYS(rt_sigreturn),		/* from the tick's handler */
	SCMP_SYS(restart_syscall),	/* the kernel's own, after a signal */
	SCMP_SYS(exit_group),		/* the end */
};

/* of a process tender only */
static const int allowed_process[] = {
	SCMP_SYS(futex),		/* wake the child, wait for it */
	SCMP_SYS(wait4),		/* has it died? */
	SCMP_SYS(pidfd_send_signal),	/* a tick; the one pidfd is its own */
	SCMP_SYS(sched_yield),		/* until it sleeps */
};

/* and these of the one process, whose number is filled in at the lock */
static const int allowed_remote[] = {
	SCMP_SYS(process_vm_readv),	/* results, requests */
	SCMP_SYS(process_vm_writev),	/* rollback */
};
#define REMOTE_PID	0x7e5d1a11u

static const unsigned long ioctls[] = {
	KVM_RUN,			/* run the guest */
	KVM_SET_USER_MEMORY_REGION,	/* DB_GROW, host windows */
	KVM_GET_SREGS,			/* fault address, verify */
	KVM_SET_XSAVE,			/* rollback of vector state */
	KVM_GET_XSAVE,			/* verify */
	_IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 96), /* PAGEMAP_SCAN */
};

static int rules_process(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(allowed_process) / sizeof(int);
	     i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed_process[i], 0);
	for (size_t i = 0; rc == 0 && i < sizeof(allowed_remote) / sizeof(int);
	     i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed_remote[i], 1,
				      SCMP_A0(SCMP_CMP_EQ, REMOTE_PID));
	return rc;
}

static int rules_add(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(allowed) / sizeof(int); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; rc == 0 && i < sizeof(ioctls) / sizeof(ioctls[0]);
	     i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	/* host windows read-only, allocator's memory; never executable */
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC,
					      0));
	return rc;
}

/* the compiled program, out of libseccomp by way of a memfd */
static int program_take(struct jail *j, scmp_filter_ctx f)
{
	int fd = memfd_create("usetl-jail", MFD_CLOEXEC), rc = -ENOMEM;
	struct stat st;
	void *p = NULL;

	if (fd < 0)
		return -errno;
	if (seccomp_export_bpf(f, fd) < 0 || fstat(fd, &st) < 0 ||
	    st.st_size % (off_t)sizeof(struct sock_filter)) {
		rc = -EIO;
		goto out;
	}
	p = malloc((size_t)st.st_size);
	if (!p)
		goto out;
	if (pread(fd, p, (size_t)st.st_size, 0) != st.st_size) {
		rc = -EIO;
		goto out;
	}
	j->prog.filter = p;
	j->prog.len = (unsigned short)((size_t)st.st_size /
				       sizeof(struct sock_filter));
	p = NULL;
	rc = 0;
out:
	free(p);
	close(fd);
	return rc;
}

int jail_prepare(struct jail *j, const struct tender_ops *ops, struct err *err)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = f ? 0 : -ENOMEM;

	memset(j, 0, sizeof(*j));
	if (rc == 0)
		rc = rules_add(f);
	if (rc == 0 && ops == &tender_process)
		rc = rules_process(f);
	if (rc == 0)
		rc = program_take(j, f);
	if (f)
		seccomp_release(f);
	return rc == 0 ? 0 : err_set(err, rc, "cannot make the seccomp "
				     "filter: %s", strerror(-rc));
}

/* in this process's own copy; a number that is none's where there is none */
static void remote_set(const struct jail *j, pid_t remote)
{
	for (unsigned i = 0; i < j->prog.len; i++)
		if (BPF_CLASS(j->prog.filter[i].code) == BPF_JMP &&
		    j->prog.filter[i].k == REMOTE_PID)
			j->prog.filter[i].k = remote > 0 ? (uint32_t)remote :
					      UINT32_MAX;
}

int jail_lock(const struct jail *j, uid_t uid, pid_t remote)
{
	remote_set(j, remote);
	if (uid && (setresgid(uid, uid, uid) < 0 ||
		    setresuid(uid, uid, uid) < 0))
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &j->prog) < 0)
		return -errno;
	return 0;
}

void jail_close_others(const int *keep, int n)
{
	unsigned from = 3;

	for (;;) {
		unsigned next = ~0u;

		for (int i = 0; i < n; i++)
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next != from)
			syscall(SYS_close_range, from,
				next == ~0u ? ~0u : next - 1, 0);
		if (next == ~0u)
			return;
		from = next + 1;
	}
}
