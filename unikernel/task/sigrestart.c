/*
 * sigrestart.c - which interrupted system calls begin again (signal(7))
 *
 * A call begins again when rip goes back over its two-byte `syscall`
 * instruction, with the number in rax; its arguments are still in their
 * registers.  Calls not listed here answer EINTR whatever SA_RESTART says:
 * sleeps, poll, epoll_wait, sigtimedwait.  So do sockets with a timeout, which
 * would start from its beginning: they call signal_no_restart().
 */
#include "unikernel/lib/kabi.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/thread.h"

#define SYSCALL_INSN	2	/* bytes: 0f 05 */

/* begin again after a handler with SA_RESTART, and when no handler ran */
static const u16 restartable[] = {
	__NR_read, __NR_write, __NR_open, __NR_ioctl,
	__NR_pread64, __NR_pwrite64, __NR_readv, __NR_writev,
	__NR_sendfile, __NR_connect, __NR_accept, __NR_sendto,
	__NR_recvfrom, __NR_sendmsg, __NR_recvmsg, __NR_wait4,
	__NR_fcntl, __NR_flock, __NR_futex, __NR_waitid,
	__NR_openat, __NR_splice, __NR_accept4,
	__NR_preadv, __NR_pwritev, __NR_recvmmsg,
	__NR_sendmmsg, __NR_getrandom, __NR_copy_file_range,
	__NR_preadv2, __NR_pwritev2,
};

/* begin again only when no handler ran */
static const u16 unless_handled[] = {
	__NR_select, __NR_pause, __NR_rt_sigsuspend,
	__NR_pselect6, __NR_ppoll,
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

/* a futex with a relative timeout would wait the whole time once more */
static int is_restartable(const struct regs *r)
{
	if (r->orig_rax == __NR_futex && r->r10)
		return 0;
	return has(restartable, ARRAY_LEN(restartable), r->orig_rax);
}

void signal_restart(struct regs *r, const struct k_sigaction *act)
{
	int again;

	if (r->orig_rax == -1ull || r->rax != (u64)-EINTR)
		return;
	if (act)
		again = (act->flags & SA_RESTART) && is_restartable(r);
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
