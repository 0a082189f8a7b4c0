/*
 * pace.c - how much transfers move in one turn of the loop
 */
#include "etlfs/fetch/pace.h"

#define SPEND_EACH	(512u << 10)	/* bytes of one transfer in a turn */
#define SPEND		(2u << 20)	/* bytes of all transfers in a turn */
#define RESUME		3		/* paused ones resumed in a turn */

int pace_spend(struct pace *pace, struct transfer *t, size_t n)
{
	uint64_t turn = ev_iteration(pace->loop);

	if (pace->turn != turn) {
		pace->turn = turn;
		pace->spent = 0;
	}
	if (t->turn != turn) {
		t->turn = turn;
		t->spent = 0;
	}
	pace->spent += n;
	t->spent += n;
	/* a paused one still hands over what curl had read before */
	if (t->paused || (t->spent < SPEND_EACH && pace->spent < SPEND))
		return 0;
	t->paused = 1;
	TAILQ_INSERT_TAIL(&t->party->paused, t, queue);
	if (!ev_is_active(&pace->resume)) {
		ev_timer_set(&pace->resume, 0., 0.);
		ev_timer_start(pace->loop, &pace->resume);
	}
	return 1;
}

void pace_forget(struct transfer *t)
{
	if (!t->paused)
		return;
	TAILQ_REMOVE(&t->party->paused, t, queue);
	t->paused = 0;
}

static int has_paused(const struct party *p)
{
	return !TAILQ_EMPTY(&p->paused);
}

static void on_resume(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct pace *pace = w->data;
	struct transfer *t;
	struct party *p;

	for (int i = 0; i < RESUME; i++) {
		p = party_next(pace->parties, has_paused);
		if (!p)
			break;
		t = TAILQ_FIRST(&p->paused);
		/* this hands over what curl holds; it reads the socket later */
		curl_easy_pause(t->easy, CURLPAUSE_CONT);
		pace_forget(t);
	}
	TAILQ_FOREACH(p, pace->parties, link)
		if (has_paused(p) && !ev_is_active(w)) {
			ev_timer_set(w, 0., 0.);
			ev_timer_start(loop, w);
		}
}

void pace_init(struct pace *pace, struct ev_loop *loop,
	       struct parties *parties)
{
	pace->loop = loop;
	pace->parties = parties;
	pace->turn = pace->spent = 0;
	ev_init(&pace->resume, on_resume);
	pace->resume.data = pace;
}

void pace_stop(struct pace *pace)
{
	ev_timer_stop(pace->loop, &pace->resume);
}
