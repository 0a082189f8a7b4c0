/*
 * conf_test.c - usetl.conf: values, defaults, and errors with their line
 */
#include <errno.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/value.h"
#include "t/unit/server.h"

static int parse(const char *text, struct conf **c, struct err *err)
{
	*c = NULL;
	err->msg[0] = '\0';
	return conf_parse(c, "/etc/usetl.conf", text, strlen(text), err);
}

static void test_values(void)
{
	static const struct { const char *s; int r; uint64_t v; } sizes[] = {
		{ "0", 0, 0 }, { "1", 0, 1 }, { "512K", 0, 524288 },
		{ "6m", 0, 6 << 20 }, { "2G", 0, 2ull << 30 },
		{ "1T", 0, 1ull << 40 }, { "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 }, { "6 M", -EINVAL, 0 },
		{ "6MB", -EINVAL, 0 }, { "0x10", -EINVAL, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "18446744073709551615T", -ERANGE, 0 },
	}, times[] = {
		{ "0", 0, 0 }, { "10", 0, 10000000000ull },
		{ "10s", 0, 10000000000ull }, { "500ms", 0, 500000000 },
		{ "7us", 0, 7000 }, { "2m", 0, 120000000000ull },
		{ "1h", 0, 3600000000000ull }, { "1d", -EINVAL, 0 },
		{ "s", -EINVAL, 0 }, { "18446744073709551615", -ERANGE, 0 },
	};
	static const struct { uint64_t v; const char *s; } printed[] = {
		{ 0, "0" }, { 1, "1" }, { 2048, "2K" }, { 2049, "2049" },
		{ 33554432, "32M" }, { 1ull << 50, "1048576G" },
		{ UINT64_MAX, "18446744073709551615" },
	}, printed_times[] = {
		{ 0, "0s" }, { 1000, "1us" }, { 1500000, "1500us" },
		{ 500000000, "500ms" }, { 90000000000ull, "90s" },
		{ 120000000000ull, "2m" }, { 86400000000000ull, "24h" },
	};
	char text[VALUE_SIZE_MAX];
	uint64_t v;
	int r;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		r = value_size(sizes[i].s, &v);
		ok(r == sizes[i].r && (r < 0 || v == sizes[i].v),
		   "size '%s'", sizes[i].s);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		r = value_time(times[i].s, &v);
		ok(r == times[i].r && (r < 0 || v == times[i].v),
		   "time '%s'", times[i].s);
	}
	for (size_t i = 0; i < sizeof(printed) / sizeof(printed[0]); i++) {
		value_print_size(text, printed[i].v);
		ok(!strcmp(text, printed[i].s), "printed as '%s'",
		   printed[i].s);
	}
	for (size_t i = 0; i < sizeof(printed_times) / sizeof(*printed_times);
	     i++) {
		value_print_time(text, printed_times[i].v);
		ok(!strcmp(text, printed_times[i].s), "printed as '%s'",
		   printed_times[i].s);
	}
	ok(value_count("12", &v) == 0 && v == 12, "a count");
	ok(value_count("12x", &v) == -EINVAL, "a count with a letter is none");
	ok(value_name_ok("total-1.x_Y") && !value_name_ok("") &&
	   !value_name_ok("-a") && !value_name_ok("a/b") &&
	   !value_name_ok("a b"), "names");
}

static void test_defaults(void)
{
	struct err err;
	struct conf *c;
	int r = parse("# nothing\n\n; at all\n", &c, &err);

	ok(r == 0, "an empty file");
	ok(!strcmp(c->listen, "127.0.0.1:8080"),
	   "an empty file: listens on loopback");
	ok(c->drain_ns == 30000000000ull && c->queue == 1024 && c->min == 1 &&
	   c->max >= 4 && c->idle_ns == 60000000000ull && c->share == YES &&
	   c->connections == 4096 && c->per_address == 256,
	   "an empty file: defaults");
	ok(!c->user && !c->log && !c->functions,
	   "an empty file: no user, log or functions");
	conf_destroy(c);
}

static void test_whole(void)
{
	static const char text[] =
		"[serve]\nlisten = [::1]:0\ndrain = 5s\nlog = log/f.log\n"
		"tender = process\n"
		"[limits]\nrequest.max = 1M ; inline\nqueue = 7\n"
		"connections = 500\nconnections.address = 0\n"
		"[pool]\nmin = 0\nmax = 3\nidle = 500ms\nshare = no\n"
		"[fetch]\nwindows = 1\nwarm = 2M\ntimeout = 1m\n"
		"[function total]\nimage = total.usetl\npool.max = 9\n"
		"recycle = fork\nowner = us\n"
		"[ function  other ]\n"
		"[function third]\nimage: /x/t.usetl\nrecycle = keep\n"
		"pool.min = 2\ntimeout = 2s\nmemory = 64M\n";
	static const char *const cut = "[ function  other ]\n";
	char good[sizeof(text)];
	struct err err;
	struct conf *c;
	size_t at = strstr(text, cut) - text;
	int r;

	memcpy(good, text, at);
	strcpy(good + at, text + at + strlen(cut));
	r = parse(good, &c, &err);
	ok(r == 0, "a whole file is taken%s%s", r ? ": " : "", err.msg);
	ok(!strcmp(c->listen, "[::1]:0") && c->drain_ns == 5000000000ull &&
	   c->request_max == 1 << 20 && c->queue == 7 && c->min == 0 &&
	   c->connections == 500 && !c->per_address &&
	   c->max == 3 && c->idle_ns == 500000000 && c->windows == 1 &&
	   c->share == NO && c->warm == 2 << 20 && c->fetch_timeout_ns == 60000000000ull,
	   "a whole file: the values of its sections");
	ok(!strcmp(c->log, "/etc/log/f.log"),
	   "a path is relative to the file's folder");
	ok(c->tender == TENDER_PROCESS, "a whole file: a word");
	ok(c->functions == 2, "a whole file: two functions");
	ok(!strcmp(c->function[0].name, "total") &&
	   !strcmp(c->function[0].image, "/etc/total.usetl") &&
	   c->function[0].max == 9 && !c->function[0].has_min &&
	   c->function[0].recycle == RECYCLE_FORK &&
	   !strcmp(c->function[0].owner, "us") && !c->function[1].owner,
	   "a whole file: the first function");
	ok(!strcmp(c->function[1].image, "/x/t.usetl") &&
	   c->function[1].has_min && c->function[1].min == 2 &&
	   c->function[1].recycle == RECYCLE_KEEP &&
	   c->function[1].timeout_ns == 2000000000 &&
	   c->function[1].memory == 64 << 20,
	   "a whole file: the second function");
	conf_destroy(c);
}

static void test_errors(void)
{
	static const struct { const char *text; unsigned line; } bad[] = {
		{ "[pool]\ncolour = red\n", 2 },
		{ "[pool]\nshare = maybe\n", 2 },
		{ "[function a]\nimage = i\nowner =\n", 3 },
		{ "x = 1\n", 1 },
		{ "[cloud]\nx = 1\n", 1 },
		{ "[cloud]\n", 1 },
		{ "[function]\n", 1 },
		{ "\n[function a]\n", 2 },
		{ "[function a]\n[pool]\n", 1 },
		{ "[function a/b]\nimage = x\n", 1 },
		{ "[function a]\nimage = x\n[function a]\nimage = y\n", 3 },
		{ "[function a]\nimage = x\nimage = y\n", 3 },
		{ "[function a]\nimage =\n", 2 },
		{ "[pool]\nmin = 1\n[pool]\n", 3 },
		{ "[pool]\nmin = 1\nmin = 2\n", 3 },
		{ "[pool]\nmin = 1\n  2\n", 3 },
		{ "[pool]\nmin = -1\n", 2 },
		{ "[pool]\nmin = 5000\n", 2 },
		{ "[pool]\nmax = 0\n", 2 },
		{ "[limits]\nrequest.max = 64M\n", 2 },
		{ "[limits]\nrequest.max = lots\n", 2 },
		{ "[limits]\nconnections = 15\n", 2 },
		{ "[limits]\nconnections = 70000\n", 2 },
		{ "[limits]\nconnections.address = -1\n", 2 },
		{ "[serve]\ndrain = 3 days\n", 2 },
		{ "[serve]\nlisten =\n", 2 },
		{ "[function a]\nimage = x\nrecycle = burn\n", 3 },
		{ "[serve]\ntender = xen\n", 2 },
		{ "[function a]\nimage = x\nmemory = 1K\n", 3 },
		{ "[pool]\nnonsense\n", 2 },
		{ "[pool\nmin = 1\n", 1 },
		{ "[pool]\nmin = 3\nmax = 2\n", 0 },
		{ "[function a]\nimage = x\npool.min = 3\npool.max = 2\n", 1 },
	};
	char where[64];
	struct err err;
	struct conf *c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r = parse(bad[i].text, &c, &err);

		snprintf(where, sizeof(where), "/etc/usetl.conf:%u: ",
			 bad[i].line);
		ok(r < 0 && !c && (!bad[i].line ||
				   !strncmp(err.msg, where, strlen(where))),
		   "error %zu: %s", i, r < 0 ? err.msg : "none");
		if (r == 0)
			conf_destroy(c);
	}
}

static void test_long(void)
{
	char text[10000];
	struct err err;
	struct conf *c;

	memset(text, 'a', sizeof(text));
	memcpy(text, "[serve]\nlog = ", 14);
	text[sizeof(text) - 1] = '\0';
	ok(parse(text, &c, &err) < 0 && strstr(err.msg, ":2: line is too long"),
	   "a long line is not cut short: %s", err.msg);
	text[14 + 4096] = '\0';
	ok(parse(text, &c, &err) < 0 &&
	   strstr(err.msg, ":2: log is too long: 4096 bytes, at most 4095"),
	   "a long path is not cut short: %s", err.msg);
	text[14 + 4095] = '\0';
	ok(parse(text, &c, &err) == 0 && c &&
	   strlen(c->log) == strlen("/etc/") + 4095,
	   "the longest path is read whole: %s", err.msg);
	conf_destroy(c);
	ok(conf_parse(&c, "x", "[serve]\nlog = a\0b\n", 18, &err) < 0 &&
	   !strncmp(err.msg, "x:2: ", 5), "a NUL: %s", err.msg);
	ok(conf_load(&c, "/nonexistent/usetl.conf", &err) == -ENOENT &&
	   strstr(err.msg, "/nonexistent/usetl.conf"), "no file: %s", err.msg);
}

/* what people write instead of what is meant */
static void test_hints(void)
{
	char buf[VALUE_SIZE_MAX];
	struct err err;
	struct conf *c;

	ok(parse("[function a]\nimage = x\nmemory = 128\n", &c, &err) < 0 &&
	   strstr(err.msg, ":3: memory = '128' is out of range: 32M to 8G; "
		  "write 128M"), "a size without its unit: %s", err.msg);
	ok(parse("[limits]\nrequest.max = 64M\n", &c, &err) < 0 &&
	   strstr(err.msg, ": 2 bytes to "), "each end of a range with its "
	   "unit: %s", err.msg);
	ok(parse("[serve]\ndrain = 2h\n", &c, &err) < 0 &&
	   strstr(err.msg, ":2: drain = '2h' is out of range: 0s to 1h") &&
	   parse("[limits]\nboot = 0\n", &c, &err) < 0 &&
	   strstr(err.msg, ": 1us to 1h") &&
	   parse("[fetch]\ntotal = 0\n", &c, &err) < 0 &&
	   strstr(err.msg, ": 1M to 1048576G"),
	   "a range as people write it: %s", err.msg);
	ok(parse("[serve]\ntender = xen\n", &c, &err) < 0 &&
	   strstr(err.msg, ":2: tender = 'xen' is none of auto, kvm, process"),
	   "the words that there are: %s", err.msg);
	ok(parse("[serve]\nlisten 127.0.0.1:8123\n", &c, &err) < 0 &&
	   strstr(err.msg, ":2: 'listen 127.0.0.1' is no key: expected "
		  "'key = value'"), "a line without '=': %s", err.msg);
	ok(parse("[pool]\nmax = 4 # four\n", &c, &err) < 0 &&
	   strstr(err.msg, ":2: max = '4 # four': a comment behind a value "
		  "begins with ';'"), "a comment with '#': %s", err.msg);
	ok(parse("[serve]\nlog = a#b\n", &c, &err) == 0 &&
	   !strcmp(c->log, "/etc/a#b"), "a '#' within a word is its own");
	conf_destroy(c);
	ok(!value_size_meant(buf, "128M", 1 << 20, 1 << 30) &&
	   !value_size_meant(buf, "99999999999999999999", 1, 2) &&
	   !value_size_meant(buf, "9000000000000000000", 1 << 20, 1 << 30) &&
	   !value_size_meant(buf, "0", 1, 9), "nothing to guess");
}

/* the example has every key, commented at its default */
static void test_example(void)
{
	char line[512], text[16384] = "";
	struct conf *c, *d;
	struct err err;
	FILE *f;

	ok(conf_load(&c, "conf/usetl.conf", &err) == 0, "the example");
	conf_destroy(c);
	f = fopen("conf/usetl.conf", "r");
	while (f && fgets(line, sizeof(line), f)) {
		/* "#key = value" is a default, "# text" a comment */
		char *p = line[0] == '#' && line[1] != ' ' ? line + 1 : line;

		strncat(text, p, sizeof(text) - strlen(text) - 1);
	}
	if (f)
		fclose(f);
	ok(parse(text, &c, &err) == 0,
	   "the example with its defaults turned on: %s",
	   err.msg);
	conf_create(&d);
	ok(c && c->drain_ns == d->drain_ns && !strcmp(c->listen, d->listen) &&
	   c->request_max == d->request_max &&
	   c->response_max == d->response_max && c->log_max == d->log_max &&
	   c->log_rate == d->log_rate &&
	   c->queue == d->queue && c->wait_ns == d->wait_ns &&
	   c->min == d->min && c->idle_ns == d->idle_ns &&
	   c->windows == d->windows && c->warm == d->warm &&
	   c->fetch_timeout_ns == d->fetch_timeout_ns &&
	   c->fetch_max == d->fetch_max,
	   "the example's values are the defaults");
	ok(c && c->functions == 1, "the example has one function");
	conf_destroy(c);
	conf_destroy(d);
}

int main(void)
{
	test_values();
	test_defaults();
	test_whole();
	test_errors();
	test_long();
	test_hints();
	test_example();
	return plan();
}
