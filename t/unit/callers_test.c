/*
 * callers_test.c - HTTP callers that are slow, many, or talk nonsense
 *
 * The gateway in this process, over fakeref.h's references; callers are
 * sockets that send and read what the test says, when it says so.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "cmd/gateway.h"
#include "cmd/http.h"
#include "t/unit/fakeref.h"
#include "t/unit/tap.h"
#include "vmm/pool.h"

#define MANY	200
#define HEAD	"POST /function/f HTTP/1.1\r\nHost: x\r\n"

static struct pool *pool;
static struct gateway *gateway;
static int ready;

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	ready |= what == POOL_READY;
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
	ok(strstr(buf, "200 OK") != NULL, "and is answered");
	close(fd);
	fd = caller(1);
	put(fd, HEAD "Content-Length: 5\r\n\r\n\"big\"");
	UNTIL(pool_pending(pool));
	UNTIL(!pool_pending(pool));
	test_taken_slowly(fd);
	close(fd);
}

static void test_many(void)
{
	static int fd[MANY];
	static char buf[MANY][4096];
	int refused = 0, open = 0;

	for (int i = 0; i < MANY; i++) {
		fd[i] = caller(0);
		put(fd[i], HEAD "Content-Length: 2088960\r\n\r\n[");
		for (int t = 0; t < 3; t++)
			ev_run(loop, EVRUN_ONCE);
	}
	for (int i = 0; i < MANY; i++) {
		UNTIL(1);
		if (said(fd[i], buf[i], sizeof(buf[i]), "503 "))
			refused++;
		else
			open += !ended(fd[i], buf[i], sizeof(buf[i]));
	}
	ok(refused && open > 100 && refused + open == MANY,
	   "bodies past what the gateway holds are refused (%d of %d)",
	   refused, MANY);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	later(0.2);
	fd[0] = caller(0);
	buf[0][0] = '\0';
	put(fd[0], HEAD "Content-Length: 3\r\n\r\n[1]");
	UNTIL(said(fd[0], buf[0], sizeof(buf[0]), "200 OK"));
	ok(strstr(buf[0], "200 OK") != NULL, "and taken when they are gone");
	close(fd[0]);
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
	};
	struct function *f;
	struct err err = { "" };
	int fd;

	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	alarm(100);
	fake_init();
	fake_loop();
	if (pool_create(&pool, loop, &po) < 0 ||
	    pool_add(pool, image("d"), &fo, &f, &err) < 0)
		return 1;
	UNTIL(ready);
	fd = http_bind("127.0.0.1:0", &err);
	if (fd < 0 || gateway_create(&gateway, loop, pool, fd, 2088960,
				     &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	test_slow();
	test_long();
	test_many();
	test_flood();
	pool_destroy(pool);
	gateway_destroy(gateway);
	ev_timer_stop(loop, &beat);
	ev_loop_destroy(loop);
	return plan();
}
