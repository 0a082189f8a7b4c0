/*
 * pack_rules.c - what is left out of an image, and what include takes back
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "etlfs/bake/pack.h"

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

/* every pattern that matches is marked as used, not the first alone */
static int excluded(struct pack *p, const char *rel, const char *guest)
{
	const struct strings *s = &p->o->manifest->exclude;
	int out = 0;

	for (size_t i = 0; i < s->n; i++)
		if (matches(s->v[i], rel, guest))
			out = p->used[i] = 1;
	return out;
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

/* asks exclude in any case, so that its patterns are marked */
static int keeps(struct pack *p, int by_rule, int out, const char *rel,
		 const char *guest, int is_dir)
{
	return (!out && !by_rule) ||
		included(p->o->manifest, rel, guest, is_dir);
}

int pack_stdlib_keeps(struct pack *p, const char *rel, const char *guest,
		      int is_dir)
{
	return keeps(p, in_table(p->rt->ops->not_stdlib, rel),
		     excluded(p, NULL, guest), rel, guest, is_dir);
}

int pack_packages_keeps(struct pack *p, const char *rel, const char *guest,
			int is_dir)
{
	return keeps(p, in_table(p->rt->ops->not_packages, rel),
		     excluded(p, rel, guest), rel, guest, is_dir);
}

/* what no runtime packs from a function's folder: hidden files and images */
static int not_app(const struct pack *p, const char *rel)
{
	static const char *const table[] = { ".*", "*.usetl", NULL };

	return in_table(table, rel) || in_table(p->rt->ops->not_app, rel);
}

int pack_app_keeps(struct pack *p, const char *rel, const char *guest,
		   int is_dir)
{
	return keeps(p, not_app(p, rel), excluded(p, rel, guest), rel, guest,
		     is_dir);
}

/* what else a pattern may have meant */
static const char *unused_hint(const char *pattern)
{
	if (strchr(pattern, ','))
		return "; a ',' between patterns needs a blank behind it";
	if (pattern[strlen(pattern) - 1] == '/')
		return "; a folder is written without '/' at its end";
	return "";
}

void pack_unused(const struct pack *p)
{
	const struct strings *s = &p->o->manifest->exclude;
	char line[512];

	for (size_t i = 0; p->o->warn && i < s->n; i++) {
		/* what stays out in any case need not be there */
		if (p->used[i] || not_app(p, s->v[i]))
			continue;
		snprintf(line, sizeof(line), "exclude = '%.300s' leaves "
			 "nothing out%s", s->v[i], unused_hint(s->v[i]));
		p->o->warn(p->o->arg, line);
	}
}
