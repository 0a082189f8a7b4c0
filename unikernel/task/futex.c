/*
 * futex.c - waiting on a word of memory
 *
 * There is one address space, so a futex is its address, private or shared.
 * Waiters are queued in hash buckets, in order of arrival; a waiter's
 * futex_addr is the word that it waits for, and is 0 in every other thread.
 * Nothing is pre-empted between the check of the word and the sleep.
 *
 * Priority inheritance and FUTEX_FD are -ENOSYS: with one run queue there are
 * no priorities to inherit.
 */
#include "unikernel/arch/clock.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/task/thread.h"

#define BUCKETS	64

static struct waitq buckets[BUCKETS];

static struct waitq *bucket_of(u64 addr)
{
	return &buckets[(addr >> 2 ^ addr >> 12) % BUCKETS];
}

static long futex_check(u64 addr)
{
	if (addr & 3)
		return -EINVAL;
	return user_ok((void *)addr, sizeof(u32), 1) ? 0 : -EFAULT;
}

static u32 futex_read(u64 addr)
{
	return *(volatile u32 *)addr;
}

static int wake_bits(u64 addr, int n, u32 bits)
{
	struct thread *t, *next;
	int woken = 0;

	for (t = bucket_of(addr)->head; t && woken < n; t = next) {
		next = t->wq_next;
		if (t->futex_addr != addr || !(t->futex_bits & bits))
			continue;
		thread_wake_one(t, 0);
		woken++;
	}
	return woken;
}

int futex_wake(u64 addr, int n)
{
	return wake_bits(addr, n, FUTEX_BITSET_MATCH_ANY);
}

/* monotonic ns from the caller's timespec; NEVER for NULL */
static long futex_deadline(const struct k_timespec *ts, int op, u64 *deadline)
{
	struct k_timespec t;
	u64 ns, now;

	*deadline = NEVER;
	if (!ts)
		return 0;
	if (!user_ok(ts, sizeof(*ts), 0))
		return -EFAULT;
	t = *ts;
	if (t.sec < 0 || t.nsec < 0 || (u64)t.nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if ((u64)t.sec >= INT64_MAX / NSEC_PER_SEC)
		return 0;
	ns = (u64)t.sec * NSEC_PER_SEC + (u64)t.nsec;
	if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT) {
		/* FUTEX_WAIT alone has a relative timeout */
		*deadline = now_mono() + ns;
	} else if (op & FUTEX_CLOCK_REALTIME) {
		now = now_real();
		*deadline = now_mono() + (ns > now ? ns - now : 0);
	} else {
		*deadline = ns;
	}
	return 0;
}

static long futex_wait(u64 addr, u32 val, u64 deadline, u32 bits)
{
	struct thread *t = current;
	long rc;

	if (!bits)
		return -EINVAL;
	if (futex_read(addr) != val)
		return -EAGAIN;
	t->futex_addr = addr;
	t->futex_bits = bits;
	rc = thread_wait(bucket_of(addr), deadline);
	t->futex_addr = 0;
	return rc;
}

/* wakes n and moves up to m others; returns how many of both */
static long futex_requeue(u64 addr, int n, int m, u64 addr2)
{
	struct waitq *to = bucket_of(addr2);
	struct thread *t, *next;
	int woken, moved = 0;

	if (n < 0 || m < 0)
		return -EINVAL;
	woken = futex_wake(addr, n);
	for (t = bucket_of(addr)->head; t && moved < m; t = next) {
		next = t->wq_next;
		if (t->futex_addr != addr)
			continue;
		moved++;
		if (addr == addr2)
			continue;
		t->futex_addr = addr2;
		/* in the same bucket t is met again; its address differs */
		thread_move(t, to);
	}
	return woken + moved;
}

static s32 sign_extend12(u32 v)
{
	return (s32)(v << 20) >> 20;
}

/* the FUTEX_OP() of futex(2): changes *addr, and compares its old value */
static long futex_op(u64 addr, u32 op)
{
	u32 old = futex_read(addr), arg = (u32)sign_extend12(op >> 12 & 0xfff);
	s32 cmparg = sign_extend12(op & 0xfff), was = (s32)old;
	u32 new;

	if (op >> 28 & FUTEX_OP_OPARG_SHIFT)
		arg = 1u << (arg & 31);
	switch (op >> 28 & 7) {
	case FUTEX_OP_SET: new = arg; break;
	case FUTEX_OP_ADD: new = old + arg; break;
	case FUTEX_OP_OR: new = old | arg; break;
	case FUTEX_OP_ANDN: new = old & ~arg; break;
	case FUTEX_OP_XOR: new = old ^ arg; break;
	default: return -ENOSYS;
	}
	if ((op >> 24 & 15) > FUTEX_OP_CMP_GE)
		return -ENOSYS;
	*(volatile u32 *)addr = new;
	switch (op >> 24 & 15) {
	case FUTEX_OP_CMP_EQ: return was == cmparg;
	case FUTEX_OP_CMP_NE: return was != cmparg;
	case FUTEX_OP_CMP_LT: return was < cmparg;
	case FUTEX_OP_CMP_LE: return was <= cmparg;
	case FUTEX_OP_CMP_GT: return was > cmparg;
	default: return was >= cmparg;
	}
}

static long futex_wake_op(u64 addr, int n, int m, u64 addr2, u32 op)
{
	long rc = futex_op(addr2, op);
	int woken;

	if (rc < 0)
		return rc;
	woken = futex_wake(addr, MAX(n, 1));
	if (rc)
		woken += futex_wake(addr2, MAX(m, 1));
	return woken;
}

static long futex_two(u64 addr, int cmd, u32 val, u32 val2, u64 addr2,
		      u32 val3)
{
	long rc = futex_check(addr2);

	if (rc < 0)
		return rc;
	if (cmd == FUTEX_WAKE_OP)
		return futex_wake_op(addr, (int)val, (int)val2, addr2, val3);
	if (cmd == FUTEX_CMP_REQUEUE && futex_read(addr) != val3)
		return -EAGAIN;
	return futex_requeue(addr, (int)val, (int)val2, addr2);
}

static long futex_wait_timed(u64 addr, int op, u32 val, u64 timeout, u32 bits)
{
	u64 deadline;
	long rc = futex_deadline((void *)timeout, op, &deadline);

	return rc < 0 ? rc : futex_wait(addr, val, deadline, bits);
}

long sys_futex(u32 *uaddr, int op, u32 val, u64 timeout, u32 *uaddr2, u32 val3)
{
	u64 addr = (u64)uaddr;
	int cmd = op & FUTEX_CMD_MASK;
	long rc;

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	rc = futex_check(addr);
	switch (cmd) {
	case FUTEX_WAIT:
		val3 = FUTEX_BITSET_MATCH_ANY;
		/* fall through */
	case FUTEX_WAIT_BITSET:
		return rc < 0 ? rc :
			futex_wait_timed(addr, op, val, timeout, val3);
	case FUTEX_WAKE:
		val3 = FUTEX_BITSET_MATCH_ANY;
		/* fall through */
	case FUTEX_WAKE_BITSET:
		if (!val3)
			return -EINVAL;
		/* Linux wakes one when asked for none */
		return rc < 0 ? rc :
			wake_bits(addr, MAX((int)val, 1), val3);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
		return rc < 0 ? rc : futex_two(addr, cmd, val, (u32)timeout,
					       (u64)uaddr2, val3);
	default:
		return -ENOSYS;
	}
}
