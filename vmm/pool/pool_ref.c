/*
 * pool_ref.c - a function's references: boot, back-off, refresh
 *
 * The image is verified while the reference boots (pool_image.c); the
 * function is usable when both have ended well, so nothing that an altered
 * image computed is ever shown.  A reference that is to end is killed and
 * stays DYING until it was reaped; what follows (another boot, or none) is
 * decided there and nowhere else.
 *
 * A refresh boots the other of the two beside f->ref, so that clones do not
 * share one address-space layout for ever.  One that fails costs a line for
 * the operator and nothing else: what there is goes on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/pool/pool_impl.h"

#define RETRY_S		0.5		/* after a failed boot, doubled each */
#define RETRY_MAX_S	60.0
#define KILLED_MAX_S	5.0		/* after a reference that was killed */
#define STEADY_S	60.0		/* up for so long: failures forgotten */
#define SPREAD		0.2		/* of refresh: not all at one time */

struct pool_ref *pool_ref_other(struct function *f)
{
	return f->ref == f->refs ? f->refs + 1 : f->refs;
}

int pool_ref_usable(const struct function *f)
{
	return f->ref->state == REF_READY && f->verify_result == 0;
}

static void usable(struct function *f)
{
	if (!pool_ref_usable(f))
		return;
	if (!f->was_ready) {
		f->was_ready = 1;
		function_promote(f);
		pool_event(f, POOL_READY, "");
	} else {
		pool_note(f, "its reference was booted again");
	}
	pool_clone_top_up(f);
	queue_dispatch(f);
}

static void boot_failed(struct pool_ref *r, const char *why)
{
	struct function *f = r->proc.f;
	int again = r->failed;

	pool_ref_kill(r);
	if (r != f->ref) {
		pool_note(f, "a new reference cannot boot, the old one goes "
			  "on: %s", why);
		pool_ref_refresh_arm(f);
		return;
	}
	r->failed = 1;
	/* said once; the attempts after it are made in silence */
	if (!again)
		function_failed(f, why);
	queue_fail(f, "the function cannot boot");
}

/* the image */

void pool_ref_verified(struct function *f)
{
	usable(f);
}

void pool_ref_image_failed(struct function *f, const char *why)
{
	boot_failed(f->ref, why);
}

/* messages */

/* r has booted beside another, and takes its place */
static void take_over(struct pool_ref *r)
{
	struct function *f = r->proc.f;

	f->ref = r;
	r->failures = 0;
	f->refreshes++;
	pool_note(f, "a new reference took over");
	pool_clone_renew(f);
	queue_dispatch(f);
}

static void on_ready(struct pool_ref *r, const struct msg *m,
		     const uint8_t *payload)
{
	struct function *f = r->proc.f;
	const char *log;
	size_t len;

	if (r->state != REF_BOOTING) {
		pool_ref_kill(r);
		return;
	}
	if (peer_ready(m, payload, &r->stats, &log, &len) < 0) {
		boot_failed(r, "it broke the protocol");
		return;
	}
	if (m->a[0])
		pool_note(f, "it is not in its cgroup: %s",
			  strerror((int)m->a[0]));
	pool_proc_log(&r->proc, log, len);
	r->state = REF_READY;
	r->ready_at = pool_now(f);
	r->failed = 0;
	pool_proc_reset(&r->proc);
	host_released(r->proc.host);
	if (r == f->ref)
		usable(f);
	else
		take_over(r);
	pool_ref_refresh_arm(f);
}

/*
 * Killed, or out of memory, rather than the function's own doing, which was
 * ready before: requests wait for another attempt, as long as they may.
 */
static int vanished(const struct pool_ref *r)
{
	const struct function *f = r->proc.f;

	return r == f->ref && f->was_ready && !f->o.once;
}

static void on_died(struct pool_ref *r, const struct msg *m,
		    const uint8_t *payload)
{
	const struct function *f = r->proc.f;
	struct peer_report rep;
	char head[192], why[8192];

	if (peer_report(m, payload, &rep) < 0) {
		boot_failed(r, "it broke the protocol");
		return;
	}
	pool_proc_log(&r->proc, rep.log, rep.log_len);
	if (rep.code == DIED_KILLED && vanished(r)) {
		pool_ref_kill(r);
		return;
	}
	switch (rep.code) {
	case DIED_EXIT:
		snprintf(head, sizeof(head), "it exited with status %d before "
			 "it was ready", (int)rep.status);
		break;
	case DIED_SIGNAL:
		snprintf(head, sizeof(head), "it ended by signal %d before it "
			 "was ready", (int)rep.status);
		break;
	case DIED_TIMEOUT:
		snprintf(head, sizeof(head), "it was not ready within %g "
			 "s; the limit is 'boot' in [limits] of "
			 "usetl.conf, --boot-timeout of bake and invoke",
			 f->pool->o.boot_ns / 1e9);
		break;
	case DIED_MEMORY:
		snprintf(head, sizeof(head), "its memory limit is too small "
			 "to boot");
		break;
	default:
		head[0] = '\0';
	}
	snprintf(why, sizeof(why), "%s%s%.*s", head,
		 head[0] && rep.text_len ? "\n" : "",
		 (int)(rep.text_len < 8000 ? rep.text_len : 8000), rep.text);
	boot_failed(r, why);
}

/* it waits for a debugger to come, or to go */
static void on_up(struct pool_ref *r, const struct msg *m)
{
	struct function *f = r->proc.f;

	if (r->state != REF_BOOTING)
		pool_ref_kill(r);
	else if (f->o.debug != DEBUG_BOOT ||
		 !pool_proc_is_child(&r->proc, m->a[2]))
		boot_failed(r, "it broke the protocol");
	else
		f->pool->o.ops->attach(f->pool->o.arg, f, (pid_t)m->a[2]);
}

void pool_ref_attached(struct pool_ref *r)
{
	struct msg m = { .type = MSG_KICK };

	if (r->state == REF_BOOTING && r->proc.f->o.debug == DEBUG_BOOT)
		peer_send(r->proc.peer, &m, NULL, NULL, 0);
}

static struct pool_ref *ref_of(struct pool_proc *p)
{
	return (struct pool_ref *)((char *)p - offsetof(struct pool_ref, proc));
}

static void on_message(struct pool_proc *p, const struct msg *m,
		       const uint8_t *payload)
{
	struct pool_ref *r = ref_of(p);

	switch (m->type) {
	case MSG_UP:
		on_up(r, m);
		return;
	case MSG_READY:
		on_ready(r, m, payload);
		return;
	case MSG_CLONED:
		pool_clone_cloned(r, m);
		return;
	case MSG_DIED:
		if (r->state == REF_BOOTING)
			on_died(r, m, payload);
		else
			pool_ref_kill(r);
		return;
	}
	/* once frozen it has nothing of its own to say */
	if (r->state == REF_BOOTING &&
	    pool_proc_message(p, m, payload) > 0)
		return;
	if (r->state == REF_BOOTING)
		boot_failed(r, "it broke the protocol");
	else
		pool_ref_kill(r);
}

static void on_closed(struct pool_proc *p, int error)
{
	struct pool_ref *r = ref_of(p);

	if (r->state != REF_BOOTING || (error != -EPROTO && vanished(r)))
		pool_ref_kill(r);
	else
		boot_failed(r, error == -EPROTO ? "it broke the protocol" :
			    "its process ended without a word");
}

/* its life */

/* and none boots in its place: whoever waits for it hears so */
static void ended_for_good(struct pool_ref *r)
{
	static const char why[] = "its reference ended";
	struct function *f = r->proc.f;

	r->failed = 1;
	if (!f->was_ready)
		function_failed(f, why);
	else if (!f->queued)
		pool_note(f, why);
	queue_fail(f, why);
}

static void on_ended(struct pool_proc *p)
{
	struct pool_ref *r = ref_of(p);
	struct function *f = p->f;
	double delay, most, now = pool_now(f);

	waitpid(p->pid, NULL, WNOHANG);
	pool_proc_close(&r->proc);
	pool_clone_orphans(r);
	if (r != f->ref) {
		r->state = REF_DOWN;
		pool_wake(f->pool);
		return;
	}
	if (now - r->ready_at > STEADY_S)
		r->failures = 0;
	delay = RETRY_S * (1 << (r->failures < 7 ? r->failures : 7));
	r->failures++;
	/* requests wait for one that was killed, so that comes sooner */
	most = r->failed ? RETRY_MAX_S : KILLED_MAX_S;
	r->retry_at = now + (delay < most ? delay : most);
	r->state = REF_DOWN;
	if (f->o.once && !r->failed)
		ended_for_good(r);
	else if (!f->retired && !r->failed)
		pool_note(f, "its reference ended; another boots in %.1f s",
			  r->retry_at - now);
	pool_wake(f->pool);
}

static const struct pool_proc_ops ref_ops = { on_message, on_closed, on_ended };

void pool_ref_kill(struct pool_ref *r)
{
	if (r->state != REF_BOOTING && r->state != REF_READY)
		return;
	r->state = REF_DYING;
	pool_proc_stop(&r->proc);
}

/* where its processes are to be; -1: beside the gateway's */
static int cgroup_of(struct function *f)
{
	struct cgroup *c = f->pool->o.cgroup;
	int fd = c ? cgroup_add(c, f->name, f->id) : -1;

	if (c && fd < 0)
		pool_note(f, "it has no cgroup: %s", strerror(-fd));
	return fd;
}

int pool_ref_boot(struct pool_ref *r, struct err *err)
{
	struct function *f = r->proc.f;
	struct pool *pool = f->pool;
	const double limit = f->o.debug == DEBUG_BOOT ? DEBUG_S :
			     pool->o.boot_ns / 1e9;
	struct ref_opts o = {
		.img = f->img, .memory = f->o.memory,
		.recycle = f->o.recycle, .trace = f->o.trace,
		.trial = f->o.trial,
		.verify = f->o.verify, .boot_timeout_ns = limit * 1e9,
		.debug = f->o.debug,
		.uid = pool->o.uid, .tender = pool->o.tender,
		.log_max = pool->o.log_max,
	};
	pid_t pid;
	int rc, sock;

	rc = pool_proc_open(&r->proc, f, &ref_ops);
	if (rc < 0)
		return err_set(err, rc, "cannot make a host region: %s",
			       strerror(-rc));
	o.window0 = host_window0(r->proc.host)->fd;
	o.cgroup = cgroup_of(f);
	rc = pool->o.start(&o, &sock, &pid, err);
	if (o.cgroup >= 0)
		close(o.cgroup);
	if (rc < 0) {
		pool_proc_close(&r->proc);
		return rc;
	}
	rc = pool_proc_identify(&r->proc, pid, 0);
	if (rc == 0)
		rc = pool_proc_connect(&r->proc, sock);
	else
		close(sock);
	if (rc < 0) {
		/* our own child, not reaped: the number is still its */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pool_proc_close(&r->proc);
		return err_set(err, rc, "cannot hold on to process %d: %s",
			       (int)pid, strerror(-rc));
	}
	pool_proc_log_limit(&r->proc);
	r->state = REF_BOOTING;
	r->proc.deadline = pool_now(f) + limit + GRACE_S;
	pool_wake(pool);
	return 0;
}

static void on_refresh(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct function *f = w->data;
	struct pool_ref *next = pool_ref_other(f);
	struct err err = { "" };

	if (f->retired || f->ref->state != REF_READY)
		return;
	/* clones of the one before are still at work: later, then */
	if (next->state == REF_DOWN && pool_ref_boot(next, &err) < 0)
		pool_note(f, "no new reference: %s", err.msg);
	if (next->state != REF_BOOTING)
		pool_ref_refresh_arm(f);
}

void pool_ref_refresh_arm(struct function *f)
{
	double every = f->o.refresh_ns / 1e9, after;

	ev_timer_stop(f->pool->loop, &f->refresh);
	if (!f->o.refresh_ns || f->ref->state != REF_READY)
		return;
	after = every * (1 - SPREAD / 2 + SPREAD * drand48()) -
		(pool_now(f) - f->ref->ready_at);
	/* not at once when it is overdue: one may just have failed */
	if (after < every * SPREAD / 2)
		after = every * SPREAD / 2;
	ev_timer_set(&f->refresh, after, 0.0);
	ev_timer_start(f->pool->loop, &f->refresh);
}

void pool_ref_init(struct function *f)
{
	for (struct pool_ref *r = f->refs; r < f->refs + 2; r++) {
		r->proc.f = f;
		r->proc.pidfd = -1;
		TAILQ_INIT(&r->asked);
	}
	f->ref = f->refs;
	ev_timer_init(&f->refresh, on_refresh, 0.0, 0.0);
	f->refresh.data = f;
}

void pool_ref_tick(struct function *f, double now)
{
	struct pool_ref *r = f->ref, *other = pool_ref_other(f);
	struct err err;

	if (other->state == REF_BOOTING && now >= other->proc.deadline)
		boot_failed(other, "it hung while it booted");
	else if (other->state == REF_READY && !other->clones)
		pool_ref_kill(other);
	if (r->state == REF_BOOTING && now >= r->proc.deadline) {
		boot_failed(r, "it hung while it booted");
		return;
	}
	if (r->state != REF_DOWN || f->retired || f->o.once ||
	    now < r->retry_at || f->verify_result < 0 || f->work.copy ||
	    other->state == REF_BOOTING)
		return;
	if (pool_ref_boot(r, &err) < 0) {
		r->failures++;
		r->retry_at = now + RETRY_MAX_S;
		pool_note(f, "%s", err.msg);
	}
}
