/*
 * lookup_test.c - name servers that do not answer hold up nobody else
 *
 * The getaddrinfo() here is the one that libcurl's threads call.  For names
 * under "slow." it returns when the test says so and not before; a gateway
 * that waited for it would never end this test.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <time.h>

#include "etlfs/fetch/fetch.h"
#include "t/unit/server.h"
#include "unikernel/abi.h"

#define MANY	200
#define FIRST	1			/* functions */
#define OTHER	2

struct call {
	struct fetch *f;
	int done, error;
	char reason[512];
};

static struct ev_loop *loop;
static struct fetch_engine *engine;
static struct egress *anywhere;
static int waiting, entered, released;

int getaddrinfo(const char *node, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

	if (!node || strncmp(node, "slow.", 5))
		return real(node, service, hints, res);
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&entered, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&released, __ATOMIC_SEQ_CST))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	__atomic_sub_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	return EAI_NONAME;
}

static void *on_sink(void *arg, uint64_t off, size_t need, uint64_t total,
		     size_t *room)
{
	static char sink[1 << 20];

	*room = sizeof(sink);
	return need <= sizeof(sink) ? sink : NULL;
}

static void on_done(void *arg, struct fetch *f)
{
	struct call *c = arg;

	c->done = 1;
	c->error = fetch_result(f)->error;
	snprintf(c->reason, sizeof(c->reason), "%s", fetch_result(f)->reason);
}

static void submit(struct call *c, const char *url, uint64_t timeout_ns,
		   uint64_t who)
{
	struct fetch_request r = {
		.method = UK_GET, .url = url, .headers = "",
		.egress = anywhere, .owner = who,
		.timeout_ns = timeout_ns, .sink = on_sink, .done = on_done,
		.arg = c,
	};

	memset(c, 0, sizeof(*c));
	if (fetch_submit(engine, &r, &c->f) < 0)
		exit(1);
}

static int now_entered(void)
{
	return __atomic_load_n(&entered, __ATOMIC_SEQ_CST);
}

static void turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
	nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

static void test_cancel(void)
{
	struct call c;

	submit(&c, "http://slow.example/", 0, FIRST);
	while (now_entered() < 1)
		turn();
	fetch_cancel(c.f);
	ok(!c.done, "a fetch whose name is looked up is cancelled at once");
	submit(&c, "http://slow.two.example/", 50000000, FIRST);
	while (!c.done)
		turn();
	ok(c.error == -ETIMEDOUT,
	   "a fetch whose name is looked up times out: %s", c.reason);
}

static void test_many(const char *local)
{
	struct call c;
	char url[64];
	int refused = 0, ready;

	submit(&c, local, 0, FIRST);
	while (!c.done)
		turn();
	ok(c.error == 0, "a host is looked up: %s", c.reason);
	for (int i = 0; i < MANY; i++) {
		snprintf(url, sizeof(url), "http://slow.%d.example/", i);
		ready = now_entered();
		submit(&c, url, 0, FIRST);
		while (!c.done && now_entered() == ready)
			turn();
		if (!c.done)
			fetch_cancel(c.f);
		else if (c.error == -EAGAIN)
			refused++;
	}
	ok(refused && refused < MANY, "lookups that are given up are counted");
	ok(__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < MANY,
	   "lookups that are given up do not pile up");
	submit(&c, "http://slow.last.example/", 0, FIRST);
	while (!c.done)
		turn();
	ok(c.error == -EAGAIN,
	   "beside many lookups one more waits: %s", c.reason);
	submit(&c, local, 0, OTHER);
	while (!c.done)
		turn();
	ok(c.error == 0,
	   "beside many lookups another function's goes on: %s", c.reason);
	submit(&c, local, 0, FIRST);
	while (!c.done)
		turn();
	ok(c.error == 0, "beside many lookups a known host is no wait: %s",
	   c.reason);
}

int main(void)
{
	struct server server;
	char url[64], *list[] = { "*", url, NULL };

	signal(SIGALRM, SIG_DFL);
	alarm(300);
	server_start(&server, NULL, NULL);
	snprintf(url, sizeof(url), "http://localhost:%d/", server.port);
	loop = ev_loop_new(0);
	if (egress_create(&anywhere, list) ||
	    fetch_engine_create(&engine, loop))
		return 1;
	test_cancel();
	test_many(url);
	fetch_engine_destroy(engine);
	ok(1, "the engine ends without lookups that hang");
	__atomic_store_n(&released, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	egress_destroy(anywhere);
	ev_loop_destroy(loop);
	server_stop(&server);
	return plan();
}
