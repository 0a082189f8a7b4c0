/*
 * probe.c - what the processes around a guest need of this host (probe.h)
 *
 * Two processes: one does what a reference and a clone do, and for the
 * process tender its child does what a guest's does until its lock.  They
 * say in memory that all three see which step they are at; a step that fails
 * ends both, and is the answer.  So does one that never comes back.
 */
#include "vmm/host/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "etlfs/region/host.h"
#include "unikernel/abi.h"
#include "vmm/jail/jail.h"
#include "vmm/tender/process_impl.h"

#define PATIENCE_MS	10000		/* for all of it; it takes one */
#define LOOK_NS		50000
#define LOOKS		100000
#define FILES_LEAST	32		/* open: a function and one clone */
#define FILES_FREE	20		/* of them, of no caller's */
#define FILES_MANY	256		/* with these nobody counts */
#define PRIVATE_LEAST	(256ull << 20)	/* the smallest of clones has more */
#define OWN_ADDRESSES	(4ull << 30)	/* a gateway's, with its windows */
#define NOBODY		65534		/* whom root has clones run as */

#define FIX_CONTAINER	"in a container: --security-opt seccomp=unconfined"
#define FIX_KERNEL	"Linux 5.14 or newer has it; " FIX_CONTAINER
#define FIX_PROC	"mount -t proc proc /proc"
#define FIX_TRACE	"in a container: --cap-add=SYS_PTRACE; else " \
			"sudo sysctl kernel.yama.ptrace_scope=1"

enum step {
	FORK, CLOSE, SEALS, SIZE, ADDRESSES, PRIVATE, USER, DUMPABLE, PRIVS,
	FILTER, PAGEMAP, PIDFD, PARENT_DIES,
	/* for the process tender only */
	CHILD, MOVE, EXEC, SIGNALS, TRAP, SLEEP, SIGNAL_CHILD,
	CHILD_PAGEMAP, CHILD_SYSCALL, CHILD_STAT, CHILD_STATM, CHILD_MEMORY,
	DONE
};

static const struct {
	const char *what, *fix;
} step[] = {
	[FORK] = { "a process", "ulimit -u 4096; in a container: "
		"--pids-limit" },
	[CLOSE] = { "close_range", FIX_KERNEL },
	[USER] = { "a change of user to nobody", "run usetl as another user "
		"than root; in a container: --cap-add=SETUID,SETGID" },
	[DUMPABLE] = { "prctl PR_SET_DUMPABLE", FIX_CONTAINER },
	[SEALS] = { "memfd_create and its seals", FIX_CONTAINER },
	[SIZE] = { "a sparse memory file of 32 GB", "ulimit -f unlimited" },
	[ADDRESSES] = { "addresses", "ulimit -v unlimited" },
	[PRIVATE] = { "256 MB of private memory", "ulimit -d unlimited, sudo "
		"sysctl vm.overcommit_memory=0" },
	[PRIVS] = { "prctl PR_SET_NO_NEW_PRIVS", FIX_CONTAINER },
	[FILTER] = { "a seccomp filter", "the kernel needs "
		"CONFIG_SECCOMP_FILTER; " FIX_CONTAINER },
	[PAGEMAP] = { "/proc/self/pagemap", FIX_PROC },
	[PIDFD] = { "pidfd_open and pidfd_send_signal", FIX_KERNEL },
	[PARENT_DIES] = { "prctl PR_SET_PDEATHSIG", FIX_CONTAINER },
	[CHILD] = { "clone with CLONE_PIDFD", FIX_KERNEL },
	[MOVE] = { "mremap to where guests lie, 0x200000", "see sysctl "
		"vm.mmap_min_addr; " FIX_CONTAINER },
	[EXEC] = { "memory that is writable and executable", "allow execmem "
		"(SELinux), MemoryDenyWriteExecute=no (systemd); "
		FIX_CONTAINER },
	[SIGNALS] = { "sigaltstack and rt_sigaction", FIX_CONTAINER },
	[TRAP] = { "SECCOMP_RET_TRAP", "run outside this sandbox, and without "
		"a debugger that follows forks" },
	[SLEEP] = { "futex", FIX_CONTAINER },
	[SIGNAL_CHILD] = { "pidfd_send_signal to a child", FIX_KERNEL },
	[CHILD_PAGEMAP] = { "/proc/PID/pagemap of a child", FIX_PROC },
	[CHILD_SYSCALL] = { "/proc/PID/syscall of a child", FIX_TRACE },
	[CHILD_STAT] = { "/proc/PID/stat of a child", FIX_PROC },
	[CHILD_STATM] = { "/proc/PID/statm of a child", FIX_PROC },
	[CHILD_MEMORY] = { "process_vm_readv and /proc/PID/mem of a child",
		FIX_TRACE },
};

/* what all of them see */
struct seen {
	enum step step;
	int error;			/* at step: -errno */
	volatile sig_atomic_t trapped;
	_Atomic uint32_t asleep;	/* the child is about to */
	_Atomic uint32_t word;		/* what it sleeps on */
	char text[8];			/* found by address */
};

static struct seen *seen;

static uint64_t addresses(enum tender_kind tender)
{
	/* the guest's own, the snapshot, large windows: ram.c, process.c */
	return UK_END + UK_BIG + UK_RAM_END + RAM_ALIAS +
	       (tender == TENDER_PROCESS ? WINDOWS_SIZE : 0);
}

/* returns only when rc is no error */
static void need(enum step s, long rc)
{
	if (rc >= 0)
		return;
	seen->step = s;
	seen->error = errno ? -errno : -EIO;
	_exit(1);
}

/* for a step that may end us itself */
static void at(enum step s)
{
	seen->step = s;
	errno = 0;
}

/* the guest's side */

static void on_sigsys(int sig)
{
	seen->trapped = 1;
}

static void filter_load(int trap)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, trap ? SECCOMP_RET_TRAP :
			 SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(f) / sizeof(f[0]), f };
	/* libseccomp asks for them, too */
	const uint32_t act[] = {
		SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
	};

	at(PRIVS);
	need(PRIVS, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	at(FILTER);
	for (size_t i = 0; i < sizeof(act) / sizeof(act[0]); i++)
		need(FILTER, syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
				     &act[i]));
	need(FILTER, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

static void guest_move(void)
{
	void *to = (void *)(uintptr_t)UK_EXEC_BASE;
	char *from = mmap(NULL, UK_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	at(MOVE);
	need(MOVE, from == MAP_FAILED ||
	     mremap(from, UK_PAGE, UK_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    to) != to ? -1 : 0);
	memcpy(to, seen->text, sizeof(seen->text));
	at(EXEC);
	need(EXEC, mprotect(to, UK_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
}

static void guest_main(void)
{
	static char stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = {
		.sa_handler = on_sigsys, .sa_flags = SA_ONSTACK,
	};

	at(CLOSE);
	need(CLOSE, syscall(SYS_close_range, 0, ~0u, 0));
	at(PARENT_DIES);
	need(PARENT_DIES, prctl(PR_SET_PDEATHSIG, SIGKILL));
	guest_move();
	at(SIGNALS);
	need(SIGNALS, sigaltstack(&alt, NULL));
	need(SIGNALS, sigaction(SIGSYS, &sa, NULL));
	filter_load(1);
	at(TRAP);
	syscall(SYS_getppid);
	need(TRAP, seen->trapped ? 0 : -1);
	at(SLEEP);
	seen->asleep = 1;
	for (;;)
		need(SLEEP, syscall(SYS_futex, &seen->word, FUTEX_WAIT, 0,
				    NULL, NULL, 0));
}

/* the clone's side */

static void look(enum step s, pid_t pid, const char *name, off_t off,
		 char *buf, size_t len)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	at(s);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	need(s, fd);
	n = pread(fd, buf, len - 1, off);
	need(s, n > 0 ? 0 : -1);
	buf[n] = '\0';
	close(fd);
}

static void pagemap_look(enum step s, pid_t pid, uintptr_t addr)
{
	char buf[9];
	uint64_t entry;

	look(s, pid, "pagemap", (off_t)(addr / UK_PAGE * 8), buf, sizeof(buf));
	memcpy(&entry, buf, 8);
	/* some sandboxes have the file and nothing in it */
	need(s, entry >> 63 ? 0 : -1);
}

static void child_asleep(pid_t pid)
{
	struct timespec t = { 0, LOOK_NS };
	char text[256];
	int nr = -1;

	for (int i = 0; i < LOOKS && nr != SYS_futex; i++) {
		if (i)
			nanosleep(&t, NULL);
		if (waitpid(pid, NULL, WNOHANG) == pid)
			_exit(1);	/* it has said why */
		if (!seen->asleep)
			continue;
		look(CHILD_SYSCALL, pid, "syscall", 0, text, sizeof(text));
		if (sscanf(text, "%d", &nr) != 1)
			nr = -1;
	}
	errno = EAGAIN;
	need(CHILD_SYSCALL, nr == SYS_futex ? 0 : -1);
}

static void child_look(pid_t pid, int pidfd)
{
	void *there = (void *)(uintptr_t)UK_EXEC_BASE;
	char text[256], buf[sizeof(seen->text)];
	struct iovec mine = { buf, sizeof(buf) };
	struct iovec theirs = { there, sizeof(buf) };

	child_asleep(pid);
	at(SIGNAL_CHILD);
	need(SIGNAL_CHILD, syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
	pagemap_look(CHILD_PAGEMAP, pid, UK_EXEC_BASE);
	look(CHILD_STAT, pid, "stat", 0, text, sizeof(text));
	look(CHILD_STATM, pid, "statm", 0, text, sizeof(text));
	/* one of the two, as in ram_remote.c */
	if (process_vm_readv(pid, &mine, 1, &theirs, 1, 0) < 0)
		look(CHILD_MEMORY, pid, "mem", UK_EXEC_BASE, text, 9);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void user_drop(void)
{
	if (geteuid() != 0)
		return;
	at(USER);
	need(USER, setgroups(0, NULL));
	need(USER, setresgid(NOBODY, NOBODY, NOBODY));
	need(USER, setresuid(NOBODY, NOBODY, NOBODY));
}

static void reserve(enum step s, uint64_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS |
		       MAP_NORESERVE, -1, 0);

	need(s, p == MAP_FAILED ? -1 : munmap(p, len));
}

static void memory_get(enum tender_kind tender)
{
	int fd;

	at(SEALS);
	fd = memfd_create("usetl-needs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	need(SEALS, fd);
	at(SIZE);
	need(SIZE, ftruncate(fd, (off_t)UK_RAM_END));
	at(SEALS);
	need(SEALS, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	close(fd);
	at(ADDRESSES);
	reserve(ADDRESSES, addresses(tender), PROT_NONE);
	at(PRIVATE);
	reserve(PRIVATE, PRIVATE_LEAST, PROT_READ | PROT_WRITE);
}

/* as many processes as there will be; it ends with this one */
static void spare_start(void)
{
	pid_t self = getpid(), pid;

	at(FORK);
	pid = fork();
	need(FORK, pid);
	if (pid)
		return;
	close(3);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == self)
		poll(NULL, 0, 100);
	_exit(0);
}

static void mock_clone(enum tender_kind tender, int sock)
{
	int pidfd = -1, hide = geteuid() == 0 && jail_may_trace();
	pid_t pid;
	char c = 0;

	/* a limit's signal would end us where the call can say it */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	at(CLOSE);
	need(CLOSE, dup2(sock, 3));
	need(CLOSE, syscall(SYS_close_range, 4, ~0u, 0));
	memory_get(tender);
	user_drop();
	at(DUMPABLE);
	need(DUMPABLE, prctl(PR_SET_DUMPABLE, 1));
	at(PARENT_DIES);
	need(PARENT_DIES, prctl(PR_SET_PDEATHSIG, SIGKILL));
	spare_start();
	filter_load(0);
	pagemap_look(PAGEMAP, getpid(), (uintptr_t)seen);
	if (tender == TENDER_PROCESS) {
		at(CHILD);
		pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0,
				     &pidfd, 0, 0);
		need(CHILD, pid);
		if (pid == 0)
			guest_main();
		child_look(pid, pidfd);
	}
	if (hide)			/* as a clone does */
		prctl(PR_SET_DUMPABLE, 0);
	at(DONE);
	need(DONE, write(3, &c, 1));
	/* until the gateway's side has looked, or is gone */
	if (read(3, &c, 1) < 0)
		_exit(1);
	_exit(0);
}

/* the gateway's side */

static int files_check(pid_t pid)
{
	struct body_part part = {
		(uintptr_t)seen->text, sizeof(seen->text),
	};
	char buf[sizeof(seen->text)];
	ssize_t n = host_read_process(pid, &part, 1, 0, buf, sizeof(buf));

	return n == sizeof(buf) && !memcmp(buf, seen->text, sizeof(buf)) ? 0 :
	       n < 0 ? (int)n : -EIO;
}

static int pidfd_try(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), rc = 0;

	if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int report(enum tender_kind tender, int rc, struct err *err)
{
	uint64_t kb = (addresses(tender) + OWN_ADDRESSES) >> 10;
	struct rlimit as = { RLIM_INFINITY, RLIM_INFINITY };
	enum step s = seen->step;

	getrlimit(RLIMIT_AS, &as);
	if (s == ADDRESSES && as.rlim_cur != RLIM_INFINITY)
		return err_set(err, rc, "%sulimit -v is %llu, and a guest's "
			       "processes map up to %llu KB of addresses; "
			       "ulimit -v unlimited", tender == TENDER_PROCESS ?
			       "process tender: " : "",
			       (unsigned long long)as.rlim_cur >> 10,
			       (unsigned long long)kb);
	return err_set(err, rc, "%sthis host refuses %s: %s; %s",
		       s >= CHILD ? "process tender: " : "", step[s].what,
		       rc == -EINTR ? "the process that asked was killed" :
		       rc == -ETIMEDOUT ? "the process that asked hangs" :
		       strerror(-rc), step[rc == -EAGAIN && s == CHILD ? FORK :
				       s].fix);
}

/* 0 when all that the other two did went well; -errno, as seen->step says */
static int answer(pid_t pid, int sock, int *files)
{
	struct pollfd p = { sock, POLLIN, 0 };
	int rc;
	char c;

	do
		rc = poll(&p, 1, PATIENCE_MS);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return -ETIMEDOUT;
	if (read(sock, &c, 1) != 1)
		return seen->error ? seen->error : -EINTR;
	*files = files_check(pid);
	rc = pidfd_try(pid);
	if (rc < 0)
		seen->step = PIDFD;
	return rc;
}

int probe_files(struct err *err)
{
	static int before = -1;	/* what the first call finds, not our own */
	struct rlimit max = { RLIM_INFINITY, RLIM_INFINITY };
	int n = 0;

	getrlimit(RLIMIT_NOFILE, &max);
	if (max.rlim_cur >= FILES_MANY)
		return 0;
	for (int fd = 0; before < 0 && fd < (int)max.rlim_cur; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	if (before < 0)
		before = n;
	if (max.rlim_cur < FILES_LEAST)
		return err_set(err, -EMFILE, "only %d files may be open; "
			       "ulimit -n 1024", (int)max.rlim_cur);
	if ((int)max.rlim_cur - before < FILES_FREE)
		return err_set(err, -EMFILE, "only %d files may be open and "
			       "%d were at the start; ulimit -n 1024",
			       (int)max.rlim_cur, before);
	return 0;
}

int probe_check(enum tender_kind tender, int *files, struct err *err)
{
	int sv[2], rc, ignored;
	pid_t pid;

	rc = probe_files(err);
	if (rc < 0)
		return rc;
	seen = mmap(NULL, UK_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED |
		    MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return err_set(err, -errno, "memory: %s", strerror(errno));
	memcpy(seen->text, "a clone", sizeof(seen->text));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
		rc = err_set(err, -errno, "a socket: %s", strerror(errno));
		goto out;
	}
	pid = fork();
	if (pid == 0)
		mock_clone(tender, sv[1]);
	close(sv[1]);
	rc = pid < 0 ? -errno : answer(pid, sv[0], files ? files : &ignored);
	if (pid > 0 && rc == -ETIMEDOUT)
		kill(pid, SIGKILL);
	close(sv[0]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (rc < 0)
		report(tender, rc, err);
out:
	munmap(seen, UK_PAGE);
	return rc;
}
