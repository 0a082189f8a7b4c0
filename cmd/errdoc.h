/*
 * errdoc.h - an error document, parsed without copying it
 *
 * {"errorType": "...", "errorMessage": "...", "stackTrace": ["...", ...]}, with
 * these members in any order and no others.  It was written by a guest, so no
 * tree is made of it, and the time for parsing depends on its length alone.
 * Strings stay as they are in JSON (RFC 8259) until they are printed.
 */
#ifndef CMD_ERRDOC_H
#define CMD_ERRDOC_H

#include <stddef.h>
#include <stdio.h>

/* a JSON string without its quotes; at is NULL where there is none */
struct errtext {
	const char *at;
	size_t len;
};

struct errdoc {
	struct errtext type, message;
	const char *trace, *end;	/* after '['; NULL: there is no trace */
	size_t lines;			/* strings in the trace */
};

/* 1 when json is such a document with type and message; d points into json */
int errdoc_read(struct errdoc *d, const char *json, size_t len);
/* the next string of the trace, if there is one; *at starts as d->trace */
struct errtext errdoc_line(const struct errdoc *d, const char **at);
/*
 * Prints at most max bytes, and how many there are beyond.  Control characters
 * but tab and line feed become '?', so that nothing steers a terminal.  Returns
 * whether the last character was a line feed.
 */
int errdoc_print(FILE *to, const struct errtext *s, size_t max);

#endif
