/*
 * engine.c - transfers of libcurl's multi interface, driven by libev
 *
 * curl says which sockets it waits for and when it wants to be called; one
 * ev_io per socket and one ev_timer do that.  Easy handles are used again,
 * since each has buffers of its own.
 *
 * libcurl looks each name up in a thread of its own, and by default waits
 * for that thread when a transfer ends before it, for as long as a name
 * server likes, with all the gateway.  CURLOPT_QUICK_EXIT lets go of it
 * instead; what was let go is remembered here for as long as a resolver may
 * take, and counts with those that run, so that there is an end to threads.
 */
#include "etlfs/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define IDLE_HANDLES	16
#define IDLE_CONNECTIONS 64L
#define MAX_CONNECTIONS	1024L
#define LOOKUPS_EACH	64u		/* one function's names in question */
#define LOOKUPS		256u		/* all functions' */
#define LOOKUP_S	60.0		/* one that was let go has ended then */

struct fetch_engine {
	struct ev_loop *loop;
	CURLM *multi;
	ev_timer timer;			/* curl's own */
	ev_timer post;			/* runs once for all posted transfers */
	struct transfer all;		/* head of the ring of attached ones */
	CURL *idle[IDLE_HANDLES];
	unsigned n_idle;
	struct {			/* lookups that were let go */
		const void *who;
		double until;
	} let_go[LOOKUPS];
};

struct sock {
	ev_io io;
	struct fetch_engine *e;
};

/* names */

int engine_look_up(struct fetch_engine *e, struct transfer *t, const void *who)
{
	unsigned all = 0, his = 0;
	struct transfer *o;

	for (o = e->all.next; o != &e->all; o = o->next) {
		all += o != t && o->looks_up;
		his += o != t && o->looks_up == who;
	}
	for (unsigned i = 0; i < LOOKUPS; i++) {
		if (e->let_go[i].until <= ev_now(e->loop))
			continue;
		all++;
		his += e->let_go[i].who == who;
	}
	if (all >= LOOKUPS || his >= LOOKUPS_EACH)
		return -EAGAIN;
	t->looks_up = who;
	return 0;
}

void engine_found(struct transfer *t)
{
	t->looks_up = NULL;
}

/* the transfer ends before its lookup; there is room by engine_look_up() */
static void lookup_let_go(struct fetch_engine *e, struct transfer *t)
{
	double now = ev_now(e->loop);
	unsigned i = 0;

	if (!t->looks_up)
		return;
	while (i < LOOKUPS - 1 && e->let_go[i].until > now)
		i++;
	e->let_go[i].who = t->looks_up;
	e->let_go[i].until = now + LOOKUP_S;
	t->looks_up = NULL;
}

/*
 * finished() may release any transfer, so nothing is kept across a call; a
 * message of a handle that is removed disappears with it.
 */
static void engine_reap(struct fetch_engine *e)
{
	struct transfer *t;
	CURLcode code;
	CURLMsg *msg;
	CURL *easy;
	int left;

	while ((msg = curl_multi_info_read(e->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		easy = msg->easy_handle;
		code = msg->data.result;
		if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t))
			continue;
		curl_multi_remove_handle(e->multi, easy);
		t->running = 0;
		if (code == CURLE_OPERATION_TIMEDOUT)
			lookup_let_go(e, t);
		engine_found(t);
		t->finished(t, code);
	}
}

static void on_socket(struct ev_loop *loop, ev_io *io, int revents)
{
	struct fetch_engine *e = ((struct sock *)io)->e;
	int running, mask = 0;

	if (revents & EV_READ)
		mask |= CURL_CSELECT_IN;
	if (revents & EV_WRITE)
		mask |= CURL_CSELECT_OUT;
	curl_multi_socket_action(e->multi, io->fd, mask, &running);
	engine_reap(e);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct fetch_engine *e = w->data;
	int running;

	curl_multi_socket_action(e->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	engine_reap(e);
}

static struct transfer *posted_first(struct fetch_engine *e)
{
	struct transfer *t;

	for (t = e->all.next; t != &e->all; t = t->next)
		if (t->posted)
			return t;
	return NULL;
}

static void on_post(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct fetch_engine *e = w->data;
	struct transfer *t;

	while ((t = posted_first(e))) {
		t->posted = 0;
		t->finished(t, CURLE_OK);
	}
}

static int multi_timer(CURLM *multi, long ms, void *arg)
{
	struct fetch_engine *e = arg;

	ev_timer_stop(e->loop, &e->timer);
	if (ms < 0)
		return 0;
	ev_timer_set(&e->timer, ms / 1e3, 0.);
	ev_timer_start(e->loop, &e->timer);
	return 0;
}

static int multi_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
			void *sockp)
{
	struct fetch_engine *e = arg;
	struct sock *s = sockp;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (s) {
			ev_io_stop(e->loop, &s->io);
			curl_multi_assign(e->multi, fd, NULL);
			free(s);
		}
		return 0;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -1;
		s->e = e;
		ev_init(&s->io, on_socket);
		curl_multi_assign(e->multi, fd, s);
	}
	if (what != CURL_POLL_OUT)
		events |= EV_READ;
	if (what != CURL_POLL_IN)
		events |= EV_WRITE;
	ev_io_stop(e->loop, &s->io);
	ev_io_set(&s->io, fd, events);
	ev_io_start(e->loop, &s->io);
	return 0;
}

static void ignore_sigpipe(void)
{
	struct sigaction sa;

	if (sigaction(SIGPIPE, NULL, &sa) < 0 || sa.sa_handler != SIG_DFL)
		return;
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

int fetch_engine_create(struct fetch_engine **out, struct ev_loop *loop)
{
	struct fetch_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(e);
		return -ENOMEM;
	}
	e->multi = curl_multi_init();
	if (!e->multi) {
		curl_global_cleanup();
		free(e);
		return -ENOMEM;
	}
	e->loop = loop;
	e->all.next = e->all.prev = &e->all;
	ev_init(&e->timer, on_timer);
	ev_init(&e->post, on_post);
	e->timer.data = e->post.data = e;
	curl_multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, multi_socket);
	curl_multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e);
	curl_multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, multi_timer);
	curl_multi_setopt(e->multi, CURLMOPT_TIMERDATA, e);
	curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
	curl_multi_setopt(e->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
			  MAX_CONNECTIONS);
	ignore_sigpipe();
	*out = e;
	return 0;
}

void fetch_engine_destroy(struct fetch_engine *e)
{
	if (!e)
		return;
	while (e->all.next != &e->all)
		e->all.next->drop(e->all.next);
	while (e->n_idle)
		curl_easy_cleanup(e->idle[--e->n_idle]);
	curl_multi_cleanup(e->multi);
	ev_timer_stop(e->loop, &e->timer);
	ev_timer_stop(e->loop, &e->post);
	free(e);
	curl_global_cleanup();
}

/* a handle whose last connect failed kept its buffer, and refuses another */
static CURL *easy_get(struct fetch_engine *e)
{
	CURL *easy;

	while (e->n_idle) {
		easy = e->idle[--e->n_idle];
		if (!curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, ENGINE_BUFFER))
			return easy;
		curl_easy_cleanup(easy);
	}
	easy = curl_easy_init();
	if (easy)
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, ENGINE_BUFFER);
	return easy;
}

int engine_attach(struct fetch_engine *e, struct transfer *t)
{
	t->easy = easy_get(e);
	if (!t->easy)
		return -ENOMEM;
	t->running = t->posted = 0;
	t->looks_up = NULL;
	t->next = &e->all;
	t->prev = e->all.prev;
	t->prev->next = t;
	e->all.prev = t;
	return 0;
}

void engine_release(struct fetch_engine *e, struct transfer *t)
{
	if (!t->easy)
		return;
	if (t->running) {
		lookup_let_go(e, t);
		curl_multi_remove_handle(e->multi, t->easy);
	}
	if (e->n_idle < IDLE_HANDLES) {
		curl_easy_reset(t->easy);
		e->idle[e->n_idle++] = t->easy;
	} else {
		curl_easy_cleanup(t->easy);
	}
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->easy = NULL;
}

int engine_start(struct fetch_engine *e, struct transfer *t)
{
	if (curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t) ||
	    curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L))
		return -ENOMEM;
	if (curl_multi_add_handle(e->multi, t->easy))
		return -ENOMEM;
	t->running = 1;
	return 0;
}

void engine_post(struct fetch_engine *e, struct transfer *t)
{
	t->posted = 1;
	if (!ev_is_active(&e->post)) {
		ev_timer_set(&e->post, 0., 0.);
		ev_timer_start(e->loop, &e->post);
	}
}
