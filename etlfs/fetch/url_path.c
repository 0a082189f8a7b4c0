/*
 * url_path.c - whether a path may lead out of where it seems to be
 *
 * curl has removed the plain ".." segments of a URL.  What is left may still be
 * read as ".." by a server that decodes once more, or several times, drops what
 * it cannot use, ends a segment early, or turns characters into others that
 * look like them.  Servers differ, and here each of them is assumed, so a
 * harmless path can be refused, but only where the rule has a path.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "etlfs/fetch/url.h"

#define ROUNDS	4		/* of decoding; more are refused */

enum segment_kind {
	/* with one of these, ".." is only part of a name */
	ORDINARY,
	DOT,
	JUNK,			/* a server may drop it */
	END,			/* may end a segment or its name */
	REFUSED,
};

struct lookalike {
	const char *utf8;
	enum segment_kind kind;
	unsigned n;
};

/*
 * Lookalikes, by Unicode's compatibility forms and the best-fit mappings of
 * code pages.
 */
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

/* undoes percent-encoding once, in place; returns the new length */
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

/*
 * An overlong form: UTF-8 written with more bytes than needed, which hides an
 * ASCII character.
 */
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

/*
 * The character at *p, which is moved past it; *n: how many dots it stands for.
 */
static enum segment_kind next_kind(const uint8_t **p, const uint8_t *end,
				   unsigned *n)
{
	const uint8_t *s = *p;
	size_t i, len;

	*n = 1;
	++*p;
	/* %u002e, IIS's way to write it */
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

/* a segment that may be read as "..", or one that must be refused */
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
