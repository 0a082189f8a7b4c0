/*
 * engine.c - transfers of libcurl's multi interface, driven by libev
 *
 * A transfer waits when its function's share of connections is used up.
 * Whenever a transfer has ended, the first waiting one of each function is
 * tried, the functions in turn.
 *
 * libcurl looks each name up in a thread of its own.  When a transfer ends
 * before its lookup, libcurl by default waits for that thread, and the whole
 * gateway with it, for as long as a name server likes.  CURLOPT_QUICK_EXIT
 * abandons the thread instead.  An abandoned lookup is remembered here for as
 * long as a resolver may take, and counts like one that runs, so that the
 * number of threads is bounded.
 */
#include "etlfs/fetch/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "conf/nstime.h"
#include "etlfs/fetch/pace.h"
#include "etlfs/fetch/party.h"

#define IDLE_HANDLES	16
#define CONNECTIONS	1024u		/* of all functions together */
#define LOOKUPS		256u		/* names being looked up, of all */
#define LOOKUP_S	60.0		/* an abandoned lookup has ended then */
#define CONNECT_MS	30000u
/* how long one without transfers stays */
#define PARTY_S		30.0

struct fetch_engine {
	struct ev_loop *loop;
	struct parties parties;		/* the first one's turn is next */
	struct share connections, lookups;
	long idle_connections;		/* kept open for each party */
	ev_timer sweep;			/* runs while there are parties */
	unsigned n_waiting;
	ev_timer post;			/* runs once for all posted transfers */
	struct pace pace;
	struct transfer all;		/* head of the ring of attached ones */
	CURL *idle[IDLE_HANDLES];
	unsigned n_idle;
	int curl;			/* it is loaded, and initialized */
	struct {			/* abandoned lookups */
		struct share_part *part;
		double until;
	} let_go[LOOKUPS];
};

/* names */

static void lookups_expire(struct fetch_engine *e, double now)
{
	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct share_part *part = e->let_go[i].part;

		if (!part || e->let_go[i].until > now)
			continue;
		share_give(part, 1);
		share_leave(part);
		e->let_go[i].part = NULL;
	}
}

int engine_look_up(struct fetch_engine *e, struct transfer *t)
{
	if (t->looks_up)
		return 0;
	lookups_expire(e, ev_now(e->loop));
	if (share_take(t->party->lookups, 1) < 0)
		return -EAGAIN;
	t->looks_up = 1;
	t->party->names++;
	return 0;
}

void engine_found(struct transfer *t)
{
	if (t->looks_up)
		share_give(t->party->lookups, 1);
	t->looks_up = 0;
}

/* the transfer ends before its lookup, which goes on holding its share */
static void lookup_let_go(struct fetch_engine *e, struct transfer *t)
{
	unsigned i = 0;

	if (!t->looks_up)
		return;
	/* there is room: LOOKUPS bounds those that run and these together */
	while (e->let_go[i].part)
		i++;
	e->let_go[i].part = share_join(&e->lookups, t->party->owner);
	e->let_go[i].until = ev_now(e->loop) + LOOKUP_S;
	t->looks_up = 0;
}

int engine_spend(struct fetch_engine *e, struct transfer *t, size_t n)
{
	return pace_spend(&e->pace, t, n);
}

/* time */

static uint64_t due_ns(const struct transfer *t)
{
	if (t->connect_ns && (!t->deadline_ns ||
			      t->connect_ns < t->deadline_ns))
		return t->connect_ns;
	return t->deadline_ns;
}

static void due_set(struct transfer *t)
{
	struct ev_loop *loop = t->party->loop;
	uint64_t now = nstime_now(), at = due_ns(t);

	ev_timer_stop(loop, &t->due);
	if (!at)
		return;
	ev_timer_set(&t->due, at > now ? (at - now) / 1e9 : 0., 0.);
	ev_timer_start(loop, &t->due);
}

static void due_forget(struct transfer *t)
{
	ev_timer_stop(t->party->loop, &t->due);
	party_end_forget(t);
}

static void unqueue(struct transfer *t)
{
	if (!t->queued)
		return;
	TAILQ_REMOVE(&t->party->waiting, t, queue);
	t->queued = 0;
	t->party->engine->n_waiting--;
}

static void on_due(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct transfer *t = w->data;

	/* libev counts from the beginning of a turn, so this may be early */
	if (nstime_now() < due_ns(t)) {
		due_set(t);
		return;
	}
	/* it must not get a connection any more */
	unqueue(t);
	party_end_soon(t->party, t);
}

void engine_end_soon(struct transfer *t)
{
	party_end_soon(t->party, t);
}

void engine_connected(struct transfer *t)
{
	t->connect_ns = 0;
	due_set(t);
}

/*
 * CURLOPT_CONNECTTIMEOUT_MS is set because curl divides that time among a
 * name's addresses.  It is a little longer than ours: the engine, not curl,
 * ends a connect that takes too long, since curl would end all that are due in
 * one call.
 */
static int set_connect(struct transfer *t)
{
	uint64_t now = nstime_now(), ms;

	t->connect_ns = now + CONNECT_MS * 1000000ull;
	ms = due_ns(t) > now ? (due_ns(t) - now) / 1000000 : 0;
	ms = t->one_address ? 0 : ms + ms / 16 + 100;
	return curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)ms) ?
	       -ENOMEM : 0;
}

/* beginnings and ends */

static int transfer_run(struct transfer *t)
{
	int rc = set_connect(t);

	if (rc == 0)
		rc = party_add(t->party, t);
	if (rc < 0)
		return rc;
	t->running = 1;
	due_set(t);
	return 0;
}

static void post_soon(struct fetch_engine *e)
{
	if (ev_is_active(&e->post))
		return;
	ev_timer_set(&e->post, 0., 0.);
	ev_timer_start(e->loop, &e->post);
}

/* the transfer has left the wire, successfully or not */
static void connection_free(struct fetch_engine *e, struct transfer *t)
{
	pace_forget(t);
	t->running = 0;
	share_give(t->party->connections, 1);
	/*
	 * on_post() starts the next: the caller may be inside a curl callback.
	 */
	if (e->n_waiting)
		post_soon(e);
}

void engine_ended(struct transfer *t, CURLcode code)
{
	struct fetch_engine *e = t->party->engine;

	due_forget(t);
	/* it never had a connection */
	if (!t->running)
		return;
	party_remove(t->party, t);
	connection_free(e, t);
	/* curl leaves the thread behind, whatever it ended the transfer by */
	if (code != CURLE_OK && code != CURLE_COULDNT_RESOLVE_HOST)
		lookup_let_go(e, t);
	engine_found(t);
}

int engine_start(struct fetch_engine *e, struct transfer *t,
		 uint64_t deadline_ns)
{
	struct party *p = t->party;
	int rc;

	t->deadline_ns = deadline_ns;
	if (TAILQ_EMPTY(&p->waiting) && !share_take(p->connections, 1)) {
		rc = transfer_run(t);
		if (rc < 0)
			share_give(p->connections, 1);
		return rc;
	}
	t->waits = t->queued = 1;
	TAILQ_INSERT_TAIL(&p->waiting, t, queue);
	e->n_waiting++;
	due_set(t);
	return 0;
}

static int has_admissible(const struct party *p)
{
	if (TAILQ_EMPTY(&p->waiting) || share_take(p->connections, 1) < 0)
		return 0;
	share_give(p->connections, 1);
	return 1;
}

static void admit(struct fetch_engine *e)
{
	struct transfer *t;
	struct party *p;

	while ((p = party_next(&e->parties, has_admissible))) {
		t = TAILQ_FIRST(&p->waiting);
		unqueue(t);
		t->waits = 0;
		share_take(p->connections, 1);
		if (transfer_run(t) < 0) {
			due_forget(t);
			share_give(p->connections, 1);
			t->finished(t, CURLE_OUT_OF_MEMORY);
		}
	}
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
	admit(e);
}

void engine_post(struct fetch_engine *e, struct transfer *t)
{
	t->posted = 1;
	post_soon(e);
}

/* parties */

static void on_sweep(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct fetch_engine *e = w->data;
	struct party *p, *next;

	for (p = TAILQ_FIRST(&e->parties); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->attached || p->idle_since + PARTY_S > ev_now(loop))
			continue;
		TAILQ_REMOVE(&e->parties, p, link);
		party_destroy(p);
	}
	if (TAILQ_EMPTY(&e->parties))
		ev_timer_stop(loop, w);
}

int fetch_engine_begin(struct fetch_engine *e)
{
	if (!e->curl && curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	e->curl = 1;
	return 0;
}

static int party_of(struct fetch_engine *e, uint64_t owner, struct party **out)
{
	struct party *p;
	int rc;

	TAILQ_FOREACH(p, &e->parties, link)
		if (p->owner == owner)
			break;
	if (!p) {
		rc = fetch_engine_begin(e);
		if (rc < 0)
			return rc;
		rc = party_create(&p, e, e->loop, owner, &e->connections,
				  &e->lookups, e->idle_connections);
		if (rc < 0)
			return rc;
		TAILQ_INSERT_TAIL(&e->parties, p, link);
		if (!ev_is_active(&e->sweep))
			ev_timer_again(e->loop, &e->sweep);
	}
	*out = p;
	return 0;
}

/*
 * After a failed connect curl keeps the handle's buffer and refuses to change
 * the size; such a handle is replaced.
 */
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

/* the handle and its buffers are used again */
static void easy_put(struct fetch_engine *e, CURL *easy)
{
	/* curl_easy_reset() keeps the TLS sessions, which are one function's */
	curl_easy_setopt(easy, CURLOPT_SHARE, NULL);
	if (e->n_idle == IDLE_HANDLES) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	e->idle[e->n_idle++] = easy;
}

int engine_attach(struct fetch_engine *e, struct transfer *t, uint64_t owner)
{
	int rc = party_of(e, owner, &t->party);

	if (rc < 0)
		return rc;
	t->easy = easy_get(e);
	if (!t->easy)
		return -ENOMEM;
	t->running = t->posted = t->paused = 0;
	t->waits = t->queued = t->ending = t->looks_up = 0;
	t->deadline_ns = t->connect_ns = 0;
	ev_init(&t->due, on_due);
	t->due.data = t;
	t->party->attached++;
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
	unqueue(t);
	due_forget(t);
	if (t->running) {
		lookup_let_go(e, t);
		party_remove(t->party, t);
		connection_free(e, t);
	}
	easy_put(e, t->easy);
	t->easy = NULL;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	if (!--t->party->attached)
		t->party->idle_since = ev_now(e->loop);
}

/* the engine */

static void ignore_sigpipe(void)
{
	struct sigaction sa;

	if (sigaction(SIGPIPE, NULL, &sa) < 0 || sa.sa_handler != SIG_DFL)
		return;
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* at most a quarter of the descriptors; clones and callers need the others */
static uint64_t connections_max(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur / 4 > CONNECTIONS)
		return CONNECTIONS;
	return r.rlim_cur / 4 > 16 ? r.rlim_cur / 4 : 16;
}

int fetch_engine_create(struct fetch_engine **out, struct ev_loop *loop)
{
	struct fetch_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->loop = loop;
	TAILQ_INIT(&e->parties);
	e->connections.limit = connections_max();
	e->lookups.limit = LOOKUPS;
	e->idle_connections = e->connections.limit / 16;
	e->all.next = e->all.prev = &e->all;
	ev_init(&e->sweep, on_sweep);
	e->sweep.repeat = PARTY_S / 2;
	ev_init(&e->post, on_post);
	pace_init(&e->pace, loop, &e->parties);
	e->sweep.data = e->post.data = e;
	ignore_sigpipe();
	*out = e;
	return 0;
}

void fetch_engine_destroy(struct fetch_engine *e)
{
	struct party *p;

	if (!e)
		return;
	while (e->all.next != &e->all)
		e->all.next->drop(e->all.next);
	while (e->n_idle)
		curl_easy_cleanup(e->idle[--e->n_idle]);
	lookups_expire(e, 1e300);
	while ((p = TAILQ_FIRST(&e->parties))) {
		TAILQ_REMOVE(&e->parties, p, link);
		party_destroy(p);
	}
	ev_timer_stop(e->loop, &e->sweep);
	ev_timer_stop(e->loop, &e->post);
	pace_stop(&e->pace);
	if (e->curl)
		curl_global_cleanup();
	free(e);
}
