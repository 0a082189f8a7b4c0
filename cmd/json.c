/*
 * json.c - is a text JSON (RFC 8259)?  Decided while it arrives, without a tree
 *
 * A state machine that takes a byte at a time.  Invariants: between two pieces
 * all that is known of the text is in struct json; `depth` arrays and objects
 * are open, and bit i of `objects` says whether the i-th is an object.  Once
 * `wrong` is set nothing changes any more.
 */
#include "cmd/json.h"

#include <string.h>

enum json_state {
	VALUE,				/* a value is expected */
	VALUE_OR_END,			/* after '[' */
	NAME,				/* after ',' in an object */
	NAME_OR_END,			/* after '{' */
	COLON,
	AFTER,				/* a value is complete */
	STRING, ESCAPE, HEX, CHARACTER,
	LITERAL,
	/* inside a number, which may end in the last four states */
	MINUS, POINT, EXPONENT, SIGN,
	ZERO, INTEGER, FRACTION, POWER,
};

void json_begin(struct json *j)
{
	memset(j, 0, sizeof(*j));
	j->line = 1;
	j->state = VALUE;
}

static int fail(struct json *j, const char *why)
{
	j->wrong = why;
	return -1;
}

static int in_object(const struct json *j)
{
	unsigned i = j->depth - 1;

	return j->depth && j->objects[i / 8] >> i % 8 & 1;
}

static int open_one(struct json *j, int object)
{
	unsigned i = j->depth;

	if (i == JSON_DEPTH_MAX)
		return fail(j, "too many arrays and objects in each other");
	if (object)
		j->objects[i / 8] |= 1u << i % 8;
	else
		j->objects[i / 8] &= ~(1u << i % 8);
	j->depth++;
	j->state = object ? NAME_OR_END : VALUE_OR_END;
	return 0;
}

static void close_one(struct json *j)
{
	j->depth--;
	j->state = AFTER;
}

static void begin_string(struct json *j, int name)
{
	j->in_name = name;
	j->state = STRING;
}

static int begin_literal(struct json *j, const char *left)
{
	j->left = left;
	j->state = LITERAL;
	return 0;
}

static int on_value(struct json *j, unsigned char c)
{
	switch (c) {
	case '[':
	case '{':
		return open_one(j, c == '{');
	case '"':
		begin_string(j, 0);
		return 0;
	case 't':
		return begin_literal(j, "rue");
	case 'f':
		return begin_literal(j, "alse");
	case 'n':
		return begin_literal(j, "ull");
	case '-':
		j->state = MINUS;
		return 0;
	case '0':
		j->state = ZERO;
		return 0;
	case ']':
		if (j->state != VALUE_OR_END)
			break;
		close_one(j);
		return 0;
	}
	if (c < '1' || c > '9')
		return fail(j, j->state == VALUE ? "a value is expected" :
			    "a value or ']' is expected");
	j->state = INTEGER;
	return 0;
}

static int on_name(struct json *j, unsigned char c)
{
	if (c == '}' && j->state == NAME_OR_END)
		close_one(j);
	else if (c == '"')
		begin_string(j, 1);
	else
		return fail(j, j->state == NAME ? "a string is expected" :
			    "a string or '}' is expected");
	return 0;
}

static int on_after(struct json *j, unsigned char c)
{
	int object = in_object(j);

	if (!j->depth)
		return fail(j, "the end is expected");
	if (c == ',')
		j->state = object ? NAME : VALUE;
	else if (c == (object ? '}' : ']'))
		close_one(j);
	else
		return fail(j, object ? "',' or '}' is expected" :
			    "',' or ']' is expected");
	return 0;
}

/* the first byte of a multi-byte character: RFC 3629, section 4 */
static int begin_character(struct json *j, unsigned char c)
{
	j->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	j->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	j->more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	if (c < 0xc2 || c > 0xf4)
		return fail(j, "not UTF-8");
	j->state = CHARACTER;
	return 0;
}

static int on_character(struct json *j, unsigned char c)
{
	if (c < j->low || c > j->high)
		return fail(j, "not UTF-8");
	j->low = 0x80;
	j->high = 0xbf;
	if (!--j->more)
		j->state = STRING;
	return 0;
}

static int on_string(struct json *j, unsigned char c)
{
	if (c == '"')
		j->state = j->in_name ? COLON : AFTER;
	else if (c == '\\')
		j->state = ESCAPE;
	else if (c < ' ')
		return fail(j, "a control character in a string");
	else if (c >= 0x80)
		return begin_character(j, c);
	return 0;
}

static int on_escape(struct json *j, unsigned char c)
{
	if (c == 'u') {
		j->more = 4;
		j->state = HEX;
	} else if (c && strchr("\"\\/bfnrt", c)) {
		j->state = STRING;
	} else {
		return fail(j, "no such escape in a string");
	}
	return 0;
}

static int on_hex(struct json *j, unsigned char c)
{
	if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	      (c >= 'A' && c <= 'F')))
		return fail(j, "a hexadecimal digit is expected");
	if (!--j->more)
		j->state = STRING;
	return 0;
}

static int on_literal(struct json *j, unsigned char c)
{
	if (c != (unsigned char)*j->left)
		return fail(j, "only 'true', 'false' and 'null' are words");
	if (!*++j->left)
		j->state = AFTER;
	return 0;
}

static int is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* 1 when c is not part of the number, which ends before it */
static int on_number(struct json *j, unsigned char c)
{
	enum json_state s = j->state;

	if (is_digit(c) && s != ZERO) {
		j->state = s == MINUS ? (c == '0' ? ZERO : INTEGER) :
			   s == POINT ? FRACTION :
			   s == EXPONENT || s == SIGN ? POWER : s;
		return 0;
	}
	if (s == MINUS || s == POINT || s == SIGN || (s == EXPONENT &&
						      c != '+' && c != '-'))
		return fail(j, "a digit is expected");
	if (s == EXPONENT)
		j->state = SIGN;
	else if (c == '.' && (s == ZERO || s == INTEGER))
		j->state = POINT;
	else if ((c == 'e' || c == 'E') && s != POWER)
		j->state = EXPONENT;
	else
		return 1;
	return 0;
}

static int is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int take(struct json *j, unsigned char c)
{
	int rc;

	if (j->state >= MINUS) {
		rc = on_number(j, c);
		if (rc <= 0)
			return rc;
		j->state = AFTER;
	}
	if (j->state <= AFTER && is_space(c))
		return 0;
	switch (j->state) {
	case VALUE:
	case VALUE_OR_END:
		return on_value(j, c);
	case NAME:
	case NAME_OR_END:
		return on_name(j, c);
	case COLON:
		if (c != ':')
			return fail(j, "':' is expected");
		j->state = VALUE;
		return 0;
	case AFTER:
		return on_after(j, c);
	case STRING:
		return on_string(j, c);
	case ESCAPE:
		return on_escape(j, c);
	case HEX:
		return on_hex(j, c);
	case CHARACTER:
		return on_character(j, c);
	}
	return on_literal(j, c);
}

int json_feed(struct json *j, const char *text, size_t len)
{
	for (size_t i = 0; i < len && !j->wrong; i++) {
		unsigned char c = text[i];

		/*
		 * A column is a character, so continuation bytes do not count.
		 */
		j->column += c < 0x80 || c > 0xbf;
		if (take(j, c) < 0)
			break;
		/* a string cannot contain one, so it is white space */
		if (c == '\n') {
			j->line++;
			j->column = 0;
		}
	}
	return j->wrong ? -1 : 0;
}

int json_end(struct json *j)
{
	if (!j->wrong && (j->depth || (j->state != AFTER && j->state < ZERO))) {
		j->column++;
		fail(j, "the end comes too early");
	}
	return j->wrong ? -1 : 0;
}
