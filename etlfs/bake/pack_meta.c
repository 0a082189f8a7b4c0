/*
 * pack_meta.c - the config of an image: what its guest runs, with what
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "etlfs/bake/pack.h"
#include "unikernel/abi.h"

/* argv and environment share these bytes with each other only */
#define STRINGS_MAX	(UK_CTL_PAGES * UK_PAGE - sizeof(struct uk_ctl))

static int add(struct strings *s, const char *name, const char *value)
{
	char *text;
	int rc;

	if (asprintf(&text, "%s%s", name, value) < 0)
		return -ENOMEM;
	rc = strings_add(s, text, strlen(text));
	free(text);
	return rc;
}

/* "NAME=value", unless the function's own environment has the name already */
static int add_default(struct strings *s, const char *variable)
{
	size_t name = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < s->n; i++)
		if (!strncmp(s->v[i], variable, name))
			return 0;
	return add(s, variable, "");
}

static int fill_env(struct strings *env, const struct image *meta,
		    const struct pack *p)
{
	const struct strings *own = &p->o->manifest->environment;
	char path[8192];
	size_t at = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < own->n; i++)
		rc = add(env, own->v[i], "");
	path[0] = 0;
	for (size_t i = 0; i < p->path.n && at < sizeof(path); i++)
		at += snprintf(path + at, sizeof(path) - at, "%s%s",
			       i ? ":" : "", p->path.v[i]);
	if (at >= sizeof(path))
		return -E2BIG;
	rc = rc < 0 ? rc : add_default(env, "PATH=/usr/bin:/bin");
	rc = rc < 0 ? rc : add_default(env, "HOME=/tmp");
	rc = rc < 0 ? rc : add_default(env, "LC_ALL=C.UTF-8");
	for (size_t i = 0; rc == 0 && p->rt->ops->env[i]; i++)
		rc = add_default(env, p->rt->ops->env[i]);
	rc = rc < 0 ? rc : add(env, "USETL_NAME=", meta->name);
	rc = rc < 0 ? rc : add(env, "USETL_HANDLER=", meta->handler);
	if (rc == 0 && p->o->manifest->fork != FORK_FUNCTION)
		rc = add(env, "USETL_FORK_POINT=",
			 fork_words[p->o->manifest->fork]);
	return rc < 0 ? rc : add(env, "USETL_PATH=", path);
}

static int fill_argv(struct strings *argv, const struct runtime *rt)
{
	int rc = add(argv, rt->program, "");

	for (size_t i = 0; rc == 0 && rt->ops->options[i]; i++)
		rc = add(argv, rt->ops->options[i], "");
	return rc;
}

static int check_room(const struct strings *argv, const struct strings *env,
		      struct err *err)
{
	size_t len = 0;

	for (size_t i = 0; i < argv->n; i++)
		len += strlen(argv->v[i]) + 1;
	for (size_t i = 0; i < env->n; i++)
		len += strlen(env->v[i]) + 1;
	if (len > STRINGS_MAX)
		return err_set(err, -E2BIG, "[environment] is too long: %zu "
			       "bytes with the command line, at most %zu", len,
			       STRINGS_MAX);
	return 0;
}

/* the manifest's name, or that of the folder */
static int fill_name(struct image *meta, const struct pack *p)
{
	const char *name = p->o->manifest->name;
	char real[PATH_MAX];

	if (!name) {
		if (!realpath(p->o->dir, real))
			return err_set(p->err, -errno, "cannot open '%s': %s",
				       p->o->dir, strerror(errno));
		name = strrchr(real, '/') + 1;
		if (!value_name_ok(name))
			return err_set(p->err, -EINVAL, "the folder's name "
				       "'%s' cannot name the function; set "
				       "name in [function]", name);
	}
	meta->name = strdup(name);
	return meta->name ? 0 : err_set(p->err, -ENOMEM, "out of memory");
}

/* hands the list's strings over */
static char **give(struct strings *s)
{
	char **v = s->v;

	*s = (struct strings){ 0 };
	return v;
}

int pack_meta_fill(struct image *meta, const struct pack *p)
{
	const struct manifest *m = p->o->manifest;
	struct strings argv = { 0 }, env = { 0 }, egress = { 0 };
	int rc = fill_name(meta, p);

	if (rc < 0)
		return rc;
	meta->memory = m->memory;
	meta->files = m->files;
	meta->timeout_ns = m->timeout_ns;
	meta->handler = strdup(m->handler);
	meta->interpreter = strdup(p->rt->program);
	meta->version = strdup(p->rt->version);
	if (!meta->handler || !meta->interpreter || !meta->version)
		rc = -ENOMEM;
	rc = rc < 0 ? rc : fill_argv(&argv, p->rt);
	rc = rc < 0 ? rc : fill_env(&env, meta, p);
	for (size_t i = 0; rc == 0 && i < m->egress.n; i++)
		rc = add(&egress, m->egress.v[i], "");
	/* an empty list is a list: nothing is allowed */
	if (rc == 0 && m->has_egress && !egress.n)
		rc = add(&egress, "none", "");
	if (rc < 0)
		err_set(p->err, rc, "%s", rc == -ENOMEM ? "out of memory" :
			"the packages' folders make too long a path");
	else
		rc = check_room(&argv, &env, p->err);
	meta->argv = give(&argv);
	meta->env = give(&env);
	meta->egress = give(&egress);
	return rc;
}
