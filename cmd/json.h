/*
 * json.h - is a text JSON (RFC 8259)?  Told while it arrives, without a tree
 *
 * A text is fed in pieces of any length, cut anywhere, and takes the same
 * small memory whatever it is: a tree of a body of 2 MB costs its caller
 * nothing and the loop, which serves all, half a second.  Only the form
 * counts.  Numbers are of any size, strings may escape half a surrogate pair,
 * names may repeat: what they mean is the function's to say.  NaN and
 * Infinity are no JSON.  Strings are UTF-8, and a byte order mark is not
 * white space.
 */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <stddef.h>

#define JSON_DEPTH_MAX	2048		/* arrays and objects in each other */

struct json {
	const char *wrong;		/* NULL: nothing so far */
	unsigned line, column;		/* of what is wrong, from 1 */
	/* json.c's */
	int state;
	unsigned depth;
	unsigned char objects[JSON_DEPTH_MAX / 8]; /* a bit: no array */
	const char *left;		/* of a literal */
	unsigned more;			/* bytes of a character, digits of \u */
	unsigned char low, high;	/* what the next of them may be */
	unsigned char in_name;		/* the string is an object's name */
};

void json_begin(struct json *j);
/* 0, or -1 with wrong, line and column set: now, or by an earlier piece */
int json_feed(struct json *j, const char *text, size_t len);
/* that was all of it: is it whole?  The same, once */
int json_end(struct json *j);

#endif
