/* value.c - sizes, times, counts and names as people write them */
#include "conf/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEC		1000000000ull

static int number(const char *s, uint64_t *out, const char **rest)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*out = strtoull(s, &end, 10);
	*rest = end;
	return errno ? -ERANGE : 0;
}

static int scale(uint64_t *v, uint64_t by)
{
	return __builtin_mul_overflow(*v, by, v) ? -ERANGE : 0;
}

int value_count(const char *s, uint64_t *out)
{
	const char *rest;
	int rc = number(s, out, &rest);

	return rc < 0 ? rc : *rest ? -EINVAL : 0;
}

int value_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *rest, *u;
	int rc = number(s, out, &rest);

	if (rc < 0 || !*rest)
		return rc;
	u = strchr(units, toupper((unsigned char)*rest));
	if (!u || rest[1])
		return -EINVAL;
	return scale(out, 1024ull << 10 * (u - units));
}

int value_size_meant(char buf[VALUE_SIZE_MAX], const char *s, uint64_t min,
		     uint64_t max)
{
	static const char units[] = "KMGT";
	uint64_t n, v;

	if (value_count(s, &n) < 0)
		return 0;
	for (const char *u = units; *u; u++) {
		v = n;
		if (scale(&v, 1024ull << 10 * (u - units)) < 0 || v > max)
			return 0;
		if (v >= min) {
			snprintf(buf, VALUE_SIZE_MAX, "%llu%c",
				 (unsigned long long)n, *u);
			return 1;
		}
	}
	return 0;
}

void value_print_size(char buf[VALUE_SIZE_MAX], uint64_t bytes)
{
	static const char *const units[] = { "", "K", "M", "G" };
	unsigned u = 0;

	while (u < 3 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, VALUE_SIZE_MAX, "%llu%s", (unsigned long long)bytes,
		 units[u]);
}

static const struct { const char *name; uint64_t ns; } time_units[] = {
	{ "h", 3600 * SEC }, { "m", 60 * SEC }, { "s", SEC },
	{ "ms", SEC / 1000 }, { "us", SEC / 1000000 }, { "", SEC },
};

void value_print_time(char buf[VALUE_SIZE_MAX], uint64_t ns)
{
	unsigned u = ns ? 0 : 2;	/* "0s" */

	/* microseconds say all that can be written */
	while (u < 4 && ns % time_units[u].ns)
		u++;
	snprintf(buf, VALUE_SIZE_MAX, "%llu%s",
		 (unsigned long long)(ns / time_units[u].ns),
		 time_units[u].name);
}

int value_time(const char *s, uint64_t *out)
{
	const char *rest;
	int rc = number(s, out, &rest);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(time_units) / sizeof(*time_units); i++)
		if (!strcmp(rest, time_units[i].name))
			return scale(out, time_units[i].ns);
	return -EINVAL;
}

int value_name_ok(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > VALUE_NAME_MAX || !isalnum((unsigned char)*s))
		return 0;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_.-", *s))
			return 0;
	return 1;
}

int value_has_comment(const char *s)
{
	for (size_t len; *s; s += len) {
		s += strspn(s, " \t");
		len = strcspn(s, " \t");
		if (len == 1 && *s == '#')
			return 1;
	}
	return 0;
}

int value_has_blank(const char *s)
{
	return strpbrk(s, " \t") != NULL;
}
