/*
 * url.h - an http or https URL, parsed once
 *
 * The parser is libcurl's own, and what is fetched is the text that it made
 * (`text`), so that the URL that was checked and the URL that is fetched can
 * never be read differently.
 */
#ifndef ETLFS_URL_H
#define ETLFS_URL_H

struct url {
	char *text;			/* normalised, as it is fetched */
	char *shown;			/* for messages: no password */
	char *scheme;			/* "http" or "https" */
	char *host;			/* IPv6 addresses in brackets */
	char *path;			/* without the query, begins with '/' */
	unsigned port;
	int has_query, has_user;
	int may_leave;			/* see url_path_may_leave() */
};

/*
 * base: what a relative URL is relative to, or NULL.  0, -EINVAL (no URL),
 * -EPROTONOSUPPORT (neither http nor https), -ENOMEM.  url_free() frees what
 * is in u and leaves it all zero; an all-zero u may be freed.
 */
int url_parse(struct url *u, const char *base, const char *text);
void url_free(struct url *u);
/*
 * url_path.c: 1 when a server may read a segment of the path as "..", by
 * whatever rules of its own, and so another path than the one written.
 */
int url_path_may_leave(const char *path);
/* 1 when the host is an IP address and not a name */
int url_is_address(const struct url *u);
/* 1 when scheme, host and port are equal */
int url_same_origin(const struct url *a, const struct url *b);

#endif
