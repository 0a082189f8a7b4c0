/*
 * errdoc.h - an error document, read where it lies
 *
 * {"errorType": "...", "errorMessage": "...", "stackTrace": ["...", ...]}, in
 * any order and nothing else: what a guest wrote, so that no tree is made of
 * it, and reading takes time by its length alone.  Strings stay as they are
 * in JSON (RFC 8259) until they are printed.
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
	const char *trace, *end;	/* behind '['; NULL: there is none */
	size_t lines;			/* strings in it */
};

/* 1 when it is one, with type and message, which point into json */
int errdoc_read(struct errdoc *d, const char *json, size_t len);
/* the next string of the trace, where there is one; *at begins as d->trace */
struct errtext errdoc_line(const struct errdoc *d, const char **at);
/*
 * Prints at most max bytes, and how many more there are; without escape
 * sequences for a terminal: control characters but tab and line feed become
 * '?'.  Answers whether the last was a line feed.
 */
int errdoc_print(FILE *to, const struct errtext *s, size_t max);

#endif
