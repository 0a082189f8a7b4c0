/*
 * timer_signals.c - alarm, interval timers, POSIX timers
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile int fired[NSIG];
static siginfo_t last;
static volatile long who;

static void on_timer(int sig, siginfo_t *si, void *uc)
{
	fired[sig]++;
	last = *si;
	who = syscall(SYS_gettid);
}

static void handle(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_timer,
				.sa_flags = SA_SIGINFO | SA_RESTART };

	sigaction(sig, &sa, NULL);
	fired[sig] = 0;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* sleeps in pieces: handlers cut sleeps short */
static void wait_ms(uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end)
		usleep(2000);
}

/* a loaded machine may take its time */
static void wait_until(volatile int *n, int want)
{
	uint64_t end = now_ms() + 10000;

	while (*n < want && now_ms() < end)
		usleep(2000);
}

static void spin_until(volatile int *n, int want, uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (*n < want && now_ms() < end)
		;
}

static void test_itimer(void)
{
	struct itimerval v = { { 0, 10000 }, { 0, 10000 } }, old;
	uint64_t t0 = now_ms(), ms;

	handle(SIGALRM);
	ok(setitimer(ITIMER_REAL, &v, NULL) == 0, "setitimer");
	wait_until(&fired[SIGALRM], 5);
	getitimer(ITIMER_REAL, &v);
	ok(v.it_interval.tv_usec == 10000 && v.it_value.tv_usec <= 10000 &&
	   (v.it_value.tv_sec || v.it_value.tv_usec), "getitimer");
	memset(&v, 0, sizeof(v));
	setitimer(ITIMER_REAL, &v, &old);
	ms = now_ms() - t0;
	ok(fired[SIGALRM] >= 5 && (uint64_t)fired[SIGALRM] <= ms / 10 + 1,
	   "fired every 10 ms or so (%d in %d)", fired[SIGALRM], (int)ms);
	ok(old.it_interval.tv_usec == 10000, "the old value");
	old.it_value = (struct timeval){ 0, 0 };
	setitimer(ITIMER_REAL, &old, NULL);
	getitimer(ITIMER_REAL, &old);
	ok(old.it_interval.tv_usec == 0, "a disarmed one has no interval");
	fired[SIGALRM] = 0;
	wait_ms(30);
	ok(!fired[SIGALRM], "disarmed");
	v.it_value.tv_usec = 1000000;
	fails(setitimer(ITIMER_REAL, &v, NULL), EINVAL, "microseconds");
	fails(setitimer(7, &old, NULL), EINVAL, "no such timer");
}

static void test_busy(void)
{
	struct itimerval v = { { 0, 5000 }, { 0, 5000 } }, off = { 0 };

	handle(SIGALRM);
	setitimer(ITIMER_REAL, &v, NULL);
	spin_until(&fired[SIGALRM], 3, 2000);
	ok(fired[SIGALRM] >= 3, "setitimer fires while the program spins (%d)",
	   fired[SIGALRM]);
	setitimer(ITIMER_REAL, &off, NULL);
	handle(SIGPROF);
	setitimer(ITIMER_PROF, &v, NULL);
	spin_until(&fired[SIGPROF], 3, 2000);
	ok(fired[SIGPROF] >= 3, "ITIMER_PROF (%d)", fired[SIGPROF]);
	setitimer(ITIMER_PROF, &off, NULL);
	handle(SIGVTALRM);
	v.it_interval.tv_usec = v.it_value.tv_usec = 30000;
	setitimer(ITIMER_VIRTUAL, &v, NULL);
	usleep(100000);
	ok(fired[SIGVTALRM] <= 1, "ITIMER_VIRTUAL stands while we sleep (%d)",
	   fired[SIGVTALRM]);
	setitimer(ITIMER_VIRTUAL, &off, NULL);
}

static void test_alarm(void)
{
	handle(SIGALRM);
	ok(alarm(100) == 0, "alarm");
	ok(alarm(1) == 100, "alarm tells of the one before");
	pause();
	ok(fired[SIGALRM] == 1, "alarm fired");
	ok(alarm(0) == 0, "alarm: none is left");
}

static timer_t make(int notify, int sig, int value, clockid_t clock)
{
	struct sigevent ev = { .sigev_notify = notify, .sigev_signo = sig };
	timer_t t = NULL;

	ev.sigev_value.sival_int = value;
	if (notify == SIGEV_THREAD_ID)
		ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	ok(timer_create(clock, &ev, &t) == 0, "timer_create, notify %d",
	   notify);
	return t;
}

static struct itimerspec every_ms(long ms)
{
	return (struct itimerspec){ { 0, ms * 1000000 }, { 0, ms * 1000000 } };
}

static void test_posix(void)
{
	struct itimerspec v = every_ms(10), off = { 0 }, left;
	timer_t t = make(SIGEV_SIGNAL, SIGRTMIN + 1, 77, CLOCK_MONOTONIC);
	uint64_t t0 = now_ms();

	handle(SIGRTMIN + 1);
	ok(timer_settime(t, 0, &v, NULL) == 0, "timer_settime");
	wait_until(&fired[SIGRTMIN + 1], 5);
	ok(fired[SIGRTMIN + 1] >= 5 &&
	   (uint64_t)fired[SIGRTMIN + 1] <= (now_ms() - t0) / 10 + 1,
	   "a timer fires (%d)", fired[SIGRTMIN + 1]);
	ok(last.si_code == SI_TIMER && last.si_value.sival_int == 77,
	   "a timer fires with its value");
	timer_gettime(t, &left);
	ok(left.it_interval.tv_nsec == 10000000 && left.it_value.tv_nsec > 0 &&
	   left.it_value.tv_nsec <= 10000000, "timer_gettime");
	timer_settime(t, 0, &off, NULL);
	timer_gettime(t, &left);
	ok(left.it_value.tv_nsec == 0 && left.it_value.tv_sec == 0, "disarmed");
	ok(timer_delete(t) == 0, "timer_delete");
	fails(syscall(SYS_timer_gettime, 999, &left), EINVAL, "no such timer");
}

static void test_overrun(void)
{
	struct itimerspec v = every_ms(5), off = { 0 };
	timer_t t = make(SIGEV_SIGNAL, SIGUSR1, 0, CLOCK_REALTIME);
	sigset_t set;

	handle(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	timer_settime(t, 0, &v, NULL);
	wait_ms(60);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ok(fired[SIGUSR1] >= 1 && fired[SIGUSR1] <= 2,
	   "one signal for many expiries (%d)", fired[SIGUSR1]);
	timer_settime(t, 0, &off, NULL);
	timer_delete(t);

	t = make(SIGEV_SIGNAL, SIGUSR1, 0, CLOCK_REALTIME);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	timer_settime(t, 0, &v, NULL);
	wait_ms(60);
	siginfo_t si;
	sigwaitinfo(&set, &si);
	ok(si.si_overrun >= 5 && timer_getoverrun(t) == si.si_overrun,
	   "the number of the other expiries (%d)", si.si_overrun);
	timer_delete(t);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *with_timer(void *arg)
{
	struct itimerspec v = { { 0, 0 }, { 0, 5000000 } };
	timer_t t = make(SIGEV_THREAD_ID, SIGUSR2, 0, CLOCK_MONOTONIC);

	who = 0;
	handle(SIGUSR2);
	timer_settime(t, 0, &v, NULL);
	wait_until(&fired[SIGUSR2], 1);
	ok(who == syscall(SYS_gettid), "SIGEV_THREAD_ID reaches its thread");
	timer_delete(t);
	return NULL;
}

static volatile int called;

static void notify(union sigval v)
{
	called = v.sival_int;
}

static void test_threads(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD,
			       .sigev_notify_function = notify };
	struct itimerspec v = { { 0, 0 }, { 0, 5000000 } }, left;
	pthread_t th;
	timer_t t;

	pthread_create(&th, NULL, with_timer, NULL);
	pthread_join(th, NULL);
	ev.sigev_value.sival_int = 31;
	ok(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0, "SIGEV_THREAD");
	timer_settime(t, 0, &v, NULL);
	wait_until(&called, 31);
	ok(called == 31, "SIGEV_THREAD: its function was called (%d)", called);
	timer_delete(t);
	t = make(SIGEV_NONE, 0, 0, CLOCK_MONOTONIC);
	timer_settime(t, 0, &v, NULL);
	wait_ms(20);
	timer_gettime(t, &left);
	ok(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0,
	   "SIGEV_NONE just runs out");
	timer_delete(t);
}

static void test_absolute(void)
{
	struct itimerspec v = { { 0, 0 }, { 1, 0 } };
	timer_t t = make(SIGEV_SIGNAL, SIGUSR1, 0, CLOCK_REALTIME);

	handle(SIGUSR1);
	timer_settime(t, TIMER_ABSTIME, &v, NULL);
	wait_ms(10);
	ok(fired[SIGUSR1] == 1, "an absolute time long past fires at once");
	clock_gettime(CLOCK_REALTIME, &v.it_value);
	v.it_value.tv_sec++;
	timer_settime(t, TIMER_ABSTIME, &v, NULL);
	wait_ms(10);
	ok(fired[SIGUSR1] == 1,
	   "an absolute time to come does not fire at once");
	timer_delete(t);
}

int main(void)
{
	test_itimer();
	test_busy();
	test_alarm();
	test_posix();
	test_overrun();
	test_threads();
	test_absolute();
	return done_testing();
}
