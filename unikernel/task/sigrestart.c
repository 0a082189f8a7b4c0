/*
 * sigrestart.c - which interrupted system calls begin again (signal(7))
 *
 * A call begins again by going back over its `syscall` instruction, two
 * bytes, with the number in rax; its arguments are in their registers still.
 * Those not listed answer EINTR whatever SA_RESTART says: sleeps, poll,
 * epoll_wait, sigtimedwait.  So do sockets with a timeout, which would begin
 * anew: they say signal_no_restart().
 */
#include "unikernel/lib/kabi.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/thread.h"

#define SYSCALL_INSN	2	/* bytes: 0f 05 */

enum {
	NR_FUTEX = 202,
};

/* begin again after a handler with SA_RESTART, and when none ran */
static const u16 restartable[] = {
	0 /* read */, 1 /* write */, 2 /* open */, 16 /* ioctl */,
	17 /* pread64 */, 18 /* pwrite64 */, 19 /* readv */, 20 /* writev */,
	40 /* sendfile */, 42 /* connect */, 43 /* accept */, 44 /* sendto */,
	45 /* recvfrom */, 46 /* sendmsg */, 47 /* recvmsg */, 61 /* wait4 */,
	72 /* fcntl */, 73 /* flock */, NR_FUTEX, 247 /* waitid */,
	257 /* openat */, 275 /* splice */, 288 /* accept4 */,
	295 /* preadv */, 296 /* pwritev */, 299 /* recvmmsg */,
	307 /* sendmmsg */, 318 /* getrandom */, 326 /* copy_file_range */,
	327 /* preadv2 */, 328 /* pwritev2 */,
};

/* begin again only when no handler ran */
static const u16 unless_handled[] = {
	23 /* select */, 34 /* pause */, 130 /* rt_sigsuspend */,
	270 /* pselect6 */, 271 /* ppoll */,
};

static int has(const u16 *list, size_t n, u64 nr)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (list[i] == nr)
			return 1;
	return 0;
}

void signal_no_restart(void)
{
	current->regs->orig_rax = -1ull;
}

/* a futex with a relative timeout would wait the whole of it once more */
static int is_restartable(const struct regs *r)
{
	if (r->orig_rax == NR_FUTEX && r->r10)
		return 0;
	return has(restartable, ARRAY_LEN(restartable), r->orig_rax);
}

void signal_restart(struct regs *r, const struct k_sigaction *act)
{
	int again;

	if (r->orig_rax == -1ull || r->rax != (u64)-EINTR)
		return;
	if (act)
		again = (act->flags & K_SA_RESTART) && is_restartable(r);
	else
		again = is_restartable(r) ||
			has(unless_handled, ARRAY_LEN(unless_handled),
			    r->orig_rax);
	if (!again)
		return;
	r->rip -= SYSCALL_INSN;
	r->rax = r->orig_rax;
	r->orig_rax = -1ull;
}
