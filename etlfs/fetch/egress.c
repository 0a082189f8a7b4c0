/*
 * egress.c - which URLs and addresses a function may reach
 *
 * Two checks must both allow it.  egress_allows() looks at the URL before
 * anything is resolved; egress_public() looks at the address that is about to
 * be connected to, unless the list names the URL's host.  Anything that is not
 * understood is refused.
 */
#include "etlfs/fetch/egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "etlfs/fetch/url.h"

struct egress {
	int public;			/* "*" or no list at all */
	size_t n;
	struct url rule[];
};

static int egress_add(struct egress *g, const char *prefix)
{
	struct url *u = &g->rule[g->n];
	int rc;

	if (!strcmp(prefix, "*")) {
		g->public = 1;
		return 0;
	}
	rc = url_parse(u, NULL, prefix);
	if (rc < 0)
		return rc == -ENOMEM ? rc : -EINVAL;
	g->n++;
	/* such an entry would promise more than is compared */
	if (u->has_query || u->has_user || u->may_leave)
		return -EINVAL;
	return 0;
}

int egress_create(struct egress **out, char *const *prefixes)
{
	struct egress *g;
	size_t n = 0, i;
	int rc = 0;

	while (prefixes && prefixes[n])
		n++;
	g = calloc(1, sizeof(*g) + n * sizeof(g->rule[0]));
	if (!g)
		return -ENOMEM;
	g->public = !prefixes;
	if (n != 1 || strcmp(prefixes[0], "none"))
		for (i = 0; i < n && !rc; i++)
			rc = egress_add(g, prefixes[i]);
	if (rc < 0) {
		egress_destroy(g);
		return rc;
	}
	*out = g;
	return 0;
}

void egress_destroy(struct egress *g)
{
	size_t i;

	if (!g)
		return;
	for (i = 0; i < g->n; i++)
		url_free(&g->rule[i]);
	free(g);
}

/* what may be wrong with an entry that was refused */
static const char *egress_why(const char *entry)
{
	const char *host = strstr(entry, "://");

	if (host && strcspn(host + 3, "*") < strcspn(host + 3, "/?#"))
		return "a host is written out, one entry for each; '*' alone "
			"is the public internet";
	if (!strcmp(entry, "none"))
		return "it stands alone";
	if (host && strpbrk(entry, "?#@"))
		return "only scheme, host, port and path are compared";
	return "it is not an http:// or https:// URL, '*' or 'none'";
}

int egress_check(char *const *prefixes, struct err *err)
{
	struct egress *g;
	int rc = egress_create(&g, prefixes);

	if (rc == 0)
		egress_destroy(g);
	if (rc == -ENOMEM)
		return err_set(err, rc, "out of memory");
	for (size_t i = 0; rc < 0 && prefixes[i]; i++) {
		char *one[] = { prefixes[i], NULL };

		if (strcmp(one[0], "none") && egress_create(&g, one) == 0)
			egress_destroy(g);
		else
			return err_set(err, rc, "[egress] allow = '%.300s': "
				       "%s", one[0], egress_why(one[0]));
	}
	return rc;
}

static int rule_matches(const struct url *rule, const struct url *u)
{
	size_t len = strlen(rule->path);

	if (!url_same_origin(rule, u))
		return 0;
	if (len == 1)
		return 1;
	if (u->may_leave || strncmp(rule->path, u->path, len))
		return 0;
	return rule->path[len - 1] == '/' || !u->path[len] ||
	       u->path[len] == '/';
}

/* an address written in the URL is refused at once when it is not public */
static int host_may_be_public(const char *host)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	char buf[INET6_ADDRSTRLEN + 2];
	size_t len = strlen(host);

	if (host[0] == '[' && len < sizeof(buf) && host[len - 1] == ']') {
		memcpy(buf, host + 1, len - 2);
		buf[len - 2] = 0;
		return inet_pton(AF_INET6, buf, &in6.sin6_addr) == 1 &&
		       egress_public((struct sockaddr *)&in6);
	}
	if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
		return egress_public((struct sockaddr *)&in);
	return 1;
}

int egress_allows(const struct egress *g, const char *url, int *named)
{
	struct url u;
	int allowed = 0, in_list = 0;
	size_t i;

	if (named)
		*named = 0;
	if (url_parse(&u, NULL, url) < 0)
		return 0;
	for (i = 0; i < g->n && !in_list; i++)
		in_list = rule_matches(&g->rule[i], &u);
	allowed = in_list || (g->public && host_may_be_public(u.host));
	url_free(&u);
	if (named)
		*named = in_list;
	return allowed;
}

/* IANA's IPv4 special-purpose registry, and multicast and class E */
static const struct {
	uint32_t net;
	unsigned bits;
} special4[] = {
	{ 0x00000000, 8 },		/* 0.0.0.0/8 this network */
	{ 0x0a000000, 8 },		/* 10.0.0.0/8 private */
	{ 0x64400000, 10 },		/* 100.64.0.0/10 carrier NAT */
	{ 0x7f000000, 8 },		/* 127.0.0.0/8 loopback */
	{ 0xa9fe0000, 16 },		/* 169.254.0.0/16 link-local */
	{ 0xac100000, 12 },		/* 172.16.0.0/12 private */
	{ 0xc0000000, 24 },		/* 192.0.0.0/24 protocols */
	{ 0xc0000200, 24 },		/* 192.0.2.0/24 documentation */
	{ 0xc0586300, 24 },		/* 192.88.99.0/24 6to4 relays */
	{ 0xc0a80000, 16 },		/* 192.168.0.0/16 private */
	{ 0xc6120000, 15 },		/* 198.18.0.0/15 benchmarks */
	{ 0xc6336400, 24 },		/* 198.51.100.0/24 documentation */
	{ 0xcb007100, 24 },		/* 203.0.113.0/24 documentation */
	{ 0xe0000000, 3 },		/* 224.0.0.0/3 multicast, reserved */
};

static int public4(uint32_t addr)
{
	size_t i;

	for (i = 0; i < sizeof(special4) / sizeof(special4[0]); i++)
		if (!((addr ^ special4[i].net) >> (32 - special4[i].bits)))
			return 0;
	return 1;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/*
 * Global unicast (2000::/3) without its special ranges.  Of the two ways to
 * write an IPv4 address in IPv6, the IPv4 address counts.
 */
static int public6(const uint8_t *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12))
		return public4(be32(a + 12));
	if ((a[0] & 0xe0) != 0x20)
		return 0;
	if (be32(a) >> 9 == 0x20010000 >> 9)	/* 2001::/23: Teredo ... */
		return 0;
	if (be32(a) == 0x20010db8)		/* documentation */
		return 0;
	if (be32(a) >> 16 == 0x2002)		/* 6to4 */
		return 0;
	if (be32(a) >> 12 == 0x3fff0)		/* 3fff::/20, documentation */
		return 0;
	return 1;
}

int egress_public(const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		return public4(ntohl(in.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		return public6(in6.sin6_addr.s6_addr);
	default:
		return 0;
	}
}
