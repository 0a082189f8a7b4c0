/*
 * framing.c - which request heads are sound, and what a target names
 *
 * libmicrohttpd 0.9 takes a line feed alone for the end of a line, and cuts a
 * line at a NUL, without a word.  It splits a head where it lies, though: a NUL
 * replaces the blank behind method and target and the colon behind a name, and
 * two replace each CR LF.  So all is sound exactly if each part begins where
 * the one before it ends.  Were another version to lay a head out otherwise,
 * every request would be refused.
 *
 * Some forgeries leave the same bytes and cannot be told: NUL LF for CR LF,
 * and, since a line that begins with a colon ends a head, LF ":" CR LF and CR
 * LF ":" LF for its end.
 */
#include "cmd/framing.h"

#include <ctype.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#define EOL	2u			/* bytes of CR LF */

struct framing {
	unsigned hosts, lengths, encodings;
	int64_t length;
	const char *at;			/* where the next line begins */
	const char *wrong;
};

static const char bad_line[] = "a line of the head does not end in CR LF, is "
	"folded, or has a NUL";

static int is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", s[i]))
			return 0;
	return len > 0;
}

static int has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < ' ' && s[i] != '\t') ||
		    s[i] == 0x7f)
			return 1;
	return 0;
}

static void look_at_length(struct framing *f, const char *v, size_t len)
{
	if (f->lengths++) {
		f->wrong = "Content-Length is given twice";
		return;
	}
	if (!len || len > 18)
		f->wrong = "Content-Length is not a number";
	for (size_t i = 0; i < len && !f->wrong; i++) {
		if (v[i] < '0' || v[i] > '9')
			f->wrong = "Content-Length is not a number";
		f->length = f->length * 10 + (v[i] - '0');
	}
}

static void look_at_encoding(struct framing *f, const char *v, size_t len)
{
	if (f->encodings++)
		f->wrong = "Transfer-Encoding is given twice";
	else if (len != 7 || strncasecmp(v, "chunked", 7))
		f->wrong = "Transfer-Encoding is not 'chunked'";
}

static enum MHD_Result look_at(void *arg, enum MHD_ValueKind kind,
			       const char *name, size_t name_len,
			       const char *value, size_t value_len)
{
	struct framing *f = arg;

	if (!is_token(name, name_len))
		f->wrong = "malformed header name";
	else if (name != f->at || !value)
		f->wrong = bad_line;
	else if (has_control(value, value_len))
		f->wrong = "a control character in a header";
	else if (name_len == 4 && !strncasecmp(name, "host", 4))
		f->hosts++;
	else if (name_len == 14 && !strncasecmp(name, "content-length", 14))
		look_at_length(f, value, value_len);
	else if (name_len == 17 && !strncasecmp(name, "transfer-encoding", 17))
		look_at_encoding(f, value, value_len);
	if (f->wrong)
		return MHD_NO;
	f->at = value + value_len + EOL;
	return MHD_YES;
}

static const char *check_request_line(const struct request_head *h)
{
	const char *target = h->method + strlen(h->method) + 1;

	if (!is_token(h->method, strlen(h->method)))
		return "malformed method";
	if (h->target != target || h->version != target + h->target_len + 1 ||
	    has_control(h->target, strlen(h->target)))
		return "malformed request line";
	return NULL;
}

const char *framing_check(struct MHD_Connection *c,
			  const struct request_head *h,
			  int64_t *length)
{
	const union MHD_ConnectionInfo *size =
		MHD_get_connection_info(c,
					MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct framing f = { .wrong = check_request_line(h) };
	/* a later 1.x is read as 1.1 (RFC 9110, section 2.5) */
	int is_11 = strcmp(h->version, MHD_HTTP_VERSION_1_0) != 0;

	*length = 0;
	if (f.wrong)
		return f.wrong;
	f.at = h->version + strlen(h->version) + EOL;
	MHD_get_connection_values_n(c, MHD_HEADER_KIND, look_at, &f);
	*length = f.encodings ? -1 : f.length;
	if (f.wrong)
		return f.wrong;
	/* and an empty line, which ends the head */
	if (!size || f.at + EOL != h->method + size->header_size)
		return bad_line;
	if (f.lengths && f.encodings)
		return "both Content-Length and Transfer-Encoding";
	if (f.encodings && !is_11)
		return "Transfer-Encoding before HTTP/1.1";
	if (f.hosts > 1)
		return "Host is given twice";
	if (!f.hosts && is_11)
		return "no Host";
	return NULL;
}

static int hex(unsigned char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* what is escaped at s, if that may be undone; else 0 */
static int escaped(const char *s)
{
	int high = *s == '%' ? hex(s[1]) : -1;
	int low = high < 0 ? -1 : hex(s[2]);
	int c = low < 0 ? 0 : high * 16 + low;

	return c && c < 0x80 && (isalnum(c) || strchr("-._~", c)) ? c : 0;
}

void framing_unescape(char *path)
{
	char *to = path;
	int c;

	while (*path) {
		c = escaped(path);
		*to++ = c ? c : *path;
		path += c ? 3 : 1;
	}
	*to = '\0';
}
