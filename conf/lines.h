/*
 * lines.h - the lines of a file, as inih has to get them
 *
 * For inih a line that is indented at all goes on with the key above it.  Here
 * it does when it is indented deeper than that key: what is not deeper loses
 * its indentation, so keys that are all indented are keys.
 */
#ifndef CONF_LINES_H
#define CONF_LINES_H

struct lines {
	const char *at, *end;		/* text still to be read */
	int number;			/* of the last line, from 1 */
	int key_indent;			/* of the section's last key, -1: none */
	int more;			/* the last line goes on with that key */
};

/* of text up to end, which has to stay */
void lines_init(struct lines *l, const char *text, const char *end);
/*
 * The next line, with its end, in buf, without a byte order mark; NULL at the
 * end of the text.  What inih
 * would not take well, a NUL or a line longer than the buffer, ends the text
 * too: then *why says so, without a full stop.
 */
char *lines_next(struct lines *l, char *buf, int size, const char **why);

#endif
