/*
 * pack_rules.c - what is left out of an image, and what include takes back
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "etlfs/pack.h"

#define BELOW	(FNM_PATHNAME | FNM_LEADING_DIR)

/* 1 when the pattern matches any component of a path */
static int any_component(const char *pattern, const char *path)
{
	char name[256];

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		if (len < sizeof(name)) {
			memcpy(name, path, len);
			name[len] = 0;
			if (!fnmatch(pattern, name, 0))
				return 1;
		}
		path += len;
	}
	return 0;
}

static int matches(const char *pattern, const char *rel, const char *guest)
{
	if (*pattern == '/')
		return !fnmatch(pattern, guest, BELOW);
	if (!rel)
		return 0;
	if (strchr(pattern, '/'))
		return !fnmatch(pattern, rel, BELOW);
	return any_component(pattern, rel);
}

int pack_matches(const struct strings *patterns, const char *rel,
		 const char *guest)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (matches(patterns->v[i], rel, guest))
			return 1;
	return 0;
}

/* could what is below folder `path` match?  Compares as many components */
static int may_hold(const char *pattern, const char *path)
{
	char head[TREE_PATH_MAX];
	size_t at = 0, slashes = 0;

	for (const char *s = path; *s; s++)
		slashes += *s == '/';
	for (; pattern[at]; at++)
		if (pattern[at] == '/' && slashes-- == 0)
			break;
	if (!pattern[at] || at >= sizeof(head))
		return 0;
	memcpy(head, pattern, at);
	head[at] = 0;
	return !fnmatch(head, path, FNM_PATHNAME);
}

static int included(const struct manifest *m, const char *rel,
		    const char *guest, int is_dir)
{
	const struct strings *s = &m->include;

	if (pack_matches(s, rel, guest))
		return 1;
	for (size_t i = 0; is_dir && i < s->n; i++)
		if (may_hold(s->v[i], *s->v[i] == '/' ? guest : rel))
			return 1;
	return 0;
}

/* component patterns that begin with '/' mean the folder's own top level */
static int in_table(const char *const *table, const char *rel)
{
	for (; *table; table++) {
		if (**table == '/' ? !fnmatch(*table + 1, rel, BELOW) :
		    any_component(*table, rel))
			return 1;
	}
	return 0;
}

int pack_stdlib_keeps(const struct manifest *m, const char *rel,
		      const char *guest, int is_dir)
{
	static const char *const out[] = {
		"test", "tests", "idle_test", "__pycache__", "*.pyc", "*.pyo",
		"*.a", "*.o",
		"/idlelib", "/turtledemo", "/tkinter", "/ensurepip",
		"/site-packages", "/dist-packages", "/config-*",
		"/sitecustomize.py", "/usercustomize.py",
		"/EXTERNALLY-MANAGED",
		/* of lib-dynload, which has names of its own */
		"_tkinter*.so", "_test*.so", "_ctypes_test*.so",
		"_xxtestfuzz*.so", "xxlimited*.so", "xxsubtype*.so", NULL
	};

	return (!in_table(out, rel) && !pack_matches(&m->exclude, NULL, guest))
		|| included(m, rel, guest, is_dir);
}

int pack_packages_keeps(const struct manifest *m, const char *rel,
			const char *guest, int is_dir)
{
	static const char *const out[] = {
		"__pycache__", "*.pyc", "*.pyo", NULL
	};

	return (!in_table(out, rel) && !pack_matches(&m->exclude, rel, guest))
		|| included(m, rel, guest, is_dir);
}

int pack_app_keeps(const struct manifest *m, const char *rel,
		   const char *guest, int is_dir)
{
	static const char *const out[] = {
		".*", "__pycache__", "*.pyc", "*.pyo", "*.usetl", NULL
	};

	return (!in_table(out, rel) && !pack_matches(&m->exclude, rel, guest))
		|| included(m, rel, guest, is_dir);
}
