/*
 * fuzz_egress.c - a path that the policy lets pass, as servers may read it
 *
 * The input is the end of a URL behind an entry with a path.  When it is
 * allowed, no server of those played here may find itself outside of that
 * path: they decode up to five times, drop control characters, spaces, or
 * what is not ASCII, end names at a ';', strings at a NUL, take '\' for '/',
 * and read UTF-8 that is longer than it has to be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etlfs/fetch/egress.h"
#include "etlfs/fetch/url.h"
#include "t/fuzz/fuzz.h"

#define LONGEST	2048
#define DEEPEST	64

enum {
	DROP_BLANK = 1, DROP_HIGH = 2, CUT_NAME = 4, CUT_NUL = 8, OVERLONG = 16,
	SERVERS = 32,
};

const unsigned fuzz_runs = 40000;

static struct egress *listed;

static int digit(int c)
{
	const char *at = c ? strchr("0123456789abcdef", c | 0x20) : NULL;

	return at ? at - "0123456789abcdef" : -1;
}

static size_t unescape(unsigned char *p, size_t len)
{
	size_t i = 0, n = 0;

	while (i < len) {
		if (p[i] == '%' && i + 2 < len && digit(p[i + 1]) >= 0 &&
		    digit(p[i + 2]) >= 0) {
			p[n++] = digit(p[i + 1]) * 16 + digit(p[i + 2]);
			i += 3;
		} else {
			p[n++] = p[i++];
		}
	}
	return n;
}

/* what that kind of server makes of the decoded path */
static size_t apply(unsigned server, const unsigned char *p, size_t len,
		    unsigned char *out)
{
	size_t i, n = 0;
	int cut = 0;

	for (i = 0; i < len; i++) {
		int c = p[i];

		if (server & OVERLONG && (c == 0xc0 || c == 0xc1) &&
		    i + 1 < len)
			c = (c & 1) << 6 | (p[++i] & 0x3f);
		if (!c && server & CUT_NUL)
			break;
		if (c == '\\')
			c = '/';
		if (c == '/')
			cut = 0;
		cut |= c == ';' && server & CUT_NAME;
		if (cut || (server & DROP_HIGH && c >= 0x80) ||
		    (server & DROP_BLANK && c <= ' '))
			continue;
		out[n++] = c;
	}
	out[n] = 0;
	return n;
}

/* 1 when the path's segments, resolved, begin with "in" */
static int stays(char *path)
{
	char *stack[DEEPEST], *s;
	unsigned n = 0;

	for (s = strtok(path, "/"); s; s = strtok(NULL, "/")) {
		if (!strcmp(s, "."))
			continue;
		if (!strcmp(s, ".."))
			n -= n > 0;
		else if (n < DEEPEST)
			stack[n++] = s;
	}
	return n && !strcmp(stack[0], "in");
}

static void check(const char *path)
{
	static unsigned char decoded[LONGEST], read[LONGEST + 1];
	size_t len = strlen(path);

	if (len > LONGEST)
		return;
	memcpy(decoded, path, len);
	for (int round = 0; round < 6; round++) {
		for (unsigned server = 0; server < SERVERS; server++) {
			apply(server, decoded, len, read);
			MUST(stays((char *)read));
		}
		len = unescape(decoded, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *list[] = { "http://a.example/in", NULL };
	char url[LONGEST];
	struct url u;
	int n;

	if (!listed && egress_create(&listed, list))
		exit(1);
	n = snprintf(url, sizeof(url), "http://a.example/in/%.*s",
		     (int)(size < LONGEST ? size : LONGEST), data);
	if ((size_t)n >= sizeof(url) || !egress_allows(listed, url, NULL))
		return 0;
	if (url_parse(&u, NULL, url))
		abort();
	check(u.path);
	url_free(&u);
	return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	static const char *const seed[] = {
		"x/y.z?q#f", "a/..%00/b", "a/..%20/%2e%2e/c", "..%3b/x;y=z/..",
		"%252e%252e/a/b/c", "%25252e.%5c..%c0%ae/", "a%2f..%2f../x",
		"%ef%bc%8e%u002e/..;/.%09./", "x/%c0%2e%c0%2e\\%e0%80%ae./",
	};

	if (n >= sizeof(seed) / sizeof(seed[0]))
		return 0;
	memcpy(out, seed[n], strlen(seed[n]));
	return strlen(seed[n]);
}
