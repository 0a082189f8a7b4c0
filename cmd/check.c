/*
 * check.c - usetl check: can this host run functions?
 *
 * One line each: ok, warn (it works, but slower or with less room) or FAIL,
 * which says how to mend it.  What is asked is asked of the kernel, by doing
 * it, not read off a version number; the version only warns.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/tender.h"
#include "conf/conf.h"
#include "vmm/ref.h"

enum verdict { OK, WARN, FAIL };

static int failures;

static void line(enum verdict v, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(enum verdict v, const char *what, const char *fmt, ...)
{
	static const char *const words[] = { "ok  ", "warn", "FAIL" };
	va_list ap;

	printf("%s %s: ", words[v], what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	failures += v == FAIL;
}

/* /dev/kvm; without it functions may still run as processes */

static enum verdict no_kvm = FAIL;

static void check_capabilities(int kvm)
{
	static const struct {
		int cap;
		const char *name;
	} caps[] = {
		{ KVM_CAP_USER_MEMORY, "user memory" },
		{ KVM_CAP_READONLY_MEM, "read-only memory" },
		{ KVM_CAP_SYNC_REGS, "sync regs" },
		{ KVM_CAP_XSAVE, "xsave" },
		{ KVM_CAP_XCRS, "xcrs" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
	};
	char have[256] = "";

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (ioctl(kvm, KVM_CHECK_EXTENSION, caps[i].cap) <= 0) {
			line(no_kvm, "kvm", "no %s; a newer kernel has it",
			     caps[i].name);
			return;
		}
		snprintf(have + strlen(have), sizeof(have) - strlen(have),
			 "%s%s", i ? ", " : "", caps[i].name);
	}
	line(OK, "kvm", "%s", have);
}

/* what serve and invoke would take without being told */
static void check_tender(void)
{
	struct err err = { "" }, note = { "" };
	enum tender_kind kind;
	struct conf *conf;
	int r = conf_create(&conf);

	if (r == 0) {
		r = tender_wanted(NULL, conf, &kind, &note, &err);
		conf_destroy(conf);
	}
	if (r < 0)
		line(FAIL, "tender", "%s", err.msg[0] ? err.msg :
		     strerror(-r));
	else
		line(note.msg[0] ? WARN : OK, "tender", "%s%s%s",
		     kind == TENDER_KVM ? "kvm" : "process",
		     note.msg[0] ? "; " : "", note.msg);
}

static void check_process(void)
{
	struct err err = { "" };

	if (tender_check(TENDER_PROCESS, &err) < 0)
		line(WARN, "process", "%s", err.msg);
	else
		line(OK, "process", "locked processes can run functions");
}

static void check_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (fd < 0 && errno == EACCES)
		line(no_kvm, "/dev/kvm", "permission denied; add yourself to "
		     "group kvm: sudo usermod -aG kvm $USER, then log in "
		     "again");
	else if (fd < 0 && errno == ENOENT)
		line(no_kvm, "/dev/kvm", "there is none; turn on virtualisation "
		     "in the firmware and load kvm_intel or kvm_amd (in a VM: "
		     "nested virtualisation)");
	else if (fd < 0)
		line(no_kvm, "/dev/kvm", "%s", strerror(errno));
	if (fd < 0)
		return;
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm < 0) {
		line(no_kvm, "/dev/kvm", "cannot create a VM: %s",
		     strerror(errno));
	} else {
		line(OK, "/dev/kvm", "usable");
		check_capabilities(fd);
		close(vm);
	}
	close(fd);
}

/* kernel and CPU */

static void check_kernel(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2) {
		line(WARN, "kernel", "its version cannot be read");
		return;
	}
	if (strcmp(u.machine, "x86_64"))
		line(FAIL, "machine", "%s; only x86_64 is supported",
		     u.machine);
	/* close_range, pidfd_open, MADV_POPULATE_WRITE: 5.14 */
	if (major < 5 || (major == 5 && minor < 14))
		line(FAIL, "kernel", "%s; 5.14 or newer is needed", u.release);
	else
		line(OK, "kernel", "%s", u.release);
}

static void check_cpu(void)
{
	unsigned a, b = 0, c = 0, d;
	/* HWCAP2_FSGSBASE: the kernel lets programs use it */
	int fsgsbase = getauxval(AT_HWCAP2) >> 1 & 1;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_XSAVE)) {
		line(FAIL, "cpu", "no xsave");
		return;
	}
	if (!fsgsbase)
		line(FAIL, "cpu", "no fsgsbase; Intel since Ivy Bridge and AMD"
		     " since Steamroller have it, with kernel 5.9 or newer");
	else
		line(OK, "cpu", "xsave, fsgsbase");
	if (!(c & bit_AVX))
		line(WARN, "cpu", "no avx: numpy and hashing are slower");
	else
		line(OK, "cpu", "avx");
	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8))
		line(WARN, "cpu", "the tsc is not invariant: guest clocks may "
		     "drift during a request");
}

/* memory */

#define SCAN_BYTES	96		/* struct pm_scan_arg, 6.7 */

static void check_rollback(void)
{
	static const char *const way = "finding written pages";
	struct { uint64_t v[SCAN_BYTES / 8]; } arg = { .v = { SCAN_BYTES } };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			  MAP_ANONYMOUS, -1, 0);
	uint64_t entry;

	if (fd < 0 || page == MAP_FAILED) {
		line(FAIL, way, "cannot open /proc/self/pagemap: %s; mount "
		     "/proc", strerror(errno));
		goto out;
	}
	*page = 1;
	arg.v[2] = (uintptr_t)page;
	arg.v[3] = (uintptr_t)page + 4096;
	if (ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, SCAN_BYTES),
		  &arg) >= 0)
		line(OK, way, "PAGEMAP_SCAN");
	else if (pread(fd, &entry, 8, (uintptr_t)page / 4096 * 8) == 8 &&
		 entry >> 63)
		line(WARN, way, "/proc/self/pagemap; PAGEMAP_SCAN (kernel "
		     "6.7) is faster");
	else
		line(FAIL, way, "/proc/self/pagemap does not show pages; run "
		     "outside this sandbox");
out:
	if (page != MAP_FAILED)
		munmap(page, 4096);
	if (fd >= 0)
		close(fd);
}

static void check_memfd(void)
{
	int fd = memfd_create("usetl-check", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const char *what = "memfd";

	if (fd < 0 || ftruncate(fd, 4096) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		line(FAIL, what, "cannot make and seal one: %s",
		     strerror(errno));
	else
		line(OK, what, "with seals");
	if (fd >= 0)
		close(fd);
}

static int read_number(const char *path, long *out)
{
	FILE *f = fopen(path, "re");
	int n = f ? fscanf(f, "%ld", out) : 0;

	if (f)
		fclose(f);
	return n == 1 ? 0 : -ENOENT;
}

static void check_overcommit(void)
{
	long v;

	if (read_number("/proc/sys/vm/overcommit_memory", &v) < 0)
		line(WARN, "overcommit", "not readable");
	else if (v == 2)
		line(WARN, "overcommit", "strict: each clone is charged its "
		     "whole memory limit; sudo sysctl vm.overcommit_memory=0");
	else
		line(OK, "overcommit", "%s", v ? "always" : "heuristic");
}

/* processes */

/* what a gateway does to send a clone's file: read a child's memory */
static void check_readv(void)
{
	static const char text[] = "usetl";
	struct iovec mine, theirs;
	char buf[sizeof(text)] = "";
	pid_t pid;
	ssize_t n;
	long scope = 0;

	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	if (pid < 0) {
		line(FAIL, "fork", "%s", strerror(errno));
		return;
	}
	mine = (struct iovec){ buf, sizeof(buf) };
	theirs = (struct iovec){ (void *)text, sizeof(text) };
	n = process_vm_readv(pid, &mine, 1, &theirs, 1, 0);
	read_number("/proc/sys/kernel/yama/ptrace_scope", &scope);
	if (n == sizeof(text) && !strcmp(buf, text))
		line(OK, "process_vm_readv", "of a child, ptrace_scope %ld",
		     scope);
	else
		line(FAIL, "process_vm_readv", "%s: functions cannot send "
		     "files; ptrace_scope is %ld: sudo sysctl "
		     "kernel.yama.ptrace_scope=1", strerror(errno), scope);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void check_seccomp(void)
{
	uint32_t kill_process = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
		    &kill_process) < 0)
		line(FAIL, "seccomp", "%s; the kernel needs "
		     "CONFIG_SECCOMP_FILTER", strerror(errno));
	else
		line(OK, "seccomp", "filters");
}

/* an address space holds 64 GB of guest addresses and more of windows */
static void check_limits(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_AS, &r);
	if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur < 128ull << 30)
		line(FAIL, "RLIMIT_AS", "%llu bytes; a clone reserves 64 GB "
		     "of addresses: ulimit -v unlimited",
		     (unsigned long long)r.rlim_cur);
	else
		line(OK, "RLIMIT_AS", "enough");
	getrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur < 1024)
		line(WARN, "RLIMIT_NOFILE", "%llu; a clone takes 4 and a "
		     "caller 1: ulimit -n 4096",
		     (unsigned long long)r.rlim_cur);
	else
		line(OK, "RLIMIT_NOFILE", "%llu",
		     (unsigned long long)r.rlim_cur);
	getrlimit(RLIMIT_NPROC, &r);
	if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur < 256)
		line(WARN, "RLIMIT_NPROC", "%llu; each clone is a process: "
		     "ulimit -u 4096", (unsigned long long)r.rlim_cur);
}

int cmd_check(int argc, char **argv)
{
	struct err err;

	if (argc > 1) {
		int help = !strcmp(argv[1], "-h");

		fprintf(help ? stdout : stderr, "usage: usetl check\n");
		return help ? 0 : 2;
	}
	/* a child of check_readv() must not print it again */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (tender_check(TENDER_PROCESS, &err) == 0)
		no_kvm = WARN;
	check_tender();
	check_kvm();
	check_process();
	check_kernel();
	check_cpu();
	check_rollback();
	check_memfd();
	check_readv();
	check_seccomp();
	check_limits();
	check_overcommit();
	return failures ? 1 : 0;
}
