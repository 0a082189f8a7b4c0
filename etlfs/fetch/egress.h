/*
 * egress.h - which URLs and addresses a function may reach
 *
 * prefixes: NULL-terminated URL prefixes, or NULL for "the public internet":
 * http and https to any address that is not loopback, link-local, private,
 * multicast or otherwise special.  With a list, only URLs that match an entry
 * are allowed: scheme, host and port equal, path equal or a prefix at a '/'
 * boundary.  A host named by the entry that matched may be at any address.  "*"
 * in the list stands for the public internet, "none" alone for nothing at all;
 * an empty list allows nothing either.
 *
 * A URL whose path might be resolved to another one by the server, because it
 * hides a ".." segment in some encoding (url_path.c), matches no entry with a
 * path.
 */
#ifndef ETLFS_EGRESS_H
#define ETLFS_EGRESS_H

#include "conf/err.h"

struct egress;
struct sockaddr;

/* 0, -ENOMEM, or -EINVAL when an entry is no http or https URL prefix */
int egress_create(struct egress **out, char *const *prefixes);
void egress_destroy(struct egress *g);
/* the same answer without making the list; err names the entry and its fault */
int egress_check(char *const *prefixes, struct err *err);
/*
 * 1 allowed, 0 refused; *named (may be NULL) says that the list names the host.
 * When it does not, every address that is connected to must pass
 * egress_public() too, since a public name may resolve to a private address.
 */
int egress_allows(const struct egress *g, const char *url, int *named);
/* 1 when an address is public */
int egress_public(const struct sockaddr *sa);

#endif
