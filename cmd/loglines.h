/*
 * loglines.h - what functions print, line by line, to a descriptor
 *
 * The bytes are the guest's: control characters but the tab become '?', so
 * that nothing printed can pass for another function's line or steer a
 * terminal.
 */
#ifndef CMD_LOGLINES_H
#define CMD_LOGLINES_H

#include <stddef.h>

struct asynclog;

/* each line as "NAME: line", or bare when name is NULL; ends the last one */
void loglines_write(int fd, const char *name, const char *text, size_t len);
/*
 * The same, to where it never waits, and as somebody's (cmd/asynclog.h): lines
 * past what that one may write are counted instead.
 */
void loglines_async(struct asynclog *to, const char *name, const char *whose,
		    const char *text, size_t len);

#endif
