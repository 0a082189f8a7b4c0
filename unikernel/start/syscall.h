/*
 * syscall.h - dispatch, entries from assembly, and the system calls that have
 * no header of their own (time, identity, limits, scheduling, processes)
 *
 * A handler takes the program's arguments as they are: every pointer is
 * hostile until user_ok() has said yes.  It answers >= 0 or -errno.
 */
#ifndef UNIKERNEL_SYSCALL_H
#define UNIKERNEL_SYSCALL_H

#include "unikernel/lib/kabi.h"
#include "unikernel/lib/lib.h"

struct regs;

/*
 * The one process.  It boots as UK_PID_BOOT, in a group and a session of its
 * own, and READY makes it a child of that (fork.c).  Its first thread has its
 * number.
 */
struct task_ids {
	int pid, ppid, pgid, sid;
};
extern struct task_ids task_ids;	/* task.c */

#define UK_SYSNAME	"Linux"
#define UK_RELEASE	"6.1.0-usetl"
#define UK_VERSION	"#1 usetl"
#define UK_NODENAME	"usetl"

/* from entry.S */
void boot_main(void) __attribute__((noreturn));
void syscall_enter(struct regs *r);
void trap_enter(struct regs *r);
void trap_in_libos(u64 rbp) __attribute__((noreturn));
void preempt_enter(struct regs *r);
/* on every way back: signals, due switches, vector state */
void user_return(struct regs *r);

/* to iret.S: the program at r, on the current thread's libOS stack */
void ret_to_user_full(void);
void user_start(struct regs *r) __attribute__((noreturn));

/* the path of the running program, as the tender named it */
extern char task_program[PATH_MAX];	/* task.c */

/*
 * What a program gets that asks for another process: one line to the log,
 * the first time, and -ENOSYS.
 */
long task_refuse(void);

/* nanoseconds this process did not sleep; time.c */
u64 now_cpu(void);
/* added to by whoever sleeps in a doorbell: mono ns slept in it */
extern u64 time_idle_ns;
/* a new process: none are used yet */
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

/* random.c */
long sys_getrandom(void *buf, size_t len, unsigned flags);

/* mmap.c: memory never leaves, so locking it is done already */
long sys_mlock(u64 addr, u64 len);
long sys_mlock2(u64 addr, u64 len, int flags);
long sys_munlock(u64 addr, u64 len);
long sys_mlockall(int flags);
long sys_munlockall(void);

/* cred.c: everything runs as root of nothing */
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

/* misc.c */
long sys_uname(char *buf);
long sys_sysinfo(void *info);
long sys_getrlimit(int res, u64 *lim);
long sys_setrlimit(int res, const u64 *lim);
long sys_prlimit64(int pid, int res, const u64 *lim, u64 *old);
long sys_getrusage(int who, void *usage);

#endif
