/*
 * loglines.h - what functions print, line by line, to a descriptor
 *
 * The bytes come from a guest: control characters but the tab become '?', so
 * that nothing printed can look like another function's line or control a
 * terminal.
 */
#ifndef CMD_LOGLINES_H
#define CMD_LOGLINES_H

#include <stddef.h>

struct asynclog;

/*
 * Each line as "NAME: line", or bare when name is NULL; adds a final line feed.
 */
void loglines_write(int fd, const char *name, const char *text, size_t len);
/*
 * The same through an asynchronous log, for the owner `whose` (cmd/asynclog.h):
 * lines beyond what the owner may write are counted instead.
 */
void loglines_async(struct asynclog *to, const char *name, const char *whose,
		    const char *text, size_t len);

#endif
