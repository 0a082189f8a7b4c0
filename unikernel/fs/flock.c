/*
 * flock.c - flock(2): locks of whole files
 *
 * A lock belongs to an open file: its descriptors and threads share it, and it
 * goes with the last of them.  Two open files of one inode exclude each other
 * even in one process, and libraries use that between threads.  Few files are
 * locked at once, so one list holds all locks, and all waiters check again when
 * any lock is released.
 *
 * Invariant: f->locked says whether f has a lock in the list, and it has at
 * most one.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"
#include "unikernel/fs/sysfile.h"
#include "unikernel/task/thread.h"

struct lock {
	struct lock *next;
	struct file *file;
	int type;			/* LOCK_SH or LOCK_EX */
};

static struct lock *locks;
static struct waitq waiters;

/*
 * What is locked: a pipe's two ends are one thing, while each open console is a
 * thing of its own.
 */
static const void *subject(const struct file *f)
{
	if (f->inode)
		return f->inode;
	return f->priv ? f->priv : f;
}

static int conflicts(const struct file *f, int type)
{
	struct lock *l;

	for (l = locks; l; l = l->next)
		if (l->file != f && subject(l->file) == subject(f) &&
		    (type == LOCK_EX || l->type == LOCK_EX))
			return 1;
	return 0;
}

static int held(const struct file *f)
{
	struct lock *l;

	for (l = locks; l; l = l->next)
		if (l->file == f)
			return l->type;
	return LOCK_UN;
}

static void unlock(struct file *f)
{
	struct lock **p, *l;

	if (!f->locked)
		return;
	for (p = &locks; (*p)->file != f; p = &(*p)->next)
		;
	l = *p;
	*p = l->next;
	kfree(l);
	f->locked = 0;
	thread_wake(&waiters, THREADS_MAX);
}

/* a lock of the other type is released first, and is lost when this fails */
static long lock(struct file *f, int type, int wait)
{
	struct lock *l;
	int rc;

	if (held(f) == type)
		return 0;
	unlock(f);
	while (conflicts(f, type)) {
		if (!wait)
			return -EAGAIN;
		rc = thread_wait(&waiters, NEVER);
		if (rc < 0)
			return rc;
	}
	/* while this one waited another thread may have taken a lock for f */
	unlock(f);
	l = kmalloc(sizeof(*l));
	if (!l)
		return -ENOLCK;
	*l = (struct lock){ .next = locks, .file = f, .type = type };
	locks = l;
	f->locked = 1;
	file_unlock = unlock;
	return 0;
}

long sys_flock(int fd, int op)
{
	struct file *f = fd_get(fd);
	int type = op & ~LOCK_NB;
	long rc = 0;

	if (type != LOCK_SH && type != LOCK_EX && type != LOCK_UN)
		return -EINVAL;
	if (!f)
		return -EBADF;
	file_hold(f);
	if (type == LOCK_UN)
		unlock(f);
	else
		rc = lock(f, type, !(op & LOCK_NB));
	file_put(f);
	return rc;
}
