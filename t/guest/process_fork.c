/*
 * process_fork.c - what a child of fork(2) is, has, and has not
 *
 * In a guest the one fork that there is is READY, so it is asked for
 * (unikernel/dev/dev.h), and the child runs in a clone.  Where READY has been
 * already, what is left to see is that it is refused.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "unikernel/dev/dev.h"

#define PAGE	4096

static int prepared, in_parent, in_child;
static char *wiped, *kept, *cleared, *moved;
static pid_t parent;
static timer_t timer;
static pthread_mutex_t recursive;

static void prepare(void) { prepared++; }
static void after_in_parent(void) { in_parent++; }
static void after_in_child(void) { in_child++; }

static char *pages(int n)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 0x5a, n * PAGE);
	return p;
}

static int filled(const char *p, int n, char with)
{
	for (int i = 0; i < n * PAGE; i++)
		if (p[i] != with)
			return 0;
	return 1;
}

static void test_advice(void)
{
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	wiped = pages(3);
	kept = pages(1);
	cleared = pages(2);
	ok(madvise(wiped + PAGE, PAGE, MADV_WIPEONFORK) == 0,
	   "MADV_WIPEONFORK of a page among others");
	ok(madvise(cleared, 2 * PAGE, MADV_WIPEONFORK) == 0 &&
	   madvise(cleared, PAGE, MADV_KEEPONFORK) == 0,
	   "MADV_KEEPONFORK takes it back");
	fails(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL,
	      "MADV_WIPEONFORK: not of shared memory");
	moved = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(moved, PAGE, MADV_WIPEONFORK);
	moved = mremap(moved, PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	memset(moved, 0x5a, 4 * PAGE);
	ok(filled(wiped, 3, 0x5a) && filled(cleared, 2, 0x5a),
	   "MADV_WIPEONFORK: before a fork nothing changes");
	munmap(shared, PAGE);
}

static void before(void)
{
	struct itimerval hour = { .it_value.tv_sec = 3600 };
	struct itimerspec later = { .it_value.tv_sec = 3600 };
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	pthread_mutexattr_t attr;
	sigset_t set;

	ok(pthread_atfork(prepare, after_in_parent, after_in_child) == 0,
	   "pthread_atfork");
	parent = getpid();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	kill(parent, SIGUSR2);
	setitimer(ITIMER_REAL, &hour, NULL);
	ok(timer_create(CLOCK_MONOTONIC, &none, &timer) == 0 &&
	   timer_settime(timer, 0, &later, NULL) == 0, "a timer");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&recursive, &attr);
}

static void test_ids(void)
{
	pid_t pid = getpid(), sid = getsid(0);
	char self[32] = "", path[64], want[32];
	FILE *f;
	int n = 0;

	ok(pid != parent && pid > 1, "a child has a number of its own");
	ok(getppid() == parent, "a child's parent is who forked it");
	ok(syscall(SYS_gettid) == pid, "a child's thread has its number");
	ok(getpgrp() == getpgid(parent) || in_guest(), "the parent's group");
	ok(sid != pid, "the parent's session");
	snprintf(want, sizeof(want), "%d", (int)pid);
	ok(readlink("/proc/self", self, sizeof(self) - 1) > 0 &&
	   !strcmp(self, want), "/proc/self is %s", self);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	ok(f && fscanf(f, "%d", &n) == 1 && n == pid, "/proc/PID/stat");
	if (f)
		fclose(f);
	ok(kill(pid, 0) == 0, "a child can be signalled by its number");
	ok(pthread_kill(pthread_self(), 0) == 0,
	   "a child's thread can be signalled by its number");
	fails(setpgid(0, 4194304), EPERM,
	      "a child: no group of another number");
	ok(setsid() == pid && getsid(0) == pid && getpgrp() == pid,
	   "a child can begin a session");
	fails(setsid(), EPERM, "a child can begin a session once");
}

static void test_not_inherited(void)
{
	struct timespec no_time = { 0 }, cpu = { 1000 };
	struct itimerspec left;
	struct itimerval it;
	struct rusage ru;
	sigset_t set;
	void *head = NULL;
	size_t len;

	ok(sigpending(&set) == 0 && !sigismember(&set, SIGUSR1) &&
	   !sigismember(&set, SIGUSR2), "a child: no signals are pending");
	ok(sigprocmask(SIG_BLOCK, NULL, &set) == 0 &&
	   sigismember(&set, SIGUSR1), "the mask is the parent's");
	ok(sigtimedwait(&set, NULL, &no_time) == -1 && errno == EAGAIN,
	   "a child: no pending signal can be had");
	ok(getitimer(ITIMER_REAL, &it) == 0 && !it.it_value.tv_sec &&
	   !it.it_value.tv_usec, "a child: no interval timer runs");
	fails(timer_gettime(timer, &left), EINVAL,
	      "a child: no timer is there");
	ok(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0 &&
	   cpu.tv_sec < 100 && getrusage(RUSAGE_SELF, &ru) == 0 &&
	   ru.ru_utime.tv_sec < 100, "a child has used little time");
	ok(syscall(SYS_get_robust_list, 0, &head, &len) == 0 && head,
	   "the C library gave a new robust list");
}

static void *lock_it(void *arg)
{
	return (void *)(intptr_t)pthread_mutex_trylock(&recursive);
}

static void test_memory(void)
{
	void *r = NULL;
	pthread_t t;

	ok(filled(wiped, 1, 0x5a) && filled(wiped + PAGE, 1, 0) &&
	   filled(wiped + 2 * PAGE, 1, 0x5a),
	   "MADV_WIPEONFORK: the page is wiped, it alone");
	ok(filled(kept, 1, 0x5a), "MADV_WIPEONFORK: other pages are not wiped");
	ok(filled(cleared, 1, 0x5a) && filled(cleared + PAGE, 1, 0),
	   "MADV_KEEPONFORK: the page is not wiped");
	ok(filled(moved, 4, 0),
	   "MADV_WIPEONFORK: what was moved and grown is wiped");
	ok(pthread_mutex_lock(&recursive) == 0 &&
	   pthread_mutex_lock(&recursive) == 0,
	   "a recursive lock knows its owner");
	ok(pthread_create(&t, NULL, lock_it, NULL) == 0 &&
	   pthread_join(t, &r) == 0 && (intptr_t)r == EBUSY,
	   "a recursive lock knows who is not its owner");
	ok(prepared == 1 && in_child == 1 && !in_parent,
	   "the handlers ran, once each, the parent's not here");
}

static int child(void)
{
	test_ids();
	test_not_inherited();
	test_memory();
	if (in_guest())
		fails(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), ENOSYS,
		      "a second fork is refused");
	return done_testing();
}

int main(void)
{
	int fd = open("/dev/usetl/event", O_RDONLY | O_CLOEXEC), status = 0;
	pid_t pid;

	if (fd >= 0 && ioctl(fd, USETL_FORK) < 0) {
		ok(errno == EINVAL, "a second fork: READY was already");
		fails(fork(), ENOSYS, "fork is refused");
		return done_testing();
	}
	if (in_guest())
		fails(setsid(), EPERM, "a leader begins no session");
	test_advice();
	before();
	pid = fork();
	if (pid == 0)
		exit(child());
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
