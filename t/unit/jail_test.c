/*
 * jail_test.c - the filters, by doing what they forbid
 *
 * Each call is made by a child that has locked itself as a reference or a
 * clone does.  Under the kvm tender it must die of SIGSYS; under the process
 * tender, whose guests inherit the reference's filter, be told EPERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "vmm/jail/jail.h"

#define NOBODY	65534u
#define KVM_RULE_ONLY	1		/* the process tender needs it */
#define PROCESS_RULE_ONLY 2		/* the KVM tender needs it */

static char page[4096];
static const struct {
	const char *name;
	long nr, a[4];
	int flags;
} forbidden[] = {
	{ "socket", SYS_socket, { AF_INET, SOCK_STREAM }, 0 },
	{ "socket, local", SYS_socket, { AF_UNIX, SOCK_STREAM }, 0 },
	{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0,
	  (long)page }, 0 },
	{ "connect", SYS_connect, { 0, (long)page, 16 }, 0 },
	{ "bind", SYS_bind, { 0, (long)page, 16 }, 0 },
	{ "execve", SYS_execve, { (long)"/bin/true" }, 0 },
	{ "execveat", SYS_execveat, { -100, (long)"/bin/true" }, 0 },
	{ "fork", SYS_fork, { 0 }, 0 },
	{ "vfork", SYS_vfork, { 0 }, 0 },
	{ "a thread", SYS_clone, { CLONE_VM | CLONE_THREAD | CLONE_SIGHAND },
	  0 },
	{ "clone, new user namespace", SYS_clone,
	  { CLONE_NEWUSER | SIGCHLD }, 0 },
	{ "clone3", SYS_clone3, { (long)page, 64 }, 0 },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER }, 0 },
	{ "setns", SYS_setns, { 0, 0 }, 0 },
	{ "ptrace", SYS_ptrace, { 0 }, 0 },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 }, KVM_RULE_ONLY },
	{ "process_vm_writev", SYS_process_vm_writev, { 1 }, 0 },
	{ "pidfd_open", SYS_pidfd_open, { 1 }, 0 },
	{ "pidfd_getfd", SYS_pidfd_getfd, { 0 }, 0 },
	{ "kill", SYS_kill, { 1, 0 }, 0 },
	{ "tgkill", SYS_tgkill, { 1, 1, 0 }, 0 },
#ifndef USETL_SANITIZE			/* jail.c:report_rules */
	{ "open", SYS_open, { (long)"/proc/self/stat", O_RDONLY }, 0 },
#endif
	{ "openat, to write", SYS_openat, { -100, (long)"/dev/null",
	  O_WRONLY }, 0 },
	{ "openat, to create", SYS_openat, { -100, (long)"/tmp/x",
	  O_CREAT | O_EXCL, 0600 }, 0 },
	{ "openat, a folder", SYS_openat, { -100, (long)"/", O_DIRECTORY },
	  0 },
	{ "openat2", 437, { -100, (long)"/", (long)page, 24 }, 0 },
	{ "creat", SYS_creat, { (long)"/dev/null", 0600 }, 0 },
	{ "unlink", SYS_unlink, { (long)"/nosuch" }, 0 },
	{ "rename", SYS_rename, { (long)"/nosuch", (long)"/none" }, 0 },
	{ "mkdir", SYS_mkdir, { (long)"/" }, 0 },
	{ "chmod", SYS_chmod, { (long)"/nosuch", 0777 }, 0 },
	{ "getdents64", SYS_getdents64, { 0, (long)page, 4096 }, 0 },
	{ "chroot", SYS_chroot, { (long)"/" }, 0 },
	{ "mount", SYS_mount, { (long)"x", (long)"/", (long)"tmpfs" }, 0 },
	{ "umount2", SYS_umount2, { (long)"/nosuch" }, 0 },
	{ "fsopen", 430, { (long)"tmpfs" }, 0 },
	{ "bpf", SYS_bpf, { 0, (long)page, 64 }, 0 },
	{ "io_uring_setup", 425, { 8, (long)page }, 0 },
	{ "keyctl", SYS_keyctl, { 0, -3, 0 }, 0 },
	{ "add_key", SYS_add_key, { (long)"user", (long)"x" }, 0 },
	{ "userfaultfd", SYS_userfaultfd, { 1 }, 0 },
	{ "perf_event_open", SYS_perf_event_open, { (long)page }, 0 },
	{ "init_module", SYS_init_module, { (long)page, 1, (long)"" }, 0 },
	{ "setresuid", SYS_setresuid, { 0, 0, 0 }, 0 },
	{ "capset", SYS_capset, { (long)page }, 0 },
	{ "personality", SYS_personality, { 0xffffffff }, 0 },
	{ "arch_prctl", SYS_arch_prctl, { 0x1003, (long)page }, 0 },
	{ "modify_ldt", SYS_modify_ldt, { 0, (long)page, 8 }, 0 },
	{ "prctl, PR_SET_MM", SYS_prctl, { PR_SET_MM, 1 }, 0 },
	{ "prctl, keep capabilities", SYS_prctl, { PR_SET_KEEPCAPS, 1 }, 0 },
	{ "seccomp, strict", SYS_seccomp, { SECCOMP_SET_MODE_STRICT }, 0 },
	{ "ioctl, TIOCSTI", SYS_ioctl, { 0, 0x5412, (long)page }, 0 },
	{ "ioctl, a KVM device", SYS_ioctl, { 0, KVM_CREATE_DEVICE,
	  (long)page }, 0 },
	{ "ioctl, KVM_RUN", SYS_ioctl, { 0, KVM_RUN }, PROCESS_RULE_ONLY },
	{ "ioctl, KVM_GET_SREGS", SYS_ioctl, { 0, KVM_GET_SREGS, (long)page },
	  PROCESS_RULE_ONLY },
	{ "mmap, executable", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC,
	  MAP_PRIVATE | MAP_ANONYMOUS }, 0 },
	{ "mprotect", SYS_mprotect, { (long)page, 0, PROT_READ | PROT_EXEC },
	  KVM_RULE_ONLY },
	{ "memfd_create", SYS_memfd_create, { (long)"x" }, KVM_RULE_ONLY },
	{ "write", SYS_write, { 1, (long)"", 0 }, 0 },
	{ "dup", SYS_dup, { 0 }, 0 },
	{ "fcntl, F_SETFL", SYS_fcntl, { 0, F_SETFL, 0 }, 0 },
	{ "pipe2", SYS_pipe2, { (long)page }, 0 },
	{ "prlimit64", SYS_prlimit64, { 0, 4, 0, (long)page }, 0 },
	{ "shmget", SYS_shmget, { 0, 4096, 0 }, 0 },
	{ "mq_open", SYS_mq_open, { (long)"x", O_RDONLY }, 0 },
	{ "timer_create", SYS_timer_create, { 0, 0, (long)page }, 0 },
	{ "sched_setaffinity", SYS_sched_setaffinity, { 0, 8, (long)page },
	  KVM_RULE_ONLY },
	{ "an x32 call", 0x40000000 + SYS_getpid, { 0 }, 0 },
};

#define FORBIDDEN (sizeof(forbidden) / sizeof(forbidden[0]))

static struct jail own, clones;
static int proc;
static volatile int *locked;		/* shared with children */

static void lock_ref(void)
{
	struct err err = { "" };

	if (jail_user(geteuid() == 0 ? NOBODY : 0, &err) < 0 ||
	    jail_ref_lock(&own, proc, &err) < 0)
		_exit(99);
}

/* exit status of a child that does it, or 256 + the signal that ended it */
static int in_child(int (*fn)(long arg), long arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) :
	       WEXITSTATUS(status);
}

static long call(long i)
{
	const long *a = forbidden[i].a;

	return syscall(forbidden[i].nr, a[0], a[1], a[2], a[3], -1, 0);
}

static int by_ref(long i)
{
	lock_ref();
	return call(i) == -1 && errno == EPERM ? 42 : 1;
}

static int by_clone(long i)
{
	lock_ref();
	if (jail_lock(&clones, getppid()) < 0)
		return 99;
	call(i);
	return 1;
}

/* --- what a reference must go on being able to do */

static int forks(long arg)
{
	pid_t pid;

	lock_ref();
	pid = _Fork();
	if (pid == 0) {
		/* a clone's own lock, on top */
		*locked = jail_lock(&clones, 0) == 0 ? 42 : 1;
		_exit(0);
	}
	for (int i = 0; pid > 0 && !*locked && i < 6000; i++)
		poll(NULL, 0, 10);
	return *locked;
}

static int good_process(long arg)
{
	void *p;
	int fd;

	lock_ref();
	fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return 1;
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || madvise(p, 4096, MADV_WILLNEED) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
		return 2;
	/* the process tender's child makes the guest's code executable */
	if (mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0)
		return 3;
	return 42;
}

static int reads_proc(long arg)
{
	prctl(PR_SET_DUMPABLE, 1);
	lock_ref();
	prctl(PR_SET_DUMPABLE, 1);
	return openat(proc, "self/pagemap", O_RDONLY | O_CLOEXEC) >= 0 ? 42 :
	       1;
}

static int reads_file(long arg)
{
	lock_ref();
	return openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 &&
	       errno == EACCES ? 42 : 1;
}

/* root may reach any process but for Landlock, whoever it is */
static int reads_memory(long parent)
{
	struct iovec mine = { page, 8 }, theirs = { page, 8 };
	struct err err;

	/* as the user that we are, who may, otherwise */
	if (process_vm_readv((pid_t)parent, &mine, 1, &theirs, 1, 0) != 8)
		return 77;
	if (jail_ref_lock(&own, proc, &err) < 0)
		return 99;
	return process_vm_readv((pid_t)parent, &mine, 1, &theirs, 1, 0) < 0 &&
	       errno == EPERM ? 42 : 1;
}

static int is_user(long arg)
{
	uid_t r, e, s;
	int fd;
	char text[2048], *p;
	ssize_t n;

	lock_ref();
	fd = openat(proc, "self/status", O_RDONLY | O_CLOEXEC);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	p = strstr(text, "\nUid:");
	if (!p || sscanf(p, "\nUid: %u %u %u", &r, &e, &s) != 3 ||
	    r != NOBODY || e != NOBODY || s != NOBODY)
		return 1;
	p = strstr(text, "\nCapPrm:\t0000000000000000\n");
	if (!p || !strstr(text, "\nSeccomp:\t2\n") ||
	    !strstr(text, "\nNoNewPrivs:\t1\n"))
		return 2;
	/* root's groups are not its */
	p = strstr(text, "\nGroups:");
	return p && p[9] != '0' ? 42 : 3;
}

static void expect(int got, const char *name)
{
	if (got == 77)
		ok(1, "%s # SKIP not allowed to begin with", name);
	else
		ok(got == 42, "%s (%d)", name, got);
}

static void test(const struct tender_ops *ops)
{
	int is_kvm = ops == &tender_kvm, abi;
	const int own_rule = is_kvm ? PROCESS_RULE_ONLY : KVM_RULE_ONLY;
	struct err err = { "" };

	ok(jail_prepare(&clones, ops, &err) == 0 &&
	   jail_ref_prepare(&own, ops, &err) == 0, "%s: filters%s", ops->name,
	   err.msg);
	for (size_t i = 0; i < FORBIDDEN; i++) {
		if (forbidden[i].flags == own_rule)
			continue;
		if (is_kvm)
			ok(in_child(by_ref, (long)i) == 256 + SIGSYS,
			   "kvm: a reference dies of %s", forbidden[i].name);
		else
			ok(in_child(by_ref, (long)i) == 42,
			   "process: a reference is refused %s",
			   forbidden[i].name);
		ok(in_child(by_clone, (long)i) == 256 + SIGSYS,
		   "%s: a clone dies of %s", ops->name, forbidden[i].name);
	}
	*locked = 0;
	expect(in_child(forks, 0), "a reference forks clones that lock");
	expect(in_child(reads_proc, 0),
	    "a reference opens what is its own in /proc");
	if (!is_kvm)
		expect(in_child(good_process, 0), "process: memory of a child");
	abi = (int)syscall(444, NULL, 0, 1);
	if (abi > 0)
		expect(in_child(reads_file, 0), "Landlock: no other file");
	else
		ok(1, "Landlock: no other file # SKIP the kernel has none");
	if (abi > 0 && !is_kvm)
		expect(in_child(reads_memory, getpid()),
		       "Landlock: no memory of who forked it");
	if (geteuid() == 0)
		expect(in_child(is_user, 0), "no user, group or right of "
		       "root's is left");
	else
		ok(1,
		   "no user, group or right of root's is left # SKIP not root");
	free(own.prog.filter);
	free(clones.prog.filter);
}

int main(void)
{
	locked = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (locked == MAP_FAILED)
		return 1;
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	test(&tender_kvm);
	test(&tender_process);
	return plan();
}
