/*
 * pool_boot.c - a reference's boot: how it went, and what follows
 *
 * The image is verified while the reference boots (pool_image.c); the
 * function is usable when both have ended well, so nothing that an altered
 * image computed is ever shown.
 */
#include <stdio.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

static void usable(struct function *f)
{
	/* it is left out: those that branch from it go on by themselves */
	if (f->base_of && f->image == IMAGE_GOOD && pool_alone(f->ref)) {
		pool_event(f, POOL_READY, "");
		return;
	}
	if (!pool_ref_usable(f))
		return;
	if (f->base_of) {
		f->was_ready = 1;
		pool_event(f, POOL_READY, "");
		return;
	}
	if (f->was_ready) {
		pool_note(f, "its reference was booted again");
		return;
	}
	f->was_ready = 1;
	if (!f->variant_of)
		function_promote(f);
	pool_event(f, POOL_READY, "");
}

void pool_boot_failed(struct pool_ref *r, const char *why)
{
	struct function *f = r->proc.f;
	int again = r->failed != NULL;

	pool_ref_kill(r);
	if (r->from >= 0) {
		/* another one boots, and that counts */
		pool_store_bad(r);
		pool_note(f, "store: %s", why);
		return;
	}
	if (r != f->ref) {
		pool_refresh_arm(f);
		pool_note(f, "a new reference cannot boot, the old one goes "
			  "on: %s", why);
		pool_fork_done(f, why);
		return;
	}
	r->failed = "the function cannot boot";
	/*
	 * Said once; the attempts after it are made in silence.  Those that
	 * a base is for may have come since, and each says it once.
	 */
	if (!again || f->base_of)
		function_failed(f, why);
}

void pool_boot_verified(struct function *f)
{
	usable(f);
}

void pool_boot_image_failed(struct function *f, const char *why)
{
	if (f->base_of)
		pool_base_bad(f, why);
	else
		pool_boot_failed(f->ref, why);
}

void pool_boot_is_ready(struct pool_ref *r)
{
	struct function *f = r->proc.f;

	r->state = REF_READY;
	r->ready_at = pool_now(f) - r->age;
	pool_store_read(r);
	r->failed = NULL;
	if (f->variant_of)
		function_mark(f->variant_of);
	if (r != f->ref) {
		pool_refresh_done(r);
		return;
	}
	pool_refresh_arm(f);
	usable(f);
}

void pool_boot_ready(struct pool_ref *r, const struct msg *m,
		     const uint8_t *payload)
{
	struct function *f = r->proc.f;
	const char *log;
	size_t len;

	if (r->state != REF_BOOTING) {
		pool_ref_kill(r);
		return;
	}
	if (r->proc.from || peer_ready(m, payload, &r->stats, &log, &len) < 0) {
		pool_boot_failed(r, "it broke the protocol");
		return;
	}
	pool_proc_log(&r->proc, log, len);
	pool_proc_reset(&r->proc);
	host_released(r->proc.host);
	if (m->a[0])
		pool_note(f, "it is not in its cgroup: %s",
			  strerror((int)m->a[0]));
	pool_boot_is_ready(r);
}

/* how it ended, before what it left to say of that */
static void describe(char *head, size_t size, const struct function *f,
		     const struct peer_report *rep)
{
	switch (rep->code) {
	case DIED_EXIT:
		snprintf(head, size, "it exited with status %d before it was "
			 "ready", (int)rep->status);
		break;
	case DIED_SIGNAL:
		snprintf(head, size, "it ended by signal %d before it was "
			 "ready", (int)rep->status);
		break;
	case DIED_TIMEOUT:
		snprintf(head, size, "it was not ready within %g s; the limit "
			 "is 'boot' in [limits] of usetl.conf, --boot-timeout "
			 "of bake and invoke", f->pool->o.boot_ns / 1e9);
		break;
	case DIED_MEMORY:
		snprintf(head, size, "its memory limit is too small to boot");
		break;
	default:
		head[0] = '\0';
	}
}

void pool_boot_died(struct pool_ref *r, const struct msg *m,
		    const uint8_t *payload)
{
	struct peer_report rep;
	char head[192], why[8192];

	if (peer_report(m, payload, &rep) < 0) {
		pool_boot_failed(r, "it broke the protocol");
		return;
	}
	pool_proc_log(&r->proc, rep.log, rep.log_len);
	if (rep.code == DIED_KILLED && pool_ref_vanished(r)) {
		pool_ref_kill(r);
		return;
	}
	describe(head, sizeof(head), r->proc.f, &rep);
	snprintf(why, sizeof(why), "%s%s%.*s", head,
		 head[0] && rep.text_len ? "\n" : "",
		 (int)(rep.text_len < 8000 ? rep.text_len : 8000), rep.text);
	pool_boot_failed(r, why);
}

void pool_boot_up(struct pool_ref *r, const struct msg *m)
{
	struct function *f = r->proc.f;

	if (r->state != REF_BOOTING)
		pool_ref_kill(r);
	else if (f->o.debug != DEBUG_BOOT ||
		 !pool_proc_is_child(&r->proc, m->a[2]))
		pool_boot_failed(r, "it broke the protocol");
	else
		f->pool->o.ops->attach(f->pool->o.arg, f, (pid_t)m->a[2]);
}

void pool_boot_attached(struct pool_ref *r)
{
	struct msg m = { .type = MSG_KICK };

	if (r->state == REF_BOOTING && r->proc.f->o.debug == DEBUG_BOOT)
		peer_send(r->proc.peer, &m, NULL, NULL, 0);
}
