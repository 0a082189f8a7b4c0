/*
 * fork.c - READY as a fork(2), whose child a clone is
 *
 * There is one process at a time.  The reference's READY returns in each clone,
 * and again after each rollback, as another process: with a pid that no other
 * request of the function had, and with zeros in the memory that it marked
 * MADV_WIPEONFORK.
 *
 * Where the program asked for READY by fork(), the C library's and the
 * interpreter's handlers for a child run as after any fork, and what a child
 * does not inherit by fork(2) is reset.  That would break a program with other
 * threads: here they live on in the child, and most handlers would reset what
 * those threads use.  Such a program asks for READY without a fork; its first
 * thread then gets the new process's number, and the C library is told.
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
	/* the first thread may have ended while others go on */
	if (first) {
		first->tid = pid;
		tid_tell(first->clear_tid, pid);
	}
	pages_wipe();
}

/* resets what a child does not inherit, by fork(2) */
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
	/* the child sets its own; the parent's address is not inherited */
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
