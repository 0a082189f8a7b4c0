/*
 * jail.c - the system calls of a clone's process, each with its reason
 *
 * Those that only one tender needs come from it (jail_rule.h).  Nothing here
 * opens, connects, forks or executes.  A call that is not in the list kills the
 * process; the gateway sees its socket close and clones again.
 */
#include "vmm/jail/jail_impl.h"
#include "vmm/memory/pagemap.h"

#include <errno.h>
#include <fcntl.h>
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

static const struct jail_rule clone_rules[] = {
	JAIL_CALL(recvmsg),		/* messages from the gateway */
	JAIL_CALL(sendmsg),		/* results, fetches, logs */
	JAIL_CALL(ppoll),		/* DB_WAIT; is the gateway there? */
	JAIL_CALL(pread64),		/* pagemap, for the rollback */
	JAIL_CALL(getrusage),		/* have there been faults since? */
	JAIL_CALL(madvise),		/* drop or populate pages */
	JAIL_CALL(munmap),		/* allocator; host windows */
	JAIL_CALL(mremap),		/* allocator: the page list grows */
	JAIL_CALL(brk),			/* allocator */
	JAIL_CALL(fstat),		/* size of a host window */
	JAIL_CALL(ftruncate),		/* of a memfd, for MSG_SNAPSHOT */
	JAIL_CALL(newfstatat),		/* the same, as glibc 2.33 asks */
	JAIL_CALL(close),		/* a host window's descriptor */
	JAIL_CALL(setitimer),		/* the tick */
	JAIL_CALL(clock_gettime),	/* where the vDSO cannot */
	JAIL_CALL(getrandom),		/* a guest's seed */
	JAIL_CALL(rt_sigreturn),	/* from the tick's handler */
	JAIL_CALL(restart_syscall),	/* the kernel's own, after a signal */
	JAIL_CALL(exit_group),		/* the end */
	/* what was a shell is a clone, to people who look at processes */
	JAIL_ARG(prctl, 0, PR_SET_NAME),
	/* host windows read-only, allocator's memory; never executable */
	JAIL_BITS(mmap, 2, PROT_EXEC, 0),
	JAIL_ARG(ioctl, 1, PAGEMAP_SCAN_CALL),
};

/*
 * What a build with sanitizers does beyond that, which is for tests only: it
 * says what was found, and where, before the process ends.
 */
static const struct jail_rule report_rules[] = {
#ifdef USETL_SANITIZE
	JAIL_ARG(write, 0, STDERR_FILENO),
	JAIL_ARG(ioctl, 1, TCGETS),	/* in colour? */
	JAIL_CALL(sigaltstack),		/* which stack is this? */
	JAIL_CALL(getpid),
	JAIL_CALL(gettid),
	JAIL_CALL(futex),
	JAIL_CALL(sched_yield),
	JAIL_CALL(rt_sigaction),
	JAIL_CALL(rt_sigprocmask),
	/* the program's symbols, where Landlock is not in the way */
	JAIL_BITS(open, 1, (uint32_t)~O_CLOEXEC, O_RDONLY),
	JAIL_BITS(openat, 2, (uint32_t)~O_CLOEXEC, O_RDONLY),
	JAIL_CALL(read),
	JAIL_CALL(lseek),
	JAIL_CALL(readlink),
#endif
};

static int rule_add(scmp_filter_ctx f, const struct jail_rule *r)
{
	struct scmp_arg_cmp c = {
		.arg = r->arg, .op = SCMP_CMP_EQ, .datum_a = r->value,
	};

	if (r->mask != UINT64_MAX) {
		c.op = SCMP_CMP_MASKED_EQ;
		c.datum_a = r->mask;
		c.datum_b = r->value;
	}
	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, r->nr, r->mask != 0,
				      &c);
}

static int list_add(scmp_filter_ctx f, const struct jail_list *l)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = rule_add(f, &l->rule[i]);
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

int jail_compile(struct jail *j, const struct jail_list list[], unsigned lists,
		 uint32_t otherwise, struct err *err)
{
	const struct jail_list reports = JAIL_LIST(report_rules);
	scmp_filter_ctx f = seccomp_init(otherwise);
	int rc = f ? 0 : -ENOMEM;

	memset(j, 0, sizeof(*j));
	/* 32-bit and x32 calls: not known here, so not allowed either */
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, otherwise);
	for (unsigned i = 0; rc == 0 && i < lists; i++)
		rc = list_add(f, &list[i]);
	if (rc == 0)
		rc = list_add(f, &reports);
	if (rc == 0)
		rc = program_take(j, f);
	if (f)
		seccomp_release(f);
	return rc == 0 ? 0 : err_set(err, rc, "cannot make the seccomp "
				     "filter: %s", strerror(-rc));
}

int jail_prepare(struct jail *j, const struct tender_ops *ops, struct err *err)
{
	const struct jail_list list[] = {
		JAIL_LIST(clone_rules), ops->jail->clone,
	};

	return jail_compile(j, list, 2, SCMP_ACT_KILL_PROCESS, err);
}

/* in this process's own copy; a number that is none's where there is none */
static void remote_set(const struct jail *j, pid_t remote)
{
	for (unsigned i = 0; i < j->prog.len; i++)
		if (BPF_CLASS(j->prog.filter[i].code) == BPF_JMP &&
		    j->prog.filter[i].k == JAIL_REMOTE)
			j->prog.filter[i].k = remote > 0 ? (uint32_t)remote :
					      UINT32_MAX;
}

int jail_lock(const struct jail *j, pid_t remote)
{
	remote_set(j, remote);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &j->prog) < 0)
		return -errno;
	return 0;
}

int jail_close_others(unsigned from, const int *keep, int n)
{
	for (;;) {
		unsigned next = ~0u;

		for (int i = 0; i < n; i++)
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next != from && syscall(SYS_close_range, from,
				next == ~0u ? ~0u : next - 1, 0) < 0)
			return -errno;
		if (next == ~0u)
			return 0;
		from = next + 1;
	}
}
