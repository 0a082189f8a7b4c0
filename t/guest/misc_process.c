/* misc_process.c - ids, limits, usage, scheduling, prctl, auxv */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static void test_ids(void)
{
	uid_t r, e, s;

	ok(getpid() > 0 && getpid() == syscall(SYS_getpid), "getpid");
	ok(syscall(SYS_gettid) == getpid(), "the first thread has its id");
	ok(getppid() >= 0, "getppid");
	ok(getpgid(0) == getpgrp() && getsid(0) >= 0, "group and session");
	fails(getpgid(4194303), ESRCH, "getpgid: nobody");
	ok(getresuid(&r, &e, &s) == 0 && r == getuid() && e == geteuid(),
	   "user ids agree");
	ok(setuid(getuid()) == 0 && setgid(getgid()) == 0,
	   "to stay who one is succeeds");
	fails(syscall(SYS_getresuid, 8l, 8l, 8l), EFAULT,
	      "getresuid: a bad pointer");
	ok(getgroups(0, NULL) >= 0, "getgroups");
	fails(syscall(SYS_getgroups, -1, NULL), EINVAL, "getgroups: negative");
}

static void test_uname(void)
{
	struct utsname u;
	char host[128];

	ok(uname(&u) == 0 && !strcmp(u.sysname, "Linux") &&
	   !strcmp(u.machine, "x86_64"), "uname");
	ok(gethostname(host, sizeof(host)) == 0 && !strcmp(host, u.nodename),
	   "host name");
	fails(syscall(SYS_uname, 8l), EFAULT, "uname: a bad pointer");
}

static void test_sysinfo(void)
{
	struct sysinfo si;

	ok(sysinfo(&si) == 0 && si.totalram > 0 && si.freeram > 0 &&
	   si.freeram <= si.totalram && si.mem_unit > 0 && si.procs > 0,
	   "sysinfo");
	ok(sysconf(_SC_NPROCESSORS_ONLN) >= 1 && sysconf(_SC_PAGESIZE) == 4096
	   && sysconf(_SC_CLK_TCK) == 100, "sysconf");
}

static void test_limits(void)
{
	struct rlimit l, m;

	ok(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur > 0 &&
	   l.rlim_cur <= l.rlim_max, "limit of open files");
	ok(getrlimit(RLIMIT_STACK, &l) == 0 && l.rlim_cur >= 65536,
	   "limit of the stack");
	getrlimit(RLIMIT_CORE, &l);
	m = l;
	m.rlim_cur = 0;
	ok(setrlimit(RLIMIT_CORE, &m) == 0 && getrlimit(RLIMIT_CORE, &m) == 0
	   && m.rlim_cur == 0, "a limit is lowered");
	m.rlim_cur = 10;
	m.rlim_max = 5;
	fails(setrlimit(RLIMIT_CORE, &m), EINVAL, "soft above hard");
	fails(getrlimit(99, &l), EINVAL, "no such limit");
	fails(syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, 8l), EFAULT,
	      "prlimit: a bad pointer");
	ok(prlimit(getpid(), RLIMIT_NOFILE, NULL, &l) == 0, "prlimit");
}

static void test_usage(void)
{
	struct rusage ru;

	ok(getrusage(RUSAGE_SELF, &ru) == 0 && ru.ru_maxrss > 0 &&
	   ru.ru_utime.tv_usec >= 0 && ru.ru_utime.tv_usec < 1000000,
	   "getrusage");
	ok(getrusage(RUSAGE_CHILDREN, &ru) == 0 && ru.ru_maxrss == 0,
	   "usage of no children");
	ok(getrusage(RUSAGE_THREAD, &ru) == 0, "usage of the thread");
	fails(getrusage(77, &ru), EINVAL, "usage of nobody");
}

static void test_sched(void)
{
	struct sched_param p = { 0 };
	cpu_set_t set;
	unsigned cpu, node;
	int nice;

	CPU_ZERO(&set);
	ok(sched_getaffinity(0, sizeof(set), &set) == 0 &&
	   CPU_COUNT(&set) >= 1, "sched_getaffinity");
	ok(sched_setaffinity(0, sizeof(set), &set) == 0,
	   "sched_setaffinity to the same");
	fails(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL,
	      "affinity: too short");
	ok(sched_getscheduler(0) == SCHED_OTHER, "policy");
	ok(sched_setscheduler(0, SCHED_OTHER, &p) == 0, "policy set");
	fails(sched_setscheduler(0, 55, &p), EINVAL, "no such policy");
	ok(sched_get_priority_max(SCHED_FIFO) == 99 &&
	   sched_get_priority_min(SCHED_FIFO) == 1 &&
	   sched_get_priority_max(SCHED_OTHER) == 0, "priorities");
	fails(sched_get_priority_max(55), EINVAL, "priorities of no policy");
	ok(getcpu(&cpu, &node) == 0, "getcpu");
	errno = 0;
	nice = getpriority(PRIO_PROCESS, 0);	/* the tests may run niced */
	ok(nice >= -20 && nice < 19 && errno == 0, "getpriority");
	ok(setpriority(PRIO_PROCESS, 0, nice + 1) == 0 &&
	   getpriority(PRIO_PROCESS, 0) == nice + 1, "setpriority");
	ok(sched_yield() == 0, "sched_yield");
}

static void test_prctl(void)
{
	char name[16];

	ok(prctl(PR_SET_NAME, "a-rather-long-name-here") == 0 &&
	   prctl(PR_GET_NAME, name) == 0 &&
	   !strcmp(name, "a-rather-long-n"), "the thread's name");
	fails(prctl(PR_SET_NAME, 8l), EFAULT, "name: a bad pointer");
	fails(prctl(31337), EINVAL, "prctl: no such thing");
	ok(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	   prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no new privileges");
}

static void test_fs(void)
{
	unsigned long base = 0, self;

	__asm__("mov %%fs:0, %0" : "=r"(self));
	ok(syscall(SYS_arch_prctl, 0x1003, &base) == 0 && base == self,
	   "arch_prctl: FS base");
	fails(syscall(SYS_arch_prctl, 0x1002, 1ul << 63), EPERM,
	      "arch_prctl: a base that is no address");
	fails(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL,
	      "arch_prctl: no such thing");
	ok(syscall(SYS_arch_prctl, 0x1001, self) == 0 &&
	   syscall(SYS_arch_prctl, 0x1004, &base) == 0 && base == self,
	   "arch_prctl: GS base");
	syscall(SYS_arch_prctl, 0x1001, 0);
}

static void test_auxv(void)
{
	const unsigned char *random = (void *)getauxval(AT_RANDOM);
	int i, sum = 0;

	for (i = 0; random && i < 16; i++)
		sum += random[i];
	ok(sum != 0, "AT_RANDOM");
	ok(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_CLKTCK) == 100 &&
	   getauxval(AT_PHNUM) > 0 && getauxval(AT_ENTRY), "auxv");
	ok(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64"), "AT_PLATFORM");
	ok(((char *)getauxval(AT_EXECFN))[0] != '\0', "AT_EXECFN");
	ok(getauxval(AT_MINSIGSTKSZ) >= 1024, "AT_MINSIGSTKSZ");
}

static void test_processes(void)
{
	fails(waitpid(-1, NULL, WNOHANG), ECHILD, "no child to wait for");
	fails(syscall(SYS_wait4, -1, NULL, 0x10000, NULL), EINVAL,
	      "wait4: options");
	fails(waitid(P_ALL, 0, NULL, 0), EINVAL, "waitid: for what");
	fails(waitid(77, 0, NULL, WEXITED), EINVAL, "waitid: for whom");
	fails(waitid(P_ALL, 0, NULL, WEXITED), ECHILD, "waitid: nobody");
	if (!in_guest()) {
		skip("fork", "Linux has it");
		skip("vfork", "Linux has it");
		skip("execve", "Linux has it");
		return;
	}
	fails(syscall(SYS_fork), ENOSYS, "fork");
	fails(syscall(SYS_vfork), ENOSYS, "vfork");
	fails(syscall(SYS_execve, "/bin/true", NULL, NULL), ENOSYS, "execve");
}

int main(void)
{
	test_ids();
	test_uname();
	test_sysinfo();
	test_limits();
	test_usage();
	test_sched();
	test_prctl();
	test_fs();
	test_auxv();
	test_processes();
	return done_testing();
}
