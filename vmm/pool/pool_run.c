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

/* what a request may take */
static uint64_t time_limit(const struct function *f)
{
	if (f->o.debug)
		return DEBUG_S * 1e9;
	return f->o.timeout_ns ? f->o.timeout_ns : f->img->timeout_ns;
}

void pool_run_died(struct function *f, struct job *j, enum died died,
		   const char *why)
{
	struct job_result r = {
		.outcome = died == DIED_TIMEOUT ? JOB_TIMEOUT : JOB_DIED,
		.died = died, .limit_ns = time_limit(f),
		.text = why, .len = strlen(why),
	};

	job_finish(f, j, &r);
}

/* the request has run to its end: the clone is idle, or that was its last */
static void over(struct pool_clone *c)
{
	struct function *f = c->proc.f;

	/* nor is there to be another in its place */
	if (c->job->last)
		f->o.min = 0;
	c->last |= c->job->last;
	c->job = NULL;
	c->ran = 1;
	if (c->last || f->o.recycle == RECYCLE_FORK || f->retired) {
		pool_clone_stop(c);
	} else {
		pool_proc_reset(&c->proc);
		pool_clone_enter(c, CLONE_IDLE);
	}
}

/* more than the function may answer: text says so in its place */
static void too_large(struct job_result *r, char *text, size_t size,
		      uint64_t max)
{
	r->outcome = JOB_TOO_LARGE;
	r->len = snprintf(text, size, "the result is %zu bytes, more than "
			  "response.max %llu", r->len,
			  (unsigned long long)max);
	r->text = text;
	r->from = NULL;
}

void pool_run_result(struct pool_clone *c, const struct msg *m,
		     const uint8_t *payload)
{
	struct function *f = c->proc.f;
	const uint64_t max = f->pool->o.response_max;
	struct job *j = c->job;
	struct peer_report rep;
	struct job_result r;
	char text[128];

	if (c->state != CLONE_BUSY || pool_clone_comes(c) ||
	    peer_report(m, payload, &rep) < 0) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	pool_proc_log(&c->proc, rep.log, rep.log_len);
	pool_proc_log_lost(&c->proc, rep.log_lost);
	if (c->proc.idle_due < IDLE_DUE_MAX)
		c->proc.idle_due++;
	r = (struct job_result){
		.outcome = rep.code == UK_RESULT_ERROR ? JOB_ERROR : JOB_OK,
		.text = rep.text, .len = rep.text_len, .stats = rep.stats,
		.from = c->proc.peer,
	};
	if (r.len > max)
		too_large(&r, text, sizeof(text), max);
	over(c);
	/* it works on the next while its answer is sent */
	queue_give(f);
	job_finish(f, j, &r);
}

/*
 * Its request was seen by nobody: another clone's.  Where this one had run
 * nothing before, the next may end no better: not at once, then.
 */
void pool_run_give_back(struct pool_clone *c, const char *why)
{
	struct function *f = c->proc.f;
	struct job *j = c->job;

	if (!c->ran)
		pool_clone_back_off(f, j->again);
	j->again++;
	c->job = NULL;
	queue_push_back(f, j);
	pool_clone_stop(c);
	pool_note(f, "a clone was lost: %s", why);
}

void pool_run_report(struct pool_clone *c, const struct msg *m,
		     const uint8_t *payload)
{
	struct function *f = c->proc.f;
	struct job *j = c->job;
	struct peer_report rep;
	struct job_result r;
	char why[512];

	if (peer_report(m, payload, &rep) < 0) {
		pool_clone_lost(c, DIED_HOST, "it broke the protocol");
		return;
	}
	pool_proc_log(&c->proc, rep.log, rep.log_len);
	pool_proc_log_lost(&c->proc, rep.log_lost);
	snprintf(why, sizeof(why), "%.*s", (int)(rep.text_len < 500 ?
		 rep.text_len : 500), rep.text);
	if (c->state != CLONE_BUSY || pool_clone_comes(c)) {
		pool_clone_lost(c, DIED_HOST, why);
		return;
	}
	if (rep.code == DIED_ROLLBACK && !c->said) {
		pool_run_give_back(c, why);
		return;
	}
	r = (struct job_result){
		.outcome = rep.code == DIED_TIMEOUT ? JOB_TIMEOUT : JOB_DIED,
		.died = rep.code, .status = rep.status,
		.limit_ns = time_limit(f), .text = rep.text,
		.len = rep.text_len, .stats = rep.stats,
	};
	if (rep.code == DIED_SIGNAL || rep.code == DIED_FAULT ||
	    rep.code == DIED_HOST)
		pool_alone_doubt(c);
	c->job = NULL;
	pool_clone_stop(c);
	job_finish(f, j, &r);
}

/* c is idle */
static enum pool_start start_of(const struct pool_clone *c,
				const struct job *j)
{
	if (c->ran || (c->since <= j->queued && !c->ahead))
		return START_WARM;
	if (c->ref->ready_at > j->queued)
		return c->proc.f->o.from ? START_SNAPSHOT : START_BOOT;
	return c->shell ? START_SHELL :
	       c->ref->stored ? START_SNAPSHOT : START_CLONE;
}

/* what the request is, or was given so far by another server */
static int event_give(struct pool_clone *c, const struct job *j,
		      uint64_t *limit)
{
	const struct function *f = c->proc.f;
	const struct saved *from = f->o.from;
	uint64_t off, left;
	int rc;

	if (!from || !saved_runs(&from->head))
		return host_event(c->proc.host, j->event, j->event_len, &off);
	/* it has no other one after that */
	c->last = 1;
	rc = host_restore(c->proc.host, from->fd[from->head.parts - 1], &left);
	if (rc == 0 && !f->o.timeout_ns)
		*limit = left;
	return rc;
}

double pool_run_until(const struct pool_clone *c, uint64_t limit)
{
	return pool_now(c->proc.f) + limit / 1e9 + GRACE_S;
}

void pool_clone_run(struct pool_clone *c, struct job *j)
{
	struct function *f = c->proc.f;
	uint64_t limit = time_limit(f);
	struct msg m = {
		.type = MSG_INVOKE,
		.a = { j->event_len, limit,
		       (f->o.say_idle ? INVOKE_IDLE : 0) |
		       (f->o.say_pages ? INVOKE_PAGES : 0) },
	};
	int rc;

	c->start = start_of(c, j);
	pool_clone_enter(c, CLONE_BUSY);
	c->pid = c->next_pid;
	m.a[4] = c->next_pid = pool_clone_pid(f);
	c->job = j;
	c->said = 0;
	c->limit = limit;
	/* it begins when it is up, and has its time for that first */
	if (!pool_clone_comes(c))
		c->proc.deadline = pool_run_until(c, limit);
	pool_proc_log_limit(&c->proc);
	pool_proc_log_room(&c->proc);
	m.a[3] = c->proc.log_left;
	rc = event_give(c, j, &limit);
	m.a[1] = limit;
	if (rc == 0)
		rc = peer_send(c->proc.peer, &m, NULL, NULL, 0);
	if (rc == 0) {
		f->starts[c->start]++;
		return;
	}
	if (pool_clone_comes(c)) {
		pool_clone_missed(c, pool_clone_ended);
		return;
	}
	/* it had ended already, and saw nothing of the request */
	c->job = NULL;
	pool_clone_stop(c);
	queue_push_back(f, j);
	if (rc != -EINVAL && rc != -EIO && rc != -ENOMEM)
		return;
	/* no other clone would do better with what a snapshot has */
	j->refused = "what the request had been given cannot be restored";
	function_mark(f);
}
