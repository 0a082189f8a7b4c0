/*
 * header.h - HTTP header lines: "Name: value\n" each
 *
 * What a function sends is hostile: a line break or a NUL in a value would be
 * a second request, so names are tokens and values have no control character
 * but tab (RFC 9110, 5.1 and 5.5).
 */
#ifndef ETLFS_HEADER_H
#define ETLFS_HEADER_H

#include <stddef.h>

struct curl_slist;

/* what header_list() leaves out beside the hop-by-hop headers */
#define HEADER_NO_ORIGIN	1	/* Authorization, Cookie, Host */
#define HEADER_NO_CONTENT	2	/* Content-*, when there is no body */

/* the lines of a request: 0, or -EINVAL with *why (static text) */
#define HEADER_LINES_MAX 256
int header_check(const char *text, size_t len, const char **why);
/*
 * Makes curl's list of checked lines.  Never passed on are: Connection,
 * Content-Length, Expect, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding,
 * Upgrade; nor these names with _ in place of -, as a server might not tell
 * them apart.  0 or -ENOMEM; the caller frees *out.
 */
int header_list(const char *text, size_t len, unsigned leave_out,
		struct curl_slist **out);
/* first value of name, trimmed, not NUL-terminated, or NULL */
const char *header_find(const char *text, size_t len, const char *name,
			size_t *value_len);

/* the lines of a response, as they arrive; empty when all zero */
struct header_block {
	char *text;
	size_t len, room;
};

/*
 * Adds one line as received, line break and all; a folded line continues the
 * one before.  0, -ENOMEM, or -EMSGSIZE past UK_HEADERS_MAX.
 */
int head_add(struct header_block *h, const char *line, size_t len);
void head_free(struct header_block *h);

#endif
