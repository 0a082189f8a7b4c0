/*
 * header.c - HTTP header lines: "Name: value\n" each
 */
#include "etlfs/fetch/header.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "unikernel/abi.h"

/* one line; value is trimmed */
struct header_line {
	const char *name, *value;
	size_t name_len, value_len;
};

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* 1 and the next line, 0 at the end, -EINVAL when it has no colon */
static int line_next(const char **p, const char *end, struct header_line *l)
{
	const char *s = *p, *eol, *colon;

	if (s == end)
		return 0;
	eol = memchr(s, '\n', end - s);
	*p = eol ? eol + 1 : end;
	if (!eol)
		eol = end;
	colon = memchr(s, ':', eol - s);
	if (!colon)
		return -EINVAL;
	l->name = s;
	l->name_len = colon - s;
	for (s = colon + 1; s < eol && is_blank(*s); s++)
		;
	while (eol > s && is_blank(eol[-1]))
		eol--;
	l->value = s;
	l->value_len = eol - s;
	return 1;
}

static int name_is(const struct header_line *l, const char *name)
{
	return l->name_len == strlen(name) &&
	       !strncasecmp(l->name, name, l->name_len);
}

/* CGI-like programs turn a name into that of a variable: "-" becomes "_" */
static int name_is_like(const struct header_line *l, const char *name)
{
	size_t len = strlen(name), i;

	for (i = 0; i < len && i < l->name_len; i++)
		if (strncasecmp(l->name + i, name + i, 1) &&
		    !(l->name[i] == '_' && name[i] == '-'))
			return 0;
	return l->name_len == len;
}

static int name_begins(const struct header_line *l, const char *name)
{
	size_t len = strlen(name);

	return l->name_len >= len && !strncasecmp(l->name, name, len);
}

/* only letters, digits, and characters in `other` */
static int is_made_of(const char *s, size_t len, const char *other)
{
	size_t i;

	for (i = 0; i < len; i++) {
		char c = s[i], lower = c | 0x20;

		if ((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z'))
			continue;
		if (!c || !strchr(other, c))
			return 0;
	}
	return len > 0;
}

/* RFC 9110, 5.6.2 */
static int is_token(const char *s, size_t len)
{
	return is_made_of(s, len, "!#$%&'*+-.^_`|~");
}

static int is_text(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') ||
		    s[i] == 0x7f)
			return 0;
	return 1;
}

static int is_host(const char *s, size_t len)
{
	return is_made_of(s, len, ".-_:[]");
}

int header_check(const char *text, size_t len, const char **why)
{
	const char *p = text, *end = text + len;
	struct header_line l;
	int rc, hosts = 0, lines = 0;

	while ((rc = line_next(&p, end, &l)) > 0) {
		/* curl searches all of them again and again */
		if (++lines > HEADER_LINES_MAX) {
			*why = "there are more headers than 256";
			return -EMSGSIZE;
		}
		if (!is_token(l.name, l.name_len)) {
			*why = "a header's name is not a token";
			return -EINVAL;
		}
		if (!is_text(l.value, l.value_len)) {
			*why = "a header's value has a control character";
			return -EINVAL;
		}
		if (name_is(&l, "Host") &&
		    (hosts++ || !is_host(l.value, l.value_len))) {
			*why = "the Host header is not one host";
			return -EINVAL;
		}
	}
	if (rc < 0)
		*why = "a header line has no colon";
	return rc;
}

static int is_passed_on(const struct header_line *l, unsigned leave_out)
{
	static const char *const never[] = {
		"Connection", "Content-Length", "Expect", "Keep-Alive", "TE",
		"Trailer", "Transfer-Encoding", "Upgrade",
	};
	size_t i;

	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (name_is_like(l, never[i]))
			return 0;
	if (name_begins(l, "Proxy-") || name_begins(l, "Proxy_"))
		return 0;
	if (leave_out & HEADER_NO_ORIGIN &&
	    (name_is(l, "Authorization") || name_is(l, "Cookie") ||
	     name_is(l, "Host")))
		return 0;
	return !(leave_out & HEADER_NO_CONTENT && name_begins(l, "Content-"));
}

/* added behind *last, since curl would walk the list to find its end */
static int slist_add(struct curl_slist **list, struct curl_slist **last,
		     const char *s)
{
	struct curl_slist *more = curl_slist_append(*last, s);

	if (!more)
		return -ENOMEM;
	if (!*list)
		*list = more;
	*last = more->next ? more->next : more;
	return 0;
}

int header_list(const char *text, size_t len, unsigned leave_out,
		struct curl_slist **out)
{
	const char *p = text, *end = text + len;
	struct curl_slist *list = NULL, *last = NULL;
	struct header_line l;
	char *buf;
	int rc;

	buf = malloc(len + 3);
	if (!buf)
		return -ENOMEM;
	/* a server that ignores Expect would cost a second of waiting */
	rc = slist_add(&list, &last, "Expect:");
	while (!rc && line_next(&p, end, &l) > 0) {
		if (!is_passed_on(&l, leave_out))
			continue;
		/* curl removes a header that has no value, sends one with ; */
		snprintf(buf, len + 3, "%.*s%s%.*s", (int)l.name_len, l.name,
			 l.value_len ? ": " : ";", (int)l.value_len, l.value);
		rc = slist_add(&list, &last, buf);
	}
	free(buf);
	if (rc < 0) {
		curl_slist_free_all(list);
		return rc;
	}
	*out = list;
	return 0;
}

const char *header_find(const char *text, size_t len, const char *name,
			size_t *value_len)
{
	const char *p = text, *end = text + len;
	struct header_line l;
	int rc;

	while ((rc = line_next(&p, end, &l))) {
		if (rc < 0 || !name_is(&l, name))
			continue;
		*value_len = l.value_len;
		return l.value;
	}
	return NULL;
}

static int head_grow(struct header_block *h, size_t more)
{
	size_t room = h->room ? h->room : 1024;
	char *p;

	if (h->len + more > UK_HEADERS_MAX)
		return -EMSGSIZE;
	while (room < h->len + more)
		room *= 2;
	if (room == h->room)
		return 0;
	p = realloc(h->text, room);
	if (!p)
		return -ENOMEM;
	h->text = p;
	h->room = room;
	return 0;
}

int head_add(struct header_block *h, const char *line, size_t len)
{
	int rc;

	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	rc = head_grow(h, len + 1);
	if (rc < 0)
		return rc;
	if (len && is_blank(line[0])) {
		while (len && is_blank(line[0])) {
			line++;
			len--;
		}
		if (h->len)
			h->text[h->len - 1] = ' ';
	}
	if (!len)
		return 0;
	memcpy(h->text + h->len, line, len);
	h->len += len;
	h->text[h->len++] = '\n';
	return 0;
}

void head_free(struct header_block *h)
{
	free(h->text);
	memset(h, 0, sizeof(*h));
}
