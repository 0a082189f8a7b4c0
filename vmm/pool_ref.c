/*
 * pool_ref.c - a function's reference: boot, verify, back-off
 *
 * The image is verified in a thread of its own while the reference boots;
 * the function is usable when both have ended well, so nothing that an
 * altered image computed is ever shown.  A reference that is to end is
 * killed and stays DYING until it was reaped; what follows (another boot,
 * or none) is decided there and nowhere else.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/pool_impl.h"

#define RETRY_S		0.5		/* after a failed boot, doubled each */
#define RETRY_MAX_S	60.0
#define STEADY_S	60.0		/* up for so long: failures forgotten */

int ref_usable(const struct function *f)
{
	return f->ref.state == REF_READY && f->verify_result == 0;
}

static void usable(struct function *f)
{
	if (!ref_usable(f))
		return;
	if (!f->was_ready) {
		f->was_ready = 1;
		function_promote(f);
		pool_event(f, POOL_READY, "");
	} else {
		pool_note(f, "its reference was booted again");
	}
	clone_top_up(f);
	queue_dispatch(f);
}

static void boot_failed(struct function *f, const char *why)
{
	int again = f->ref.failed;

	f->ref.failed = 1;
	ref_kill(f);
	/* said once; the attempts after it are made in silence */
	if (!again)
		function_failed(f, why);
	queue_fail(f, "the function cannot boot");
}

/* verification */

static void *verify(void *arg)
{
	struct function *f = arg;

	f->verify_answer = image_verify(f->img, &f->verify_err);
	ev_async_send(f->pool->loop, &f->verified);
	return NULL;
}

void ref_verify_join(struct function *f)
{
	if (!f->verifying)
		return;
	pthread_join(f->verifier, NULL);
	f->verifying = 0;
	ev_async_stop(f->pool->loop, &f->verified);
}

static void on_verified(struct ev_loop *loop, struct ev_async *w, int revents)
{
	struct function *f = w->data;

	ref_verify_join(f);
	f->verify_result = f->verify_answer;
	if (f->verify_result < 0)
		boot_failed(f, f->verify_err.msg);
	else
		usable(f);
}

void ref_verify_start(struct function *f)
{
	int r;

	ev_async_init(&f->verified, on_verified);
	f->verified.data = f;
	ev_async_start(f->pool->loop, &f->verified);
	f->verify_result = 1;
	r = pthread_create(&f->verifier, NULL, verify, f);
	if (r == 0) {
		f->verifying = 1;
		return;
	}
	/* no thread to be had: then not in parallel */
	ev_async_stop(f->pool->loop, &f->verified);
	f->verify_result = image_verify(f->img, &f->verify_err);
}

/* messages */

static void on_ready(struct function *f, const struct msg *m,
		     const uint8_t *payload)
{
	struct ref *r = &f->ref;
	const char *log;
	size_t len;

	if (r->state != REF_BOOTING ||
	    peer_ready(m, payload, &r->stats, &log, &len) < 0) {
		ref_kill(f);
		return;
	}
	proc_log(&r->proc, log, len);
	r->state = REF_READY;
	r->ready_at = pool_now(f);
	r->failed = 0;
	proc_reset(&r->proc);
	usable(f);
}

static void on_died(struct function *f, const struct msg *m,
		    const uint8_t *payload)
{
	struct peer_report rep;
	char head[128], why[1024];

	if (peer_report(m, payload, &rep) < 0) {
		ref_kill(f);
		return;
	}
	proc_log(&f->ref.proc, rep.log, rep.log_len);
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
		snprintf(head, sizeof(head), "it was not ready within %.0f "
			 "seconds", BOOT_S);
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
		 (int)(rep.text_len < 800 ? rep.text_len : 800), rep.text);
	boot_failed(f, why);
}

static void on_message(void *arg, const struct msg *m, const uint8_t *payload)
{
	struct function *f = arg;
	struct ref *r = &f->ref;

	switch (m->type) {
	case MSG_READY:
		on_ready(f, m, payload);
		return;
	case MSG_CLONED:
		clone_cloned(f, m);
		return;
	case MSG_DIED:
		if (r->state == REF_BOOTING)
			on_died(f, m, payload);
		else
			ref_kill(f);
		return;
	}
	/* once frozen it fetches nothing more */
	if ((r->state == REF_BOOTING || m->type == MSG_LOG) &&
	    proc_message(&r->proc, m, payload) > 0)
		return;
	if (r->state == REF_BOOTING)
		boot_failed(f, "it broke the protocol");
	else
		ref_kill(f);
}

static void on_closed(void *arg, int error)
{
	struct function *f = arg;

	if (f->ref.state == REF_BOOTING)
		boot_failed(f, "its process ended without a word");
	else
		ref_kill(f);
}

static const struct peer_ops ref_ops = { on_message, on_closed };

/* its life */

static void on_exit_of(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct function *f = w->data;
	struct ref *r = &f->ref;
	double delay, now = pool_now(f);

	waitpid(r->proc.pid, NULL, WNOHANG);
	proc_close(&r->proc);
	clone_orphans(f);
	if (now - r->ready_at > STEADY_S)
		r->failures = 0;
	delay = RETRY_S * (1 << (r->failures < 7 ? r->failures : 7));
	r->failures++;
	r->retry_at = now + (delay < RETRY_MAX_S ? delay : RETRY_MAX_S);
	r->state = REF_DOWN;
	if (!f->retired && !r->failed)
		pool_note(f, "its reference ended; another boots in %.1f s",
			  r->retry_at - now);
	pool_wake(f->pool);
}

void ref_kill(struct function *f)
{
	struct ref *r = &f->ref;

	if (r->state != REF_BOOTING && r->state != REF_READY)
		return;
	r->state = REF_DYING;
	peer_destroy(r->proc.peer);
	r->proc.peer = NULL;
	proc_reset(&r->proc);
	proc_kill(&r->proc);
	proc_watch(&r->proc, on_exit_of);
}

int ref_boot(struct function *f, struct err *err)
{
	struct pool *pool = f->pool;
	struct ref *r = &f->ref;
	struct ref_opts o = {
		.img = f->img, .recycle = f->o.recycle, .trace = f->o.trace,
		.verify = f->o.verify, .boot_timeout_ns = BOOT_S * 1e9,
		.uid = pool->o.uid,
	};
	pid_t pid;
	int rc, sock;

	rc = proc_open(&r->proc, f);
	if (rc < 0)
		return err_set(err, rc, "cannot make a host region: %s",
			       strerror(-rc));
	o.window0 = host_window0(r->proc.host)->fd;
	rc = ref_start(&o, &sock, &pid, err);
	if (rc < 0) {
		proc_close(&r->proc);
		return rc;
	}
	rc = proc_identify(&r->proc, pid, getpid());
	if (rc == 0)
		rc = proc_connect(&r->proc, sock, &ref_ops);
	else
		close(sock);
	if (rc < 0) {
		/* our own child, not reaped: the number is still its */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		proc_close(&r->proc);
		return err_set(err, rc, "cannot hold on to process %d: %s",
			       (int)pid, strerror(-rc));
	}
	r->proc.log_left = pool->o.log_max;
	r->state = REF_BOOTING;
	r->proc.deadline = pool_now(f) + BOOT_S + GRACE_S;
	pool_wake(pool);
	return 0;
}

void ref_tick(struct function *f, double now)
{
	struct ref *r = &f->ref;
	struct err err;

	if (r->state == REF_BOOTING && now >= r->proc.deadline) {
		boot_failed(f, "it hung while it booted");
		return;
	}
	if (r->state != REF_DOWN || f->retired || f->o.once ||
	    now < r->retry_at || f->verify_result < 0)
		return;
	if (ref_boot(f, &err) < 0) {
		r->failures++;
		r->retry_at = now + RETRY_MAX_S;
		pool_note(f, "%s", err.msg);
	}
}
