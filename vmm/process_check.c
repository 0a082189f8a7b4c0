/*
 * process_check.c - can this host run guests as locked processes, and on what
 * processor?
 *
 * What is asked is asked by doing it, to a child, in about a millisecond.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/process_impl.h"

#define HWCAP2_FSGSBASE_BIT	(1ul << 1)

static const char word[] = "usetl";

/* each of them, of a child: 0 or -errno, and what the kernel would not do */
static int reach(pid_t pid, const char **what)
{
	char path[64], text[64], buf[sizeof(word)];
	struct iovec mine = { buf, sizeof(buf) };
	struct iovec theirs = { (void *)word, sizeof(word) };
	static const char *const file[] = { "pagemap", "syscall", "statm" };
	ssize_t n;
	int fd;

	*what = "process_vm_readv";
	n = process_vm_readv(pid, &mine, 1, &theirs, 1, 0);
	if (n != sizeof(word))
		return n < 0 ? -errno : -EIO;
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file[i]);
		*what = i == 0 ? "/proc/PID/pagemap" : i == 1 ?
			"/proc/PID/syscall" : "/proc/PID/statm";
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		n = read(fd, text, 8);
		close(fd);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	*what = "pidfd_open";
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int reach_child(struct err *err)
{
	const char *what = "fork";
	int status, rc;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			poll(NULL, 0, -1);
	}
	rc = pid < 0 ? -errno : reach(pid, &what);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return rc == 0 ? 0 : err_set(err, rc, "process tender: %s of a child: "
				     "%s; a container may need --cap-add="
				     "SYS_PTRACE, a host "
				     "kernel.yama.ptrace_scope below 2", what,
				     strerror(-rc));
}

int proc_check(struct err *err)
{
	uint32_t trap = SECCOMP_RET_TRAP;
	struct rlimit as;
	FILE *f;
	unsigned long min = 0;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT))
		return err_set(err, -ENOTSUP, "process tender: the processor "
			       "or the kernel (5.9 and newer) has no fsgsbase");
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &trap) < 0)
		return err_set(err, -errno, "process tender: no seccomp "
			       "filters: %s; the kernel needs "
			       "CONFIG_SECCOMP_FILTER, a container a profile "
			       "that allows seccomp", strerror(errno));
	if ((uintptr_t)word < UK_END)
		return err_set(err, -ENOTSUP, "process tender: this program "
			       "lies where guests do; build it with -fPIE");
	f = fopen("/proc/sys/vm/mmap_min_addr", "re");
	if (f && fscanf(f, "%lu", &min) == 1 && min > UK_EXEC_BASE) {
		fclose(f);
		return err_set(err, -ENOTSUP, "process tender: mmap_min_addr "
			       "is %lu; sudo sysctl vm.mmap_min_addr=65536",
			       min);
	}
	if (f)
		fclose(f);
	if (getrlimit(RLIMIT_AS, &as) == 0 && as.rlim_cur != RLIM_INFINITY &&
	    as.rlim_cur < 256ull << 30)
		return err_set(err, -ENOMEM, "process tender: the address "
			       "space is limited to %llu bytes; ulimit -v "
			       "unlimited", (unsigned long long)as.rlim_cur);
	return reach_child(err);
}

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
	t0 = proc_now();
	c0 = __builtin_ia32_rdtsc();
	do {
		t1 = proc_now();
		c1 = __builtin_ia32_rdtsc();
	} while (t1 - t0 < 10000000);
	tender_cpu.tsc_khz = (uint64_t)((__uint128_t)(c1 - c0) * 1000000 /
					(t1 - t0));
}

int proc_init(struct err *err)
{
	int rc = proc_check(err);

	if (rc < 0)
		return rc;
	cpu_learn();
	tsc_learn();
	return 0;
}
