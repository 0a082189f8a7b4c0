/* verb.h - tables of commands that are named by a word */
#ifndef CMD_VERB_H
#define CMD_VERB_H

#include <stddef.h>
#include <string.h>

/* the row of that name, of n rows of `size` bytes that begin with theirs; or
   NULL */
static inline const void *verb_find(const void *rows, size_t n, size_t size,
				    const char *name)
{
	for (const char *row = rows; n; n--, row += size)
		if (!strcmp(*(const char *const *)row, name))
			return row;
	return NULL;
}

#define VERB_FIND(rows, name) \
	verb_find(rows, sizeof(rows) / sizeof((rows)[0]), \
		  sizeof((rows)[0]), name)

#endif
