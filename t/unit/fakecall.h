/*
 * fakecall.h - requests to functions of a pool whose processes are fakeref.h's,
 * and how each ended
 */
#ifndef T_FAKECALL_H
#define T_FAKECALL_H

#include <stdlib.h>
#include <string.h>

#include "t/unit/fakeref.h"
#include "vmm/pool/pool_impl.h"

struct call {
	struct job job;
	unsigned done;
	enum outcome outcome;
};

static void on_done(struct job *j, const struct job_result *r)
{
	struct call *c = (struct call *)j;

	c->done++;
	c->outcome = r->outcome;
}

static void submit(struct function *f, struct call *c, const char *event)
{
	memset(c, 0, sizeof(*c));
	c->job.event = strdup(event);
	c->job.event_len = strlen(event);
	c->job.done = on_done;
	if (pool_submit(f, &c->job) < 0)
		exit(1);
}

static int answers(struct function *f)
{
	struct call c;

	submit(f, &c, "1");
	UNTIL(c.done);
	return c.done == 1 && c.outcome == JOB_OK;
}

#endif
