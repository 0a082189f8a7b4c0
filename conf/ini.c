/*
 * ini.c - the one reader of the files that people write, over inih
 *
 * inih splits lines into names and values.  What it would cut short or leave
 * out in silence (long lines and section names, sections without a key) is
 * judged where it pulls its lines from, which also counts them: inih calls back
 * once per value and does not say where.  It goes on after an error, but finds
 * the text at its end.
 */
#include "conf/ini.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "conf/words.h"

static int fail(struct ini *p, unsigned line, int code, const char *fmt,
		va_list ap)
{
	char text[768];

	if (p->rc < 0)
		return p->rc;
	vsnprintf(text, sizeof(text), fmt, ap);
	p->rc = code;
	p->bad = line;
	return err_set(p->err, code, "%s:%u: %s", p->name, line, text);
}

int ini_fail(struct ini *p, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = fail(p, p->lines.number, code, fmt, ap);
	va_end(ap);
	return code;
}

int ini_fail_at(struct ini *p, unsigned line, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = fail(p, line, code, fmt, ap);
	va_end(ap);
	return code;
}

/* values */

int ini_set_string(struct ini *p, const struct ini_key *k, const char *value)
{
	char **field = ini_field(p, k);
	size_t len = strlen(value);

	if (!len)
		return ini_fail(p, -EINVAL, "%s is empty", k->name);
	if (len < k->min || len > k->max)
		return ini_fail(p, -EINVAL, "%s is too long: %zu bytes, at "
				"most %llu", k->name, len,
				(unsigned long long)k->max);
	free(*field);
	*field = strdup(value);
	return *field ? 0 : ini_fail(p, -ENOMEM, "out of memory");
}

static int set_word(struct ini *p, const struct ini_key *k, const char *value)
{
	int word = words_find(k->words, value);
	char all[256] = "";
	size_t at = 0;

	if (word >= 0) {
		*(unsigned *)ini_field(p, k) = word;
		return 0;
	}
	for (unsigned i = 0; k->words[i]; i++)
		at += snprintf(all + at, sizeof(all) - at, "%s%s",
			       i ? ", " : "", k->words[i]);
	return ini_fail(p, -EINVAL, "%s = '%s' is none of %s", k->name, value,
			all);
}

static void print_number(char buf[VALUE_SIZE_MAX], const struct ini_key *k,
			 uint64_t v)
{
	if (k->type == INI_SIZE)
		value_print_size(buf, v);
	else if (k->type == INI_TIME)
		value_print_time(buf, v);
	else
		snprintf(buf, VALUE_SIZE_MAX, "%llu", (unsigned long long)v);
}

/* what follows a printed size that has no letter for its unit */
static const char *unit(const struct ini_key *k, const char *number)
{
	return k->type == INI_SIZE &&
		isdigit((unsigned char)number[strlen(number) - 1]) ?
		" bytes" : "";
}

static int out_of_range(struct ini *p, const struct ini_key *k,
			const char *value)
{
	char min[VALUE_SIZE_MAX], max[VALUE_SIZE_MAX];
	char meant[VALUE_SIZE_MAX];
	int hint = k->type == INI_SIZE &&
		value_size_meant(meant, value, k->min, k->max);

	print_number(min, k, k->min);
	print_number(max, k, k->max);
	return ini_fail(p, -ERANGE, "%s = '%s' is out of range: %s%s to %s%s"
			"%s%s", k->name, value, min, unit(k, min), max,
			unit(k, max), hint ? "; write " : "",
			hint ? meant : "");
}

static int set_number(struct ini *p, const struct ini_key *k,
		      const char *value)
{
	static const struct {
		int (*parse)(const char *s, uint64_t *out);
		const char *like;
	} how[] = {
		[INI_SIZE] = { value_size,
			"a size; write a number and K, M or G" },
		[INI_TIME] = { value_time,
			"a duration; write a number and ms, s, m or h" },
		[INI_COUNT] = { value_count, "a number" },
	};
	uint64_t v;
	int rc = how[k->type].parse(value, &v);

	if (rc == -EINVAL)
		return ini_fail(p, rc, "%s = '%s' is not %s", k->name, value,
				how[k->type].like);
	if (rc < 0 || v < k->min || v > k->max)
		return out_of_range(p, k, value);
	if (k->type == INI_COUNT)
		*(unsigned *)ini_field(p, k) = v;
	else
		*(uint64_t *)ini_field(p, k) = v;
	return 0;
}

/* keys */

/* a row of the section, with that name if one is given, or NULL */
static const struct ini_key *find_key(const struct ini_file *of,
				      const char *section, const char *name)
{
	for (size_t i = 0; i < of->keys; i++)
		if (!strcmp(of->key[i].section, section) &&
		    (!name || !strcmp(of->key[i].name, name)))
			return &of->key[i];
	return NULL;
}

static int set(struct ini *p, const struct ini_key *k, const char *value)
{
	uint64_t bit = 1ull << (k - p->of->key);

	if (p->seen & bit && !k->repeats)
		return ini_fail(p, -EINVAL, p->lines.more ?
				"an indented line goes on with '%s', which "
				"takes one value" : "'%s' is given twice",
				k->name);
	p->seen |= bit;
	if (value_has_comment(value))
		return ini_fail(p, -EINVAL, "%s = '%s': a comment behind a "
				"value begins with ';', one with '#' has a "
				"line of its own", k->name, value);
	if (k->has)
		*(int *)((char *)p->to + k->has) = 1;
	switch (k->type) {
	case INI_STRING:
		return ini_set_string(p, k, value);
	case INI_WORD:
		return set_word(p, k, value);
	case INI_OWN:
		return k->set(p, k, value);
	default:
		return set_number(p, k, value);
	}
}

/* for inih: 1, or 0 for an error */
static int on_value(void *arg, const char *section, const char *name,
		    const char *value)
{
	struct ini *p = arg;
	const struct ini_key *k;

	if (p->rc < 0)
		return 0;
	if (!p->section)
		ini_fail(p, -EINVAL, "'%s' stands before any [section]", name);
	else if (p->section == p->of->open)
		p->of->open_key(p, name, value, p->lines.more);
	else if ((k = find_key(p->of, p->section, name)))
		set(p, k, value);
	else if (value_has_blank(name))
		ini_fail(p, -EINVAL, "'%s' is no key: expected 'key = value'",
			 name);
	else
		ini_fail(p, -EINVAL, "unknown key '%s' in [%s]", name,
			 p->section);
	return p->rc == 0;
}

/* sections */

static int begin_named(struct ini *p, const char *name)
{
	name += strspn(name, " \t");
	if (!*name)
		return ini_fail(p, -EINVAL, "[%s] needs a name: [%s NAME]",
				p->of->named, p->of->named);
	p->section = p->of->named;
	p->to = p->of->begin(p, name);
	return p->rc;
}

static int begin_section(struct ini *p, const char *text)
{
	const struct ini_file *of = p->of;
	size_t len = of->named ? strlen(of->named) : 0;
	const struct ini_key *k;
	uint64_t bit;
	int open;

	p->seen = 0;
	if (len && !strncmp(text, of->named, len) &&
	    (!text[len] || isspace((unsigned char)text[len])))
		return begin_named(p, text + len);
	open = of->open && !strcmp(text, of->open);
	k = find_key(of, text, NULL);
	if (!open && !k)
		return ini_fail(p, -EINVAL, "unknown section '[%s]'", text);
	/* the open section has the bit behind those of the rows */
	bit = 1ull << (open ? of->keys : (size_t)(k - of->key));
	if (p->sections & bit)
		return ini_fail(p, -EINVAL, "[%s] is given twice", text);
	p->sections |= bit;
	p->section = open ? of->open : k->section;
	p->to = p->whole;
	return 0;
}

/* a line of the form [text], as inih would take it */
/* blanks, or a comment: inih leaves out anything else without a word */
static int nothing_follows(const char *s)
{
	s += strspn(s, " \t\r\n");
	return !*s || *s == ';' || *s == '#';
}

static void look_for_section(struct ini *p, const char *line)
{
	char text[2 * VALUE_NAME_MAX];
	const char *end;

	if (*line++ != '[')
		return;
	end = strchr(line, ']');
	if (!end) {
		ini_fail(p, -EINVAL, "expected ']' behind '[section'");
		return;
	}
	if ((size_t)(end - line) >= sizeof(text)) {
		ini_fail(p, -EINVAL, "the section's name is too long");
		return;
	}
	memcpy(text, line, end - line);
	text[end - line] = '\0';
	if (!nothing_follows(end + 1)) {
		ini_fail(p, -EINVAL, "text behind '[%s]': a key has a line of "
			 "its own", text);
		return;
	}
	begin_section(p, text);
}

/* fgets for inih */
static char *next_line(char *buf, int size, void *arg)
{
	struct ini *p = arg;
	const char *why;

	if (p->rc < 0)
		return NULL;
	if (!lines_next(&p->lines, buf, size, &why)) {
		if (why)
			ini_fail(p, -EINVAL, "%s", why);
		return NULL;
	}
	if (!p->lines.more)
		look_for_section(p, buf);
	return p->rc < 0 ? NULL : buf;
}

int ini_read(struct ini *p, const char *text, size_t len)
{
	int line;

	lines_init(&p->lines, text, text + len);
	p->to = p->whole;
	ini_use_stack = false;		/* its stack holds 200 bytes a line */
	ini_max_line = INI_LINE + 2;
	ini_initial_alloc = INI_LINE + 2;
	line = ini_parse_stream(next_line, p, on_value, p);
	if (line < 0)
		return err_set(p->err, p->rc = -ENOMEM, "%s: out of memory",
			       p->name);
	/* a line that it could not split, which on_value() has not heard of */
	if (line > 0 && (p->rc == 0 || (unsigned)line < p->bad)) {
		p->rc = 0;
		ini_fail_at(p, line, -EINVAL,
			    "expected 'key = value' or '[section]'");
	}
	return p->rc;
}
