/*
 * pool_run.c - a request in a clone: given to it, answered, or given back
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

void *job_result_take(const struct job_result *r, size_t *size)
{
	return r->from ? peer_take(r->from, size) : NULL;
}

static void answer(struct pool_clone *c, const struct job_result *r)
{
	struct job *j = c->job;

	c->job = NULL;
	if (j)
		job_finish(c->proc.f, j, r);
}

/* what a request may take */
static uint64_t time_limit(const struct function *f)
{
	if (f->o.debug)
		return DEBUG_S * 1e9;
	return f->o.timeout_ns ? f->o.timeout_ns : f->img->timeout_ns;
}

void pool_run_died(struct pool_clone *c, enum died died, const char *why)
{
	struct job_result r = {
		.outcome = died == DIED_TIMEOUT ? JOB_TIMEOUT : JOB_DIED,
		.died = died, .limit_ns = time_limit(c->proc.f),
		.text = why, .len = strlen(why),
	};

	answer(c, &r);
}

/* the request is answered; the clone goes on to the next, or ends */
static void next(struct pool_clone *c)
{
	struct function *f = c->proc.f;

	pool_proc_reset(&c->proc);
	c->ran = 1;
	if (c->last || f->o.recycle == RECYCLE_FORK || f->retired) {
		pool_clone_stop(c);
		pool_clone_top_up(f);
	} else {
		pool_clone_enter(c, CLONE_IDLE);
	}
	queue_dispatch(f);
}

void pool_run_result(struct pool_clone *c, const struct msg *m,
		      const uint8_t *payload)
{
	struct function *f = c->proc.f;
	struct peer_report rep;
	struct job_result r = { .outcome = JOB_OK };
	char text[128];

	if (c->state != CLONE_BUSY || peer_report(m, payload, &rep) < 0) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	pool_proc_log(&c->proc, rep.log, rep.log_len);
	pool_proc_log_lost(&c->proc, rep.log_lost);
	if (c->proc.idle_due < IDLE_DUE_MAX)
		c->proc.idle_due++;
	r.stats = rep.stats;
	r.text = rep.text;
	r.len = rep.text_len;
	r.from = c->proc.peer;
	if (rep.code == UK_RESULT_ERROR)
		r.outcome = JOB_ERROR;
	if (r.len > f->pool->o.response_max) {
		r.outcome = JOB_TOO_LARGE;
		r.len = snprintf(text, sizeof(text), "the result is %zu bytes,"
				 " more than response.max %llu", rep.text_len,
				 (unsigned long long)f->pool->o.response_max);
		r.text = text;
		r.from = NULL;
	}
	/* the answer first: what follows may end the peer, and the payload */
	answer(c, &r);
	next(c);
}

/*
 * Its request was seen by nobody: another clone's.  Where this one had run
 * nothing before, the next may end no better: not at once, then.
 */
void pool_run_give_back(struct pool_clone *c, const char *why)
{
	struct function *f = c->proc.f;

	pool_note(f, "a clone was lost: %s", why);
	if (!c->ran)
		pool_clone_back_off(f, c->job->again);
	c->job->again++;
	queue_push_back(f, c->job);
	c->job = NULL;
	pool_clone_replace(c);
}

void pool_run_report(struct pool_clone *c, const struct msg *m,
		    const uint8_t *payload)
{
	struct peer_report rep;
	struct job_result r = { .outcome = JOB_DIED };
	char why[512];

	if (peer_report(m, payload, &rep) < 0) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	pool_proc_log(&c->proc, rep.log, rep.log_len);
	pool_proc_log_lost(&c->proc, rep.log_lost);
	if (c->state != CLONE_BUSY) {
		snprintf(why, sizeof(why), "%.*s", (int)(rep.text_len < 500 ?
			 rep.text_len : 500), rep.text);
		pool_clone_lost(c, DIED_HOST, why);
		return;
	}
	if (rep.code == DIED_ROLLBACK && c->job && !c->said) {
		snprintf(why, sizeof(why), "%.*s", (int)(rep.text_len < 500 ?
			 rep.text_len : 500), rep.text);
		pool_run_give_back(c, why);
		return;
	}
	r.died = rep.code;
	r.status = rep.status;
	r.text = rep.text;
	r.len = rep.text_len;
	r.stats = rep.stats;
	r.limit_ns = time_limit(c->proc.f);
	if (rep.code == DIED_TIMEOUT)
		r.outcome = JOB_TIMEOUT;
	answer(c, &r);
	pool_clone_replace(c);
}

void pool_clone_run(struct pool_clone *c, struct job *j)
{
	struct function *f = c->proc.f;
	uint64_t limit = time_limit(f);
	struct msg m = {
		.type = MSG_INVOKE,
		.a = { j->event_len, limit,
		       f->o.say_idle ? INVOKE_IDLE : 0 },
	};
	uint64_t off;
	int r;

	pool_clone_enter(c, CLONE_BUSY);
	c->pid = c->next_pid;
	m.a[4] = c->next_pid = pool_clone_pid(f);
	c->job = j;
	c->said = 0;
	c->proc.deadline = c->since + limit / 1e9 + GRACE_S;
	pool_proc_log_limit(&c->proc);
	pool_proc_log_room(&c->proc);
	m.a[3] = c->proc.log_left;
	r = host_event(c->proc.host, j->event, j->event_len, &off);
	if (r == 0)
		r = peer_send(c->proc.peer, &m, NULL, NULL, 0);
	if (r == 0)
		return;
	/* it had ended already, and saw nothing of the request */
	c->job = NULL;
	pool_clone_stop(c);
	queue_push_back(f, j);
	pool_clone_top_up(f);
}
