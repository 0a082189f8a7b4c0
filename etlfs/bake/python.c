/*
 * python.c - finds the interpreter and asks it what it is
 */
#include "etlfs/bake/python.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINOR_MIN	9		/* of CPython 3.x */

static int take(char **field, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	*field = s ? strdup(s) : NULL;
	return *field ? 0 : -EPROTO;
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* can it run in a guest? */
static int check(const json_t *o, const char *command, struct err *err)
{
	json_int_t major = json_integer_value(json_object_get(o, "major"));
	json_int_t minor = json_integer_value(json_object_get(o, "minor"));

	if (strcmp(text(o, "implementation"), "cpython"))
		return err_set(err, -ENOTSUP, "'%s' is %s; usetl runs CPython",
			       command, text(o, "implementation"));
	if (major != 3 || minor < MINOR_MIN)
		return err_set(err, -ENOTSUP, "'%s' is Python %s; usetl needs "
			       "3.%d or newer", command, text(o, "version"),
			       MINOR_MIN);
	if (strcmp(text(o, "machine"), "x86_64") ||
	    json_integer_value(json_object_get(o, "bits")) != 64)
		return err_set(err, -ENOTSUP, "'%s' is not for x86-64",
			       command);
	if (strncmp(text(o, "libc"), "glibc ", 6))
		return err_set(err, -ENOTSUP, "'%s' does not run on glibc",
			       command);
	return 0;
}

static int add_dir(struct strings *to, const char *dir)
{
	return strings_add(to, dir, strlen(dir)) < 0 ? -EPROTO : 0;
}

/* extension modules lie below the standard library, unless they do not */
static int add_stdlib(struct runtime *rt, const json_t *o)
{
	const char *stdlib = text(o, "stdlib"), *dynload = text(o, "dynload");
	int rc = *stdlib ? add_dir(&rt->stdlib, stdlib) : -EPROTO;

	if (*dynload && strncmp(dynload, stdlib, strlen(stdlib)))
		rc |= add_dir(&rt->stdlib, dynload);
	return rc;
}

static int fill(struct python *py, const json_t *o)
{
	const json_t *site = json_object_get(o, "site"), *dir;
	size_t i;
	int rc = 0;

	/* a shim on PATH is not the interpreter: sys.executable is */
	rc |= take(&py->rt.command, o, "executable");
	rc |= take(&py->rt.program, o, "program");
	rc |= take(&py->rt.version, o, "version");
	rc |= take(&py->cache_tag, o, "cache_tag");
	rc |= add_stdlib(&py->rt, o);
	rc |= take(&py->prefix, o, "prefix");
	if (*text(o, "pip"))
		rc |= take(&py->pip, o, "pip");
	json_array_foreach(site, i, dir) {
		const char *s = json_string_value(dir);

		if (s)
			rc |= add_dir(&py->rt.site, s);
	}
	return rc < 0 ? -EPROTO : 0;
}

int python_find(struct runtime **out, const char *command, struct err *err)
{
	struct python *py = calloc(1, sizeof(*py));
	char path[PATH_MAX];
	json_t *o = NULL;
	struct err why;
	int rc;

	if (!py)
		return err_set(err, -ENOMEM, "out of memory");
	py->rt.ops = &runtime_python;
	rc = runtime_locate(command, path, sizeof(path));
	if (rc < 0) {
		err_set(err, rc, "no interpreter '%s'; set runtime to a "
			"Python's path", command);
		goto out;
	}
	rc = python_ask(path, "probe", NULL, -1, NULL, &o, &why);
	if (rc < 0) {
		err_set(err, rc, "'%s' does not run as Python 3.%d or newer: "
			"%.600s", command, MINOR_MIN, why.msg);
		goto out;
	}
	rc = check(o, command, err);
	if (rc < 0)
		goto out;
	rc = fill(py, o);
	if (rc < 0)
		err_set(err, rc, "'%s' answered nonsense", command);
out:
	json_decref(o);
	if (rc < 0)
		runtime_destroy(&py->rt);
	else
		*out = &py->rt;
	return rc;
}

void python_destroy(struct runtime *rt)
{
	struct python *py = python_of(rt);

	free(py->cache_tag);
	free(py->prefix);
	free(py->pip);
	free(py);
}
