/*
 * fakeref.h - a reference and clones that are no virtual machines
 *
 * A pool forks these where pool_opts.start is fake_start().  They speak
 * proto.h as the real ones do, and go wrong in every way that `fake`, which
 * they share with the test, or the event of a request tells them to.  With
 * them come images that are no files, fake_verify() for these, and seconds by
 * which the test's clock is ahead.
 */
#ifndef T_UNIT_FAKEREF_H
#define T_UNIT_FAKEREF_H

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "etlfs/format.h"
#include "etlfs/image/image.h"
#include "unikernel/abi.h"
#include "vmm/guest/chan.h"
#include "vmm/jail/jail.h"
#include "vmm/guest/place.h"
#include "vmm/guest/ref.h"

#define FAKE_BIG	(7u << 20)	/* bytes of the result of "big" */

enum fake_boot {
	BOOT_WELL, BOOT_DIES, BOOT_VANISHES, BOOT_HANGS, BOOT_BABBLES,
	BOOT_KILLED, BOOT_ASTRAY,
};

enum fake_clone {
	CLONE_WELL, CLONE_FAILS, CLONE_ENDS, CLONE_NO_UP, CLONE_UP_TWICE,
	CLONE_BABBLES, CLONE_WRONG_PID, CLONE_TWO_WORDS, CLONE_DEAF,
	CLONE_DEAF_ONCE,
};

/* what a base does that is asked for a branch, or the branch itself */
enum fake_branch {
	BRANCH_WELL, BRANCH_FAILS, BRANCH_DIES, BRANCH_SILENT,
	BRANCH_WRONG_PID, BRANCH_TWO_WORDS, BRANCH_ENDS, BRANCH_ENDS_PLACED,
	BRANCH_EARLY,
};

/* what a base does that is asked for a shell, or the shell itself */
enum fake_shell {
	SHELL_WELL, SHELL_FAILS, SHELL_ENDS, SHELL_BABBLES, SHELL_NO_UP,
	SHELL_UP_TWICE, SHELL_ENDS_PLACED, SHELL_SILENT_PLACED,
	SHELL_BABBLES_PLACED,
};

struct fake {
	volatile int boot, clone;	/* how they do */
	volatile int held;		/* "hold" requests wait while it is 1 */
	volatile int altered;		/* fake_verify() finds that */
	volatile unsigned boots;	/* references so far */
	volatile int hangs;		/* one of them does */
	volatile pid_t ref;		/* the last one */
	/* bases, as `boot`, `boots` and `ref` are of other references */
	volatile int base_boot;
	volatile unsigned bases;
	volatile pid_t base;
	volatile int branch;		/* how they do */
	volatile unsigned branches;
	volatile int seals;		/* branches do, what they froze */
	volatile int shell;		/* how they do */
	volatile unsigned shells;
	/* of these, bases of packages */
	volatile int packages_boot;
	volatile unsigned packages;
	volatile pid_t last_packages;
};

static struct fake *fake;

static void fake_init(void)
{
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake == MAP_FAILED)
		exit(1);
}

static void say(int sock, const struct msg *like, const void *head,
		size_t head_len, const char *text, size_t len)
{
	struct iovec iov[2] = { { (void *)head, head_len },
				{ (void *)text, len } };
	struct msg m = *like;

	if (chan_send(sock, &m, iov, 2) < 0)
		_exit(0);
}

/* RESULT, DIED: code, text, and what it exited with */
static void report(int sock, uint32_t type, uint64_t code, const char *text,
		   size_t len, uint64_t status)
{
	struct run_stats st = { .run_ns = 1000 };
	struct msg m = { .type = type, .a = { code, len, 0, status } };

	say(sock, &m, &st, sizeof(st), text, len);
}

static void babble(int sock)
{
	static const char noise[4096] = { 'x' };

	if (send(sock, noise, sizeof(noise), MSG_NOSIGNAL) < 0)
		_exit(0);
	for (;;)
		pause();
}

static int is(const char *event, const char *word)
{
	return strstr(event, word) != NULL;
}

/* four fetches at once that fail: how often it is told */
static unsigned count_kicks(int sock)
{
	struct { struct msg m; char url[2]; } __attribute__((packed)) all[4];
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int fds[CHAN_FDS];
	unsigned n = 0;
	struct msg m;

	for (unsigned i = 0; i < 4; i++) {
		m = (struct msg){ .type = MSG_FETCH, .len = 2, .a = {
			ETLFS_TICKETS + i, UK_GET, 2, 0 } };
		all[i].m = m;
		memcpy(all[i].url, "no", 2);
	}
	if (send(sock, all, sizeof(all), MSG_NOSIGNAL) != sizeof(all))
		_exit(0);
	/* those of one turn of the loop come together */
	while (poll(&p, 1, n ? 300 : -1) > 0 && chan_recv(sock, &m, fds) == 0) {
		chan_close_fds(fds);
		n += m.type == MSG_KICK;
	}
	return n;
}

static void fake_request(int sock, const char *event, unsigned served)
{
	static int refuses;
	static char big[FAKE_BIG];
	struct msg m = { .type = MSG_LOG };
	struct run_stats st = { .rollback_ns = 1000 };
	char text[128];

	if (refuses) {
		report(sock, MSG_DIED, DIED_ROLLBACK, "it refused", 10, 0);
		_exit(1);
	}
	refuses = is(event, "refuse");
	if (is(event, "killed")) {
		report(sock, MSG_DIED, DIED_KILLED, "by signal 9", 11, 0);
		_exit(0);
	}
	if (is(event, "crash")) {
		report(sock, MSG_DIED, DIED_SIGNAL, "at rip 0", 8, SIGSEGV);
		_exit(0);
	}
	if (is(event, "vanish"))
		_exit(0);
	if (is(event, "garbage"))
		babble(sock);
	while (is(event, "hang"))
		pause();
	while (is(event, "hold") && fake->held)
		usleep(2000);
	if (is(event, "fetch")) {
		m = (struct msg){ .type = MSG_FETCH, .a = { 1, 99, 9, 0 } };
		say(sock, &m, "http://x/", 9, "", 0);
	}
	if (is(event, "kicks"))
		served = count_kicks(sock);
	if (is(event, "log"))
		for (int i = 0; i < (is(event, "logs") ? 64 : 2); i++)
			say(sock, &m, big, 65536, "", 0);
	for (int i = 0; is(event, "flood") && i < 4000; i++) {
		m = (struct msg){ .type = MSG_CANCEL, .a = { i } };
		say(sock, &m, "", 0, "", 0);
	}
	if (is(event, "chatter"))
		say(sock, &m, "x", 1, "", 0);
	if (is(event, "big")) {
		memset(big, '1', sizeof(big));
		report(sock, MSG_RESULT, UK_RESULT_OK, big, sizeof(big), 0);
		return;
	}
	snprintf(text, sizeof(text), "%d %u %u", (int)getpid(), fake->boots,
		 served);
	report(sock, MSG_RESULT, is(event, "raise") ? UK_RESULT_ERROR :
	       UK_RESULT_OK, text, strlen(text), 0);
	m = (struct msg){ .type = MSG_IDLE };
	for (int i = 0; is(event, "idles") && i < 100; i++)
		say(sock, &m, &st, sizeof(st), "", 0);
	m.type = is(event, "late log") ? MSG_LOG : MSG_CANCEL;
	if (is(event, "late"))
		say(sock, &m, "", 0, big, m.type == MSG_LOG ? 65536 : 0);
	if (is(event, "twice"))
		report(sock, MSG_RESULT, UK_RESULT_OK, "2", 1, 0);
}

static void fake_clone(int sock, int window)
{
	struct msg up = { .type = MSG_UP, .a = { 1000, 5 } }, m;
	struct run_stats st = { .rollback_ns = 1000 };
	const char *w = mmap(NULL, ETLFS_WINDOW0, PROT_READ, MAP_SHARED,
			     window, 0);
	struct pollfd p = { .fd = sock, .events = POLLIN };
	unsigned served = 0;
	char event[64];
	int fds[CHAN_FDS];

	prctl(PR_SET_PDEATHSIG, 0);
	if (w == MAP_FAILED || fake->clone == CLONE_ENDS)
		_exit(1);
	if (fake->clone == CLONE_BABBLES)
		babble(sock);
	while (fake->clone == CLONE_NO_UP)
		pause();
	say(sock, &up, "", 0, "", 0);
	if (fake->clone == CLONE_UP_TWICE)
		say(sock, &up, "", 0, "", 0);
	if (fake->clone == CLONE_DEAF || fake->clone == CLONE_DEAF_ONCE) {
		if (fake->clone == CLONE_DEAF_ONCE)
			fake->clone = CLONE_WELL;
		if (poll(&p, 1, -1) > 0)
			_exit(0);
	}
	while (chan_recv(sock, &m, fds) == 0) {
		chan_close_fds(fds);
		if (m.type != MSG_INVOKE)
			continue;
		snprintf(event, sizeof(event), "%.*s", (int)m.a[0],
			 w + ETLFS_EVENT_OFF);
		fake_request(sock, event, ++served);
		if (m.a[2] & INVOKE_IDLE) {
			m = (struct msg){ .type = MSG_IDLE };
			say(sock, &m, &st, sizeof(st), "", 0);
		}
	}
	_exit(0);
}

static void fake_fork(int sock, int fds[CHAN_FDS])
{
	struct msg m = { .type = MSG_CLONED, .a = { (uint64_t)-EAGAIN } };

	if (fake->clone != CLONE_FAILS) {
		m.a[0] = fork();
		if (!m.a[0]) {
			close(sock);
			fake_clone(fds[0], fds[1]);
		}
	}
	if (fake->clone == CLONE_WRONG_PID)
		m.a[0] = 1;
	say(sock, &m, "", 0, "", 0);
	if (fake->clone == CLONE_TWO_WORDS)
		say(sock, &m, "", 0, "", 0);
	chan_close_fds(fds);
}

/* it boots, or not */
static void fake_boot(int sock, int how)
{
	struct boot_stats st = { .boot_ns = 1000 };
	struct msg m = { .type = MSG_READY };

	switch (how) {
	case BOOT_ASTRAY:
		m.a[0] = ENODEV;
		break;
	case BOOT_WELL:
		break;
	case BOOT_DIES:
		report(sock, MSG_DIED, DIED_EXIT, "ImportError", 11, 3);
		_exit(1);
	case BOOT_VANISHES:
		_exit(1);
	case BOOT_KILLED:
		report(sock, MSG_DIED, DIED_KILLED, "by signal 9", 11, 0);
		_exit(1);
	case BOOT_BABBLES:
		babble(sock);
		/* fall through */
	case BOOT_HANGS:
		fake->hangs = 1;
		for (;;)
			pause();
	}
	say(sock, &m, &st, sizeof(st), "warm\n", 5);
}

static void fake_serve(int sock)
{
	int fds[CHAN_FDS];
	struct msg m;

	while (chan_recv(sock, &m, fds) == 0)
		fake_fork(sock, fds);
	_exit(0);
}

static void fake_base_serve(int sock);

static void fake_branch(int sock)
{
	const struct place *p = MAP_FAILED;
	int fds[CHAN_FDS];
	struct msg m;

	prctl(PR_SET_PDEATHSIG, 0);
	if (fake->branch == BRANCH_ENDS)
		_exit(0);
	if (fake->branch == BRANCH_EARLY)
		fake_boot(sock, BOOT_WELL);
	if (chan_recv(sock, &m, fds) < 0)
		_exit(0);
	if (m.type == MSG_PLACE && fds[0] >= 0 && fds[1] >= 0)
		p = mmap(NULL, PLACE_SIZE, PROT_READ, MAP_PRIVATE, fds[0], 0);
	if (fake->seals)
		fcntl(fds[PLACE_FD_SNAPSHOT], F_ADD_SEALS, F_SEAL_SEAL |
		      F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	chan_close_fds(fds);
	if (p == MAP_FAILED || !place_valid(p) ||
	    fake->branch == BRANCH_ENDS_PLACED)
		_exit(0);
	if (m.a[0] == PLACE_BASE) {
		fake->packages++;
		fake->last_packages = getpid();
		fake_boot(sock, fake->packages_boot);
		fake_base_serve(sock);
	}
	fake_boot(sock, fake->boot);
	fake_serve(sock);
}

static void fake_shell(int sock, int window)
{
	struct msg up = { .type = MSG_UP }, m;
	int fds[CHAN_FDS], how = fake->shell;

	prctl(PR_SET_PDEATHSIG, 0);
	if (how == SHELL_ENDS)
		_exit(0);
	if (how == SHELL_BABBLES)
		babble(sock);
	while (how == SHELL_NO_UP)
		pause();
	say(sock, &up, "", 0, "", 0);
	if (how == SHELL_UP_TWICE)
		say(sock, &up, "", 0, "", 0);
	if (chan_recv(sock, &m, fds) < 0)
		_exit(0);
	chan_close_fds(fds);
	how = fake->shell;
	if (m.type != MSG_PLACE || m.a[0] != PLACE_CLONE ||
	    how == SHELL_ENDS_PLACED)
		_exit(0);
	if (how == SHELL_BABBLES_PLACED)
		babble(sock);
	while (how == SHELL_SILENT_PLACED)
		pause();
	fake_clone(sock, window);
}

static void fake_shell_asked(int sock, int fds[CHAN_FDS])
{
	struct msg m = { .type = MSG_CLONED, .a = { (uint64_t)-EAGAIN } };

	fake->shells++;
	if (fake->shell != SHELL_FAILS) {
		m.a[0] = fork();
		if (!m.a[0]) {
			close(sock);
			fake_shell(fds[0], fds[1]);
		}
	}
	say(sock, &m, "", 0, "", 0);
	chan_close_fds(fds);
}

static void fake_base_asked(int sock, int fds[CHAN_FDS])
{
	struct msg m = { .type = MSG_CLONED, .a = { (uint64_t)-EAGAIN } };
	int how = fake->branch;

	fake->branches++;
	if (how == BRANCH_DIES)
		_exit(0);
	while (how == BRANCH_SILENT)
		pause();
	if (how != BRANCH_FAILS) {
		m.a[0] = fork();
		if (!m.a[0]) {
			close(sock);
			fake_branch(fds[0]);
		}
	}
	if (how == BRANCH_ENDS)
		waitpid((pid_t)m.a[0], NULL, 0);
	if (how == BRANCH_EARLY)
		usleep(200000);
	if (how == BRANCH_WRONG_PID)
		m.a[0] = 1;
	say(sock, &m, "", 0, "", 0);
	if (how == BRANCH_TWO_WORDS)
		say(sock, &m, "", 0, "", 0);
	chan_close_fds(fds);
}

static void fake_base_serve(int sock)
{
	int fds[CHAN_FDS];
	struct msg m;

	while (chan_recv(sock, &m, fds) == 0)
		if (m.type == MSG_SHELL)
			fake_shell_asked(sock, fds);
		else
			fake_base_asked(sock, fds);
	_exit(0);
}

static void fake_main(int sock, int window, int base)
{
	int keep[] = { sock, window };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	jail_close_others(JAIL_NOT_STDIO, keep, 2);
	fake_boot(sock, base ? fake->base_boot : fake->boot);
	if (!base)
		fake_serve(sock);
	fake_base_serve(sock);
}

static int fake_start(const struct ref_opts *o, int *sock, pid_t *pid,
		      struct err *err)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		exit(1);
	*(o->base ? &fake->bases : &fake->boots) += 1;
	*pid = fork();
	if (!*pid)
		fake_main(sv[1], o->window0, o->base);
	*(o->base ? &fake->base : &fake->ref) = *pid;
	close(sv[1]);
	*sock = sv[0];
	return *pid < 0 ? -EAGAIN : 0;
}

/* a loop that turns at least every 5 ms, so that conditions are looked at */
static struct ev_loop *loop;
static struct ev_timer beat;

#define WAIT_S	60.0			/* and then they have not come true */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

#define UNTIL(cond) do {						\
	for (double end_ = now_s() + WAIT_S; !(cond) && now_s() < end_;)\
		ev_run(loop, EVRUN_ONCE);				\
} while (0)

static void later(double s)
{
	double end = now_s() + s;

	UNTIL(now_s() >= end);
}

static void on_beat(struct ev_loop *l, struct ev_timer *w, int revents)
{
}

static void fake_loop(void)
{
	loop = ev_loop_new(0);
	ev_timer_init(&beat, on_beat, 0.005, 0.005);
	ev_timer_start(loop, &beat);
}

/* seconds that the test's clock is ahead of the loop's */
static double shift;

static __attribute__((unused)) int
fake_verify(const struct image *img, struct err *err)
{
	return fake->altered ? err_set(err, -EBADMSG, "altered") : 0;
}

static __attribute__((unused)) struct image *
image(const char *digest)
{
	struct image *img = calloc(1, sizeof(*img));

	if (!img)
		exit(1);
	img->fd = -1;
	img->name = strdup("f");
	img->handler = strdup("app.handler");
	img->timeout_ns = 5000000000;
	strcpy(img->digest, digest);
	return img;
}

/* all that were forked have ended, or do */
static int __attribute__((unused)) no_children(void)
{
	double until = now_s() + WAIT_S;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && now_s() < until)
		usleep(pid ? 0 : 1000);
	return pid < 0 && errno == ECHILD;
}

#endif
