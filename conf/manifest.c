/*
 * manifest.c - function.ini(5): its keys and their forms
 */
#include "conf/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/ini.h"
#include "conf/text.h"
#include "conf/value.h"

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

int strings_same(const struct strings *a, const struct strings *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		if (strcmp(a->v[i], b->v[i]))
			return 0;
	return a->n == b->n;
}

static int set_name(struct ini *p, const struct ini_key *k, const char *value)
{
	if (!value_name_ok(value))
		return ini_fail(p, -EINVAL, "name = '%s' is not a function's "
				"name: letters, digits, '.', '_' and '-', up "
				"to %d", value, VALUE_NAME_MAX);
	return ini_set_string(p, k, value);
}

/* dotted identifiers, at least two; non-ASCII letters are let pass */
static int set_handler(struct ini *p, const struct ini_key *k,
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
		return ini_fail(p, -EINVAL, "handler = '%s' is not of the form "
				"module.function", value);
	return ini_set_string(p, k, value);
}

/* whitespace separates, and commas before it; repeating the key adds */
static int set_list(struct ini *p, const struct ini_key *k, const char *value)
{
	struct strings *s = ini_field(p, k);

	for (size_t len; *value; value += len) {
		size_t word;

		value += strspn(value, " \t\r");
		len = word = strcspn(value, " \t\r");
		while (word && value[word - 1] == ',')
			word--;
		if (word && strings_add(s, value, word) < 0)
			return ini_fail(p, -ENOMEM, "out of memory");
	}
	return 0;
}

/* names, so a comma alone separates as well */
static int set_names(struct ini *p, const struct ini_key *k, const char *value)
{
	char *text = strdup(value);
	int rc;

	if (!text)
		return ini_fail(p, -ENOMEM, "out of memory");
	for (char *comma = text; (comma = strchr(comma, ',')); )
		*comma = ' ';
	rc = set_list(p, k, text);
	free(text);
	return rc;
}

/* one path per line, so that it may hold spaces */
static int set_path(struct ini *p, const struct ini_key *k, const char *value)
{
	if (!*value)
		return ini_fail(p, -EINVAL, "%s is empty", k->name);
	if (strings_add(ini_field(p, k), value, strlen(value)) < 0)
		return ini_fail(p, -ENOMEM, "out of memory");
	return 0;
}

static int check_url(struct ini *p, const char *url)
{
	const char *host = !strncmp(url, "http://", 7) ? url + 7 :
		!strncmp(url, "https://", 8) ? url + 8 : NULL;

	if (!strcmp(url, "*") || !strcmp(url, "none"))
		return 0;
	if (!host || !*host || strchr("/?#:@", *host))
		return ini_fail(p, -EINVAL, "allow = '%s' is not an http:// "
				"or https:// URL, '*' or 'none'", url);
	if (strstr(host, ",http://") || strstr(host, ",https://"))
		return ini_fail(p, -EINVAL, "allow = '%s': a ',' between "
				"entries needs a blank behind it", url);
	if (memchr(host, '*', strcspn(host, "/?#")))
		return ini_fail(p, -EINVAL, "allow = '%s': a host is written "
				"out, one entry for each; '*' alone is the "
				"public internet", url);
	return 0;
}

static int set_egress(struct ini *p, const struct ini_key *k,
		      const char *value)
{
	struct strings *s = ini_field(p, k);
	size_t from = s->n;
	int rc = set_list(p, k, value);

	for (size_t i = from; rc == 0 && i < s->n; i++)
		rc = check_url(p, s->v[i]);
	for (size_t i = 0; rc == 0 && s->n > 1 && i < s->n; i++)
		if (!strcmp(s->v[i], "none"))
			rc = ini_fail(p, -EINVAL, "allow = 'none' stands "
				      "alone");
	return rc;
}

/* an indented line: one more of the last variable's value */
static int extend_variable(struct ini *p, struct strings *s,
			   const char *value)
{
	char **last = &s->v[s->n - 1], *text;
	int empty = !strchr(*last, '=')[1];

	if (asprintf(&text, "%s%s%s", *last, empty ? "" : "\n", value) < 0)
		return ini_fail(p, -ENOMEM, "out of memory");
	free(*last);
	*last = text;
	return 0;
}

static int check_variable(struct ini *p, const struct strings *s,
			  const char *name)
{
	size_t len = strlen(name);

	if (value_has_blank(name))
		return ini_fail(p, -EINVAL, "'%s' is no variable: expected "
				"'NAME = value'", name);
	for (size_t i = 0; i < len; i++)
		if (name[i] != '_' && !isalpha((unsigned char)name[i]) &&
		    !(i && isdigit((unsigned char)name[i])))
			return ini_fail(p, -EINVAL, "'%s' is not the name of "
					"an environment variable", name);
	if (!len || !strncmp(name, "USETL_", 6))
		return ini_fail(p, -EINVAL, "'%s': names that begin with "
				"USETL_ are usetl's own", name);
	for (size_t i = 0; i < s->n; i++)
		if (!strncmp(s->v[i], name, len) && s->v[i][len] == '=')
			return ini_fail(p, -EINVAL, "'%s' is given twice",
					name);
	return 0;
}

/* a key of [environment], or a line that goes on with the one before */
static int set_variable(struct ini *p, const char *name, const char *value,
			int more)
{
	struct manifest *m = p->whole;
	struct strings *s = &m->environment;
	char *text;
	int rc;

	if (more && s->n)
		return extend_variable(p, s, value);
	rc = check_variable(p, s, name);
	if (rc < 0)
		return rc;
	if (asprintf(&text, "%s=%s", name, value) < 0)
		return ini_fail(p, -ENOMEM, "out of memory");
	rc = strings_add(s, text, strlen(text));
	free(text);
	return rc < 0 ? ini_fail(p, rc, "out of memory") : 0;
}

#define M(field)	offsetof(struct manifest, field)
#define MB		(1ull << 20)
#define GB		(1ull << 30)
#define MS		1000000ull
#define HOUR		3600000000000ull
#define LEN		INI_LINE	/* as long as it can be written */

static const struct ini_key keys[] = {
	{ "function", "name", INI_OWN, M(name), INI_RANGE(1, VALUE_NAME_MAX),
	  .set = set_name },
	{ "function", "handler", INI_OWN, M(handler), INI_RANGE(1, LEN),
	  .set = set_handler },
	{ "function", "runtime", INI_STRING, M(runtime), INI_RANGE(1, LEN) },
	{ "function", "memory", INI_SIZE, M(memory),
	  INI_RANGE(32 * MB, 8 * GB) },
	{ "function", "files", INI_SIZE, M(files), INI_RANGE(MB, 8 * GB) },
	{ "function", "timeout", INI_TIME, M(timeout_ns),
	  INI_RANGE(MS, HOUR) },
	{ "function", "fork", INI_WORD, M(fork), .words = fork_words },
	{ "function", "include", INI_OWN, M(include), .set = set_list,
	  .repeats = 1 },
	{ "function", "exclude", INI_OWN, M(exclude), .set = set_list,
	  .repeats = 1 },
	{ "packages", "path", INI_OWN, M(path), .set = set_path,
	  .repeats = 1 },
	{ "packages", "installed", INI_OWN, M(installed), .set = set_names,
	  .repeats = 1 },
	{ "packages", "requirements", INI_STRING, M(requirements),
	  INI_RANGE(1, LEN) },
	{ "egress", "allow", INI_OWN, M(egress), .set = set_egress,
	  .repeats = 1, .has = M(has_egress) },
};

static const struct ini_file manifest_file = {
	.key = keys, .keys = sizeof(keys) / sizeof(keys[0]),
	.open = "environment", .open_key = set_variable,
};

static int check_whole(const struct ini *p)
{
	const struct manifest *m = p->whole;

	if (!m->handler)
		return err_set(p->err, -EINVAL, "%s: [function] has no "
			       "'handler = module.function'", p->name);
	for (size_t i = 0; i < m->installed.n; i++)
		if (!strcmp(m->installed.v[i], "*") && m->installed.n > 1)
			return err_set(p->err, -EINVAL, "%s: installed = '*' "
				       "stands alone", p->name);
	return 0;
}

int manifest_parse(struct manifest **out, const char *file, const char *text,
		   size_t len, struct err *err)
{
	struct ini p = { .of = &manifest_file, .name = file, .err = err };
	struct manifest *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return err_set(err, -ENOMEM, "%s: out of memory", file);
	m->memory = MANIFEST_MEMORY;
	m->files = MANIFEST_FILES;
	m->timeout_ns = MANIFEST_TIMEOUT;
	p.whole = m;
	rc = ini_read(&p, text, len);
	if (rc == 0)
		rc = check_whole(&p);
	if (rc == 0 && !m->runtime &&
	    !(m->runtime = strdup(MANIFEST_RUNTIME)))
		rc = err_set(err, -ENOMEM, "%s: out of memory", file);
	if (rc < 0) {
		manifest_destroy(m);
		return rc;
	}
	*out = m;
	return 0;
}

int manifest_load(struct manifest **out, const char *file, struct err *err)
{
	char *text;
	ssize_t len = text_load(file, INI_TEXT, &text, err);
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
