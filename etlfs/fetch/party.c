/*
 * party.c - one function's own connections, and all that curl remembers
 *
 * curl says which sockets it waits for and when it wants to be called; one
 * ev_io per socket and one ev_timer per party serve it.
 */
#include "etlfs/fetch/party.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/nstime.h"

/*
 * libcurl keeps an address in its cache for a minute, and walks the whole cache
 * after each transfer.
 */
#define NAMES		256u

struct party_socket {
	ev_io io;		/* stopped while this is in p->ready */
	struct party *p;
	int revents, is_ready;
	TAILQ_ENTRY(party_socket) link;
};

/*
 * finished() may release any transfer, so no pointer is kept across a call;
 * curl drops the messages of a handle that is removed.
 */
static void party_reap(struct party *p)
{
	struct transfer *t;
	CURLcode code;
	CURLMsg *msg;
	CURL *easy;
	int left;

	while ((msg = curl_multi_info_read(p->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		easy = msg->easy_handle;
		code = msg->data.result;
		if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t))
			continue;
		engine_ended(t, code);
		t->finished(t, code);
	}
}

/*
 * Whether one more may be done in this turn, in which n of at most max were.
 * The first of a turn is always allowed.
 */
static int may(struct party *p, const unsigned *n, unsigned max)
{
	uint64_t turn = ev_iteration(p->loop);

	if (p->turn != turn)
		p->acts = p->ends = p->spent_ns = 0;
	p->turn = turn;
	return !*n || (*n < max && p->spent_ns < PARTY_NS);
}

static int may_act(struct party *p)
{
	return may(p, &p->acts, PARTY_ACTS);
}

static int may_end(struct party *p)
{
	return may(p, &p->ends, PARTY_ENDS);
}

/* s may be freed by this */
static void act(struct party_socket *s, int revents)
{
	struct party *p = s->p;
	uint64_t since = nstime_now();
	int running, mask = 0;

	p->acts++;
	if (revents & EV_READ)
		mask |= CURL_CSELECT_IN;
	if (revents & EV_WRITE)
		mask |= CURL_CSELECT_OUT;
	curl_multi_socket_action(p->multi, s->io.fd, mask, &running);
	party_reap(p);
	p->spent_ns += nstime_now() - since;
}

static void end(struct transfer *t)
{
	struct party *p = t->party;
	uint64_t since = nstime_now();

	p->ends++;
	engine_ended(t, CURLE_OPERATION_TIMEDOUT);
	t->finished(t, CURLE_OPERATION_TIMEDOUT);
	p->spent_ns += nstime_now() - since;
}

static void rest_soon(struct party *p)
{
	if ((TAILQ_EMPTY(&p->ready) && TAILQ_EMPTY(&p->ending)) ||
	    ev_is_active(&p->rest))
		return;
	ev_timer_set(&p->rest, 0., 0.);
	ev_timer_start(p->loop, &p->rest);
}

static void unready(struct party_socket *s)
{
	if (s->is_ready)
		TAILQ_REMOVE(&s->p->ready, s, link);
	s->is_ready = 0;
}

void party_end_soon(struct party *p, struct transfer *t)
{
	if (t->ending)
		return;
	t->ending = 1;
	TAILQ_INSERT_TAIL(&p->ending, t, end);
	rest_soon(p);
}

void party_end_forget(struct transfer *t)
{
	if (t->ending)
		TAILQ_REMOVE(&t->party->ending, t, end);
	t->ending = 0;
}

static void on_rest(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct party *p = w->data;
	struct transfer *t;
	struct party_socket *s;

	while (may_act(p) && (s = TAILQ_FIRST(&p->ready))) {
		unready(s);
		ev_io_start(loop, &s->io);
		act(s, s->revents);
	}
	while (may_end(p) && (t = TAILQ_FIRST(&p->ending)))
		end(t);
	rest_soon(p);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int revents)
{
	struct party_socket *s = (struct party_socket *)io;

	if (may_act(s->p) && TAILQ_EMPTY(&s->p->ready)) {
		act(s, revents);
		return;
	}
	ev_io_stop(loop, io);
	s->revents = revents;
	s->is_ready = 1;
	TAILQ_INSERT_TAIL(&s->p->ready, s, link);
	rest_soon(s->p);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct party *p = w->data;
	int running;

	curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	party_reap(p);
}

static int multi_timer(CURLM *multi, long ms, void *arg)
{
	struct party *p = arg;

	ev_timer_stop(p->loop, &p->timer);
	if (ms < 0)
		return 0;
	ev_timer_set(&p->timer, ms / 1e3, 0.);
	ev_timer_start(p->loop, &p->timer);
	return 0;
}

static int multi_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
			void *sockp)
{
	struct party *p = arg;
	struct party_socket *s = sockp;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (s) {
			unready(s);
			ev_io_stop(p->loop, &s->io);
			curl_multi_assign(p->multi, fd, NULL);
			free(s);
		}
		return 0;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -1;
		s->p = p;
		ev_init(&s->io, on_socket);
		curl_multi_assign(p->multi, fd, s);
	}
	if (what != CURL_POLL_OUT)
		events |= EV_READ;
	if (what != CURL_POLL_IN)
		events |= EV_WRITE;
	/* events that still hold are reported again */
	unready(s);
	ev_io_stop(p->loop, &s->io);
	ev_io_set(&s->io, fd, events);
	ev_io_start(p->loop, &s->io);
	return 0;
}

static int party_curl(struct party *p, long idle_connections)
{
	p->multi = curl_multi_init();
	p->sessions = curl_share_init();
	if (!p->multi || !p->sessions ||
	    curl_share_setopt(p->sessions, CURLSHOPT_SHARE,
			      CURL_LOCK_DATA_SSL_SESSION))
		return -ENOMEM;
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, multi_socket);
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, multi_timer);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
	curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, idle_connections);
	/* a connection carries one transfer at a time */
	curl_multi_setopt(p->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return 0;
}

int party_create(struct party **out, struct fetch_engine *e,
		 struct ev_loop *loop, uint64_t owner,
		 struct share *connections, struct share *lookups,
		 long idle_connections)
{
	struct party *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->engine = e;
	p->loop = loop;
	p->owner = owner;
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->paused);
	TAILQ_INIT(&p->ready);
	TAILQ_INIT(&p->ending);
	ev_init(&p->timer, on_timer);
	ev_init(&p->rest, on_rest);
	p->timer.data = p->rest.data = p;
	p->connections = share_join(connections, owner);
	p->lookups = share_join(lookups, owner);
	if (!p->connections || !p->lookups ||
	    party_curl(p, idle_connections) < 0) {
		party_destroy(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void party_destroy(struct party *p)
{
	/* closes kept connections, by party_close() */
	if (p->multi)
		curl_multi_cleanup(p->multi);
	if (p->sessions)
		curl_share_cleanup(p->sessions);
	ev_timer_stop(p->loop, &p->timer);
	ev_timer_stop(p->loop, &p->rest);
	share_leave(p->connections);
	share_leave(p->lookups);
	free(p->fds);
	free(p);
}

struct party *party_next(struct parties *parties,
			 int (*has)(const struct party *p))
{
	struct party *p;

	TAILQ_FOREACH(p, parties, link)
		if (has(p))
			break;
	if (p) {
		TAILQ_REMOVE(parties, p, link);
		TAILQ_INSERT_TAIL(parties, p, link);
	}
	return p;
}

int party_add(struct party *p, struct transfer *t)
{
	/* a full cache is emptied when this transfer ends */
	if (p->names >= NAMES) {
		if (curl_easy_setopt(t->easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L))
			return -ENOMEM;
		p->names = 0;
	}
	if (curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t) ||
	    curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L) ||
	    curl_easy_setopt(t->easy, CURLOPT_SHARE, p->sessions) ||
	    curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION,
			     party_close) ||
	    curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETDATA, p))
		return -ENOMEM;
	return curl_multi_add_handle(p->multi, t->easy) ? -ENOMEM : 0;
}

void party_remove(struct party *p, struct transfer *t)
{
	curl_multi_remove_handle(p->multi, t->easy);
}

int party_opened(struct party *p, int fd)
{
	unsigned room = p->fds_room ? p->fds_room * 2 : 8;
	int *fds;

	for (unsigned i = 0; i < p->n_fds; i++)
		if (p->fds[i] == fd)
			return 0;
	if (p->n_fds == p->fds_room) {
		fds = realloc(p->fds, room * sizeof(*fds));
		if (!fds)
			return -ENOMEM;
		p->fds = fds;
		p->fds_room = room;
	}
	p->fds[p->n_fds++] = fd;
	return 0;
}

int party_close(void *party, curl_socket_t fd)
{
	struct party *p = party;

	for (unsigned i = 0; i < p->n_fds; i++)
		if (p->fds[i] == fd) {
			p->fds[i] = p->fds[--p->n_fds];
			break;
		}
	return close(fd);
}

union party_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage room;
};

static int is_at(const union party_address *a, const char *ip, int port)
{
	struct in6_addr in6;
	struct in_addr in;

	if (a->sa.sa_family == AF_INET)
		return ntohs(a->in.sin_port) == port &&
		       inet_pton(AF_INET, ip, &in) == 1 &&
		       a->in.sin_addr.s_addr == in.s_addr;
	return a->sa.sa_family == AF_INET6 &&
	       ntohs(a->in6.sin6_port) == port &&
	       inet_pton(AF_INET6, ip, &in6) == 1 &&
	       !memcmp(&a->in6.sin6_addr, &in6, sizeof(in6));
}

int party_joins(int fd, const struct party_ends *e)
{
	union party_address here, there;
	socklen_t a = sizeof(here), b = sizeof(there);

	return fd >= 0 && getsockname(fd, &here.sa, &a) == 0 &&
	       getpeername(fd, &there.sa, &b) == 0 &&
	       is_at(&here, e->local_ip, e->local_port) &&
	       is_at(&there, e->ip, e->port);
}

int party_socket(const struct party *p, const struct party_ends *e)
{
	for (unsigned i = 0; i < p->n_fds; i++)
		if (party_joins(p->fds[i], e))
			return p->fds[i];
	return -1;
}
