/*
 * pool_proc.c - a reference or clone as a process: socket, host region, pid
 *
 * Which of the two it is only its owner knows, who hears of it by
 * pool_proc_ops.
 *
 * A clone's number is only its reference's word, so it is checked to be that
 * reference's child, and held by a pidfd from then on.  Numbers can be used
 * again: whatever was read from a process's memory by number counts only
 * when the pidfd says afterwards that the process was still alive.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/pool/pool_impl.h"

/*
 * What a function's guests may ask of the loop, in FETCHes: so many a second,
 * and at once what 8 clones with all their tickets begin.
 */
#define ASK_RATE	2000.0
#define ASK_BURST	512.0
#define ASK_TURN	8.0		/* in one turn of the loop */
#define NEXT_TURN_S	1e-6
#define CANCEL_COST	0.25
#define LOG_COST	0.5		/* and as much for each 64 KB */

static int alive(const struct pool_proc *p)
{
	struct pollfd pfd = { p->pidfd, POLLIN, 0 };

	return p->pidfd >= 0 && poll(&pfd, 1, 0) == 0;
}

/* field 4 of /proc/PID/stat; the name in field 2 may hold anything */
static pid_t parent_of(pid_t pid)
{
	char path[64], text[512], *end;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || strlen(end) < 4)
		return -1;
	return atoi(end + 3);		/* ") S PPID" */
}

int pool_proc_ask(struct pool_proc *p, struct pool_proc *of,
		  const struct msg *m)
{
	const int shell = m->type == MSG_SHELL;
	int sv[2], fds[4] = { [2] = -1, [3] = -1 }, rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	rc = pool_proc_connect(p, sv[0]);
	if (rc == 0 && shell &&
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds + 2) < 0)
		rc = -errno;
	if (rc == 0) {
		fds[0] = sv[1];
		fds[1] = host_window0(p->host)->fd;
		rc = peer_send(of->peer, m, NULL, fds, shell ? 4 : 2);
	}
	close(sv[1]);
	for (int i = 2; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}

int pool_proc_identify(struct pool_proc *p, pid_t pid, pid_t parent)
{
	int rc;

	p->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd < 0)
		return -errno;
	p->pid = pid;
	if (!parent)
		return 0;
	rc = parent_of(pid) == parent ? 0 : -EPERM;
	if (!alive(p))
		rc = -ESRCH;
	if (rc < 0) {
		close(p->pidfd);
		p->pidfd = -1;
		p->pid = 0;
	}
	return rc;
}

int pool_proc_hold(struct pool_proc *p, int sock, pid_t pid, struct err *err)
{
	int rc = pool_proc_identify(p, pid, 0);

	if (rc == 0)
		rc = pool_proc_connect(p, sock);
	else
		close(sock);
	p->own = rc == 0;
	if (rc == 0)
		return 0;
	/* our own child, not reaped: the number is still its */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err_set(err, rc, "cannot hold on to process %d: %s", (int)pid,
		       strerror(-rc));
}

int pool_proc_is_child(const struct pool_proc *p, uint64_t pid)
{
	return pid > 0 && pid <= INT32_MAX && parent_of((pid_t)pid) == p->pid;
}

void pool_proc_kill(struct pool_proc *p)
{
	if (p->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
}

static void on_exit_of(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct pool_proc *p = w->data;

	function_mark(p->f);
	p->ops->ended(p);
}

void pool_proc_stop(struct pool_proc *p)
{
	peer_destroy(p->peer);
	p->peer = NULL;
	pool_proc_reset(p);
	if (p->pidfd < 0)
		return;
	pool_proc_kill(p);
	ev_io_init(&p->exited, on_exit_of, p->pidfd, EV_READ);
	p->exited.data = p;
	ev_io_start(p->f->pool->loop, &p->exited);
}

void pool_proc_close(struct pool_proc *p)
{
	struct ev_loop *loop = p->f->pool->loop;

	ev_prepare_stop(loop, &p->kick);
	peer_destroy(p->peer);
	host_destroy(p->host);
	if (p->pidfd >= 0) {
		ev_io_stop(loop, &p->exited);
		close(p->pidfd);
	}
	if (p->own)
		waitpid(p->pid, NULL, WNOHANG);
	p->peer = NULL;
	p->host = NULL;
	p->pidfd = -1;
	p->pid = p->own = 0;
}

/* the host region's way to the clone */

static int on_attach(void *arg, unsigned window, int fd, uint64_t size)
{
	struct pool_proc *p = arg;
	struct msg m = { .type = MSG_ATTACH, .a = { window, size } };

	if (p->idle_due < IDLE_DUE_MAX)
		p->idle_due++;
	return p->peer ? peer_send(p->peer, &m, NULL, &fd, 1) : -EPIPE;
}

/* a peer that does not take it is at its end, which its socket will say */
static void send_kick(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct pool_proc *p = w->data;
	struct msg m = { .type = MSG_KICK };

	ev_prepare_stop(loop, w);
	if (p->peer)
		peer_send(p->peer, &m, NULL, NULL, 0);
}

/* as this turn of the loop ends, one for all tickets: each wakes the clone */
static void on_kick(void *arg)
{
	struct pool_proc *p = arg;

	ev_prepare_start(p->f->pool->loop, &p->kick);
}

static ssize_t on_read_body(void *arg, const struct body_part *part, size_t n,
			    uint64_t off, void *buf, size_t len)
{
	struct pool_proc *p = arg;
	ssize_t r;

	if (!p->pid)
		return -ESRCH;
	r = host_read_process(p->pid, part, n, off, buf, len);
	return alive(p) ? r : -ESRCH;
}

static const struct host_ops host_ops = { on_attach, on_kick, on_read_body };

int pool_proc_open(struct pool_proc *p, struct function *f,
		   const struct pool_proc_ops *ops)
{
	struct pool *pool = f->pool;

	p->f = f;
	p->ops = ops;
	p->peer = NULL;
	p->pid = 0;
	p->pidfd = -1;
	ev_prepare_init(&p->kick, send_kick);
	p->kick.data = p;
	return host_create(&p->host, pool->engine, pool->windows,
			   pool->o.fetch_max, f->id, &host_ops, p);
}

static void on_message(void *arg, const struct msg *m, const uint8_t *payload)
{
	struct pool_proc *p = arg;

	function_mark(p->f);
	p->ops->message(p, m, payload);
}

static void on_closed(void *arg, int error)
{
	struct pool_proc *p = arg;

	function_mark(p->f);
	p->ops->closed(p, error);
}

static const struct peer_ops peer_ops = { on_message, on_closed };

int pool_proc_connect(struct pool_proc *p, int sock)
{
	return peer_create(&p->peer, p->f->pool->loop, sock, &peer_ops, p);
}

/* what a fetch may take: its own limit, and no more than the request has */
static uint64_t fetch_time(const struct pool_proc *p)
{
	uint64_t limit = p->f->pool->o.fetch_timeout_ns;
	double left = p->deadline - pool_now(p->f);

	if (left <= 0)
		return 1;
	return left * 1e9 < limit ? (uint64_t)(left * 1e9) : limit;
}

/* what a message costs; where the function has no more, it is read later */
static void pay(struct pool_proc *p, double cost)
{
	struct function *f = p->f;
	double now = pool_now(f), passed = now - f->asked_at;
	uint64_t turn = ev_iteration(f->pool->loop);

	if (f->turn != turn) {
		f->turn = turn;
		f->turn_asks = 0;
	}
	f->turn_asks += cost;
	if (f->turn_asks >= ASK_TURN)
		peer_hold(p->peer, NEXT_TURN_S);

	f->asks += passed > 0 ? passed * ASK_RATE : 0;
	if (f->asks > ASK_BURST)
		f->asks = ASK_BURST;
	f->asked_at = now;
	f->asks -= cost;
	if (f->asks < 0)
		peer_hold(p->peer, -f->asks / ASK_RATE);
}

static int fetch(struct pool_proc *p, const struct msg *m,
		 const uint8_t *payload)
{
	struct body_part part[UK_EXTENTS];
	uint64_t left = fetch_time(p);
	struct host_request r;

	if (peer_fetch(m, payload, &r, part) < 0)
		return -EPROTO;
	if (!r.timeout_ns || r.timeout_ns > left)
		r.timeout_ns = left;
	r.egress = p->f->egress;
	return host_fetch(p->host, &r) < 0 ? -EPROTO : 1;
}

int pool_proc_message(struct pool_proc *p, const struct msg *m,
		      const uint8_t *payload)
{
	switch (m->type) {
	case MSG_FETCH:
		pay(p, 1);
		pool_fetching(p->f->pool);
		return fetch(p, m, payload);
	case MSG_CANCEL:
		if (m->a[0] > UINT32_MAX)
			return -EPROTO;
		pay(p, CANCEL_COST);
		host_cancel(p->host, m->a[0]);
		return 1;
	case MSG_LOG:
		/* a tender gathers, and stops where log_max is passed */
		if (m->len < UK_LOG_SIZE || p->log_over)
			return -EPROTO;
		pay(p, LOG_COST + LOG_COST * m->len / 65536);
		pool_proc_log(p, (const char *)payload, m->len);
		return 1;
	}
	return 0;
}

void pool_proc_reset(struct pool_proc *p)
{
	pool_proc_log_end(p);
	if (!p->host)
		return;
	p->f->fetched += host_counters(p->host)->bytes_in;
	host_reset(p->host);
	ev_prepare_stop(p->f->pool->loop, &p->kick);
}
