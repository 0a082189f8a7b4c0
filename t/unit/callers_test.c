/*
 * callers_test.c - HTTP callers that are slow, many, or talk nonsense
 *
 * The gateway in this process, over fakeref.h's references; callers are
 * sockets that send and read what the test says, when it says so.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "cmd/farewell.h"
#include "cmd/gateway.h"
#include "cmd/http.h"
#include "t/unit/fakeref.h"
#include "t/unit/tap.h"
#include "vmm/pool/pool.h"

#define MANY	200
#define UNTAKEN	60			/* answers of FAKE_BIG */
#define BODY_MAX 2088960
#define HEAD	"POST /function/f HTTP/1.1\r\nHost: x\r\n"

/* the clock of all that it links: cmd/'s is ev_now() itself */
ev_tstamp __real_ev_now(struct ev_loop *l);
ev_tstamp __wrap_ev_now(struct ev_loop *l);

ev_tstamp __wrap_ev_now(struct ev_loop *l)
{
	return __real_ev_now(l) + shift;
}

static struct pool *pool;
static struct gateway *gateway;
static int ready;

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	ready += what == POOL_READY;
}

static const struct pool_ops ops = { .log = on_log, .event = on_event };

static int caller(int small)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 4096;

	in.sin_port = htons(atoi(strrchr(gateway_url(gateway), ':') + 1));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (small)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		printf("Bail out! cannot connect\n");
		exit(1);
	}
	return fd;
}

static void put(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		ok(0, "sent");
}

/* appends what has come; 1 when the stream has ended */
static int ended(int fd, char *buf, size_t size)
{
	size_t len = strlen(buf);
	ssize_t n = recv(fd, buf + len, size - len - 1, 0);

	if (n > 0)
		buf[len + n] = '\0';
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static int said(int fd, char *buf, size_t size, const char *what)
{
	ended(fd, buf, size);
	return strstr(buf, what) != NULL;
}

/* a caller like any other */
static void served(const char *function, const char *name)
{
	char buf[4096] = "", request[256];
	int fd = caller(0);

	snprintf(request, sizeof(request), "POST /function/%s HTTP/1.1\r\n"
		 "Host: x\r\nContent-Length: 3\r\n\r\n[1]", function);
	put(fd, request);
	UNTIL(said(fd, buf, sizeof(buf), "200 OK"));
	ok(strstr(buf, "200 OK") != NULL, "%s", name);
	close(fd);
}

/* does it end once time has passed, and not before? */
static void late(int fd, const char *name)
{
	char buf[65536] = "";
	int over = 0;

	later(1.5);
	ok(!ended(fd, buf, sizeof(buf)), "%s: it is waited for", name);
	shift += 61;
	UNTIL((over = over || ended(fd, buf, sizeof(buf))));
	ok(over, "%s: not for ever", name);
	close(fd);
}

static void test_slow(void)
{
	char buf[4096] = "";
	int fd = caller(0);

	put(fd, "POST /function/f HT");
	late(fd, "a slow head");
	fd = caller(0);
	put(fd, HEAD "Content-Length: 10\r\n\r\n[1,");
	late(fd, "a slow body");
	fd = caller(0);
	put(fd, HEAD "Content-Length: 3\r\n\r\n[1]");
	UNTIL(said(fd, buf, sizeof(buf), "200 OK"));
	ok(strstr(buf, "200 OK") != NULL, "a quick caller is answered");
	put(fd, HEAD "Content-");
	late(fd, "the next head on its connection");
}

static void test_taken_slowly(int fd)
{
	static char buf[1 << 16];
	size_t all = 0;
	ssize_t n = -1;

	/* a byte now and then, for longer than all of it may take */
	for (int i = 0; i < 3; i++) {
		later(1.1);
		if (recv(fd, buf, 1, 0) < 1)
			ok(0, "the answer begins");
		shift += 60;
	}
	shift += FAKE_BIG / (64 << 10);
	later(1.5);
	/* what was on its way still comes */
	UNTIL((n = recv(fd, buf, sizeof(buf), 0)) == 0 ||
	      (n < 0 && errno != EAGAIN) ||
	      (all += n > 0 ? n : 0) >= FAKE_BIG);
	ok(n <= 0 && all < FAKE_BIG,
	   "an answer that is taken too slowly is cut off");
}

/* the function may take as long as it may; then the caller may not */
static void test_long(void)
{
	char buf[4096] = "";
	int fd = caller(1);

	fake->held = 1;
	put(fd, HEAD "Content-Length: 6\r\n\r\n\"hold\"");
	UNTIL(pool_pending(pool));
	shift += 100;
	later(1.5);
	ok(!ended(fd, buf, sizeof(buf)), "a long request is not cut off");
	fake->held = 0;
	UNTIL(said(fd, buf, sizeof(buf), "200 OK"));
	ok(strstr(buf, "200 OK") != NULL, "a long request is answered");
	close(fd);
	fd = caller(1);
	put(fd, HEAD "Content-Length: 5\r\n\r\n\"big\"");
	UNTIL(pool_pending(pool));
	UNTIL(!pool_pending(pool));
	test_taken_slowly(fd);
	close(fd);
}

/* so many callers of f, each with all of a body but its last byte */
static void test_many(void)
{
	static int fd[MANY];
	static char buf[MANY][4096], body[BODY_MAX];
	int refused = 0, open = 0;

	memset(body, ' ', sizeof(body));
	for (int i = 0; i < MANY; i++) {
		size_t sent = 0;

		fd[i] = caller(0);
		put(fd[i], HEAD "Content-Length: 2088960\r\n\r\n");
		for (int t = 0; t < 1000 && sent < BODY_MAX - 1; t++) {
			ssize_t n = send(fd[i], body, BODY_MAX - 1 - sent,
					 MSG_NOSIGNAL);

			sent += n > 0 ? n : 0;
			ev_run(loop, EVRUN_ONCE);
			if (said(fd[i], buf[i], sizeof(buf[i]), "503 "))
				break;
		}
	}
	for (int i = 0; i < MANY; i++) {
		if (strstr(buf[i], "503 "))
			refused++;
		else
			open += !ended(fd[i], buf[i], sizeof(buf[i]));
	}
	ok(refused && open > 50 && refused + open == MANY,
	   "bodies past the function's share are refused (%d of %d)",
	   refused, MANY);
	served("g", "bodies past a share: another function has its own");
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	later(0.2);
	served("f", "bodies are taken when there is room again");
}

/* no body of those that are announced has come */
static void test_announced(void)
{
	static int fd[MANY];
	char buf[4096] = "";
	int over = 0;

	for (int i = 0; i < MANY; i++) {
		fd[i] = caller(0);
		put(fd[i], HEAD "Content-Length: 2088960\r\n\r\n[");
		for (int t = 0; t < 3; t++)
			ev_run(loop, EVRUN_ONCE);
	}
	for (int i = 0; i < MANY; i++)
		over += ended(fd[i], buf, sizeof(buf)) || buf[0];
	ok(!over, "a body that is announced takes nothing");
	served("f", "a body that is announced refuses nobody");
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	later(0.2);
}

/* answers that nobody takes hold their function, for seconds, and no other */
static void test_untaken(void)
{
	static int fd[MANY];
	char buf[4096] = "";
	int over = 0;

	for (int i = 0; i < UNTAKEN; i++) {
		fd[i] = caller(1);
		put(fd[i], HEAD "Content-Length: 5\r\n\r\n\"big\"");
		for (int t = 0; t < 3; t++)
			ev_run(loop, EVRUN_ONCE);
	}
	/* what is over its share waits */
	later(2.0);
	ok(pool_pending(pool), "no more is run than may be held");
	served("g", "of another function more is run meanwhile");
	for (int i = 0; i < UNTAKEN; i++) {
		buf[0] = '\0';
		over += ended(fd[i], buf, 2);
	}
	ok(!over, "callers have some seconds to begin to take");
	shift += 7;
	UNTIL(!pool_pending(pool));
	ok(!pool_pending(pool),
	   "callers who do not take go, and what waited is run");
	shift += 7;
	later(1.5);
	served("f", "who takes is served once those have gone");
	for (int i = 0; i < UNTAKEN; i++)
		close(fd[i]);
	later(0.2);
}

/* each of these is one caller more than there are places */
static void test_places(void)
{
	struct gateway_opts o = { .request_max = BODY_MAX, .connections = 16 };
	static const char *const heads[] = {
		"", "POST /function/f HT", HEAD "Content-Length: 3\r\n\r\n[",
	};
	char buf[17][4096];
	int fd[17], first, others;

	gateway_set(gateway, &o);
	for (unsigned k = 0; k < 3; k++) {
		memset(buf, 0, sizeof(buf));
		first = others = 0;
		for (int i = 0; i < 17; i++) {
			/* of bodies, a function may have half of the places */
			fd[i] = caller(0);
			put(fd[i], i >= 6 && k == 2 ? heads[1] : heads[k]);
			later(0.02);
		}
		UNTIL((first = first || ended(fd[k == 2 ? 6 : 0], buf[0],
					      sizeof(buf[0]))));
		for (int i = 1; i < 17; i++)
			others += (k < 2 || i != 6) &&
				  ended(fd[i], buf[i], sizeof(buf[i]));
		ok(first && !others, "%s: who has waited longest goes",
		   k == 0 ? "silence" : k == 1 ? "heads" : "heads and bodies");
		served("g", "on a full server a caller is served");
		for (int i = 0; i < 17; i++)
			close(fd[i]);
		later(0.1);
	}
	o.connections = 4096;
	gateway_set(gateway, &o);
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* who goes has gone: the daemon has closed it, and nothing is left of it */
static void test_gone(void)
{
	struct gateway_opts o = { .request_max = BODY_MAX, .connections = 16 };
	int fd[100], before, over = 0;

	gateway_set(gateway, &o);
	before = descriptors();
	for (int i = 0; i < 100; i++) {
		fd[i] = caller(0);
		put(fd[i], i % 2 ? HEAD "Content-Length: 3\r\n\r\n[" :
		    "POST /function/f HT");
		later(0.01);
	}
	/* who was refused is heard out, and the heads have more time than that */
	shift += FAREWELL_S + 1;
	UNTIL((over = over || descriptors() <= before + 100 + 16));
	ok(over, "of 100 callers on 16 places 84 are gone for good");
	for (int i = 0; i < 100; i++)
		close(fd[i]);
	over = 0;
	UNTIL((over = over || descriptors() <= before));
	ok(over, "of 100 callers on 16 places all are gone in the end");
	o.connections = 4096;
	gateway_set(gateway, &o);
}

/* who is being served keeps its place */
static void test_served_stay(void)
{
	struct gateway_opts o = { .request_max = BODY_MAX, .connections = 16 };
	char buf[4096] = "", more[4096] = "";
	int fd, other[20], over = 0;

	gateway_set(gateway, &o);
	fake->held = 1;
	fd = caller(0);
	put(fd, HEAD "Content-Length: 6\r\n\r\n\"hold\"");
	UNTIL(pool_pending(pool));
	for (int i = 0; i < 20; i++) {
		other[i] = caller(0);
		later(0.02);
	}
	UNTIL((over = over || ended(other[0], more, sizeof(more))));
	ok(!ended(fd, buf, sizeof(buf)), "a request that runs keeps its place");
	ok(over, "a silent caller loses its place");
	fake->held = 0;
	UNTIL(said(fd, buf, sizeof(buf), "200 OK"));
	ok(strstr(buf, "200 OK") != NULL,
	   "a request that kept its place is answered");
	close(fd);
	for (int i = 0; i < 20; i++)
		close(other[i]);
	later(0.1);
	o.connections = 4096;
	gateway_set(gateway, &o);
}

static int refusals(const int *fd, char (*buf)[4096], int n)
{
	int refused = 0;

	for (int i = 0; i < n; i++)
		refused += said(fd[i], buf[i], sizeof(buf[i]), "503 ");
	return refused;
}

/* requests that wait, as many as their function may have: others have room */
static void test_waiting(void)
{
	struct gateway_opts o = { .request_max = BODY_MAX, .connections = 16 };
	char buf[12][4096];
	int fd[12], refused = 0;

	memset(buf, 0, sizeof(buf));
	gateway_set(gateway, &o);
	fake->held = 1;
	for (int i = 0; i < 12; i++) {
		fd[i] = caller(0);
		put(fd[i], HEAD "Content-Length: 6\r\n\r\n\"hold\"");
		later(0.05);
	}
	UNTIL(refusals(fd, buf, 12) >= 3);
	later(0.2);
	refused = refusals(fd, buf, 12);
	ok(refused >= 3 && refused <= 6,
	   "one function has half of the places (%d of 12 refused)", refused);
	served("g", "another function has the other half of the places");
	fake->held = 0;
	UNTIL(!pool_pending(pool));
	for (int i = 0; i < 12; i++)
		close(fd[i]);
	later(0.1);
	o.connections = 4096;
	gateway_set(gateway, &o);
}

static void test_first_byte(void)
{
	char buf[4096] = "", other[4096] = "";
	int fd = caller(0), kept = caller(0), over = 0;

	put(kept, HEAD "Content-Length: 3\r\n\r\n[1]");
	UNTIL(said(kept, other, sizeof(other), "200 OK"));
	shift += 11;
	UNTIL((over = over || ended(fd, buf, sizeof(buf))));
	ok(over, "the first byte of a head has 10 seconds");
	ok(!ended(kept, other, sizeof(other)),
	   "the first byte of a next head has more than 10 seconds");
	close(fd);
	close(kept);
}

/* a body is refused as it comes, and the caller hears that */
static void test_refused_body(const char *head, const char *body, int again,
			      const char *status, const char *name)
{
	char buf[8192] = "";
	int fd = caller(0), over = 0, sent = 0;

	put(fd, head);
	for (int t = 0; t < 4000 && sent < again; t++) {
		if (send(fd, body, strlen(body), MSG_NOSIGNAL) ==
		    (ssize_t)strlen(body))
			sent++;
		ev_run(loop, EVRUN_NOWAIT);
	}
	ok(sent == again, "%s: all of it is read", name);
	UNTIL((over = over || ended(fd, buf, sizeof(buf))));
	ok(over && strstr(buf, status) && strstr(buf, "\"errorType\": "),
	   "%s: %s", name, status);
	close(fd);
}

static void test_bodies(void)
{
	static char kilo[1025];

	memset(kilo, '1', sizeof(kilo) - 1);
	test_refused_body(HEAD "Content-Length: 4096000\r\n\r\n", kilo, 4000,
			  "413 ", "a body that is announced too large");
	/* a chunk and its two lines */
	memcpy(kilo, "3f9\r\n", 5);
	memcpy(kilo + 1022, "\r\n", 2);
	test_refused_body(HEAD "Transfer-Encoding: chunked\r\n\r\n", kilo, 4000,
			  "413 ", "a body that turns out too large");
	memset(kilo, 'x', sizeof(kilo) - 1);
	test_refused_body(HEAD "Content-Length: 1024000\r\n\r\n", kilo, 1000,
			  "400 ", "a body that is not JSON");
}

static void test_flood(void)
{
	char buf[4096] = "";
	int fd = caller(0), i, over = 0;

	put(fd, HEAD);
	for (i = 0; i < 10000 && !over; i++) {
		if (send(fd, "X-Flood: yes\r\n", 14, MSG_NOSIGNAL) != 14)
			break;
		if (i % 100 == 0)
			ev_run(loop, EVRUN_NOWAIT);
		over = said(fd, buf, sizeof(buf), "431 ");
	}
	UNTIL((over = over || said(fd, buf, sizeof(buf), "431 ") ||
	       ended(fd, buf, sizeof(buf))));
	ok(over && i < 10000, "a flood of headers is refused");
	close(fd);
}

int main(void)
{
	struct function_opts fo = {
		.name = "f", .min = 1, .max = 2, .idle_ns = 600000000000,
		.timeout_ns = 600000000000,
	};
	struct pool_opts po = {
		.response_max = 8 << 20, .log_max = 1000, .queue = 1024,
		.wait_ns = 600000000000, .boot_ns = 60000000000,
		.fetch_timeout_ns = 1000000000,
		.fetch_max = 1 << 20, .ops = &ops,
		.start = fake_start, .verify = fake_verify,
	};
	struct gateway_opts go = { .request_max = BODY_MAX,
				   .connections = 4096 };
	struct err err = { "" };
	int fd;

	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	alarm(300);
	fake_init();
	fake_loop();
	if (pool_create(&pool, loop, &po) < 0 ||
	    pool_add(pool, image("d"), &fo, NULL, &err) < 0)
		return 1;
	fo.name = "g";
	if (pool_add(pool, image("e"), &fo, NULL, &err) < 0)
		return 1;
	UNTIL(ready == 2);
	fd = http_bind("127.0.0.1:0", &err);
	if (fd < 0 || gateway_create(&gateway, loop, pool, fd, &go,
				     &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	test_slow();
	test_long();
	test_announced();
	test_many();
	test_untaken();
	test_places();
	test_gone();
	test_served_stay();
	test_waiting();
	test_first_byte();
	test_bodies();
	test_flood();
	pool_destroy(pool);
	gateway_destroy(gateway);
	ev_timer_stop(loop, &beat);
	ev_loop_destroy(loop);
	return plan();
}
