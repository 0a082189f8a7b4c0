/* errdoc.c - an error document, parsed without copying it */
#include "cmd/errdoc.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

struct reader {
	const char *at, *end;
};

static void skip(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' ||
				  *r->at == '\r' || *r->at == '\n'))
		r->at++;
}

/* skips white space, and c if it follows; whether it did */
static int take(struct reader *r, char c)
{
	skip(r);
	if (r->at == r->end || *r->at != c)
		return 0;
	r->at++;
	return 1;
}

static int take_string(struct reader *r, struct errtext *s)
{
	if (!take(r, '"'))
		return 0;
	s->at = r->at;
	for (; r->at < r->end && *r->at != '"'; r->at++) {
		if ((unsigned char)*r->at < ' ')
			return 0;
		if (*r->at == '\\' && ++r->at == r->end)
			return 0;
	}
	s->len = (size_t)(r->at - s->at);
	return take(r, '"');
}

static int take_trace(struct reader *r, struct errdoc *d)
{
	struct errtext line;

	if (d->trace || !take(r, '['))
		return 0;
	d->trace = r->at;
	if (take(r, ']'))
		return 1;
	do {
		if (!take_string(r, &line))
			return 0;
		d->lines++;
	} while (take(r, ','));
	return take(r, ']');
}

static int is(const struct errtext *s, const char *word)
{
	return s->len == strlen(word) && !memcmp(s->at, word, s->len);
}

static int take_member(struct reader *r, struct errdoc *d)
{
	struct errtext name;

	if (!take_string(r, &name) || !take(r, ':'))
		return 0;
	if (is(&name, "errorType"))
		return !d->type.at && take_string(r, &d->type);
	if (is(&name, "errorMessage"))
		return !d->message.at && take_string(r, &d->message);
	return is(&name, "stackTrace") && take_trace(r, d);
}

int errdoc_read(struct errdoc *d, const char *json, size_t len)
{
	struct reader r = { json, json + len };

	memset(d, 0, sizeof(*d));
	if (!take(&r, '{'))
		return 0;
	do {
		if (!take_member(&r, d))
			return 0;
	} while (take(&r, ','));
	if (!take(&r, '}') || !d->type.at || !d->message.at)
		return 0;
	skip(&r);
	d->end = r.end;
	return r.at == r.end;
}

struct errtext errdoc_line(const struct errdoc *d, const char **at)
{
	struct reader r = { *at, d->end };
	struct errtext line = { NULL, 0 };

	take(&r, ',');
	if (!take_string(&r, &line))
		line.at = NULL;
	*at = r.at;
	return line;
}

/* printing */

static int hex4(const char *s, const char *end, uint32_t *out)
{
	*out = 0;
	if (end - s < 4)
		return 0;
	for (int i = 0; i < 4; i++) {
		if (!isxdigit((unsigned char)s[i]))
			return 0;
		*out = *out << 4 | (uint32_t)(s[i] <= '9' ? s[i] - '0' :
					      (s[i] | 0x20) - 'a' + 10);
	}
	return 1;
}

/* bytes of the UTF-8 of c */
static size_t utf8(uint32_t c, char *to)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/*
 * Reads \uXXXX, and a second one if the two are a surrogate pair.  Half a pair
 * gives U+FFFD.
 */
static uint32_t unicode(const char **at, const char *end)
{
	uint32_t c, low;

	if (!hex4(*at, end, &c))
		return '?';
	*at += 4;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || end - *at < 6 || (*at)[0] != '\\' ||
	    (*at)[1] != 'u' || !hex4(*at + 2, end, &low) || low < 0xdc00 ||
	    low > 0xdfff)
		return 0xfffd;
	*at += 6;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* the next character of a string, as bytes; at must be before its end */
static size_t character(const char **at, const char *end, char *to)
{
	static const char letters[] = "bfnrt", means[] = "\b\f\n\r\t";
	const char *e;
	char c = *(*at)++;

	if (c == '\\' && *at < end) {
		c = *(*at)++;
		if (c == 'u')
			return utf8(unicode(at, end), to);
		e = c ? strchr(letters, c) : NULL;
		if (e)
			c = means[e - letters];
	}
	*to = c;
	return 1;
}

static char safe(char c)
{
	return ((unsigned char)c < ' ' && c != '\n' && c != '\t') ||
	       c == 0x7f ? '?' : c;
}

int errdoc_print(FILE *to, const struct errtext *s, size_t max)
{
	const char *at = s->at, *end = s->at + s->len;
	char c[4] = "";
	size_t n;

	while (at < end) {
		if (max < sizeof(c)) {
			fprintf(to, "... (%zu more bytes)", (size_t)(end - at));
			return 0;
		}
		n = character(&at, end, c);
		max -= n;
		for (size_t i = 0; i < n; i++)
			putc(safe(c[i]), to);
		c[0] = c[n - 1];
	}
	return c[0] == '\n';
}
