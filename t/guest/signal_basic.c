/*
 * signal_basic.c - actions, masks, queues, waiting, restarting
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static volatile int got[NSIG], order[16], n_order;
static siginfo_t last;
static volatile uint64_t mask_inside;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
	sigset_t set;

	got[sig]++;
	last = *si;
	if (n_order < 16)
		order[n_order++] = sig;
	sigprocmask(SIG_SETMASK, NULL, &set);
	memcpy((void *)&mask_inside, &set, 8);
}

static void handle(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = flags | SA_SIGINFO };

	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(sig, &sa, NULL);
}

static void block(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(how, &set, NULL);
}

static int pending(int sig)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, sig);
}

#define BIT(n)	(1ull << ((n) - 1))

static void test_delivery(void)
{
	struct sigaction sa;

	handle(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	ok(got[SIGUSR1] == 1 && last.si_code == SI_USER &&
	   last.si_pid == getpid(), "kill reaches its handler at once");
	ok(mask_inside == (BIT(SIGUSR1) | BIT(SIGUSR2)),
	   "inside, it and sa_mask are blocked (%lx)",
	   (unsigned long)mask_inside);
	raise(SIGUSR1);
	ok(got[SIGUSR1] == 2 && last.si_code == SI_TKILL, "raise");
	handle(SIGUSR1, SA_NODEFER | SA_RESETHAND);
	raise(SIGUSR1);
	ok(mask_inside == BIT(SIGUSR2), "SA_NODEFER");
	sigaction(SIGUSR1, NULL, &sa);
	ok(sa.sa_handler == SIG_DFL, "SA_RESETHAND");
	handle(SIGUSR1, 0);
	sigaction(SIGUSR1, NULL, &sa);
	ok(sa.sa_sigaction == on_signal && sigismember(&sa.sa_mask, SIGUSR2),
	   "sigaction tells the action");
	sa.sa_handler = SIG_IGN;
	fails(sigaction(SIGKILL, &sa, NULL), EINVAL, "SIGKILL has no action");
	fails(kill(getpid(), 65), EINVAL, "no such signal");
	ok(kill(getpid(), 0) == 0, "signal 0");
	raise(SIGCHLD);
	raise(SIGURG);
	raise(SIGWINCH);
	ok(1, "signals that do nothing by default");
}

static void test_blocked(void)
{
	got[SIGUSR1] = 0;
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	ok(!got[SIGUSR1] && pending(SIGUSR1), "blocked is pending");
	block(SIG_UNBLOCK, SIGUSR1);
	ok(got[SIGUSR1] == 1 && !pending(SIGUSR1),
	   "a blocked signal comes once");
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	ok(!pending(SIGUSR1), "ignoring forgets what is pending");
	handle(SIGUSR1, 0);
	block(SIG_UNBLOCK, SIGUSR1);
	ok(got[SIGUSR1] == 1, "ignoring a signal is for good");
	block(SIG_BLOCK, SIGKILL);
	block(SIG_BLOCK, SIGSTOP);
	sigset_t set;
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	ok(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP),
	   "SIGKILL and SIGSTOP cannot be blocked");
}

static void test_queue(void)
{
	union sigval v;
	int i, rt = SIGRTMIN + 2;
	sigset_t all, old;

	handle(rt, 0);
	handle(rt + 1, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	n_order = 0;
	got[rt] = 0;
	v.sival_int = 1;
	sigqueue(getpid(), rt + 1, v);
	for (i = 10; i < 13; i++) {
		v.sival_int = i;
		sigqueue(getpid(), rt, v);
	}
	raise(SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	ok(got[rt] == 3 && got[rt + 1] == 1, "real-time signals queue");
	ok(n_order == 5 && order[0] == rt + 1 && order[4] == SIGUSR1,
	   "frames stack up: the lowest number's handler returns last");
	ok(last.si_signo == SIGUSR1, "frames stack up: in one go");
}

static void test_sigwait(void)
{
	struct timespec ms = { 0, 10000000 };
	siginfo_t si;
	sigset_t set;
	union sigval v = { .sival_int = 42 };

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 5);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fails(sigtimedwait(&set, &si, &ms), EAGAIN, "sigtimedwait times out");
	sigqueue(getpid(), SIGRTMIN + 5, v);
	ok(sigwaitinfo(&set, &si) == SIGRTMIN + 5 && si.si_value.sival_int == 42
	   && si.si_code == SI_QUEUE, "sigwaitinfo takes a queued one");
	raise(SIGUSR1);
	ok(sigwaitinfo(&set, &si) == SIGUSR1,
	   "sigwaitinfo takes an ordinary signal");
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *kill_own(void *arg)
{
	return (void *)syscall(SYS_kill, syscall(SYS_gettid), 0);
}

/* a number that is a thread's: the process that it is of */
static void test_kill_thread(void)
{
	pthread_t t;
	void *r;

	pthread_create(&t, NULL, kill_own, NULL);
	pthread_join(t, &r);
	ok(r == NULL, "kill of a thread's number");
}

static void *kill_later(void *main_thread)
{
	usleep(20000);
	pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
	return NULL;
}

static pthread_t killer, self;

static void soon(void)
{
	sigset_t all, old;

	self = pthread_self();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&killer, NULL, kill_later, &self);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void test_interrupt(void)
{
	struct timespec long_time = { 5, 0 }, rem;
	struct pollfd none = { -1, 0, 0 };
	int p[2];
	char c;

	if (pipe(p) < 0)
		return;
	handle(SIGUSR1, 0);
	soon();
	fails(read(p[0], &c, 1), EINTR, "a handler interrupts read");
	pthread_join(killer, NULL);
	handle(SIGUSR1, SA_RESTART);
	soon();
	fails(poll(&none, 1, 5000), EINTR,
	      "a handler interrupts poll, even with SA_RESTART");
	pthread_join(killer, NULL);
	soon();
	fails(nanosleep(&long_time, &rem), EINTR,
	      "a handler interrupts nanosleep");
	ok(rem.tv_sec == 4, "nanosleep tells what remains");
	pthread_join(killer, NULL);
	soon();
	fails(select(0, NULL, NULL, NULL, NULL), EINTR,
	      "a handler interrupts select");
	pthread_join(killer, NULL);
	soon();
	fails(pause(), EINTR, "a handler interrupts pause");
	pthread_join(killer, NULL);
	close(p[0]);
	close(p[1]);
}

static int pipe_fd;

static void *kill_then_write(void *arg)
{
	kill_later(arg);
	usleep(20000);
	if (write(pipe_fd, "x", 1) != 1)
		return arg;
	return NULL;
}

static void test_restart(void)
{
	int p[2], before = got[SIGUSR1];
	sigset_t all, old;
	char c = 0;
	long n;

	if (pipe(p) < 0)
		return;
	pipe_fd = p[1];
	handle(SIGUSR1, SA_RESTART);
	self = pthread_self();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&killer, NULL, kill_then_write, &self);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	n = read(p[0], &c, 1);
	ok(n == 1 && c == 'x' && got[SIGUSR1] == before + 1,
	   "SA_RESTART: read goes on after the handler");
	pthread_join(killer, NULL);
	close(p[0]);
	close(p[1]);
}

static void test_suspend(void)
{
	struct timespec none = { 0, 0 };
	sigset_t empty, now;
	int before;

	sigemptyset(&empty);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	before = got[SIGUSR1];
	fails(sigsuspend(&empty), EINTR, "sigsuspend");
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	ok(got[SIGUSR1] == before + 1 && sigismember(&now, SIGUSR1),
	   "sigsuspend runs the handler, restores the mask");
	raise(SIGUSR1);
	none.tv_nsec = 1000000;
	fails(ppoll(NULL, 0, &none, &empty), EINTR, "ppoll with a mask");
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	ok(got[SIGUSR1] == before + 2 && sigismember(&now, SIGUSR1),
	   "ppoll with a mask runs the handler, restores the mask");
	block(SIG_UNBLOCK, SIGUSR1);
}

static volatile pthread_t taker;

static void note_taker(int sig)
{
	taker = pthread_self();
}

static void *open_to_signals(void *arg)
{
	block(SIG_UNBLOCK, SIGTERM);
	while (!taker)
		usleep(1000);
	return NULL;
}

static void test_to_thread(void)
{
	pthread_t th;

	signal(SIGTERM, note_taker);
	block(SIG_BLOCK, SIGTERM);
	pthread_create(&th, NULL, open_to_signals, NULL);
	usleep(20000);
	kill(getpid(), SIGTERM);
	pthread_join(th, NULL);
	ok(taker == th, "a signal for the process goes to who takes it");
	block(SIG_UNBLOCK, SIGTERM);
}

int main(void)
{
	test_delivery();
	test_blocked();
	test_queue();
	test_sigwait();
	test_interrupt();
	test_restart();
	test_suspend();
	test_to_thread();
	test_kill_thread();
	return done_testing();
}
