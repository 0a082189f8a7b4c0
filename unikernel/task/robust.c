/*
 * robust.c - robust mutexes: a dying thread marks those it still holds
 *
 * The list lies in the program's memory and may be nonsense or circular: every
 * pointer is checked, every word is read once, and the walk is bounded as
 * Linux's is.
 */
#include "unikernel/lib/kabi.h"
#include "unikernel/task/thread.h"

#define ROBUST_PI		1	/* low bit of an entry's address */

static int read_next(u64 entry, u64 *next)
{
	if (!user_ok((void *)entry, sizeof(*next), 0))
		return -EFAULT;
	*next = *(volatile u64 *)entry;
	return 0;
}

/*
 * A thread may die after it released the lock and before it woke the next
 * owner.  A pending entry whose word is free shows that, and the wake is done
 * here.
 */
static int robust_word(struct thread *t, u64 addr, int pending)
{
	u32 word;

	if ((addr & 3) || !user_ok((void *)addr, sizeof(word), 1))
		return -EFAULT;
	word = *(volatile u32 *)addr;
	if (pending && !word) {
		futex_wake(addr, 1);
		return 0;
	}
	if ((word & FUTEX_TID_MASK) != (u32)t->tid)
		return 0;
	*(volatile u32 *)addr = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	if (word & FUTEX_WAITERS)
		futex_wake(addr, 1);
	return 0;
}

void robust_list_exit(struct thread *t)
{
	struct k_robust_list_head head;
	u64 entry, next, pending;
	int i;

	if (!t->robust_list || !user_ok(t->robust_list, sizeof(head), 0))
		return;
	memcpy(&head, t->robust_list, sizeof(head));
	pending = head.pending & ~(u64)ROBUST_PI;
	entry = head.next & ~(u64)ROBUST_PI;
	for (i = 0; i < ROBUST_LIST_LIMIT; i++) {
		if (entry == (u64)t->robust_list)
			break;
		/* first the next link, as the next owner may free this mutex */
		if (read_next(entry, &next) < 0)
			return;
		if (entry != pending &&
		    robust_word(t, entry + (u64)head.futex_offset, 0) < 0)
			return;
		entry = next & ~(u64)ROBUST_PI;
	}
	if (pending)
		robust_word(t, pending + (u64)head.futex_offset, 1);
}

long sys_set_robust_list(void *head, size_t len)
{
	if (len != sizeof(struct k_robust_list_head))
		return -EINVAL;
	current->robust_list = head;
	current->robust_len = len;
	return 0;
}

long sys_get_robust_list(int tid, u64 *head, size_t *len)
{
	struct thread *t = tid ? thread_find(tid) : current;

	if (!t)
		return -ESRCH;
	if (!user_ok(head, sizeof(*head), 1) || !user_ok(len, sizeof(*len), 1))
		return -EFAULT;
	*len = sizeof(struct k_robust_list_head);
	*head = (u64)t->robust_list;
	return 0;
}
