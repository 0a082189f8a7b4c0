/*
 * pack_key.c - what a layer is made from, as far as it is known beforehand
 *
 * A key is the SHA-256 of a text with all of it; files that the making comes
 * across are remembered and looked at again instead (pack_seen.h).  Where
 * something may decide what is in a layer and is in neither, there is no key.
 */
#include <archive.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "conf/build.h"
#include "conf/sha256.h"
#include "etlfs/bake/pack.h"
#include "etlfs/image/image_impl.h"

static void put(FILE *to, const char *name, const char *value)
{
	fprintf(to, "%s %s%c", name, value ? value : "", 0);
}

static void put_all(FILE *to, const char *name, const struct strings *s)
{
	fprintf(to, "%s %zu%c", name, s->n, 0);
	for (size_t i = 0; i < s->n; i++)
		put(to, "", s->v[i]);
}

/* this program: formats, the guest's files and every rule are in it */
static int put_self(FILE *to)
{
	char id[BUILD_ID_MAX];

	if (build_id(id) < 0)
		return -ENOTSUP;
	put(to, "usetl", id);
	put(to, "tar", archive_version_details());
	return 0;
}

static int below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

/*
 * What runs the interpreter on this host and is not packed, or lies where
 * layers that are not its own have their files.
 */
static int check_host(const struct pack *p)
{
	static const char *const loader[] = {
		"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", NULL
	};
	const struct runtime *rt = p->rt;

	for (int i = 0; loader[i]; i++) {
		const char *value = getenv(loader[i]);

		if (value && *value)
			return -ENOTSUP;
	}
	for (size_t i = 0; i < rt->stdlib.n; i++)
		if (below(rt->stdlib.v[i], PACK_PACKAGES) ||
		    below(rt->stdlib.v[i], PACK_APP))
			return -ENOTSUP;
	return below(rt->program, PACK_PACKAGES) ||
		below(rt->program, PACK_APP) ? -ENOTSUP : 0;
}

static int put_runtime(const struct pack *p, FILE *to)
{
	const struct manifest *m = p->o->manifest;
	const struct runtime *rt = p->rt;
	int rc = check_host(p);

	rc = rc < 0 ? rc : put_self(to);
	if (rc < 0)
		return rc;
	fprintf(to, "user %u%c", geteuid(), 0);
	put(to, "runtime", rt->ops->name);
	put(to, "command", rt->command);
	put(to, "program", rt->program);
	put(to, "version", rt->version);
	put_all(to, "stdlib", &rt->stdlib);
	put_all(to, "site", &rt->site);
	put_all(to, "include", &m->include);
	/* others leave a standard library alone: see pack_stdlib_keeps() */
	for (size_t i = 0; i < m->exclude.n; i++)
		if (*m->exclude.v[i] == '/')
			put(to, "exclude", m->exclude.v[i]);
	return 0;
}

static void put_host(FILE *to)
{
	struct utsname u;

	if (uname(&u) == 0) {
		put(to, "release", u.release);
		put(to, "build", u.version);
		put(to, "machine", u.machine);
	}
	put(to, "path", getenv("PATH"));
	put(to, "dpkg", getenv("DPKG_ADMINDIR"));
	put(to, "root", getenv("DPKG_ROOT"));
}

static int put_packages(struct pack *p, FILE *to)
{
	const struct manifest *m = p->o->manifest;
	char path[PATH_MAX], base[PATH_MAX];
	int rc = p->below[0] && realpath(p->o->base, base) ?
		put_runtime(p, to) : -ENOTSUP;

	if (rc < 0)
		return rc;
	put(to, "below", p->below);
	put_host(to);
	put(to, "base", base);
	put_all(to, "exclude", &m->exclude);
	put_all(to, "path", &m->path);
	put_all(to, "installed", &m->installed);
	put(to, "requirements", m->requirements);
	if (!m->requirements)
		return 0;
	if (pack_resolve(p, m->requirements, path, sizeof(path)) < 0 ||
	    !p->rt->ops->needs)
		return -ENOTSUP;
	return p->rt->ops->needs(p->rt, path, p->t, to);
}

int pack_key(struct pack *p, uint16_t layer, char key[65])
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	int rc = -ENOMEM;

	key[0] = 0;
	if (!to)
		return rc;
	rc = layer == ETLFS_LAYER_RUNTIME ? put_runtime(p, to) :
		put_packages(p, to);
	if (fclose(to) && rc == 0)
		rc = -ENOMEM;
	if (rc == 0)
		sha256_text(text, len, key);
	free(text);
	return rc;
}
