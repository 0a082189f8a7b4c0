/*
 * address.h - how many connections each address has
 *
 * An IPv6 address counts as its /64, which one caller has whole; an IPv4
 * address in IPv6's clothes as what it is.  Loopback is not counted: there a
 * proxy is one address for all of its callers.
 */
#ifndef CMD_ADDRESS_H
#define CMD_ADDRESS_H

#include <sys/socket.h>

struct addresses;
struct address;

int addresses_create(struct addresses **out);
/* after the last address_put() */
void addresses_destroy(struct addresses *t);
/* of this address; 0 when it is not counted */
unsigned addresses_count(const struct addresses *t, const struct sockaddr *sa);
/*
 * One more.  What address_put() takes when it is gone; NULL when it is not
 * counted, or when there is no memory to count it.
 */
struct address *address_get(struct addresses *t, const struct sockaddr *sa);
void address_put(struct addresses *t, struct address *a);

#endif
