/*
 * egress_test.c - the egress policy: prefixes, names and addresses
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "etlfs/fetch/egress.h"
#include "t/unit/server.h"

static int is_public(const char *text)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return egress_public((struct sockaddr *)&in);
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		return egress_public((struct sockaddr *)&in6);
	return -1;
}

static void test_addresses(void)
{
	static const char *const yes[] = {
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
		"100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.1", "169.253.255.255", "169.255.0.0",
		"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.1.1",
		"192.169.0.0", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1",
		"2001:200::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
	};
	static const char *const no[] = {
		"0.0.0.0", "0.255.255.255", "10.0.0.1", "10.255.255.255",
		"100.64.0.1", "100.127.255.255", "127.0.0.1",
		"127.255.255.255", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1",
		"192.168.0.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
		"240.0.0.1", "255.255.255.255",
		"::", "::1", "fe80::1", "fec0::1", "fc00::1",
		"fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::1",
		"2002:7f00:1::", "3fff::1", "::ffff:127.0.0.1",
		"::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
		"::127.0.0.1", "100::1", "4000::1",
	};
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		ok(is_public(yes[i]) == 1, "%s is public", yes[i]);
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		ok(is_public(no[i]) == 0, "%s is not public", no[i]);
	ok(!egress_public((struct sockaddr *)&un),
	   "a local socket is not public");
}

/* 0 refused, 1 allowed, 2 allowed at any address */
static int answer(const struct egress *g, const char *url)
{
	int named = -1;

	return egress_allows(g, url, &named) + named;
}

struct row {
	const char *url;
	int want;
};

static void check(const char *what, char **list, const struct row *row,
		  size_t n)
{
	struct egress *g;
	size_t i;

	if (egress_create(&g, list)) {
		ok(0, "%s: list accepted", what);
		return;
	}
	for (i = 0; i < n; i++)
		ok(answer(g, row[i].url) == row[i].want, "%s: %s is %s", what,
		   row[i].url, row[i].want ? "allowed" : "refused");
	egress_destroy(g);
}

#define CHECK(what, list, rows) \
	check(what, list, rows, sizeof(rows) / sizeof(rows[0]))

static void test_public(void)
{
	static const struct row rows[] = {
		{ "http://example.com/", 1 }, { "https://example.com/x?y", 1 },
		{ "http://8.8.8.8/", 1 }, { "http://[2606:4700::1]/", 1 },
		{ "http://127.0.0.1/", 0 }, { "http://127.1/", 0 },
		{ "http://2130706433/", 0 }, { "http://0x7f000001/", 0 },
		{ "http://0177.0.0.1/", 0 }, { "http://[::1]/", 0 },
		{ "http://[::ffff:127.0.0.1]/", 0 },
		{ "http://[fe80::1%25eth0]/", 0 },
		{ "http://user@10.0.0.1/", 0 },
		{ "http://example.com@169.254.169.254/", 0 },
		{ "ftp://example.com/", 0 }, { "file:///etc/passwd", 0 },
		{ "gopher://example.com/", 0 }, { "example.com", 0 },
		{ "", 0 }, { "http://", 0 },
		{ "http://a b/", 0 }, { "http://example.com/\tx", 0 },
	};
	char *star[] = { "*", NULL };

	CHECK("no list", NULL, rows);
	CHECK("*", star, rows);
}

static void test_list(void)
{
	static const struct row rows[] = {
		{ "http://127.0.0.1:9000/", 2 },
		{ "http://127.0.0.1:9000", 2 },
		{ "http://127.0.0.1:9000/any/thing?x", 2 },
		{ "http://127.1:9000/", 2 },
		{ "http://user:pw@127.0.0.1:9000/", 2 },
		{ "http://127.0.0.1:9001/", 0 }, { "http://127.0.0.1/", 0 },
		{ "https://127.0.0.1:9000/", 0 },
		{ "http://localhost:9000/", 0 },
		{ "https://api.example.com/v1", 2 },
		{ "https://API.example.com:443/v1/rows", 2 },
		{ "https://api.example.com/v1?x=1", 2 },
		{ "https://api.example.com/v1#frag", 2 },
		{ "https://api.example.com/v10", 0 },
		{ "https://api.example.com/v", 0 },
		{ "https://api.example.com/", 0 },
		{ "https://api.example.com:444/v1", 0 },
		{ "https://api.example.com.evil.org/v1", 0 },
		{ "https://evil.org/https://api.example.com/v1", 0 },
		{ "https://api.example.com@evil.org/v1", 0 },
		{ "https://api.example.com/v1/../admin", 0 },
		{ "https://api.example.com/v1/%2e%2e/admin", 0 },
		{ "https://api.example.com/v1/%2E./admin", 0 },
		{ "https://api.example.com/v1/..%2fadmin", 0 },
		{ "https://api.example.com/v1/..%5cadmin", 0 },
		{ "https://api.example.com/v1/..;/admin", 0 },
		{ "https://api.example.com/v1/..\\admin", 0 },
		{ "https://api.example.com/v1/a..b/..c", 2 },
		{ "http://files.example.com/in/x", 2 },
		{ "http://files.example.com/in", 0 },
		{ "http://files.example.com/in/", 2 },
		{ "http://[::1]:80/", 2 }, { "http://[::1]/", 2 },
		{ "http://example.com/", 0 },
	};
	char *list[] = {
		"http://127.0.0.1:9000/", "https://api.example.com/v1",
		"http://files.example.com/in/", "http://[::1]", NULL,
	};

	CHECK("list", list, rows);
}

/* what some server reads as a way out, behind https://h.example/v1/ */
static void test_ways_out(void)
{
	static const char *const out[] = {
		/* plain, or encoded once and more often */
		"..", "../", "../admin", "x/../../admin", ".%2e/admin",
		"%2e%2e", "%2E%2e/", "%252e%252e/", "%25252e%25252e/",
		"%2525252525252525252e./", "%25%32%65%25%32%65/",
		"..%2fadmin", "..%252fadmin", "..%5cadmin", "..%255cadmin",
		"..\\admin", "x%2f..%2f..%2fadmin", "%2f../admin",
		/* cut off, or dropped */
		"..%00/", "..%00x/", "..%2500/", "x%00/.%2e/y", "%00",
		"..%20/", "..%20", "..%2520/", "%20../", ".%20./", ". ./",
		"..%09/", "..%0a/", "..%0d%0a/", ".%09./", "..%7f/", "..%a0/",
		"..+/", "..%2b/", ".../", "....//", "%2e%2e%2e/", "..%20./",
		"..%c2%a0/", ".%e2%80%8b./", "..%ef%bb%bf/", "..%22/",
		"..%3c/", "..%2a/", "..%/",
		/* a segment's name ends there */
		"..;/", "..;x=y/", "..%3b/", "..%3Bx/", "..%253b/", ";../",
		"..%3f/", "..%26/", "..&x=y/", "..%3fx/", "..%23/", "..:x/", "..%3a/",
		/* one character for another */
		"%c0%ae%c0%ae/", "%c0%2e%c0%2e/", "..%c0%af", "..%c1%9c",
		"%e0%80%ae./", "%f0%80%80%ae./", "%f8%80%80%80%ae./",
		"%fc%80%80%80%80%ae./", "%25c0%25ae./",
		"%u002e%u002e/", "..%u2215", "%U002E./", "%25u002e./",
		"%ef%bc%8e%ef%bc%8e/", "%ef%bc%8e./", "%e2%80%a5/",
		"%e2%80%a4%e2%80%a4/", "%e2%80%a6/", "%ef%b8%b0/",
		"%ef%b9%92./", "..%ef%bc%8fadmin", "..%ef%bc%bcadmin",
		"..%e2%88%95admin", "..%e2%81%84admin", "..%ef%bc%9b/",
		"%ef%bc%852e./", "..%cd%be/", "\xef\xbc\x8e./", "..\xa0/",
	};
	static const char *const in[] = {
		"", "x", ".", "./x", "x.y", "a..b", "..c", "c..", "a/..c/d",
		"..a%20b", "x;y=..z", "v1.0/rows", "100%25", "100%", "%zz",
		"a%2fb", "a%20b", "a+b", "%e6%97%a5%e6%9c%ac", "caf%e9",
		"caf%c3%a9", "x%e2%80%a6", "a:b", "~me", "a=b&c", "%7e",
		"?q=../..", "?../", "#../", ".well-known/x", "x/.", "%2e",
		"-..-", "_.._", "(..)",
	};
	char *list[] = { "https://h.example/v1", NULL };
	char *slash[] = { "https://h.example/v1/", NULL };
	char *bare[] = { "https://h.example", NULL };
	struct egress *g, *s, *b;
	char url[128];
	size_t i;

	if (egress_create(&g, list) || egress_create(&s, slash) ||
	    egress_create(&b, bare)) {
		ok(0, "lists of one entry");
		return;
	}
	for (i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		snprintf(url, sizeof(url), "https://h.example/v1/%s", out[i]);
		ok(!egress_allows(g, url, NULL) && !egress_allows(s, url, NULL),
		   "refused: %s", out[i]);
	}
	for (i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		snprintf(url, sizeof(url), "https://h.example/v1/%s", in[i]);
		ok(egress_allows(g, url, NULL) && egress_allows(s, url, NULL),
		   "allowed: %s", in[i]);
	}
	ok(egress_allows(b, "https://h.example/v1/..%00/", NULL),
	   "where no entry has a path, any may be asked for");
	egress_destroy(g);
	egress_destroy(s);
	egress_destroy(b);
}

static void test_mixed(void)
{
	static const struct row rows[] = {
		{ "http://10.1.2.3/x", 2 }, { "http://10.1.2.4/x", 0 },
		{ "http://example.com/", 1 },
	};
	static const struct row nothing[] = {
		{ "http://example.com/", 0 }, { "http://none/", 0 },
	};
	char *mixed[] = { "http://10.1.2.3", "*", NULL };
	char *none[] = { "none", NULL };
	char *empty[] = { NULL };

	CHECK("* and a list", mixed, rows);
	CHECK("none", none, nothing);
	CHECK("empty list", empty, nothing);
}

static void test_bad_lists(void)
{
	static char *bad[] = {
		"example.com", "ftp://example.com/", "", "http://",
		"http://example.com/?q", "http://u@example.com/",
		"http://a b/", "*.example.com", "http://example.com/%2e%2e/x",
		"http://example.com/%252e%252e/x", "/path",
	};
	char *both[] = { "none", "*", NULL };
	struct egress *g;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *list[] = { "*", bad[i], NULL };

		ok(egress_create(&g, list) == -EINVAL,
		   "entry '%s' is refused", bad[i]);
	}
	ok(egress_create(&g, both) == -EINVAL, "`none` stands alone");
	egress_destroy(NULL);
}

static void test_why(void)
{
	static struct { char *entry, *why; } bad[] = {
		{ "https://*.example.org/", "a host is written out" },
		{ "https://a*", "a host is written out" },
		{ "http://example.com/?q=*", "only scheme, host, port and" },
		{ "http://u@example.com/", "only scheme, host, port and" },
		{ "example.com", "not an http:// or https:// URL" },
		{ "none", "it stands alone" },
	};
	char *good[] = { "*", "https://example.org/*", NULL };
	struct err err;
	char quoted[64];

	ok(egress_check(NULL, &err) == 0 && egress_check(good, &err) == 0,
	   "a list without mistakes");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *list[] = { "https://example.org/", bad[i].entry, NULL };

		snprintf(quoted, sizeof(quoted), "'%s': ", bad[i].entry);
		ok(egress_check(list, &err) == -EINVAL &&
		   strstr(err.msg, quoted) && strstr(err.msg, bad[i].why),
		   "said: %s", err.msg);
	}
}

int main(void)
{
	test_addresses();
	test_public();
	test_list();
	test_ways_out();
	test_mixed();
	test_bad_lists();
	test_why();
	return plan();
}
