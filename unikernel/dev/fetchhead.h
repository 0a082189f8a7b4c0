/*
 * fetchhead.h - what a program writes to /dev/usetl/fetch, parsed
 */
#ifndef UNIKERNEL_FETCHHEAD_H
#define UNIKERNEL_FETCHHEAD_H

#include "unikernel/lib/lib.h"

struct fetch_head {
	u32 method;			/* UK_GET ... */
	const char *url;		/* into the text, not NUL-terminated */
	size_t url_len;
	u64 timeout_ns;
	int body_fd;			/* -1: no body */
	const char *headers;		/* into the text */
	size_t headers_len;
};

/*
 * 0, -EINVAL for anything that is not exactly dev.h's form, or
 * -ENAMETOOLONG (URL) or -EMSGSIZE (headers) past UK_URL_MAX, UK_HEADERS_MAX.
 */
int fetchhead_parse(struct fetch_head *h, const char *text, size_t len);

#endif
