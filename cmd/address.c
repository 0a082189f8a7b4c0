/*
 * address.c - how many connections each address has
 *
 * A hash table with a secret key, since callers choose what is in it and could
 * make many addresses collide.  An address is in it while it has a connection.
 */
#include "cmd/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#define CHAINS	1024u			/* a power of two */

struct address {
	LIST_ENTRY(address) link;
	uint64_t key[2];		/* IPv4: only [1] is used */
	unsigned count;
};

LIST_HEAD(chain, address);

struct addresses {
	uint64_t secret[2];		/* odd, chosen at random */
	struct chain chain[CHAINS];
};

/* 0 when this address is not counted */
static int key_of(const struct sockaddr *sa, uint64_t key[2])
{
	const struct in6_addr *in6;
	uint32_t in4 = 0;

	key[0] = key[1] = 0;
	if (sa->sa_family == AF_INET) {
		in4 = ((const struct sockaddr_in *)sa)->sin_addr.s_addr;
	} else if (sa->sa_family == AF_INET6) {
		in6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;
		if (IN6_IS_ADDR_LOOPBACK(in6))
			return 0;
		if (!IN6_IS_ADDR_V4MAPPED(in6)) {
			memcpy(key, in6, 8);
			return 1;
		}
		memcpy(&in4, (const char *)in6 + 12, sizeof(in4));
	} else {
		return 0;
	}
	key[1] = 1ull << 32 | in4;
	return ntohl(in4) >> 24 != IN_LOOPBACKNET;
}

static struct chain *chain_of(const struct addresses *t, const uint64_t key[2])
{
	uint64_t h = key[0] * t->secret[0] ^ key[1] * t->secret[1];

	h *= t->secret[1];
	return (struct chain *)&t->chain[h >> 32 & (CHAINS - 1)];
}

static struct address *find(const struct addresses *t, const uint64_t key[2])
{
	struct address *a;

	LIST_FOREACH(a, chain_of(t, key), link)
		if (a->key[0] == key[0] && a->key[1] == key[1])
			return a;
	return NULL;
}

unsigned addresses_count(const struct addresses *t, const struct sockaddr *sa)
{
	struct address *a;
	uint64_t key[2];

	a = key_of(sa, key) ? find(t, key) : NULL;
	return a ? a->count : 0;
}

struct address *address_get(struct addresses *t, const struct sockaddr *sa)
{
	struct address *a;
	uint64_t key[2];

	if (!key_of(sa, key))
		return NULL;
	a = find(t, key);
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return NULL;
		memcpy(a->key, key, sizeof(key));
		LIST_INSERT_HEAD(chain_of(t, key), a, link);
	}
	a->count++;
	return a;
}

void address_put(struct addresses *t, struct address *a)
{
	if (!a || --a->count)
		return;
	LIST_REMOVE(a, link);
	free(a);
}

int addresses_create(struct addresses **out)
{
	struct addresses *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	if (getrandom(t->secret, sizeof(t->secret), 0) < 0) {
		free(t);
		return -errno;
	}
	t->secret[0] |= 1;
	t->secret[1] |= 1;
	for (unsigned i = 0; i < CHAINS; i++)
		LIST_INIT(&t->chain[i]);
	*out = t;
	return 0;
}

void addresses_destroy(struct addresses *t)
{
	free(t);
}
