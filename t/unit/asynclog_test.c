/*
 * asynclog_test.c - lines to where nobody reads, or to a full disk: whose are
 * lost, how many, and that they are counted
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd/backlog.h"
#include "cmd/loglines.h"
#include "cmd/asynclog.h"
#include "t/unit/tap.h"

#define ALL	(8u << 20)

static struct ev_loop *loop;
static char *got;
static size_t got_len;

static void run(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static struct asynclog *asynclog_on(int fd, struct asynclog *elsewhere)
{
	struct asynclog *s;

	if (asynclog_create(&s, loop, fd, "test", elsewhere) < 0)
		exit(1);
	return s;
}

static struct asynclog *asynclog_on_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		exit(1);
	return asynclog_on(fd[1], NULL);
}

/* all that comes out of fd while the loop runs */
static void drain(int fd)
{
	ssize_t n = 1;

	got_len = 0;
	for (int quiet = 0; quiet < 3; quiet = n > 0 ? 0 : quiet + 1) {
		run();
		n = read(fd, got + got_len, ALL - got_len);
		got_len += n > 0 ? (size_t)n : 0;
	}
	got[got_len] = '\0';
}

static void flood(struct asynclog *s, const char *whose, const char *name,
		  unsigned lines)
{
	char line[128];
	int n;

	for (unsigned i = 0; i < lines; i++) {
		n = snprintf(line, sizeof(line), "%s: %090u\n", name, i);
		asynclog_write(s, whose, line, (size_t)n);
	}
}

/* lines that begin so; and that all lines are whole, as flood made them */
static unsigned count(const char *name, int *whole)
{
	size_t len = strlen(name);
	unsigned n = 0;

	for (char *p = got, *nl; (nl = strchr(p, '\n')); p = nl + 1) {
		if (strncmp(p, name, len) || p[len] != ':')
			continue;
		n++;
		if (whole && (size_t)(nl - p) != len + 92)
			*whole = 0;
	}
	return n;
}

/* how many the sink says were lost of whose, by that reason */
static unsigned long long lost(const char *whose, const char *why)
{
	unsigned long long n = 0;
	char *p, want[256];
	int len;

	p = strstr(got, " lost: ");
	for (; p; p = strstr(p + 1, " lost: ")) {
		char *at = p;

		while (at > got && at[-1] != '\n')
			at--;
		len = snprintf(want, sizeof(want), "test: %s", whose);
		if (strncmp(at, want, (size_t)len) ||
		    strncmp(p + 7, why, strlen(why)))
			continue;
		n += strtoull(at + len, NULL, 10);
	}
	return n;
}

static const char slow[] = "nobody read them in time\n";

static void test_shares(void)
{
	int fd[2], whole = 1;
	struct asynclog *s = asynclog_on_pipe(fd);
	unsigned loud, quiet, server;

	flood(s, "loud", "loud", 40000);
	flood(s, "quiet", "quiet", 1000);
	flood(s, NULL, "server", 1000);
	flood(s, "loud", "loud", 1000);
	drain(fd[0]);
	loud = count("loud", &whole);
	quiet = count("quiet", &whole);
	server = count("server", &whole);
	ok(quiet == 1000 && !lost("quiet: ", slow),
	   "who floods drops nothing of another's (%u)", quiet);
	ok(server == 1000 && !lost("", slow),
	   "who floods drops nothing of the server's own (%u)",
	   server);
	ok(loud > 5000 && loud + lost("loud: ", slow) == 41000,
	   "who floods: losses are counted: %u and %llu", loud,
	   lost("loud: ", slow));
	ok(whole, "who floods: every line is whole");
	flood(s, "loud", "loud", 10);
	drain(fd[0]);
	ok(count("loud", &whole) == 10 && whole, "who flooded goes on");

	flood(s, "a", "a", 20000);
	flood(s, "b", "b", 20000);
	flood(s, "c", "c", 20000);
	drain(fd[0]);
	ok(count("a", &whole) >= 2000 && count("b", &whole) >= 2000 &&
	   count("c", &whole) >= 2000 && whole,
	   "three that flood have a share each: %u, %u, %u", count("a", NULL),
	   count("b", NULL), count("c", NULL));
	ok(count("a", NULL) + lost("a: ", slow) == 20000 &&
	   count("b", NULL) + lost("b: ", slow) == 20000 &&
	   count("c", NULL) + lost("c: ", slow) == 20000,
	   "three that flood: all counted");

	flood(s, NULL, "server", 20000);
	drain(fd[0]);
	ok(count("server", NULL) + lost("", slow) == 20000 &&
	   count("server", NULL) >= 1000,
	   "the server's own are bounded, too, and counted");
	asynclog_destroy(s);
	close(fd[0]);
	close(fd[1]);
}

static void test_gone(void)
{
	int fd[2], again;
	struct asynclog *s = asynclog_on_pipe(fd);
	char path[32];

	/* another reader can come as long as the pipe is there */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[1]);
	flood(s, "x", "x", 10);
	drain(fd[0]);
	close(fd[0]);
	flood(s, "x", "x", 30000);
	run();
	again = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	for (int i = 0; i < 3000 && got_len < 900000; i++) {
		usleep(20000);
		size_t before = got_len;
		ssize_t n;

		run();
		while ((n = read(again, got + before, ALL - before)) > 0) {
			before += (size_t)n;
			run();
		}
		got_len = before;
		got[got_len] = '\0';
		if (lost("x: ", "Broken pipe\n"))
			break;
	}
	ok(count("x", NULL) > 5000 && count("x", NULL) +
	   lost("x: ", "Broken pipe\n") == 30010,
	   "what waited for a reader that went is the next one's: %u, "
	   "%llu lost", count("x", NULL), lost("x: ", "Broken pipe\n"));
	asynclog_destroy(s);
	close(again);
	close(fd[1]);
}

static size_t read_file(int fd)
{
	ssize_t n = pread(fd, got, ALL, 0);

	got_len = n > 0 ? (size_t)n : 0;
	got[got_len] = '\0';
	return got_len;
}

static void limit_files(rlim_t bytes)
{
	struct rlimit r;

	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &r);
}

/* a file that takes no more than a limit stands for a disk that is full */
static void test_full(void)
{
	static const char full[] = "File too large\n";
	char path[] = "/tmp/usetl-sink.XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC), told[2], whole = 1;
	struct asynclog *elsewhere = asynclog_on_pipe(told), *s;
	double until;

	if (fd < 0)
		exit(1);
	unlink(path);
	s = asynclog_on(fd, elsewhere);
	limit_files(5000);
	flood(s, "loud", "loud", 40000);
	flood(s, "quiet", "quiet", 100);
	flood(s, NULL, "server", 100);
	run();
	ok(read_file(fd) == 5000, "a file is filled");
	drain(told[0]);
	ok(!strcmp(got, "test: cannot write the log: File too large; its lines "
		   "wait\n"), "a full file is said elsewhere, once");
	run();
	ok(read_file(fd) == 5000, "a full file stays full");
	limit_files(RLIM_INFINITY);
	for (until = ev_time() + 60; ev_time() < until; usleep(20000)) {
		run();
		read_file(fd);
		if (count("server", NULL) == 100)
			break;
	}
	run();
	read_file(fd);
	ok(count("quiet", &whole) == 100 && count("server", &whole) == 100,
	   "what waited is written when there is room again");
	ok(count("loud", &whole) > 5000 && count("loud", NULL) +
	   lost("loud: ", full) == 40000, "what was lost is counted: %u, "
	   "%llu lost", count("loud", NULL), lost("loud: ", full));
	ok(whole, "a line that was cut goes on");
	drain(told[0]);
	ok(strstr(got, "test: the log is written again\n") != NULL,
	   "that a file has room again is said");

	limit_files(1);
	flood(s, "loud", "loud", 30);
	asynclog_destroy(s);
	limit_files(RLIM_INFINITY);
	drain(told[0]);
	ok(lost("loud: ", full) == 30,
	   "what cannot be written to the end is counted elsewhere");
	asynclog_destroy(elsewhere);
	close(fd);
	close(told[0]);
	close(told[1]);
}

static void test_take(void)
{
	int first[2], second[2], whole = 1;
	struct asynclog *s = asynclog_on_pipe(first),
			*next = asynclog_on_pipe(second);
	unsigned long long told;
	unsigned before;

	flood(s, "loud", "loud", 40000);
	asynclog_lost(s, "other", 7);
	asynclog_take(next, s);
	asynclog_destroy(s);
	drain(first[0]);
	before = count("loud", NULL);
	/* the rest of the line that was begun is not whole, wherever it is */
	drain(second[0]);
	ok(before + 1 + count("loud", &whole) + lost("loud: ", slow) >= 40000 &&
	   before + count("loud", NULL) + lost("loud: ", slow) <= 40000 &&
	   count("loud", NULL) > 5000 && whole,
	   "what waits goes on in another file: %u, %u, %llu lost", before,
	   count("loud", NULL), lost("loud: ", slow));
	/* sooner or later, at the end at the latest */
	told = lost("other: ", "more than log.rate\n");
	asynclog_destroy(next);
	drain(second[0]);
	ok(told + lost("other: ", "more than log.rate\n") == 7,
	   "what was counted is said in another file");
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(second[i]);
	}
}

static void test_rate(void)
{
	int fd[2];
	struct asynclog *s = asynclog_on_pipe(fd);
	char text[4096];

	asynclog_rate(s, 1000);
	memset(text, '\n', sizeof(text));
	ok(asynclog_room(s, "x") == 10000, "ten seconds' worth at once");
	loglines_async(s, "name", "x", text, sizeof(text));
	drain(fd[0]);
	ok(got_len <= 10000 && got_len > 9990,
	   "the name before each line counts: %zu", got_len);
	ok(asynclog_room(s, "x") < 100, "past the rate there is no more room");
	ok(asynclog_room(s, "y") == 10000, "another owner has a rate of its own");
	ok(asynclog_room(s, NULL) == UINT64_MAX, "the server has no rate");
	loglines_async(s, "name", "x", "a\nb\nc", 5);
	asynclog_lost(s, "x", 4);
	asynclog_destroy(s);
	drain(fd[0]);
	ok(lost("x: ", "more than log.rate\n") == 4096 - 1428 + 3 + 4,
	   "what was past a rate is counted");

	s = asynclog_on(fd[1], NULL);
	asynclog_lost(s, "x", UINT64_MAX);
	asynclog_lost(s, "x", UINT64_MAX);
	ok(asynclog_room(s, "x") == UINT64_MAX, "a rate of 0 is none");
	asynclog_destroy(s);
	drain(fd[0]);
	ok(lost("x: ", "more") == UINT64_MAX, "a count past all is the most");
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	loop = ev_loop_new(0);
	got = malloc(ALL + 1);
	if (!loop || !got)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	test_shares();
	test_gone();
	test_full();
	test_take();
	test_rate();
	ev_loop_destroy(loop);
	free(got);
	return plan();
}
