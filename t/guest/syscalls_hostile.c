/*
 * syscalls_hostile.c - system calls with arguments nobody would give: the
 * libOS answers each, and never faults
 *
 * Runs in the guest only: on a host, root's random calls would do harm.
 * What ends, sleeps, or takes the program's own memory away is left out.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

#define ROUNDS	60000
#define ROOM	65536

/* a call may write past what it was given: nothing of ours is near */
static char arena[3 * ROOM] __attribute__((aligned(4096)));
static char *const scratch = arena + ROOM;
static uint64_t state = 88172645463325252ull;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static const int left_out[] = {
	SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_clone, SYS_clone3,
	/* may sleep for as long as asked */
	SYS_pause, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_poll,
	SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_wait, SYS_epoll_pwait,
	SYS_epoll_pwait2, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_read,
	SYS_readv, SYS_write, SYS_writev, SYS_recvfrom, SYS_recvmsg,
	SYS_recvmmsg, SYS_accept, SYS_accept4, SYS_preadv2, SYS_pwritev2,
	SYS_sendfile, SYS_splice, SYS_sendto, SYS_sendmsg, SYS_sendmmsg,
	SYS_flock,
	/* would fill all memory from a large file, if told to */
	SYS_pread64, SYS_preadv,
	/* take memory or the thread's own state away */
	SYS_mmap, SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise,
	SYS_arch_prctl, SYS_set_tid_address, SYS_set_robust_list,
	SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo, SYS_rt_sigaction, SYS_sigaltstack,
	SYS_alarm, SYS_setitimer, SYS_timer_create, SYS_timer_settime,
	/* the report's way out */
	SYS_close, SYS_close_range, SYS_dup2, SYS_dup3,
	/* long, not harmful */
	SYS_getrandom, SYS_fallocate, SYS_ftruncate, SYS_truncate,
};

static int is_left_out(int nr)
{
	size_t i;

	for (i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		if (left_out[i] == nr)
			return 1;
	return 0;
}

/*
 * Not in the arenas that hold the program's and the libOS's own data: a
 * program that has those written over ends as it would by a wild store.
 */
static uint64_t outside(uint64_t addr)
{
	int mine = (addr >= 0x200000 && addr < 0x70000000) ||
		   (addr >= 0x90000000 && addr < 0x90800000) ||
		   (addr >= 0x100000000 && addr < 0x800000000);

	return mine ? addr % 0x200000 : addr;
}

static uint64_t argument(void)
{
	static const uint64_t odd[] = {
		0, 1, 2, 3, 8, 16, 4095, 4096, 65536, 0x7fffffff, 0x80000000,
		0xffffffff, -1ull, -4096ull, 1ull << 47, 1ull << 63,
		INT64_MAX,
		/* abi.h's map: edges and what is not the program's */
		0x1fffff, 0x70000000, 0x70050000, 0x70100000, 0x70104000,
		0x70105000, 0x70108000, 0x7010c000, 0x70200000, 0x70800000,
		0x8fffffff, 0x907ffff8, 0x90800000, 0xffffffffull,
		0x1fffffff8, 0x4fffffff8, 0x7fffffff8,
		0x800000000, 0xbffffffff, 0xc00000000, 0xc40000000,
		0xfffffffff, 0x1000000000,
	};

	switch (next() % 5) {
	case 0:
		return next() % 8;
	case 1:
		return (uint64_t)scratch + next() % ROOM;
	case 2:
		return outside(1ull << next() % 64);
	case 3:
		return outside(next() >> next() % 64);
	default:
		return odd[next() % (sizeof(odd) / 8)];
	}
}

static void refill(void)
{
	size_t i;

	for (i = 0; i < ROOM; i += 8)
		*(uint64_t *)(scratch + i) = argument();
	memcpy(scratch, "/tmp/hostile", 13);
}

int main(void)
{
	long answer, answers = 0, wild = 0;
	int i, nr;

	if (!in_guest()) {
		skip("hostile calls", "they would be the host's");
		return done_testing();
	}
	for (i = 1; i < NSIG; i++)
		signal(i, SIG_IGN);
	for (i = 0; i < ROUNDS; i++) {
		do {
			nr = next() % 460;
		} while (is_left_out(nr));
		if (i % 64 == 0)
			refill();
		answer = syscall(nr, argument(), argument(), argument(),
				 argument(), argument(), argument());
		if (answer == -1)
			wild += errno <= 0 || errno > 133;
		answers++;
	}
	ok(answers == ROUNDS, "%ld calls, each answered", answers);
	ok(wild == 0, "each error is one of Linux's");
	ok(getpid() > 0 && malloc(100000) != NULL,
	   "after hostile calls life goes on");
	return done_testing();
}
