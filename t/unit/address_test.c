/*
 * address_test.c - which addresses are one caller, and which are none
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "cmd/address.h"
#include "cmd/holding.h"
#include "t/unit/tap.h"

#define MANY	5000

static struct addresses *t;

/* text as an address of its kind */
static const struct sockaddr *at(const char *text)
{
	static union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;

	memset(&u, 0, sizeof(u));
	if (inet_pton(AF_INET, text, &u.in.sin_addr) == 1) {
		u.sa.sa_family = AF_INET;
	} else {
		u.sa.sa_family = AF_INET6;
		if (inet_pton(AF_INET6, text, &u.in6.sin6_addr) != 1)
			u.sa.sa_family = AF_UNIX;
	}
	return &u.sa;
}

static void test_one(const char *a, const char *b, int same)
{
	struct address *x = address_get(t, at(a)), *y = address_get(t, at(b));

	ok(addresses_count(t, at(a)) == (same ? 2 : 1) &&
	   addresses_count(t, at(b)) == (same ? 2 : 1),
	   "%s and %s are %s", a, b, same ? "one" : "two");
	address_put(t, x);
	ok(addresses_count(t, at(b)) == 1, "%s: counted when it goes", a);
	address_put(t, y);
	ok(!addresses_count(t, at(a)) && !addresses_count(t, at(b)),
	   "%s: not counted when both are gone", a);
}

static void test_none(const char *a)
{
	struct address *x = address_get(t, at(a));

	ok(!x && !addresses_count(t, at(a)), "%s is not counted", a);
	address_put(t, x);
}

static void test_many(void)
{
	static struct address *a[MANY];
	char text[32];
	int good = 1;

	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i >> 8, i & 255);
		a[i] = address_get(t, at(text));
		good &= a[i] && addresses_count(t, at(text)) == 1;
	}
	ok(good, "%d addresses are told apart", MANY);
	for (int i = 0; i < MANY; i++)
		address_put(t, a[i]);
	ok(!addresses_count(t, at("10.0.0.1")),
	   "many addresses are forgotten when they go");
}

/* shares of 100 */
static void test_shares(void)
{
	struct store of = { .size = 100 };
	struct holding a = { .of = &of }, b = { .of = &of }, c = { .of = &of };

	holding_set(&a, 50);
	ok(!holding_passes(&a, 0) && holding_passes(&a, 1),
	   "one holder alone has half");
	holding_set(&b, 20);
	ok(holding_passes(&a, 0) && !holding_passes(&b, 5) && holding_passes(&b, 6),
	   "another holder has half of what is left");
	holding_set(&a, 33);
	holding_set(&b, 33);
	ok(!holding_passes(&a, 0) && holding_passes(&a, 1),
	   "two holders have a third each");
	ok(!holding_passes(&c, 17),
	   "beside two holders there is room for one more");
	holding_set(&a, 500);
	ok(holding_passes(&b, 0) && holding_passes(&c, 1) && of.held == 533,
	   "more may be held than there is");
	ok(holding_passes(&c, UINT64_MAX),
	   "what is more than any number passes");
	holding_set(&a, 0);
	holding_set(&b, 0);
	ok(!of.held && !holding_passes(&c, 50),
	   "all that was held is given back");
}

int main(void)
{
	if (addresses_create(&t) < 0)
		return 1;
	test_one("192.0.2.1", "192.0.2.1", 1);
	test_one("192.0.2.1", "192.0.2.2", 0);
	test_one("192.0.2.1", "::ffff:192.0.2.1", 1);
	test_one("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", 1);
	test_one("2001:db8:0:1::1", "2001:db8:0:2::1", 0);
	test_one("::", "0.0.0.0", 0);
	test_one("::2", "192.0.2.1", 0);
	test_none("127.0.0.1");
	test_none("127.255.0.9");
	test_none("::1");
	test_none("::ffff:127.0.0.1");
	test_none("/run/socket");
	test_many();
	test_shares();
	addresses_destroy(t);
	return plan();
}
