/*
 * egress.h - which URLs and addresses a function may reach
 *
 * prefixes: NULL-terminated URL prefixes, or NULL for "the public internet":
 * http and https to any address that is not loopback, link-local, private,
 * multicast or otherwise special.  With a list, only URLs that match one of
 * it are allowed: scheme, host and port equal, path equal or a prefix at a
 * '/' boundary.  A host named by the entry that matched may be at any
 * address.  "*" in the list stands for the public internet, "none" alone for
 * nothing at all; an empty list allows nothing either.
 *
 * A URL whose path might be resolved to another one by the server, as it has
 * a ".." segment that is hidden in whatever way (url_path.c), matches no entry
 * with a path.
 */
#ifndef ETLFS_EGRESS_H
#define ETLFS_EGRESS_H

#include "conf/err.h"

struct egress;
struct sockaddr;

/* 0, -ENOMEM, or -EINVAL: an entry is no http or https URL prefix */
int egress_create(struct egress **out, char *const *prefixes);
void egress_destroy(struct egress *g);
/* the same answer without the list; err names the entry, and what it lacks */
int egress_check(char *const *prefixes, struct err *err);
/*
 * 1 allowed, 0 refused; *named (may be NULL) says that the host stands in
 * the list.  When it does not, every address that is connected to must pass
 * egress_public() too: a name proves nothing.
 */
int egress_allows(const struct egress *g, const char *url, int *named);
/* 1 when an address is public */
int egress_public(const struct sockaddr *sa);

#endif
