/*
 * shares_test.c - one function's fetches leave room for another's
 *
 * A greedy function and another one use the same engine and the same pool of
 * windows.  The servers of the greedy one help it to hold as much as it can.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "etlfs/format.h"
#include "etlfs/region/host.h"
#include "etlfs/fetch/party.h"
#include "t/unit/server.h"
#include "unikernel/abi.h"

#define MB	((uint64_t)1 << 20)
#define TOTAL	(64 * MB)		/* of all bodies */
#define CLONES	20			/* of the greedy one */
#define LONG_NS	120000000000u		/* what is not to be overdue */
#define T(gen, slot)	((gen) * ETLFS_TICKETS + (slot))

static struct ev_loop *loop;
static struct fetch_engine *engine;
static struct window_pool *pool;
static struct egress *policy;
static struct server server;
static struct host *greedy[CLONES], *other;

static int on_attach(void *arg, unsigned window, int fd, uint64_t size)
{
	return 0;
}

static void on_kick(void *arg)
{
	ev_break(loop, EVBREAK_ALL);
}

static ssize_t on_read(void *arg, const struct body_part *part, size_t n,
		       uint64_t off, void *buf, size_t len)
{
	return host_read_process(getpid(), part, n, off, buf, len);
}

static const struct host_ops ops = { on_attach, on_kick, on_read };

static const struct etlfs_ticket *ticket(struct host *h, uint32_t t)
{
	const struct etlfs_host *table = (void *)host_window0(h)->map;

	return &table->ticket[t % ETLFS_TICKETS];
}

static void submit(struct host *h, uint32_t t, const char *path,
		   uint64_t timeout_ns)
{
	char url[256];
	int n = snprintf(url, sizeof(url), "http://127.0.0.1:%d%s",
			 server.port, path);
	struct host_request r = {
		.ticket = t, .method = UK_GET, .url = url, .url_len = n,
		.headers = "", .timeout_ns = timeout_ns, .egress = policy,
	};

	if (host_fetch(h, &r) < 0)
		exit(1);
}

/* for a time that does not matter: the greedy one's bytes arrive */
static void run(int turns)
{
	while (turns--) {
		ev_run(loop, EVRUN_NOWAIT);
		usleep(1000);
	}
}

static int is_done(struct host *h, uint32_t t)
{
	while (ticket(h, t)->state == ETLFS_PENDING)
		ev_run(loop, EVRUN_ONCE);
	return ticket(h, t)->state == ETLFS_DONE;
}

static int text_has(struct host *h, uint32_t t, const char *want)
{
	const struct etlfs_ticket *k = ticket(h, t);
	const uint8_t *p = host_window0(h)->map + k->head_off;

	if (memmem(p, k->head_len, want, strlen(want)))
		return 1;
	printf("# '%.*s' has no '%s'\n", (int)k->head_len, p, want);
	return 0;
}

static void reset(struct host *h)
{
	host_reset(h);
	host_released(h);
}

/* fetches of a function that does nothing unusual */
static void others(const char *beside)
{
	char path[64];
	int good = 0, i;

	for (i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "/big?size=%d", 1000 + 20000 * i);
		submit(other, T(1, 0), path, LONG_NS);
		good += is_done(other, T(1, 0)) &&
			ticket(other, 0)->body_len == 1000u + 20000 * i;
		reset(other);
	}
	ok(good == 50, "%d of 50 fetches of another function beside %s", good,
	   beside);
}

static void test_promises(void)
{
	uint64_t first, again;
	unsigned i;

	for (i = 0; i < 4; i++)
		submit(greedy[i], T(1, 0),
		       "/promise?size=1000000000&sent=1", 0);
	run(200);
	ok(window_pool_share(pool)->used <= 4 * WINDOW_BIG,
	   "a promise of 1 GB is a byte, when a byte has arrived");
	others("promises");
	for (i = 0; i < 4; i++)
		reset(greedy[i]);
	/* what fills a share is memory, wherever in a window it is */
	for (i = 0; i < 60; i++)
		submit(greedy[0], T(1, i), "/promise?size=15000000&sent=1", 0);
	run(400);
	first = window_pool_share(pool)->used;
	ok(first <= TOTAL / 2, "bytes here and there: %llu MB of windows",
	   (unsigned long long)first / MB);
	others("windows with holes");
	reset(greedy[0]);
	again = window_pool_share(pool)->used;
	ok(!again, "windows: all of it comes back");
}

static void test_bytes(void)
{
	int full = 0, i;

	for (i = 0; i < 8; i++)
		submit(greedy[i], T(1, 0), "/promise?size=900000000&"
		       "sent=20000000", 0);
	for (i = 0; i < 8; i++)
		submit(greedy[i], T(1, 1), "/big?size=30000000", 0);
	for (i = 0; i < 8; i++)
		if (!is_done(greedy[i], T(1, 1)))
			full += text_has(greedy[i], T(1, 1), "share of it");
	ok(full, "bodies beyond a function's share fail, and say so: %d", full);
	others("a full share");
	for (i = 0; i < 8; i++)
		reset(greedy[i]);
	submit(greedy[0], T(2, 0), "/big?size=30000000", 0);
	ok(is_done(greedy[0], T(2, 0)), "bodies go on when there is room");
	reset(greedy[0]);
	ok(!window_pool_share(pool)->used, "nothing is held at the end");
}

static void test_connections(void)
{
	uint32_t t = T(1, 0);
	int i, j;

	/* the last clone's come last, and wait for a connection */
	for (i = 0; i < CLONES; i++)
		for (j = 0; j < ETLFS_TICKETS; j++)
			submit(greedy[i], T(1, j), i < CLONES - 1 ?
			       "/slow?head=1&seconds=3000" : "/in.csv",
			       i < CLONES - 1 || j ? 0 : 100000000);
	run(300);
	others("1280 fetches that stall");
	ok(!is_done(greedy[CLONES - 1], t) &&
	   text_has(greedy[CLONES - 1], t, "no connection was free"),
	   "one that waits for a connection times out");
	ok(ticket(greedy[CLONES - 1], T(1, 1))->state == ETLFS_PENDING,
	   "others that wait for a connection wait on");
	host_cancel(greedy[CLONES - 1], T(1, 2));
	for (i = 0; i < CLONES - 1; i++)
		reset(greedy[i]);
	for (i = 1, j = 0; i < ETLFS_TICKETS; i++)
		j += i != 2 && is_done(greedy[CLONES - 1], T(1, i));
	ok(j == ETLFS_TICKETS - 2,
	   "who waits has a connection when others end: %d", j);
	reset(greedy[CLONES - 1]);
}

static unsigned count_done(struct host *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ETLFS_TICKETS; i++)
		n += ticket(h, i)->state == ETLFS_DONE;
	return n;
}

/* n answers that are all there at once: the most that ended in one turn */
static unsigned most_of_answers(unsigned n)
{
	unsigned done = 0, now = 0, most = 0;

	for (unsigned i = 0; i < n; i++)
		submit(greedy[0], T(1, i), "/held", LONG_NS);
	while (server_says(&server, "/holding") != n)
		ev_run(loop, EVRUN_NOWAIT);
	/* all are answered when this returns */
	server_says(&server, "/release");
	for (double end = ev_time() + 50; now < n && ev_time() < end;
	     done = now) {
		ev_run(loop, EVRUN_NOWAIT);
		now = count_done(greedy[0]);
		if (now - done > most)
			most = now - done;
	}
	reset(greedy[0]);
	return now == n ? most : UINT_MAX;
}

/*
 * A function's sockets that are all ready at once are heard a few in a turn;
 * but where this process had to wait, so that a timer of curl's is due for all
 * of them, curl hears them all by that.
 */
static void test_turns(void)
{
	unsigned most = UINT_MAX, n = ETLFS_TICKETS;

	for (int i = 0; i < 8 && most > PARTY_ACTS; i++)
		most = most_of_answers(n);
	ok(most > 0 && most <= PARTY_ACTS,
	   "of %u fetches %u ended in one turn at most", n, most);
}

static unsigned count_failed(struct host *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ETLFS_TICKETS; i++)
		n += ticket(h, i)->state == ETLFS_FAILED;
	return n;
}

/* the most that end in one turn, by count(), until n have ended */
static unsigned most_of_turns(unsigned (*count)(void), unsigned n)
{
	unsigned before = count(), end = before - n, now = before, most = 0;

	for (int i = 0; now > end && i < 100000; i++, before = now) {
		ev_run(loop, EVRUN_NOWAIT);
		now = count();
		if (before > now && before - now > most)
			most = before - now;
	}
	return now > end ? UINT_MAX : most;
}

static unsigned pending(void)
{
	return 2 * ETLFS_TICKETS - count_failed(greedy[0]) -
	       count_failed(greedy[1]);
}

static unsigned open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* all under way, and none of them answered; 0: some were overdue before */
static int stall(uint64_t timeout_ns)
{
	server_says(&server, "/release");
	for (unsigned i = 0; i < ETLFS_TICKETS; i++)
		for (unsigned j = 0; j < 2; j++)
			submit(greedy[j], T(1, i), "/held", timeout_ns);
	while (pending() == 2 * ETLFS_TICKETS &&
	       server_says(&server, "/holding") != 2 * ETLFS_TICKETS)
		ev_run(loop, EVRUN_NOWAIT);
	return pending() == 2 * ETLFS_TICKETS;
}

static void reset_both(void)
{
	for (unsigned i = 0; i < 2; i++)
		reset(greedy[i]);
}

/* those that are due, or cancelled, at one moment end in many turns */
static void test_ends_in_turns(void)
{
	unsigned most, files, n = 2 * ETLFS_TICKETS;
	uint64_t ns;

	/* however long it takes until all are under way */
	for (ns = 1000000000; !stall(ns) && ns < LONG_NS; ns *= 2)
		reset_both();
	usleep(ns / 1000);
	most = most_of_turns(pending, n);
	ok(most && most <= PARTY_ENDS && text_has(greedy[1], 0, "timed out"),
	   "%u fetches are overdue: %u end in one turn at most", n, most);
	reset_both();
	stall(0);
	files = open_files();
	reset_both();
	ok(open_files() == files, "none is closed as a request ends");
	most = most_of_turns(open_files, n);
	ok(most && most <= PARTY_ENDS, "of %u that a request's end leaves "
	   "over %u are closed in one turn at most", n, most);
}

/* a socket of this process from that port, or a free one, to the listener */
static int connected(int listener, int *port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		exit(1);
	*port = ntohs(a.sin_port);
	if (getsockname(listener, (struct sockaddr *)&a, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&a, len) < 0)
		exit(1);
	return fd;
}

static void ends_of(int listener, int port, struct party_ends *e)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	getsockname(listener, (struct sockaddr *)&a, &len);
	*e = (struct party_ends){ "127.0.0.1", "127.0.0.1",
				  ntohs(a.sin_port), port };
}

/* two connections from one local port, to two servers, are two */
static void test_ends(void)
{
	int listener[2], fd[2], port = 0;
	struct party_ends ends[2];

	for (int i = 0; i < 2; i++) {
		listener[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (listen(listener[i], 1) < 0)
			exit(1);
		fd[i] = connected(listener[i], &port);
		ends_of(listener[i], port, &ends[i]);
	}
	ok(party_joins(fd[0], &ends[0]) && party_joins(fd[1], &ends[1]) &&
	   !party_joins(fd[0], &ends[1]) && !party_joins(fd[1], &ends[0]),
	   "of two connections from port %d each is known", port);
	ends[0].ip[8] = '2';
	ok(!party_joins(fd[0], &ends[0]) && !party_joins(-1, &ends[1]),
	   "a known connection is not taken for another address");
	for (int i = 0; i < 2; i++) {
		close(listener[i]);
		close(fd[i]);
	}
}

int main(void)
{
	char url[64], *list[] = { url, NULL };
	int i;

	server_start(&server, NULL, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	loop = ev_loop_new(EVFLAG_AUTO);
	if (egress_create(&policy, list) ||
	    fetch_engine_create(&engine, loop) ||
	    window_pool_create(&pool, 2, 8 * MB) || window_pool_prepare(pool) ||
	    host_create(&other, engine, pool, TOTAL, 2, &ops, NULL))
		return 1;
	window_pool_limit(pool, TOTAL);
	for (i = 0; i < CLONES; i++)
		if (host_create(&greedy[i], engine, pool, 1000 * MB, 1, &ops,
				NULL))
			return 1;
	test_ends();
	test_promises();
	test_bytes();
	test_turns();
	test_ends_in_turns();
	test_connections();
	for (i = 0; i < CLONES; i++)
		host_destroy(greedy[i]);
	host_destroy(other);
	window_pool_destroy(pool);
	fetch_engine_destroy(engine);
	egress_destroy(policy);
	ev_loop_destroy(loop);
	server_stop(&server);
	return plan();
}
