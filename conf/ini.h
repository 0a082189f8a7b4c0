/*
 * ini.h - the one reader of the files that people write: function.ini(5) and
 * usetl.conf(5)
 *
 * A file is a table of keys; what is right for it alone is in functions that
 * the table names.  What a line may look like is judged here, alike for both:
 *
 *  - An unknown section or key, a second one of a name, a key before any
 *    section, a line without '=' or ':', a NUL, and a line of more than
 *    INI_LINE bytes are errors.
 *  - A comment begins a line with '#' or ';', or stands behind a value and
 *    begins with a blank and ';'.  A '#' that stands by itself in a value was
 *    meant as one, and is an error.
 *  - A line that is indented deeper than the key above goes on with that key
 *    (lines.h), which is an error where the key takes one value.
 *  - A byte order mark and carriage returns at the ends of lines are let pass.
 *
 * Every error names file and line; the first one wins.
 */
#ifndef CONF_INI_H
#define CONF_INI_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "conf/lines.h"

#define INI_TEXT	((size_t)1 << 20)	/* bytes of a file */
#define INI_LINE	8190			/* of a line, without its end */

struct ini;

enum ini_type {
	INI_STRING,			/* char *, of min to max bytes */
	INI_SIZE,			/* uint64_t, bytes */
	INI_TIME,			/* uint64_t, nanoseconds */
	INI_COUNT,			/* unsigned */
	INI_WORD,			/* an enum, by its words (words.h) */
	INI_OWN,			/* by set() */
};

struct ini_key {
	const char *section, *name;
	enum ini_type type;
	size_t off;			/* of the value in what is filled */
	uint64_t min, max;
	int (*set)(struct ini *p, const struct ini_key *k, const char *value);
	const char *const *words;	/* of an INI_WORD, ended by NULL */
	size_t has;			/* of an int that becomes 1, 0: none */
	int repeats;			/* the key may; lines go on with it */
};

#define INI_RANGE(lo, hi)	.min = (lo), .max = (hi)

/* what a file can hold */
struct ini_file {
	const struct ini_key *key;
	size_t keys;			/* fewer than 64 */
	/*
	 * A section of the form [named NAME], any number of times, or NULL;
	 * begin() answers what its keys fill, or NULL after ini_fail().
	 */
	const char *named;
	void *(*begin)(struct ini *p, const char *name);
	/*
	 * A section whose keys have any name, or NULL.  more: the line goes on
	 * with the key before.  A '#' is the value's own there.
	 */
	const char *open;
	int (*open_key)(struct ini *p, const char *name, const char *value,
			int more);
};

/* one file that is being read; the first four are the caller's to set */
struct ini {
	const struct ini_file *of;
	const char *name;		/* of the file, for messages */
	void *whole;			/* what keys of plain sections fill */
	struct err *err;

	int rc;				/* the first error, or 0 */
	unsigned bad;			/* its line */
	struct lines lines;
	const char *section;		/* NULL: none yet */
	void *to;			/* what its keys fill */
	uint64_t seen;			/* by row of key: set in this section */
	uint64_t sections;		/* that were there, by first row */
};

/* 0, or -errno with err set; what was filled is the caller's in any case */
int ini_read(struct ini *p, const char *text, size_t len);

/* "name:line: ..." of the line being read, unless there was an error before */
int ini_fail(struct ini *p, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int ini_fail_at(struct ini *p, unsigned line, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* where a key's value belongs */
static inline void *ini_field(const struct ini *p, const struct ini_key *k)
{
	return (char *)p->to + k->off;
}

/* for set(): value as an INI_STRING */
int ini_set_string(struct ini *p, const struct ini_key *k, const char *value);

#endif
