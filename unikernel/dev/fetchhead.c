/*
 * fetchhead.c - what a program writes to /dev/usetl/fetch, parsed
 *
 *	METHOD SP URL SP TIMEOUT_MS SP BODY_FD LF
 *	Name: value LF ...
 */
#include "unikernel/dev/fetchhead.h"
#include "unikernel/lib/kabi.h"

/* past it a timeout overflows no sum of nanoseconds */
#define TIMEOUT_MS_MAX	(1ull << 42)

struct cursor {
	const char *at, *end;
};

static const char *const methods[] = {
	[UK_GET] = "GET",
	[UK_HEAD] = "HEAD",
	[UK_POST] = "POST",
	[UK_PUT] = "PUT",
	[UK_DELETE] = "DELETE",
	[UK_PATCH] = "PATCH",
};

/* the word up to `stop`, which is taken too; its length, or -EINVAL */
static long word(struct cursor *c, char stop, const char **start)
{
	const char *p = c->at;

	*start = p;
	while (p < c->end && (unsigned char)*p > ' ' && *p != 0x7f)
		p++;
	if (p == c->end || *p != stop || p == c->at)
		return -EINVAL;
	c->at = p + 1;
	return p - *start;
}

static int number(const char *s, long len, u64 max, u64 *out)
{
	u64 n = 0;

	if (len <= 0 || (len > 1 && s[0] == '0'))
		return -EINVAL;
	for (; len > 0; s++, len--) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		n = n * 10 + (u64)(*s - '0');
		if (n > max)
			return -EINVAL;
	}
	*out = n;
	return 0;
}

static int method(const char *s, long len, u32 *out)
{
	u32 i;

	for (i = 0; i < ARRAY_LEN(methods); i++) {
		if (len == (long)strlen(methods[i]) &&
		    memcmp(s, methods[i], (size_t)len) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* RFC 9110 5.6.2 */
static int is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* every line has a name, a colon, and no control character but a tab */
static int headers_check(const char *p, const char *end)
{
	while (p < end) {
		const char *name = p;

		while (p < end && is_token(*p))
			p++;
		if (p == name || p == end || *p != ':')
			return -EINVAL;
		for (p++; p < end && *p != '\n'; p++)
			if (((unsigned char)*p < ' ' && *p != '\t') ||
			    *p == 0x7f)
				return -EINVAL;
		if (p == end)
			return -EINVAL;
		p++;
	}
	return 0;
}

int fetchhead_parse(struct fetch_head *h, const char *text, size_t len)
{
	struct cursor c = { text, text + len };
	const char *s;
	u64 n;
	long k;

	k = word(&c, ' ', &s);
	if (k < 0 || method(s, k, &h->method) < 0)
		return -EINVAL;
	k = word(&c, ' ', &h->url);
	if (k < 0)
		return -EINVAL;
	if (k > UK_URL_MAX)
		return -ENAMETOOLONG;
	h->url_len = (size_t)k;
	k = word(&c, ' ', &s);
	if (number(s, k, TIMEOUT_MS_MAX, &n) < 0)
		return -EINVAL;
	h->timeout_ns = n * 1000000;
	k = word(&c, '\n', &s);
	h->body_fd = -1;
	if (k != 2 || memcmp(s, "-1", 2) != 0) {
		if (number(s, k, INT32_MAX, &n) < 0)
			return -EINVAL;
		h->body_fd = (int)n;
	}
	h->headers = c.at;
	h->headers_len = (size_t)(c.end - c.at);
	if (h->headers_len > UK_HEADERS_MAX)
		return -EMSGSIZE;
	return headers_check(c.at, c.end);
}
