/*
 * manifest.c - function.ini(5), read with inih
 *
 * inih calls back once per value and does not say where: the reader that it
 * pulls lines through (lines.h) counts them.  The first error wins; inih goes
 * on to the end of the text, harmlessly.
 */
#include "conf/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/lines.h"
#include "conf/text.h"
#include "conf/value.h"

#define LINE_LEN	8192		/* longest line, with its end */
#define TEXT_MAX	((size_t)1 << 20)

struct manifest_parser {
	struct manifest *m;
	const char *file;
	struct lines lines;
	uint32_t seen;			/* bit per row of keys[] */
	int bad;			/* line of the first error, 0: none */
	int code;
	struct err *err;
};

struct manifest_key {
	const char *section, *name;
	int (*set)(struct manifest_parser *p, const struct manifest_key *k,
		   const char *value);
	size_t off;			/* of the field in struct manifest */
	int repeats;
	uint64_t min, max;
	const char *range;		/* the same, to read */
};

#define FIELD(p, k, type) \
	((type *)(void *)((char *)(p)->m + (k)->off))

int strings_add(struct strings *s, const char *text, size_t len)
{
	char **v = realloc(s->v, (s->n + 2) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	s->v = v;
	v[s->n] = strndup(text, len);
	v[s->n + 1] = NULL;
	if (!v[s->n])
		return -ENOMEM;
	s->n++;
	return 0;
}

void strings_free(struct strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strings){ 0 };
}

/* leaves "file:line: ..." unless an earlier line failed already */
__attribute__((format(printf, 3, 4)))
static int fail(struct manifest_parser *p, int code, const char *fmt, ...)
{
	struct err e;
	va_list ap;

	if (p->bad)
		return code;
	va_start(ap, fmt);
	vsnprintf(e.msg, sizeof(e.msg), fmt, ap);
	va_end(ap);
	p->bad = p->lines.number;
	p->code = code;
	return err_set(p->err, code, "%s:%d: %.*s", p->file, p->bad, 800,
		       e.msg);
}

static int set_number(struct manifest_parser *p, const struct manifest_key *k,
		      const char *value,
		      int (*parse)(const char *, uint64_t *),
		      const char *form)
{
	char meant[VALUE_SIZE_MAX];
	uint64_t n;
	int rc = parse(value, &n), hint;

	if (rc == -EINVAL)
		return fail(p, rc, "%s = '%s' is not %s", k->name, value,
			    form);
	if (rc || n < k->min || n > k->max) {
		hint = parse == value_size &&
			value_size_meant(meant, value, k->min, k->max);
		return fail(p, -ERANGE, "%s = '%s' is out of range: %s%s%s",
			    k->name, value, k->range,
			    hint ? "; write " : "", hint ? meant : "");
	}
	*FIELD(p, k, uint64_t) = n;
	return 0;
}

static int set_size(struct manifest_parser *p, const struct manifest_key *k,
		    const char *value)
{
	return set_number(p, k, value, value_size,
			  "a size; write a number and K, M or G");
}

static int set_time(struct manifest_parser *p, const struct manifest_key *k,
		    const char *value)
{
	return set_number(p, k, value, value_time,
			  "a duration; write a number and ms, s, m or h");
}

static int set_string(struct manifest_parser *p, const struct manifest_key *k,
		      const char *value)
{
	char **field = FIELD(p, k, char *);

	if (!*value)
		return fail(p, -EINVAL, "%s is empty", k->name);
	free(*field);
	*field = strdup(value);
	return *field ? 0 : fail(p, -ENOMEM, "out of memory");
}

static int set_name(struct manifest_parser *p, const struct manifest_key *k,
		    const char *value)
{
	if (!value_name_ok(value))
		return fail(p, -EINVAL, "name = '%s' is not a function's name: "
			    "letters, digits, '.', '_' and '-', up to %d",
			    value, VALUE_NAME_MAX);
	return set_string(p, k, value);
}

/* dotted Python identifiers, at least two; non-ASCII letters are let pass */
static int set_handler(struct manifest_parser *p, const struct manifest_key *k,
		       const char *value)
{
	int start = 1, dots = 0, ok = 1;

	for (const char *s = value; *s; s++) {
		unsigned char c = *s;

		if (c == '.') {
			ok &= !start;
			start = 1;
			dots++;
			continue;
		}
		ok &= c >= 0x80 || c == '_' || isalpha(c) ||
			(isdigit(c) && !start);
		start = 0;
	}
	if (!ok || start || !dots)
		return fail(p, -EINVAL, "handler = '%s' is not of the form "
			    "module.function", value);
	return set_string(p, k, value);
}

/* whitespace separates, and commas before it; repeating the key adds */
static int set_list(struct manifest_parser *p, const struct manifest_key *k,
		    const char *value)
{
	struct strings *s = FIELD(p, k, struct strings);

	for (size_t len; *value; value += len) {
		size_t word;

		value += strspn(value, " \t\r");
		len = word = strcspn(value, " \t\r");
		while (word && value[word - 1] == ',')
			word--;
		if (word && strings_add(s, value, word))
			return fail(p, -ENOMEM, "out of memory");
	}
	return 0;
}

/* names, so a comma alone separates as well */
static int set_names(struct manifest_parser *p, const struct manifest_key *k,
		     const char *value)
{
	char *text = strdup(value);
	int rc;

	if (!text)
		return fail(p, -ENOMEM, "out of memory");
	for (char *comma = text; (comma = strchr(comma, ',')); )
		*comma = ' ';
	rc = set_list(p, k, text);
	free(text);
	return rc;
}

/* one path per line, so that it may hold spaces */
static int set_path(struct manifest_parser *p, const struct manifest_key *k,
		    const char *value)
{
	if (!*value)
		return fail(p, -EINVAL, "%s is empty", k->name);
	if (strings_add(FIELD(p, k, struct strings), value, strlen(value)))
		return fail(p, -ENOMEM, "out of memory");
	return 0;
}

static int set_egress(struct manifest_parser *p, const struct manifest_key *k,
		      const char *value)
{
	struct strings *s = FIELD(p, k, struct strings);
	size_t from = s->n;
	int rc = set_list(p, k, value);

	p->m->has_egress = 1;
	for (size_t i = from; !rc && i < s->n; i++) {
		const char *url = s->v[i];
		const char *host = !strncmp(url, "http://", 7) ? url + 7 :
			!strncmp(url, "https://", 8) ? url + 8 : NULL;

		if (!strcmp(url, "*") || !strcmp(url, "none"))
			continue;
		if (!host || !*host || strchr("/?#:@", *host))
			rc = fail(p, -EINVAL, "allow = '%s' is not an http:// "
				  "or https:// URL, '*' or 'none'", url);
		else if (strstr(host, ",http://") || strstr(host, ",https://"))
			rc = fail(p, -EINVAL, "allow = '%s': a ',' between "
				  "entries needs a blank behind it", url);
		else if (memchr(host, '*', strcspn(host, "/?#")))
			rc = fail(p, -EINVAL, "allow = '%s': a host is "
				  "written out, one entry for each; '*' alone "
				  "is the public internet", url);
	}
	for (size_t i = 0; !rc && s->n > 1 && i < s->n; i++)
		if (!strcmp(s->v[i], "none"))
			rc = fail(p, -EINVAL, "allow = 'none' stands alone");
	return rc;
}

/* an indented line: one more of the last variable's value */
static int extend_variable(struct manifest_parser *p, const char *value)
{
	struct strings *s = &p->m->environment;
	char **last = &s->v[s->n - 1], *text;
	int empty = !strchr(*last, '=')[1];

	if (asprintf(&text, "%s%s%s", *last, empty ? "" : "\n", value) < 0)
		return fail(p, -ENOMEM, "out of memory");
	free(*last);
	*last = text;
	return 0;
}

static int set_variable(struct manifest_parser *p, const char *name,
			const char *value)
{
	struct strings *s = &p->m->environment;
	size_t len = strlen(name);
	char *text;
	int rc;

	if (value_has_blank(name))
		return fail(p, -EINVAL, "'%s' is no variable: expected "
			    "'NAME = value'", name);
	for (size_t i = 0; i < len; i++)
		if (name[i] != '_' && !isalpha((unsigned char)name[i]) &&
		    !(i && isdigit((unsigned char)name[i])))
			return fail(p, -EINVAL, "'%s' is not the name of an "
				    "environment variable", name);
	if (!len || !strncmp(name, "USETL_", 6))
		return fail(p, -EINVAL, "'%s': names that begin with USETL_ "
			    "are usetl's own", name);
	for (size_t i = 0; i < s->n; i++)
		if (!strncmp(s->v[i], name, len) && s->v[i][len] == '=')
			return fail(p, -EINVAL, "'%s' is given twice", name);
	if (asprintf(&text, "%s=%s", name, value) < 0)
		return fail(p, -ENOMEM, "out of memory");
	rc = strings_add(s, text, strlen(text));
	free(text);
	return rc ? fail(p, -ENOMEM, "out of memory") : 0;
}

#define AT(field)	offsetof(struct manifest, field)
#define MB		(1ull << 20)
#define GB		(1ull << 30)
#define HOUR		3600000000000ull

static const struct manifest_key keys[] = {
	{ "function", "name", set_name, AT(name), 0, 0, 0, NULL },
	{ "function", "handler", set_handler, AT(handler), 0, 0, 0, NULL },
	{ "function", "runtime", set_string, AT(runtime), 0, 0, 0, NULL },
	{ "function", "memory", set_size, AT(memory), 0, 32 * MB, 8 * GB,
	  "32M to 8G" },
	{ "function", "files", set_size, AT(files), 0, MB, 8 * GB,
	  "1M to 8G" },
	{ "function", "timeout", set_time, AT(timeout_ns), 0, 1000000,
	  HOUR, "1ms to 1h" },
	{ "function", "include", set_list, AT(include), 1, 0, 0, NULL },
	{ "function", "exclude", set_list, AT(exclude), 1, 0, 0, NULL },
	{ "packages", "path", set_path, AT(path), 1, 0, 0, NULL },
	{ "packages", "installed", set_names, AT(installed), 1, 0, 0, NULL },
	{ "packages", "requirements", set_string, AT(requirements), 0, 0, 0,
	  NULL },
	{ "egress", "allow", set_egress, AT(egress), 1, 0, 0, NULL },
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static int known_section(const char *section)
{
	for (size_t i = 0; i < KEYS; i++)
		if (!strcmp(section, keys[i].section))
			return 1;
	return 0;
}

static int on_value(void *arg, const char *section, const char *name,
		    const char *value)
{
	struct manifest_parser *p = arg;

	if (p->bad)
		return 1;
	if (!strcmp(section, "environment"))
		return (p->lines.more && p->m->environment.n ?
			extend_variable(p, value) :
			set_variable(p, name, value)) == 0;
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(section, keys[i].section) ||
		    strcmp(name, keys[i].name))
			continue;
		if (p->seen & 1u << i && !keys[i].repeats)
			return fail(p, -EINVAL, p->lines.more ?
				    "an indented line goes on with '%s', "
				    "which takes one value" :
				    "'%s' is given twice", name) == 0;
		if (value_has_comment(value))
			return fail(p, -EINVAL, "%s = '%s': a comment behind "
				    "a value begins with ';', one with '#' "
				    "has a line of its own", name, value) == 0;
		p->seen |= 1u << i;
		return keys[i].set(p, &keys[i], value) == 0;
	}
	if (!*section)
		fail(p, -EINVAL, "'%s' stands before any [section]", name);
	else if (!known_section(section))
		fail(p, -EINVAL, "unknown section '[%s]'", section);
	else if (value_has_blank(name))
		fail(p, -EINVAL, "'%s' is no key: expected 'key = value'",
		     name);
	else
		fail(p, -EINVAL, "unknown key '%s' in [%s]", name, section);
	return 0;
}

/* inih is silent about a section without keys: its name is checked here */
static void check_section(struct manifest_parser *p, const char *line)
{
	char name[64];
	size_t len;

	if (*line++ != '[')
		return;
	len = strcspn(line, "]\r\n");
	if (line[len] != ']')
		return;
	snprintf(name, sizeof(name), "%.*s", (int)(len < 60 ? len : 60), line);
	if (strcmp(name, "environment") && !known_section(name))
		fail(p, -EINVAL, "unknown section '[%s]'", name);
}

/* fgets for inih */
static char *next_line(char *buf, int size, void *arg)
{
	struct manifest_parser *p = arg;
	const char *why;

	if (lines_next(&p->lines, buf, size, &why)) {
		if (!p->lines.more)
			check_section(p, buf);
		return buf;
	}
	if (why)
		fail(p, -EINVAL, "%s", why);
	return NULL;
}

static int check_whole(struct manifest_parser *p)
{
	if (!p->m->handler)
		return err_set(p->err, -EINVAL, "%s: [function] has no "
			       "'handler = module.function'", p->file);
	for (size_t i = 0; i < p->m->installed.n; i++)
		if (!strcmp(p->m->installed.v[i], "*") &&
		    p->m->installed.n > 1)
			return err_set(p->err, -EINVAL, "%s: installed = '*' "
				       "stands alone", p->file);
	return 0;
}

int manifest_parse(struct manifest **out, const char *file, const char *text,
		   size_t len, struct err *err)
{
	struct manifest_parser p = { .file = file, .err = err };
	int rc;

	lines_init(&p.lines, text, text + len);
	p.m = calloc(1, sizeof(*p.m));
	if (!p.m)
		return err_set(err, -ENOMEM, "out of memory");
	p.m->memory = MANIFEST_MEMORY;
	p.m->files = MANIFEST_FILES;
	p.m->timeout_ns = MANIFEST_TIMEOUT;
	ini_use_stack = false;		/* its stack holds 200 bytes a line */
	ini_max_line = LINE_LEN;
	ini_initial_alloc = LINE_LEN;
	rc = ini_parse_stream(next_line, &p, on_value, &p);
	if (rc > 0 && (!p.bad || rc < p.bad)) {
		p.lines.number = rc;
		p.bad = 0;
		fail(&p, -EINVAL, "expected 'key = value' or '[section]'");
	}
	rc = p.bad ? p.code : rc < 0 ?
		err_set(err, -ENOMEM, "out of memory") : check_whole(&p);
	if (!rc && !p.m->runtime && !(p.m->runtime = strdup(MANIFEST_RUNTIME)))
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc) {
		manifest_destroy(p.m);
		return rc;
	}
	*out = p.m;
	return 0;
}

int manifest_load(struct manifest **out, const char *file, struct err *err)
{
	char *text;
	ssize_t len = text_load(file, TEXT_MAX, &text, err);
	int rc;

	if (len < 0)
		return len;
	rc = manifest_parse(out, file, text, len, err);
	free(text);
	return rc;
}

void manifest_destroy(struct manifest *m)
{
	if (!m)
		return;
	free(m->name);
	free(m->handler);
	free(m->runtime);
	free(m->requirements);
	strings_free(&m->include);
	strings_free(&m->exclude);
	strings_free(&m->path);
	strings_free(&m->installed);
	strings_free(&m->environment);
	strings_free(&m->egress);
	free(m);
}
