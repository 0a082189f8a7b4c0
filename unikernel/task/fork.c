/*
 * fork.c - READY as a fork(2), whose child a clone is
 *
 * There is one process at a time.  The reference's READY returns in each
 * clone, and again after each rollback, as another process: with a pid that
 * no other request of the function had, and with what it asked to be wiped
 * (MADV_WIPEONFORK) zero.
 *
 * Where the program asked for READY by fork(), the C library's and the
 * interpreter's handlers for a child run by themselves, and what fork(2) says
 * that a child does not inherit is gone.  That cannot be done to a program
 * with other threads: they live on in the child, as they do nowhere else, and
 * most handlers would take what is theirs.  Such a program asks for READY
 * alone; its first thread gets the process's number, as the C library knows
 * it.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define CLONE_FORK	(CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | \
			 CLONE_CHILD_SETTID)

long (*fork_hook)(void);

static void tid_tell(u32 *at, int tid)
{
	if (at && user_ok(at, sizeof(*at), 1))
		*at = (u32)tid;
}

void task_begin(void)
{
	struct thread *first = thread_find(task_ids.pid);
	int pid = (int)uk_ctl->pid;

	assert(pid >= UK_PID_FIRST && pid <= UK_PID_LAST);
	task_ids.ppid = task_ids.pid;
	task_ids.pid = pid;
	thread_ids_from(pid);
	/* its first thread may be gone, and the others go on */
	if (first) {
		first->tid = pid;
		tid_tell(first->clear_tid, pid);
	}
	pages_wipe();
}

/* fork(2), "The child process is an exact duplicate ... except" */
static void inherit_not(void)
{
	current->robust_list = NULL;
	current->robust_len = 0;
	signal_pending_reset();
	signal_timer_reset();
	now_cpu_reset();
}

long task_fork(u64 flags, u64 stack, int *ctid)
{
	long rc;

	if (flags & ~(u64)CLONE_FORK || stack)
		return task_refuse();
	if (thread_count > 1)
		return -EAGAIN;
	/* the child's own: what the parent set is not known there */
	current->clear_tid = NULL;
	rc = fork_hook();
	if (rc < 0)
		return rc;
	inherit_not();
	if (flags & CLONE_CHILD_CLEARTID)
		current->clear_tid = (u32 *)ctid;
	if (flags & CLONE_CHILD_SETTID)
		tid_tell((u32 *)ctid, current->tid);
	return 0;
}
