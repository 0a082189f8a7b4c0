/*
 * pool_pump.c - what follows from what happened: decided once in each turn
 *
 * Whatever happens to a function (a message, an end, a timer, a request, an
 * image that is verified) is an event.  An event changes state, so that every
 * invariant of pool_impl.h holds again, and marks the function.  What follows
 * is the pump's to decide: which references boot and end, which clones are
 * asked for and stopped, who is refused, and what goes to whom.  It runs for
 * each function that is marked, before the loop sleeps, and looks at the
 * state alone, never at how that came about; a function that is as it should
 * be may be pumped as often as one likes.
 *
 * What may run where:
 *
 * - Only the pump boots, asks for clones and stops those that are well.  An
 *   event may stop what has failed, or what has run its last request.
 *   pool_add() alone boots at once, because its caller hears how that went.
 * - queue_give() may run anywhere, since it calls nobody back.  pool_submit()
 *   calls it, so that a request goes to an idle clone at once, and counts as
 *   one that waits only if it does; a result does, so that its clone works on
 *   what waits while the answer is sent and other events have their turn.
 *   So a function that its answer pauses runs one more request a clone.
 * - The pool's callers are called back (pool_ops, job.done) as the last thing
 *   that an event or a step of the pump does.  They may call the pool: that
 *   is one more event.  Not so pool_destroy(), which is for nobody's callback;
 *   and log, log_room and log_lost, which come in the midst of things and are
 *   to keep from the pool.
 * - Functions are freed at the end of their pump and nowhere else, so neither
 *   an event nor a callback need fear for them; but for pool_add()'s that did
 *   not begin, and pool_destroy()'s.
 *
 * A function that is marked while the pump runs, or by who runs after it
 * before the loop sleeps, is pumped in the next turn: while any is marked the
 * loop does not sleep.  Time is one more event: the tick marks all functions
 * while one of them waits for something that time alone brings.
 */
#include "vmm/pool/pool_impl.h"

#define TICK_S		0.1

void function_mark(struct function *f)
{
	struct pool *pool = f->pool;

	if (f->marked)
		return;
	if (TAILQ_EMPTY(&pool->marked)) {
		ev_prepare_start(pool->loop, &pool->pump);
		ev_idle_start(pool->loop, &pool->awake);
	}
	f->marked = 1;
	TAILQ_INSERT_TAIL(&pool->marked, f, mark);
}

void function_unmark(struct function *f)
{
	struct pool *pool = f->pool;

	if (!f->marked)
		return;
	f->marked = 0;
	TAILQ_REMOVE(&pool->marked, f, mark);
	if (TAILQ_EMPTY(&pool->marked)) {
		ev_prepare_stop(pool->loop, &pool->pump);
		ev_idle_stop(pool->loop, &pool->awake);
	}
}

static int needs_tick(struct function *f)
{
	return f->retired || f->queued || f->n[CLONE_COMING] ||
	       f->n[CLONE_BUSY] ||
	       pool_clones_live(f) != (f->given_up ? 0 : f->o.min) ||
	       f->ref->state != REF_READY || pool_size_waits(f) ||
	       pool_store_waits(f) ||
	       (f->base_of && pool_shell_waits(f)) ||
	       pool_ref_other(f)->state != REF_DOWN;
}

void function_pump(struct function *f)
{
	struct pool *pool = f->pool;
	double now = pool_now(f);

	if (f->ticked) {
		f->ticked = 0;
		pool_ref_expire(f, now);
		pool_clone_expire(f, now);
	}
	pool_ref_pump(f, now);
	pool_variant_pump(f);
	pool_fork_pump(f);
	pool_refresh_pump(f);
	pool_image_pump(f);
	pool_store_pump(f);
	queue_refuse(f, now);
	queue_give(f);
	pool_size_pump(f, now);
	if (f->base_of)
		pool_shell_pump(f, now);
	if (needs_tick(f) && !ev_is_active(&pool->tick))
		ev_timer_again(pool->loop, &pool->tick);
	function_settle(f);
}

static void on_pump(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct pool *pool = w->data;
	struct function *f;
	unsigned n = 0;

	/* not those that are marked meanwhile: others have their turn first */
	TAILQ_FOREACH(f, &pool->marked, mark)
		n++;
	while (n-- && (f = TAILQ_FIRST(&pool->marked))) {
		function_unmark(f);
		function_pump(f);
	}
}

/* there is something to do: what is marked */
static void on_awake(struct ev_loop *loop, struct ev_idle *w, int revents)
{
}

static void tick_list(struct function_list *list)
{
	struct function *f;

	TAILQ_FOREACH(f, list, link) {
		f->ticked = 1;
		function_mark(f);
	}
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct pool *pool = w->data;

	/* whoever still waits starts it again */
	ev_timer_stop(loop, w);
	tick_list(&pool->current);
	tick_list(&pool->others);
}

void pool_pump_init(struct pool *pool)
{
	TAILQ_INIT(&pool->marked);
	ev_prepare_init(&pool->pump, on_pump);
	ev_idle_init(&pool->awake, on_awake);
	ev_timer_init(&pool->tick, on_tick, 0.0, TICK_S);
	/* others prepare answers there: clones begin to run first */
	ev_set_priority(&pool->pump, EV_MAXPRI);
	pool->pump.data = pool->tick.data = pool;
}

void pool_pump_end(struct pool *pool)
{
	ev_prepare_stop(pool->loop, &pool->pump);
	ev_idle_stop(pool->loop, &pool->awake);
	ev_timer_stop(pool->loop, &pool->tick);
}
