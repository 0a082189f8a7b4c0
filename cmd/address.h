/*
 * address.h - how many connections each address has
 *
 * IPv6 addresses are counted by their /64, since one caller usually has all of
 * it; an IPv4-mapped IPv6 address counts as the IPv4 address.  Loopback is not
 * counted: a proxy on this host is one address for all of its callers.
 */
#ifndef CMD_ADDRESS_H
#define CMD_ADDRESS_H

#include <sys/socket.h>

struct addresses;
struct address;

int addresses_create(struct addresses **out);
/* to call after the last address_put() */
void addresses_destroy(struct addresses *t);
/* connections of this address; 0 when it is not counted */
unsigned addresses_count(const struct addresses *t, const struct sockaddr *sa);
/*
 * Counts one more connection.  Returns what address_put() takes when it ends;
 * NULL when the address is not counted, or there is no memory to count it.
 */
struct address *address_get(struct addresses *t, const struct sockaddr *sa);
void address_put(struct addresses *t, struct address *a);

#endif
