/*
 * pack_layers.c - the packages layer and the app layer
 *
 * Packages come from the interpreter's own environment, to their own places;
 * from folders and archives, and from an installer, to /packages.  The
 * function's folder becomes /app.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/bake/elfdeps.h"
#include "etlfs/bake/pack.h"

/* what keep() is asked about, and where that lies on either side */
struct rule {
	struct pack *p;
	const char *host, *guest;
	const char *prefix;		/* stands before rel, "" or "name/" */
	dev_t dev;			/* of the image that is being made */
	ino_t ino;
};

static int keep_package(void *arg, const char *rel, int is_dir)
{
	struct rule *r = arg;
	char guest[TREE_PATH_MAX], full[TREE_PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", r->prefix, rel);
	snprintf(guest, sizeof(guest), "%s/%s", r->guest, rel);
	return pack_packages_keeps(r->p, full, guest, is_dir);
}

/* where path lies below one of the interpreter's folders, or its last name */
static const char *below_site(const struct pack *p, const char *path)
{
	for (size_t i = 0; i < p->rt->site.n; i++) {
		size_t len = strlen(p->rt->site.v[i]);

		if (!strncmp(path, p->rt->site.v[i], len) && path[len] == '/')
			return path + len + 1;
	}
	return strrchr(path, '/') + 1;
}

static int add_installed_path(struct pack *p, const char *path)
{
	const char *rel = below_site(p, path);
	char prefix[TREE_PATH_MAX];
	struct rule r = { .p = p, .host = path, .guest = path,
			  .prefix = prefix };
	struct tree_folder f = {
		.host = path, .guest = path, .layer = ETLFS_LAYER_PACKAGES,
		.keep = keep_package, .arg = &r,
	};
	struct stat st;
	int64_t rc;

	tree_saw(p->t, path, TREE_SAW_PATH);
	if (stat(path, &st))
		return err_set(p->err, -errno, "cannot pack '%s': %s", path,
			       strerror(errno));
	if (!pack_packages_keeps(p, rel, path, S_ISDIR(st.st_mode)))
		return 0;
	snprintf(prefix, sizeof(prefix), "%s/", rel);
	if (S_ISDIR(st.st_mode))
		return tree_add_folder(p->t, &f, p->err);
	rc = tree_add_host(p->t, path, ETLFS_LAYER_PACKAGES, p->err);
	return rc < 0 ? rc : 0;
}

static int add_installed(struct pack *p)
{
	struct runtime_packages d;
	int rc = pack_stage(p, "looking up packages");

	if (rc < 0)
		return rc;
	rc = p->rt->ops->installed(p->rt, &p->o->manifest->installed, p->t,
				   &d, p->err);
	if (rc == 0)
		rc = pack_stage(p, "collecting packages");
	for (size_t i = 0; rc == 0 && i < d.paths.n; i++)
		rc = add_installed_path(p, d.paths.v[i]);
	for (size_t i = 0; rc == 0 && i < d.folders.n; i++)
		if (strings_add(&p->path, d.folders.v[i],
				strlen(d.folders.v[i])) < 0)
			rc = err_set(p->err, -ENOMEM, "out of memory");
	runtime_packages_free(&d);
	return rc;
}

static int add_path(struct pack *p, const char *path)
{
	struct rule r = { .p = p, .guest = PACK_PACKAGES, .prefix = "" };
	char host[PATH_MAX];
	struct tree_folder f = {
		.host = host, .guest = PACK_PACKAGES,
		.layer = ETLFS_LAYER_PACKAGES, .keep = keep_package,
		.arg = &r,
	};
	struct tree_archive a = {
		.file = host, .guest = PACK_PACKAGES,
		.layer = ETLFS_LAYER_PACKAGES, .place = p->rt->ops->place,
	};
	struct stat st;
	int rc;

	if (pack_resolve(p, path, host, sizeof(host)) == 0)
		tree_saw(p->t, host, TREE_SAW_PATH);
	else
		host[0] = 0;
	if (stat(host, &st))
		return err_set(p->err, -ENOENT, "[packages] path: cannot open "
			       "'%s': %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return tree_add_folder(p->t, &f, p->err);
	rc = p->rt->ops->archive(p->rt, host, p->t, p->err);
	return rc < 0 ? rc : tree_add_archive(p->t, &a, p->err);
}

static int keep_required(void *arg, const char *rel, int is_dir)
{
	const struct rule *r = arg;

	return strcmp(rel, r->p->rt->ops->scripts) &&
		keep_package(arg, rel, is_dir);
}

static int add_requirements(struct pack *p)
{
	struct rule r = { .p = p, .guest = PACK_PACKAGES, .prefix = "" };
	const char *tmp = getenv("TMPDIR");
	char file[PATH_MAX];
	struct tree_folder f = {
		.guest = PACK_PACKAGES, .layer = ETLFS_LAYER_PACKAGES,
		.no_times = 1, .keep = keep_required, .arg = &r,
	};
	int rc;

	if (pack_resolve(p, p->o->manifest->requirements, file,
			 sizeof(file)) < 0 || access(file, R_OK))
		return err_set(p->err, -ENOENT, "[packages] requirements: "
			       "cannot open '%s': %s; it is a file that lists "
			       "packages", file, strerror(errno));
	if (asprintf(&p->temp, "%s/usetl-bake-XXXXXX",
		     tmp && *tmp ? tmp : "/tmp") < 0) {
		p->temp = NULL;
		return err_set(p->err, -ENOMEM, "out of memory");
	}
	if (!mkdtemp(p->temp)) {
		rc = err_set(p->err, -errno, "cannot make folder '%s': %s",
			     p->temp, strerror(errno));
		free(p->temp);
		p->temp = NULL;
		return rc;
	}
	rc = pack_stage(p, p->rt->ops->installing);
	if (rc == 0)
		rc = p->rt->ops->install(p->rt, file, p->temp, p->t, p->err);
	rc = rc < 0 ? rc : pack_stage(p, "collecting packages");
	f.host = p->temp;
	return rc < 0 ? rc : tree_add_folder(p->t, &f, p->err);
}

/*
 * An absolute path of include that nothing has packed so far, e.g.
 * /usr/share/zoneinfo: it comes along as it is.
 */
static int add_included(struct pack *p, const char *path)
{
	struct tree_folder f = {
		.host = path, .guest = path, .layer = ETLFS_LAYER_PACKAGES,
	};
	struct stat st;
	int64_t rc;

	if (*path != '/' || strpbrk(path, "*?[") ||
	    tree_find(p->t, path, 1) >= 0)
		return 0;
	if (!strncmp(path, PACK_APP "/", strlen(PACK_APP) + 1))
		return 0;
	tree_saw(p->t, path, TREE_SAW_PATH);
	if (stat(path, &st))
		return err_set(p->err, -errno, "include: cannot pack '%s': "
			       "%s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return tree_add_folder(p->t, &f, p->err);
	rc = tree_add_host(p->t, path, ETLFS_LAYER_PACKAGES, p->err);
	return rc < 0 ? rc : 0;
}

static int make_packages(struct pack *p)
{
	const struct manifest *m = p->o->manifest;
	uint32_t from = p->t->nodes;
	int64_t n;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->path.n; i++)
		rc = add_path(p, m->path.v[i]);
	if (rc == 0 && m->requirements)
		rc = add_requirements(p);
	n = tree_find(p->t, PACK_PACKAGES, 0);
	if (rc == 0 && n >= 0 && strings_add(&p->path, PACK_PACKAGES,
					     strlen(PACK_PACKAGES)) < 0)
		rc = err_set(p->err, -ENOMEM, "out of memory");
	if (rc == 0 && m->installed.n)
		rc = add_installed(p);
	for (size_t i = 0; rc == 0 && i < m->include.n; i++)
		rc = add_included(p, m->include.v[i]);
	if (rc == 0)
		rc = elfdeps_add(p->elf, from, ETLFS_LAYER_PACKAGES, p->err);
	if (rc == 0 && p->t->nodes > from)
		rc = pack_stage(p, "compiling packages");
	if (rc == 0)
		rc = p->rt->ops->compile(p->rt, p->t, from,
					 ETLFS_LAYER_PACKAGES, 0, p->err);
	return rc < 0 ? rc : pack_store_keep(p, ETLFS_LAYER_PACKAGES);
}

/* may there be anything in the layer? */
static int has_packages(const struct manifest *m)
{
	for (size_t i = 0; i < m->include.n; i++)
		if (*m->include.v[i] == '/')
			return 1;
	return m->path.n || m->installed.n || m->requirements;
}

int pack_packages(struct pack *p)
{
	int rc;

	if (!has_packages(p->o->manifest))
		return make_packages(p);
	rc = pack_store_begin(p, ETLFS_LAYER_PACKAGES);
	rc = rc < 0 ? rc : pack_store_take(p, ETLFS_LAYER_PACKAGES);
	if (rc == 0)
		rc = make_packages(p);
	pack_store_end(p);
	return rc < 0 ? rc : 0;
}

/* tools inside the folder stay out, and so does an image made before */
static int keep_app(void *arg, const char *rel, int is_dir)
{
	struct rule *r = arg;
	char guest[TREE_PATH_MAX], host[PATH_MAX];
	struct stat st;

	snprintf(guest, sizeof(guest), "%s/%s", r->guest, rel);
	if (!pack_app_keeps(r->p, rel, guest, is_dir))
		return 0;
	snprintf(host, sizeof(host), "%s/%s%s%s", r->host, rel,
		 is_dir ? "/" : "", is_dir ? r->p->rt->ops->tools_mark : "");
	if (is_dir)
		return access(host, F_OK) != 0;
	return stat(host, &st) || st.st_dev != r->dev || st.st_ino != r->ino;
}

/*
 * The interpreter by the name that function.ini has for it, when that is beside
 * the program itself: of functions with one interpreter not all use one name.
 */
static int add_command(struct pack *p)
{
	const char *program = p->rt->program, *command = p->rt->command;
	size_t dir = strrchr(program, '/') - program;
	int64_t n;

	if ((size_t)(strrchr(command, '/') - command) != dir ||
	    strncmp(command, program, dir))
		return 0;
	n = tree_add_host(p->t, command, ETLFS_LAYER_APP, p->err);
	return n < 0 ? (int)n : 0;
}

int pack_app(struct pack *p)
{
	struct rule r = { .p = p, .host = p->o->dir, .guest = PACK_APP };
	struct tree_folder f = {
		.host = p->o->dir, .guest = PACK_APP,
		.layer = ETLFS_LAYER_APP, .keep = keep_app, .arg = &r,
	};
	uint32_t from = p->t->nodes;
	struct stat st;
	int64_t rc;

	if (p->o->image && !stat(p->o->image, &st)) {
		r.dev = st.st_dev;
		r.ino = st.st_ino;
	}
	rc = tree_add_folder(p->t, &f, p->err);
	if (rc == 0)
		rc = add_command(p);
	if (rc < 0)
		return rc;
	rc = elfdeps_add(p->elf, from, ETLFS_LAYER_APP, p->err);
	if (rc == 0)
		rc = p->rt->ops->compile(p->rt, p->t, from,
					 ETLFS_LAYER_APP, 1, p->err);
	return rc;
}
