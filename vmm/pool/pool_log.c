/*
 * pool_log.c - what a function may log: in a request, and now
 *
 * Two limits meet here: log.max of one request, and what is left of the
 * function's rate (pool_ops.log_room).  The lower one goes with the INVOKE, so
 * that nothing past it is sent at all; the clone says how many lines that
 * were.  Past log.max a line says so at once.  Past the rate whole lines are
 * lost, and counted for whoever keeps the rate.
 */
#include <string.h>

#include "vmm/pool/pool_impl.h"

static void pass(struct pool_proc *p, const char *text, size_t len)
{
	if (len)
		p->f->pool->o.ops->log(p->f->pool->o.arg, p->f, text, len);
}

void pool_proc_log_limit(struct pool_proc *p)
{
	p->log_left = p->f->pool->o.log_max;
	p->log_over = !p->log_left;
	p->log_short = p->log_torn = 0;
	p->log_lost = 0;
}

void pool_proc_log_room(struct pool_proc *p)
{
	struct pool *pool = p->f->pool;
	uint64_t room;

	if (!pool->o.ops->log_room)
		return;
	room = pool->o.ops->log_room(pool->o.arg, p->f);
	if (room >= p->log_left)
		return;
	p->log_left = room;
	p->log_over = !room;
	p->log_short = 1;
}

static void lose(struct pool_proc *p, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p->log_lost += text[i] == '\n';
	p->log_torn = len && text[len - 1] != '\n';
}

/* bytes of the whole lines in so many */
static size_t whole(const char *text, size_t len)
{
	const char *nl = memrchr(text, '\n', len);

	return nl ? (size_t)(nl + 1 - text) : 0;
}

void pool_proc_log(struct pool_proc *p, const char *text, size_t len)
{
	static const char cut[] = "\n(log.max reached: the rest is dropped)\n";
	size_t fits;

	if (!len || p->log_over)
		return;
	if (len <= p->log_left) {
		p->log_left -= len;
		pass(p, text, len);
		return;
	}
	fits = p->log_left;
	if (p->log_short)
		fits = whole(text, fits);
	pass(p, text, fits);
	p->log_left = 0;
	p->log_over = 1;
	if (p->log_short)
		lose(p, text + fits, len - fits);
	else
		pass(p, cut, sizeof(cut) - 1);
}

void pool_proc_log_lost(struct pool_proc *p, uint64_t lines)
{
	/*
	 * log.max said so itself; short of it, its child said more than it
	 * may
	 */
	if (!lines || (p->log_over && !p->log_short))
		return;
	/* what was torn here ended there */
	p->log_torn = 0;
	if (__builtin_add_overflow(p->log_lost, lines, &p->log_lost))
		p->log_lost = UINT64_MAX;
}

void pool_proc_log_end(struct pool_proc *p)
{
	struct pool *pool = p->f->pool;
	uint64_t lines = p->log_lost + p->log_torn;

	p->log_lost = 0;
	p->log_torn = 0;
	if (lines && pool->o.ops->log_lost)
		pool->o.ops->log_lost(pool->o.arg, p->f, lines);
}
