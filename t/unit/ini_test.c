/*
 * ini_test.c - function.ini and usetl.conf: what is no more than a line's form
 * is judged alike
 *
 * Each case is read as either file.  In text and answer, %1$s is a section of
 * the file, %2$s a key of it that takes a size, %3$s such a size, and %4$s a
 * line with another key of it, the one without which a manifest is not whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/manifest.h"
#include "t/unit/tap.h"

#define LINE		8190		/* bytes of a line, at most */

static int read_manifest(const char *text, size_t len, struct err *err)
{
	struct manifest *m = NULL;
	int rc = manifest_parse(&m, "file", text, len, err);

	manifest_destroy(m);
	return rc;
}

static int read_conf(const char *text, size_t len, struct err *err)
{
	struct conf *c = NULL;
	int rc = conf_parse(&c, "file", text, len, err);

	conf_destroy(c);
	return rc;
}

static const struct {
	const char *name, *section, *key, *value, *other;
	int (*read)(const char *text, size_t len, struct err *err);
} files[] = {
	{ "function.ini", "function", "memory", "64M", "handler = a.b",
	  read_manifest },
	{ "usetl.conf", "limits", "log.max", "64M", "log.rate = 1M",
	  read_conf },
};

/* answer NULL: it is read; otherwise it is refused, and says that */
static void check(const char *what, const char *text, size_t len,
		  const char *answer, unsigned f)
{
	struct err err = { "" };
	int rc = files[f].read(text, len, &err);

	ok(answer ? rc < 0 && !strcmp(err.msg, answer) : rc == 0,
	   "%s: %s: %s", files[f].name, what, rc < 0 ? err.msg : "it is read");
}

static void test_forms(void)
{
	static const struct {
		const char *what, *text, *answer;
	} cases[] = {
		{ "a section and its keys",
		  "[%1$s]\n%2$s = %3$s\n%4$s\n", NULL },
		{ "':' for '='", "[%1$s]\n%2$s: %3$s\n%4$s\n", NULL },
		{ "a second section of a name",
		  "[%1$s]\n%2$s = %3$s\n[%1$s]\n%4$s\n",
		  "file:3: [%1$s] is given twice" },
		{ "an empty one, too", "[%1$s]\n[%1$s]\n",
		  "file:2: [%1$s] is given twice" },
		{ "a second key of a name",
		  "[%1$s]\n%2$s = %3$s\n%2$s = %3$s\n",
		  "file:3: '%2$s' is given twice" },
		{ "an unknown section", "[%1$s]\n[paint]\n",
		  "file:2: unknown section '[paint]'" },
		{ "a known one with blanks", "[ %1$s ]\n",
		  "file:1: unknown section '[ %1$s ]'" },
		{ "an unknown key", "[%1$s]\ncolour = red\n",
		  "file:2: unknown key 'colour' in [%1$s]" },
		{ "a key before any section", "%2$s = %3$s\n",
		  "file:1: '%2$s' stands before any [section]" },
		{ "neither key nor section", "[%1$s]\n%4$s\nnonsense\n",
		  "file:3: expected 'key = value' or '[section]'" },
		{ "the first of two slips", "[%1$s]\nnonsense\ncolour = red\n",
		  "file:2: expected 'key = value' or '[section]'" },
		{ "no '=' before a ':'", "[%1$s]\n%2$s 1:2\n",
		  "file:2: '%2$s 1' is no key: expected 'key = value'" },
		{ "'[' alone", "[%1$s]\n[%1$s\n",
		  "file:2: expected ']' behind '[section'" },
		{ "a key in a section's line",
		  "[%1$s] %2$s = %3$s\n",
		  "file:1: text behind '[%1$s]': a key has a line of its own" },
		{ "comments behind a section", "[%1$s] ; a\n%2$s = %3$s\n"
		  "%4$s\n", NULL },
		{ "comments",
		  "; a\n# b\n[%1$s]\n  # c\n%2$s = %3$s ; d\n%4$s\n", NULL },
		{ "a comment that is none", "[%1$s]\n%2$s = %3$s # d\n",
		  "file:2: %2$s = '%3$s # d': a comment behind a value begins "
		  "with ';', one with '#' has a line of its own" },
		{ "a line that goes on", "[%1$s]\n%2$s = %3$s\n  1\n",
		  "file:3: an indented line goes on with '%2$s', which takes "
		  "one value" },
		{ "a key that is indented deeper",
		  "[%1$s]\n%2$s = %3$s\n  %4$s\n",
		  "file:3: an indented line goes on with '%2$s', which takes "
		  "one value" },
		{ "keys that are indented alike",
		  "[%1$s]\n  %2$s = %3$s\n  %4$s\n", NULL },
		{ "a section that is indented like its key",
		  "[%1$s]\n  %2$s = %3$s\n  [%1$s]\n",
		  "file:3: [%1$s] is given twice" },
		{ "a byte order mark",
		  "\xef\xbb\xbf[%1$s]\n%2$s = %3$s\n%4$s\n", NULL },
		{ "an unknown section behind one", "\xef\xbb\xbf[paint]\n",
		  "file:1: unknown section '[paint]'" },
		{ "carriage returns", "[%1$s]\r\n%2$s = %3$s\r\n%4$s\r\n",
		  NULL },
		{ "a size that is none", "[%1$s]\n%2$s = much\n",
		  "file:2: %2$s = 'much' is not a size; write a number and "
		  "K, M or G" },
	};
	char text[512], answer[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (unsigned f = 0; f < 2; f++) {
			const char *s = files[f].section, *k = files[f].key;
			const char *v = files[f].value, *o = files[f].other;

			snprintf(text, sizeof(text), cases[i].text, s, k, v, o);
			if (cases[i].answer)
				snprintf(answer, sizeof(answer),
					 cases[i].answer, s, k, v, o);
			check(cases[i].what, text, strlen(text),
			      cases[i].answer ? answer : NULL, f);
		}
}

/* a line of len bytes of comment, with end or not, behind a whole file */
static void check_length(const char *what, size_t len, const char *end,
			 const char *answer, unsigned f)
{
	static char text[2 * LINE];
	size_t at = snprintf(text, sizeof(text), "[%s]\n%s\n",
			     files[f].section, files[f].other);

	memset(text + at, '#', len);
	strcpy(text + at + len, end);
	check(what, text, strlen(text), answer, f);
}

static void test_lengths(void)
{
	static const char too_long[] = "file:3: line is too long";
	char text[256];

	for (unsigned f = 0; f < 2; f++) {
		check_length("the longest line", LINE, "\n", NULL, f);
		check_length("the longest line, last", LINE, "", NULL, f);
		check_length("a line too long", LINE + 1, "\n", too_long, f);
		check_length("a line too long, last", LINE + 1, "", too_long,
			     f);
		memset(text, 'x', sizeof(text));
		text[0] = '[';
		text[200] = ']';
		check("a long section name", text, 201,
		      "file:1: the section's name is too long", f);
		check("a NUL", "#\n#\0#\n", 6,
		      "file:2: line holds a NUL byte", f);
	}
}

int main(void)
{
	test_forms();
	test_lengths();
	return plan();
}
