/*
 * manifest_test.c - function.ini: what is read, what is refused and where
 */
#include <errno.h>
#include <string.h>

#include "conf/manifest.h"
#include "t/unit/server.h"

#define F	"[function]\n"
#define H	F "handler = app.handler\n"

static struct manifest *parse(const char *text, struct err *err)
{
	struct manifest *m = NULL;

	err->msg[0] = 0;
	return manifest_parse(&m, "f.ini", text, strlen(text), err) ? NULL : m;
}

static void test_defaults(void)
{
	struct err err;
	struct manifest *m = parse(H, &err);

	ok(m != NULL, "a handler is enough");
	if (!m)
		return;
	ok(!m->name && !strcmp(m->handler, "app.handler"), "the handler");
	ok(!strcmp(m->runtime, "/usr/bin/python3"), "the default runtime");
	ok(m->memory == 128 << 20 && m->files == 64 << 20 &&
	   m->timeout_ns == 10000000000ull, "the default limits");
	ok(!m->has_egress && !m->egress.n, "no egress list");
	manifest_destroy(m);
}

static void test_whole(void)
{
	struct err err;
	struct manifest *m = parse(
		"# comment\n[function]\nname = a.b-c_1\n"
		"handler = pkg.mod.fn ; comment\nruntime = python3.12\n"
		"memory = 1G\nfiles = 2048K\ntimeout = 1500ms\n"
		"exclude = *.csv data/*\nexclude = tmp\ninclude = .env\n"
		"[packages]\npath = with space/dir\npath = b.whl\n"
		"installed = numpy\n  pandas\nrequirements = r.txt\n"
		"[environment]\nA = 1=2\nB =\n"
		"[egress]\nallow = https://a.example/x http://b:80/\n"
		"allow = *\n", &err);

	ok(m != NULL, "every key: %s", err.msg);
	if (!m)
		return;
	ok(!strcmp(m->name, "a.b-c_1") && !strcmp(m->handler, "pkg.mod.fn") &&
	   !strcmp(m->runtime, "python3.12"), "strings");
	ok(m->memory == 1ull << 30 && m->files == 2 << 20 &&
	   m->timeout_ns == 1500000000, "numbers and their units");
	ok(m->exclude.n == 3 && !strcmp(m->exclude.v[2], "tmp") &&
	   !m->exclude.v[3], "a list: spaces and repeated keys");
	ok(m->path.n == 2 && !strcmp(m->path.v[0], "with space/dir"),
	   "paths may hold spaces");
	ok(m->installed.n == 2 && !strcmp(m->installed.v[1], "pandas"),
	   "an indented line goes on");
	ok(m->environment.n == 2 && !strcmp(m->environment.v[0], "A=1=2") &&
	   !strcmp(m->environment.v[1], "B="), "environment");
	ok(m->has_egress && m->egress.n == 3, "egress");
	manifest_destroy(m);
}

static void test_refused(void)
{
	static const struct { const char *text, *says; } bad[] = {
		{ "", "no 'handler" },
		{ F "name = x\n", "no 'handler" },
		{ "x = 1\n", "f.ini:1: 'x' stands before" },
		{ H "garbage\n", "f.ini:3: expected" },
		{ H "[open\n", "f.ini:3: expected" },
		{ H "colour = red\n", "f.ini:3: unknown key 'colour'" },
		{ H "[paint]\n", "f.ini:3: unknown section '[paint]'" },
		{ H "[paint]\nx = 1\n", "f.ini:3: unknown section" },
		{ H "\n\nhandler = a.b\n", "f.ini:5: 'handler' is given" },
		{ H "memory = 31M\n", "f.ini:3: memory = '31M' is out" },
		{ H "memory = 9G\n", "out of range: 32M to 8G" },
		{ H "memory = 99999999999999999999G\n", "out of range" },
		{ H "memory = 18014398509481984K\n", "out of range" },
		{ H "memory = -1\n", "is not a size" },
		{ H "memory = 64 M\n", "is not a size" },
		{ H "files = 1\n", "out of range: 1M to 8G" },
		{ H "timeout = 0s\n", "out of range: 1ms to 1h" },
		{ H "timeout = 61m\n", "out of range" },
		{ H "timeout = soon\n", "is not a duration" },
		{ H "name = a/b\n", "is not a function's name" },
		{ H "name = .a\n", "is not a function's name" },
		{ H "runtime =\n", "runtime is empty" },
		{ F "handler = app\n", "f.ini:2: handler = 'app'" },
		{ F "handler = .a\n", "module.function" },
		{ F "handler = a.\n", "module.function" },
		{ F "handler = a..b\n", "module.function" },
		{ F "handler = a.1b\n", "module.function" },
		{ F "handler = a.b()\n", "module.function" },
		{ H "[packages]\ninstalled = * numpy\n", "stands alone" },
		{ H "[environment]\n1A = x\n", "f.ini:4: '1A'" },
		{ H "[environment]\nUSETL_A = x\n", "usetl's own" },
		{ H "[environment]\nA = x\nA = y\n", "f.ini:5: 'A' is given" },
		{ H "[egress]\nallow = ftp://x/\n", "f.ini:4: allow = 'ftp" },
		{ H "[egress]\nallow = http://\n", "allow = 'http://'" },
		{ H "[egress]\nallow = none http://a/\n", "stands alone" },
		{ H "[egress]\nallow = https://*.example.org/\n",
		  "f.ini:4: allow = 'https://*.example.org/': a host is "
		  "written out" },
		{ H "[egress]\nallow = http://a/,https://b/\n",
		  "f.ini:4: allow = 'http://a/,https://b/': a ',' between "
		  "entries needs a blank behind it" },
		{ H "[egress]\nallow http://a/\n",
		  "f.ini:4: 'allow http' is no key: expected 'key = value'" },
		{ H "[environment]\nA http://a/\n",
		  "f.ini:4: 'A http' is no variable: expected 'NAME = value'" },
		{ H "memory = 128\n", "out of range: 32M to 8G; write 128M" },
		{ H "memory = 2\n", "; write 2G" },
		{ H "files = 64\n", "; write 64M" },
		{ F "handler = app.handler # note\n",
		  "f.ini:2: handler = 'app.handler # note': a comment behind" },
		{ H "memory = 64M # plenty\n", "begins with ';'" },
		{ H "[packages]\ninstalled = six\n  pandas # note\n",
		  "f.ini:5: installed = 'pandas # note': a comment" },
		{ H "  module\n", "f.ini:3: an indented line goes on with "
		  "'handler'" },
	};
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct manifest *m = parse(bad[i].text, &err);

		ok(!m && strstr(err.msg, bad[i].says), "refused: %s",
		   m ? "it was not" : err.msg);
		manifest_destroy(m);
	}
}

/* values of several lines, and what is indented without being one */
static void test_lines(void)
{
	struct err err;
	struct manifest *m = parse(
		H "[packages]\ninstalled = pandas, lxml,six\n  , pytz\n"
		"[egress]\nallow = https://a.example/, http://b/x,y/ ,\n"
		"[environment]\n"
		"  KEY =\n    -----BEGIN KEY-----\n    MIIB=\n\n"
		"    # a comment\n\tQQ==\n    -----END KEY-----\n"
		"  B = x # y\nC = 1\n\t2\n", &err);

	ok(m != NULL, "values of several lines: %s", err.msg);
	if (!m)
		return;
	ok(m->installed.n == 4 && !strcmp(m->installed.v[0], "pandas") &&
	   !strcmp(m->installed.v[1], "lxml") &&
	   !strcmp(m->installed.v[3], "pytz"), "commas between names");
	ok(m->egress.n == 2 && !strcmp(m->egress.v[0], "https://a.example/") &&
	   !strcmp(m->egress.v[1], "http://b/x,y/"), "commas behind URLs");
	ok(m->environment.n == 3 && !strcmp(m->environment.v[0],
	   "KEY=-----BEGIN KEY-----\nMIIB=\nQQ==\n-----END KEY-----"),
	   "a variable of several lines");
	ok(!strcmp(m->environment.v[1], "B=x # y"),
	   "an indented variable after another is one: %s",
	   m->environment.v[1]);
	ok(!strcmp(m->environment.v[2], "C=1\n2"),
	   "a value that begins on the key's line");
	manifest_destroy(m);
	m = parse("\xef\xbb\xbf[environment]\n\tA = x\n" H, &err);
	ok(m && m->environment.n == 1 && !strcmp(m->environment.v[0], "A=x"),
	   "a manifest behind a byte order mark");
	manifest_destroy(m);
}

/* what inih alone would cut short in silence */
static void test_odd_text(void)
{
	char text[20000] = H "exclude = ";
	struct manifest *m = NULL;
	struct err err;
	size_t len = strlen(text);

	memset(text + len, 'x', 4000);
	m = parse(text, &err);
	ok(m && m->exclude.n == 1 && strlen(m->exclude.v[0]) == 4000,
	   "a long line is read whole");
	manifest_destroy(m);
	memset(text + len, 'x', 9000);
	m = parse(text, &err);
	ok(!m && strstr(err.msg, "f.ini:3: line is too long"),
	   "a line past the limit is refused: %s", err.msg);
	m = NULL;
	ok(manifest_parse(&m, "f.ini", H "x\0y = 1\n", strlen(H) + 8, &err) ==
	   -EINVAL && strstr(err.msg, "f.ini:3: line holds a NUL"),
	   "a NUL is refused: %s", err.msg);
	m = parse("\xef\xbb\xbf" H "name = crlf\r\n", &err);
	ok(m && !strcmp(m->name, "crlf"), "a byte order mark and CR LF");
	manifest_destroy(m);
	ok(manifest_load(&m, "/nonexistent/f.ini", &err) == -ENOENT &&
	   strstr(err.msg, "'/nonexistent/f.ini'"), "no file: %s", err.msg);
	ok(manifest_load(&m, "/", &err) < 0, "a folder: %s", err.msg);
}

int main(void)
{
	test_defaults();
	test_whole();
	test_refused();
	test_lines();
	test_odd_text();
	return plan();
}
