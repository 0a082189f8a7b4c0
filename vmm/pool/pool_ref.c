/*
 * pool_ref.c - a function's references, as processes: started, ended
 *
 * A reference that is to end is killed and stays DYING until it was reaped;
 * only then it is known when another boots, if any does.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/pool/pool_impl.h"

#define RETRY_S		0.5		/* after a failed boot, doubled each */
#define RETRY_MAX_S	60.0
#define KILLED_MAX_S	5.0		/* after a reference that was killed */
#define STEADY_S	60.0		/* up for so long: failures forgotten */

struct pool_ref *pool_ref_other(struct function *f)
{
	return f->ref == f->refs ? f->refs + 1 : f->refs;
}

int pool_ref_usable(const struct function *f)
{
	return f->ref->state == REF_READY && f->image == IMAGE_GOOD;
}

int pool_ref_vanished(const struct pool_ref *r)
{
	const struct function *f = r->proc.f;

	return r == f->ref && f->was_ready && !f->o.once;
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
		pool_boot_up(r, m);
		return;
	case MSG_READY:
		pool_boot_ready(r, m, payload);
		return;
	case MSG_CLONED:
		if (p->f->base_of)
			pool_base_cloned(r, m);
		else
			pool_clone_cloned(r, m);
		return;
	case MSG_DIED:
		if (r->state == REF_BOOTING)
			pool_boot_died(r, m, payload);
		else
			pool_ref_kill(r);
		return;
	}
	/* once frozen it has nothing of its own to say */
	if (r->state == REF_BOOTING &&
	    pool_proc_message(p, m, payload) > 0)
		return;
	if (r->state == REF_BOOTING)
		pool_boot_failed(r, "it broke the protocol");
	else
		pool_ref_kill(r);
}

static void on_closed(struct pool_proc *p, int error)
{
	struct pool_ref *r = ref_of(p);

	if (r->proc.from && r->state == REF_BOOTING && error != -EPROTO) {
		/* why there is no branch its base says, or its end does */
		peer_destroy(p->peer);
		p->peer = NULL;
		return;
	}
	if (r->state != REF_BOOTING ||
	    (error != -EPROTO && pool_ref_vanished(r)))
		pool_ref_kill(r);
	else
		pool_boot_failed(r, error == -EPROTO ? "it broke the protocol" :
			    "its process ended without a word");
}

/* its life */

/* and none boots in its place: whoever waits for it hears so */
static void ended_for_good(struct pool_ref *r)
{
	struct function *f = r->proc.f;

	r->failed = "its reference ended";
	if (!f->was_ready)
		function_failed(f, r->failed);
	else if (!f->queued)
		pool_note(f, "%s", r->failed);
}

/* f->ref: another boots in its place, the later the more have ended */
static void back_off(struct pool_ref *r)
{
	double delay, most, now = pool_now(r->proc.f);

	if (r->ready_at && now - r->ready_at > STEADY_S)
		r->failures = 0;
	delay = RETRY_S * (1 << (r->failures < 7 ? r->failures : 7));
	r->failures++;
	/* requests wait for one that was killed, so that comes sooner */
	most = r->failed ? RETRY_MAX_S : KILLED_MAX_S;
	r->retry_at = now + (delay < most ? delay : most);
}

static void on_ended(struct pool_proc *p)
{
	struct pool_ref *r = ref_of(p);
	struct function *f = p->f;

	waitpid(p->pid, NULL, WNOHANG);
	pool_proc_close(p);
	if (r->stored && r->state == REF_READY)
		return;
	r->state = REF_DOWN;
	pool_base_files_close(r);
	pool_store_forget(r);
	pool_clone_orphans(r);
	pool_base_orphans(r);
	if (r != f->ref)
		return;
	back_off(r);
	if (f->o.once && !r->failed)
		ended_for_good(r);
	else if (!f->retired && !r->failed)
		pool_note(f, "its reference ended; another boots in %.1f s",
			  r->retry_at - pool_now(f));
}

static void on_branched(struct pool_proc *p, int rc)
{
	struct pool_ref *r = ref_of(p);
	struct err err = { "" };

	if (r->state == REF_DYING)
		pool_proc_stop(p);
	else if (rc == -ECHILD || rc == -EPERM || rc == -ESRCH)
		pool_ref_kill(r);	/* no doing of the function's */
	else if (pool_base_boot(r, rc, &err) < 0)
		pool_boot_failed(r, err.msg);
}

static const struct pool_proc_ops ref_ops = {
	on_message, on_closed, on_ended, on_branched,
};

void pool_ref_store(struct pool_ref *r)
{
	r->stored = 1;
	r->of->clones++;
	pool_proc_stop(&r->proc);
}

void pool_ref_kill(struct pool_ref *r)
{
	if (r->state != REF_BOOTING && r->state != REF_READY)
		return;
	/* one that is stored has been stopped */
	if (r->state == REF_BOOTING || !r->stored)
		pool_proc_stop(&r->proc);
	r->state = REF_DYING;
}

static double boot_limit(const struct function *f)
{
	return f->o.debug == DEBUG_BOOT ? DEBUG_S : f->pool->o.boot_ns / 1e9;
}

struct ref_opts pool_ref_opts(const struct pool_ref *r)
{
	const struct function *f = r->proc.f;
	const struct pool_opts *po = &f->pool->o;
	const struct saved *from = f->o.from;
	struct ref_opts o = {
		.img = f->img, .memory = f->o.memory,
		.recycle = f->o.recycle, .trace = f->o.trace,
		.trial = f->o.trial, .verify = f->o.verify,
		.boot_timeout_ns = boot_limit(f) * 1e9, .debug = f->o.debug,
		.uid = po->uid, .tender = po->tender, .log_max = po->log_max,
		.window0 = r->proc.host ? host_window0(r->proc.host)->fd : -1,
		.cgroup = -1, .base = f->base_of != 0,
		.from = from ? from->fd[0] : r->from,
		.overs = from ? from->head.parts - 1 : 0,
		.map = !from && pool_alone_maps(f),
		.file = f->base_of ? r->file : -1,
	};

	if (from) {
		o.run = saved_runs(&from->head);
		/* all but the host region are memory */
		o.overs -= o.run != 0;
		memcpy(o.over, from->fd + 1, sizeof(o.over));
	}
	return o;
}

/* cgroup: where its processes are to be; < 0: beside the gateway's */
static int start(struct pool_ref *r, int cgroup, int *sock, pid_t *pid,
		 struct err *err)
{
	struct ref_opts o = pool_ref_opts(r);

	o.cgroup = cgroup < 0 ? -1 : cgroup;
	return r->proc.f->pool->o.start(&o, sock, pid, err);
}

int pool_ref_open(struct pool_ref *r)
{
	return pool_proc_open(&r->proc, r->proc.f, &ref_ops);
}

void pool_ref_booting(struct pool_ref *r)
{
	struct function *f = r->proc.f;

	pool_proc_log_limit(&r->proc);
	r->state = REF_BOOTING;
	r->ready_at = 0;
	r->proc.deadline = pool_now(f) + boot_limit(f) + GRACE_S;
}

static int boot(struct pool_ref *r, int cgroup, struct err *err)
{
	pid_t pid;
	int rc, sock;

	r->tried = 1;
	rc = pool_ref_open(r);
	if (rc < 0)
		return err_set(err, rc, "cannot make a host region: %s",
			       strerror(-rc));
	pool_store_begin(r);
	rc = start(r, cgroup, &sock, &pid, err);
	if (rc == 0)
		rc = pool_proc_hold(&r->proc, sock, pid, err);
	if (rc < 0) {
		pool_proc_close(&r->proc);
		return rc;
	}
	pool_ref_booting(r);
	return 0;
}

int pool_ref_boot(struct pool_ref *r, struct err *err)
{
	struct function *f = r->proc.f;
	struct cgroup *c = f->pool->o.cgroup;
	int fd, rc;

	if (f->base)
		return pool_base_branch(r, err);
	if (pool_store_look(r))
		return 0;
	fd = c ? cgroup_add(c, f->name, pool_main(f)->id) : -1;
	rc = boot(r, fd, err);
	if (fd >= 0)
		close(fd);
	else if (c)
		pool_note(f, "it has no cgroup: %s", strerror(-fd));
	return rc;
}

void pool_ref_init(struct function *f)
{
	for (struct pool_ref *r = f->refs; r < f->refs + 2; r++) {
		r->proc.f = f;
		r->proc.pidfd = -1;
		r->file = r->workset = -1;
		pool_store_init(r);
		TAILQ_INIT(&r->asked);
		TAILQ_INIT(&r->branching);
	}
	f->ref = f->refs;
	pool_refresh_init(f);
}

void pool_ref_expire(struct function *f, double now)
{
	for (struct pool_ref *r = f->refs; r < f->refs + 2; r++) {
		struct pool_ref *base = r->proc.from;

		if ((r->state != REF_BOOTING && !base) ||
		    now < r->proc.deadline)
			continue;
		/* a branch has no process yet: nobody else ends */
		if (base)
			pool_ref_kill(base);
		if (r->state == REF_BOOTING)
			pool_boot_failed(r, base ? "its runtime does not "
					 "answer" : "it hung while it booted");
	}
}

static int may_boot(const struct function *f, double now)
{
	const struct pool_ref *r = f->ref;

	return r->state == REF_DOWN && !r->work.running && !f->retired && now >= r->retry_at &&
	       !pool_alone(r) && !(f->o.once && r->tried) && f->image != IMAGE_COPYING &&
	       f->image != IMAGE_BAD;
}

void pool_ref_again(struct function *f)
{
	if (f->ref->state != REF_DOWN || !f->ref->failed)
		return;
	f->ref->retry_at = 0;
	function_mark(f);
}

void pool_ref_pump(struct function *f, double now)
{
	struct pool_ref *r = f->ref, *other = pool_ref_other(f);
	int again = r->tried;
	struct err err;

	/* a branch that never gets a number: nothing says that it ends */
	for (struct pool_ref *b = f->refs; b < f->refs + 2; b++)
		if (b->state == REF_DYING && b->proc.pidfd < 0 &&
		    !b->proc.from)
			on_ended(&b->proc);
	/* its last clone has ended, or its last branch has a number */
	if (other->state == REF_READY && !other->clones &&
	    TAILQ_EMPTY(&other->branching))
		pool_ref_kill(other);
	if (!may_boot(f, now) || other->state == REF_BOOTING ||
	    pool_ref_boot(r, &err) == 0)
		return;
	r->retry_at = now + (again ? RETRY_MAX_S : RETRY_S);
	if (again) {
		r->failures++;
		pool_note(f, "%s", err.msg);
	} else {
		pool_boot_failed(r, err.msg);
	}
}
