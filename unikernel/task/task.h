/*
 * task.h - the one process: its identity, time, limits and scheduling
 *
 *   task.c	its numbers, and what it cannot do
 *   fork.c	READY, by which it becomes another one
 *   cred.c	users, groups, capabilities
 *   time.c	clocks and sleeping
 *   schedcall.c	policy, priority, affinity
 *   rlimit.c	limits
 *   sysinfo.c	what it is told of the machine, and of what it used
 */
#ifndef UNIKERNEL_TASK_H
#define UNIKERNEL_TASK_H

#include "unikernel/lib/kabi.h"
#include "unikernel/lib/lib.h"

#define UK_SYSNAME	"Linux"
#define UK_RELEASE	"6.1.0-usetl"
#define UK_VERSION	"#1 usetl"
#define UK_NODENAME	"usetl"

/* descriptors of the process; their table is the vfs's (fd.c) */
#define FD_MAX		4096

/*
 * The one process.  It boots as UK_PID_BOOT, in a group and a session of its
 * own, and READY turns it into a child of that process (fork.c).  Its first
 * thread has the same number.
 */
struct task_ids {
	int pid, ppid, pgid, sid;
};
extern struct task_ids task_ids;	/* task.c */

/* the path of the running program, as the tender named it */
extern char task_program[PATH_MAX];	/* task.c */

/*
 * Answers a program that asks for another process: -ENOSYS, with a line in the
 * log the first time.
 */
long task_refuse(void);

/*
 * In fork.c.  fork_hook is set while a fork() means READY; it rings READY,
 * calls task_begin(), and returns in the child, 0 or -errno.  task_fork() is
 * that fork: 0 in the child, or -errno.
 */
extern long (*fork_hook)(void);
long task_fork(u64 flags, u64 stack, int *ctid);
/* to call when READY has returned: the process is a new one */
void task_begin(void);

/* in time.c: nanoseconds that this process did not sleep */
u64 now_cpu(void);
/* monotonic ns slept in doorbells; whoever sleeps in one adds to it */
extern u64 time_idle_ns;
/* for a new process, which has used no CPU time yet */
void now_cpu_reset(void);

/* time.c; ts, tv: struct timespec, struct timeval */
long sys_nanosleep(const struct k_timespec *req, struct k_timespec *rem);
long sys_gettimeofday(s64 *tv, int *tz);
long sys_settimeofday(const s64 *tv, const int *tz);
long sys_times(s64 *tms);
long sys_time(s64 *t);
long sys_clock_settime(int id, const struct k_timespec *ts);
long sys_clock_gettime(int id, struct k_timespec *ts);
long sys_clock_getres(int id, struct k_timespec *ts);
long sys_clock_nanosleep(int id, int flags, const struct k_timespec *req,
			 struct k_timespec *rem);

/* in cred.c: the program is root, of nothing but its guest */
long sys_getuid(void);
long sys_getgid(void);
long sys_geteuid(void);
long sys_getegid(void);
long sys_setuid(u32 id);
long sys_setgid(u32 id);
long sys_setreuid(u32 r, u32 e);
long sys_setregid(u32 r, u32 e);
long sys_setresuid(u32 r, u32 e, u32 s);
long sys_setresgid(u32 r, u32 e, u32 s);
long sys_getresuid(u32 *r, u32 *e, u32 *s);
long sys_getresgid(u32 *r, u32 *e, u32 *s);
long sys_setfsuid(u32 id);
long sys_setfsgid(u32 id);
long sys_getgroups(int n, u32 *list);
long sys_setgroups(int n, const u32 *list);
long sys_capget(u32 *head, u32 *data);
long sys_capset(u32 *head, const u32 *data);

/*
 * task.c: how often the program has found something that is the function's own,
 * its files or its limits, or has armed a timer: none of it is to be shared
 * (python/_usetl/learn.py)
 */
extern u32 task_looks;

/* task.c: the one process */
long sys_getpid(void);
long sys_getppid(void);
long sys_getpgrp(void);
long sys_getpgid(int pid);
long sys_setpgid(int pid, int pgid);
long sys_getsid(int pid);
long sys_setsid(void);
long sys_fork(void);
long sys_vfork(void);
long sys_execve(const char *path, const void *argv, const void *envp);
long sys_execveat(int dir, const char *path, const void *argv,
		  const void *envp, int flags);
long sys_wait4(int pid, int *status, int options, void *usage);
long sys_waitid(int type, int id, void *info, int options, void *usage);
long sys_ptrace(long req, int pid, void *addr, void *data);
long sys_prctl(int op, u64 a, u64 b, u64 c, u64 d);
long sys_arch_prctl(int op, u64 addr);
long sys_personality(u32 persona);
long sys_membarrier(int cmd, unsigned flags, int cpu);

/* schedcall.c */
long sys_sched_setparam(int pid, const int *param);
long sys_sched_getparam(int pid, int *param);
long sys_sched_setscheduler(int pid, int policy, const int *param);
long sys_sched_getscheduler(int pid);
long sys_sched_get_priority_max(int policy);
long sys_sched_get_priority_min(int policy);
long sys_sched_rr_get_interval(int pid, struct k_timespec *ts);
long sys_sched_setaffinity(int pid, size_t len, const u8 *mask);
long sys_sched_getaffinity(int pid, size_t len, u8 *mask);
long sys_getpriority(int which, int who);
long sys_setpriority(int which, int who, int nice);
long sys_getcpu(u32 *cpu, u32 *node, void *cache);

/* sysinfo.c */
long sys_uname(char *buf);
long sys_sysinfo(void *info);
long sys_getrusage(int who, void *usage);

/* rlimit.c */
long sys_getrlimit(int res, u64 *lim);
long sys_setrlimit(int res, const u64 *lim);
long sys_prlimit64(int pid, int res, const u64 *lim, u64 *old);

#endif
