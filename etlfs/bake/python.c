/*
 * python.c - finds the interpreter and asks it what it is
 */
#include "etlfs/bake/python.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MINOR_MIN	9		/* of CPython 3.x */

static int executable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* absolute path of `runtime`, symlinks kept: a venv is known by its path */
static int locate(const char *runtime, char *buf, size_t size)
{
	const char *path = getenv("PATH");
	char cwd[PATH_MAX];
	int n;

	if (*runtime == '/') {
		n = snprintf(buf, size, "%s", runtime);
		return (size_t)n < size && executable(buf) ? 0 : -ENOENT;
	}
	if (strchr(runtime, '/')) {
		if (!getcwd(cwd, sizeof(cwd)))
			return -errno;
		n = snprintf(buf, size, "%s/%s", cwd, runtime);
		return (size_t)n < size && executable(buf) ? 0 : -ENOENT;
	}
	if (!path)
		path = "/usr/bin:/bin";
	while (*path) {
		size_t len = strcspn(path, ":");

		n = snprintf(buf, size, "%.*s/%s", (int)len, path, runtime);
		if (*path == '/' && (size_t)n < size && executable(buf))
			return 0;
		path += len;
		path += *path == ':';
	}
	return -ENOENT;
}

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
static int check(const json_t *o, const char *runtime, struct err *err)
{
	json_int_t major = json_integer_value(json_object_get(o, "major"));
	json_int_t minor = json_integer_value(json_object_get(o, "minor"));

	if (strcmp(text(o, "implementation"), "cpython"))
		return err_set(err, -ENOTSUP, "'%s' is %s; usetl runs CPython",
			       runtime, text(o, "implementation"));
	if (major != 3 || minor < MINOR_MIN)
		return err_set(err, -ENOTSUP, "'%s' is Python %s; usetl needs "
			       "3.%d or newer", runtime, text(o, "version"),
			       MINOR_MIN);
	if (strcmp(text(o, "machine"), "x86_64") ||
	    json_integer_value(json_object_get(o, "bits")) != 64)
		return err_set(err, -ENOTSUP, "'%s' is not for x86-64",
			       runtime);
	if (strncmp(text(o, "libc"), "glibc ", 6))
		return err_set(err, -ENOTSUP, "'%s' does not run on glibc",
			       runtime);
	return 0;
}

static int fill(struct python *py, const json_t *o)
{
	const json_t *site = json_object_get(o, "site"), *dir;
	const char *dynload = text(o, "dynload");
	size_t i;
	int rc = 0;

	/* a shim on PATH is not the interpreter: sys.executable is */
	rc |= take(&py->command, o, "executable");
	rc |= take(&py->program, o, "program");
	rc |= take(&py->version, o, "version");
	rc |= take(&py->cache_tag, o, "cache_tag");
	rc |= take(&py->stdlib, o, "stdlib");
	if (*dynload)
		rc |= take(&py->dynload, o, "dynload");
	py->has_pip = json_is_true(json_object_get(o, "pip"));
	json_array_foreach(site, i, dir) {
		const char *s = json_string_value(dir);

		if (s && strings_add(&py->site, s, strlen(s)))
			rc = -ENOMEM;
	}
	return rc ? -EPROTO : 0;
}

int python_find(struct python **out, const char *runtime, struct err *err)
{
	struct python *py = calloc(1, sizeof(*py));
	char path[PATH_MAX];
	json_t *o = NULL;
	struct err why;
	int rc;

	if (!py)
		return err_set(err, -ENOMEM, "out of memory");
	rc = locate(runtime, path, sizeof(path));
	if (rc) {
		err_set(err, rc, "no interpreter '%s'; set runtime to a "
			"Python's path", runtime);
		goto out;
	}
	rc = python_ask(path, "probe", NULL, -1, NULL, &o, &why);
	if (rc) {
		err_set(err, rc, "'%s' does not run as Python 3.%d or newer: "
			"%.600s", runtime, MINOR_MIN, why.msg);
		goto out;
	}
	rc = check(o, runtime, err);
	if (rc)
		goto out;
	rc = fill(py, o);
	if (rc)
		err_set(err, rc, "'%s' answered nonsense", runtime);
out:
	json_decref(o);
	if (rc)
		python_destroy(py);
	else
		*out = py;
	return rc;
}

void python_destroy(struct python *py)
{
	if (!py)
		return;
	free(py->command);
	free(py->program);
	free(py->version);
	free(py->cache_tag);
	free(py->stdlib);
	free(py->dynload);
	strings_free(&py->site);
	free(py);
}
