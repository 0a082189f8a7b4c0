/*
 * json.h - is a text JSON (RFC 8259)?  Decided while it arrives, without a tree
 *
 * A text is fed in pieces of any length, cut anywhere, and takes the same small
 * memory whatever it is.  A tree would let a caller with a body of 2 MB stop
 * the loop, which serves everybody, for half a second.  Only the form is
 * checked: numbers may have any size, strings may escape half a surrogate pair,
 * names may repeat, and their meaning is up to the function.  NaN and Infinity
 * are not JSON.  Strings must be UTF-8, and a byte order mark is not white
 * space.
 */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <stddef.h>

#define JSON_DEPTH_MAX	2048		/* nested arrays and objects */

struct json {
	const char *wrong;		/* NULL: no error so far */
	unsigned line, column;		/* of the error, from 1 */
	/* json.c's own fields from here */
	int state;
	unsigned depth;
	unsigned char objects[JSON_DEPTH_MAX / 8]; /* a bit each: 0: an array */
	const char *left;		/* the rest of a literal's characters */
	/* bytes of a character or digits of \u */
	unsigned more;
	unsigned char low, high;	/* range of the next of these bytes */
	unsigned char in_name;		/* the string is an object's name */
};

void json_begin(struct json *j);
/* 0, or -1 with wrong, line and column set, by this piece or an earlier one */
int json_feed(struct json *j, const char *text, size_t len);
/* to call once, after the last piece: 0 when the text is complete, or -1 */
int json_end(struct json *j);

#endif
