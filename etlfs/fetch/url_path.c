/*
 * url_path.c - whether a path may lead out of where it seems to be
 *
 * curl has removed the plain ".." segments of a URL.  What is left may be one
 * to a server that decodes once more, or several times, drops what it cannot
 * use, ends a segment early, or turns characters into others that look like
 * them.  Servers differ; here whatever one of them may do is believed, so a
 * harmless path can be refused, which matters only where a rule has a path.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "etlfs/fetch/url.h"

#define ROUNDS	4		/* of decoding; deeper ones mean no good */

enum segment_kind {
	ORDINARY,		/* with one of these, ".." is only a name */
	DOT,
	JUNK,			/* a server may drop it */
	END,			/* of a segment, or of its name */
	REFUSED,
};

struct lookalike {
	const char *utf8;
	enum segment_kind kind;
	unsigned n;
};

/* by Unicode's compatibility forms, and by what code pages fit best */
static const struct lookalike lookalikes[] = {
	{ "\xe2\x80\xa4", DOT, 1 },	/* U+2024 one dot leader */
	{ "\xe2\x80\xa5", DOT, 2 },	/* U+2025 two dot leader */
	{ "\xe2\x80\xa6", DOT, 3 },	/* U+2026 ellipsis */
	{ "\xe3\x80\x82", DOT, 1 },	/* U+3002 ideographic full stop */
	{ "\xef\xb8\x99", DOT, 3 },	/* U+FE19 vertical ellipsis */
	{ "\xef\xb8\xb0", DOT, 2 },	/* U+FE30 vertical two dot leader */
	{ "\xef\xb9\x92", DOT, 1 },	/* U+FE52 small full stop */
	{ "\xef\xbc\x8e", DOT, 1 },	/* U+FF0E fullwidth full stop */
	{ "\xef\xbd\xa1", DOT, 1 },	/* U+FF61 halfwidth full stop */
	{ "\xe2\x81\x84", END, 0 },	/* U+2044 fraction slash */
	{ "\xe2\x88\x95", END, 0 },	/* U+2215 division slash */
	{ "\xe2\x88\x96", END, 0 },	/* U+2216 set minus */
	{ "\xe2\xa7\xb5", END, 0 },	/* U+29F5 reverse solidus operator */
	{ "\xe2\xa7\xb8", END, 0 },	/* U+29F8 big solidus */
	{ "\xef\xb9\xa8", END, 0 },	/* U+FE68 small reverse solidus */
	{ "\xef\xbc\x8f", END, 0 },	/* U+FF0F fullwidth solidus */
	{ "\xef\xbc\xbc", END, 0 },	/* U+FF3C fullwidth reverse solidus */
	{ "\xcd\xbe", END, 0 },		/* U+037E Greek question mark, a ; */
	{ "\xef\xb9\x94", END, 0 },	/* U+FE54 small semicolon */
	{ "\xef\xbc\x9b", END, 0 },	/* U+FF1B fullwidth semicolon */
	{ "\xef\xbc\x9f", END, 0 },	/* U+FF1F fullwidth question mark */
	{ "\xef\xb9\xaa", REFUSED, 0 },	/* U+FE6A small percent sign */
	{ "\xef\xbc\x85", REFUSED, 0 },	/* U+FF05 fullwidth percent sign */
};

static int hex(uint8_t c)
{
	uint8_t lower = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static int is_hex(const uint8_t *p, const uint8_t *end, int n)
{
	while (n-- > 0)
		if (p >= end || hex(*p++) < 0)
			return 0;
	return 1;
}

/* undoes percent-encoding once, in place; the length now */
static size_t decode(uint8_t *p, size_t len)
{
	const uint8_t *from = p, *end = p + len;
	uint8_t *to = p;

	while (from < end) {
		if (*from == '%' && is_hex(from + 1, end, 2)) {
			*to++ = hex(from[1]) << 4 | hex(from[2]);
			from += 3;
		} else {
			*to++ = *from++;
		}
	}
	return to - p;
}

/* a byte that UTF-8 never has there: an ASCII character, written long */
static int is_overlong(const uint8_t *p, const uint8_t *end)
{
	uint8_t next = p + 1 < end ? p[1] : 0;

	return p[0] == 0xc0 || p[0] == 0xc1 ||
	       (p[0] == 0xe0 && next >= 0x80 && next < 0xa0) ||
	       (p[0] == 0xf0 && next >= 0x80 && next < 0x90) ||
	       (p[0] >= 0xf8 && p[0] <= 0xfd && next >= 0x80 && next < 0xc0);
}

static enum segment_kind ascii_kind(uint8_t c)
{
	uint8_t lower = c | 0x20;

	if (!c)
		return REFUSED;
	if ((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
	    strchr("-_~!$'()=@", c))
		return ORDINARY;
	if (c == '.')
		return DOT;
	return strchr("/\\;:?#&", c) ? END : JUNK;
}

/* the character at *p, which moves past it; n: how many dots it is */
static enum segment_kind next_kind(const uint8_t **p, const uint8_t *end,
				   unsigned *n)
{
	const uint8_t *s = *p;
	size_t i, len;

	*n = 1;
	++*p;
	/* %u002e, as one server writes it */
	if (*s == '%' && *p < end && (**p | 0x20) == 'u' &&
	    is_hex(s + 2, end, 4))
		return REFUSED;
	if (*s < 0x80)
		return ascii_kind(*s);
	if (is_overlong(s, end))
		return REFUSED;
	for (i = 0; i < sizeof(lookalikes) / sizeof(lookalikes[0]); i++) {
		len = strlen(lookalikes[i].utf8);
		if ((size_t)(end - s) < len ||
		    memcmp(s, lookalikes[i].utf8, len))
			continue;
		*p = s + len;
		*n = lookalikes[i].n;
		return lookalikes[i].kind;
	}
	return JUNK;
}

/* a segment that may be "..", or something that may be anything */
static int has_dots(const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	unsigned dots = 0, ordinary = 0, n;

	while (p < end) {
		switch (next_kind(&p, end, &n)) {
		case REFUSED:
			return 1;
		case END:
			if (dots >= 2 && !ordinary)
				return 1;
			dots = ordinary = 0;
			break;
		case DOT:
			dots += n;
			break;
		case ORDINARY:
			ordinary++;
			break;
		case JUNK:
			break;
		}
	}
	return dots >= 2 && !ordinary;
}

int url_path_may_leave(const char *path)
{
	size_t len = strlen(path), n;
	uint8_t *p = malloc(len + 1);
	int round, leaves = !p;

	if (p)
		memcpy(p, path, len);
	for (round = 0; !leaves; round++) {
		leaves = has_dots(p, len);
		n = decode(p, len);
		if (n == len)
			break;
		len = n;
		leaves |= round == ROUNDS;
	}
	free(p);
	return leaves;
}
