/*
 * jail_ref.c - what a reference may do from before its guest's first
 * instruction, and whoever it forks with it
 *
 * It boots, freezes, forks clones, and each of these makes a machine of its
 * own, so this list is longer than a clone's.  Nothing in it connects,
 * executes, writes files, mounts, traces, or signals by number.  Two things
 * a filter cannot see, which file is opened and whose memory is reached,
 * Landlock confines: to /proc, and to processes forked from here.
 *
 * A call that is not in the list ends the process; or answers EPERM, where a
 * guest's process inherits the filter (jail_rule.h).  What only one tender
 * needs comes from it.
 */
#include "vmm/jail/jail_impl.h"
#include "vmm/memory/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* of _Fork(), by the C library; threads and namespaces have other flags */
#define FORK_FLAGS	(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)

static const struct jail_rule ref_rules[] = {
	/* the gateway */
	JAIL_CALL(recvmsg),		/* its orders, to us and to clones */
	JAIL_CALL(sendmsg),		/* READY, results, fetches, logs */
	JAIL_CALL(poll),		/* for an order, or a quiet moment */
	JAIL_CALL(ppoll),		/* DB_WAIT; is the gateway there? */
	/* clones */
	JAIL_ARG(clone, 0, FORK_FLAGS),
	JAIL_CALL(set_robust_list),	/* the C library's, after a fork */
	JAIL_ARG(prctl, 0, PR_SET_NAME),
	JAIL_ARG(prctl, 0, PR_SET_DUMPABLE), /* /proc/self is its own */
	JAIL_ARG(prctl, 0, PR_SET_NO_NEW_PRIVS),
	/* its own, stricter filter, on top of this one */
	JAIL_ARG(seccomp, 0, SECCOMP_SET_MODE_FILTER),
	/* pagemap; a child's syscall, stat, statm: never to write */
	JAIL_BITS(openat, 2, (uint32_t)~O_CLOEXEC, O_RDONLY),
	JAIL_CALL(pread64),		/* from them */
	JAIL_CALL(close),
	JAIL_CALL(close_range),		/* all but what a clone uses */
	JAIL_CALL(getrusage),		/* have there been faults since? */
	/* memory: never executable */
	JAIL_BITS(mmap, 2, PROT_EXEC, 0), /* windows, snapshot, RAM over it */
	JAIL_CALL(munmap),
	JAIL_CALL(mremap),		/* allocator: the page list grows */
	JAIL_CALL(brk),			/* allocator */
	JAIL_CALL(madvise),		/* collapse, populate, drop */
	JAIL_CALL(ftruncate),		/* of a memfd: a snapshot's, a window's */
	JAIL_CALL(lseek),		/* where the snapshot has pages */
	JAIL_CALL(fstat),		/* its size; a window's */
	JAIL_CALL(newfstatat),		/* the same, as glibc 2.33 asks */
	JAIL_ARG(fcntl, 1, F_ADD_SEALS), /* the snapshot's, at READY */
	JAIL_CALL(setsid),		/* a branch: a share of its own */
	JAIL_ARG(ioctl, 1, PAGEMAP_SCAN_CALL), /* rollback */
	/* time and signals of one's own */
	JAIL_CALL(setitimer),		/* the tick */
	JAIL_CALL(rt_sigaction),	/* its handler */
	JAIL_CALL(rt_sigprocmask),	/* the C library's, around a fork */
	JAIL_CALL(rt_sigreturn),
	JAIL_CALL(restart_syscall),	/* the kernel's own, after a signal */
	JAIL_CALL(clock_gettime),	/* where the vDSO cannot */
	JAIL_CALL(getrandom),		/* a guest's seed */
	JAIL_CALL(exit_group),
};

int jail_ref_prepare(struct jail *j, const struct tender_ops *ops,
		     struct err *err)
{
	const struct tender_jail *t = ops->jail;
	const struct jail_list list[] = {
		JAIL_LIST(ref_rules), t->ref, t->debug,
	};

	return jail_compile(j, list, tender_debug ? 3 : 2, t->guest_inherits ?
			    SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS, err);
}

/*
 * Landlock, Documentation/userspace-api/landlock.rst.  Its header is as old as
 * the build host's kernel, so what is used of it is here.
 */
struct landlock_rules {
	uint64_t files, net, scoped;
};
struct landlock_path {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));
#define LL_CREATE	444
#define LL_ADD		445
#define LL_RESTRICT	446
#define LL_ASK_VERSION	1u
#define LL_PATH_BENEATH	1
#define LL_READ_FILE	(1u << 2)

static int landlock_set(int abi, int proc)
{
	/* everything that a version knows: files, ports, signals, sockets */
	struct landlock_rules rules = {
		.files = abi >= 5 ? 0xffff : abi >= 3 ? 0x7fff :
			 abi == 2 ? 0x3fff : 0x1fff,
		.net = abi >= 4 ? 3 : 0,
		.scoped = abi >= 6 ? 3 : 0,
	};
	struct landlock_path path = { LL_READ_FILE, proc };
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	int fd = (int)syscall(LL_CREATE, &rules, size, 0), rc = 0;

	if (fd < 0)
		return -errno;
	if (syscall(LL_ADD, fd, LL_PATH_BENEATH, &path, 0) < 0 ||
	    syscall(LL_RESTRICT, fd, 0) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int jail_user(uid_t uid, struct err *err)
{
	if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
		    setresuid(uid, uid, uid) < 0))
		return err_set(err, -errno, "cannot run as user %u: %s",
			       (unsigned)uid, strerror(errno));
	return 0;
}

int jail_may_trace(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { { 0 } };

	return syscall(SYS_capget, &head, data) == 0 &&
	       (data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective &
		CAP_TO_MASK(CAP_SYS_PTRACE));
}

int jail_ref_lock(const struct jail *j, int proc, struct err *err)
{
	int abi = (int)syscall(LL_CREATE, NULL, 0, LL_ASK_VERSION), rc = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = -errno;
	/* a kernel without it, or that boots without it, has the filter */
	if (rc == 0 && abi > 0)
		rc = landlock_set(abi, proc);
	if (rc == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
			       &j->prog) < 0)
		rc = -errno;
	return rc == 0 ? 0 : err_set(err, rc, "cannot lock the process that "
				     "boots functions: %s", strerror(-rc));
}
