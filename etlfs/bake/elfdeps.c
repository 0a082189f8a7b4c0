/*
 * elfdeps.c - the shared libraries that packed ELF files need
 *
 * Paths here are the guest's.  Where the tree has nothing at a path, the
 * host's file at the same path is taken, so libraries keep their places;
 * files below /app and /packages never come from there.
 */
#include "etlfs/bake/elfdeps.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etlfs/bake/ldcache.h"

/* ld.so's own list, for Debian and for other distributions */
static const char *const default_dirs[] = {
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64",
	"/usr/lib64", "/lib", "/usr/lib", NULL
};

struct elfdeps {
	struct tree *t;
	uint32_t program;
	struct ldcache *cache;		/* NULL: this host has none */
	char libdir[PATH_MAX];		/* where libc was found, "" before */
	uint16_t layer;			/* at hand */
	struct err *err;
};

/* an object whose needs are looked for */
struct object {
	uint32_t node;
	char dir[TREE_PATH_MAX];	/* $ORIGIN */
	struct elf_info info;
};

int elfdeps_create(struct elfdeps **out, struct tree *t, uint32_t program,
		   struct err *err)
{
	struct elfdeps *d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	d->t = t;
	d->program = program;
	ldcache_open(&d->cache);	/* without it: default directories */
	*out = d;
	return 0;
}

const char *elfdeps_libdir(const struct elfdeps *d)
{
	return d->libdir;
}

void elfdeps_set_libdir(struct elfdeps *d, const char *dir)
{
	snprintf(d->libdir, sizeof(d->libdir), "%s", dir);
}

void elfdeps_destroy(struct elfdeps *d)
{
	if (!d)
		return;
	ldcache_close(d->cache);
	free(d);
}

/* an ELF object of the right kind: its node, or -errno */
static int64_t usable(struct elfdeps *d, int64_t node)
{
	struct elf_info info;
	int rc;

	if (node < 0)
		return node;
	if (!S_ISREG(d->t->node[node].mode))
		return -ENOENT;
	rc = elfdeps_info_read(d->t, node, &info, NULL);
	if (rc <= 0)
		return -ENOENT;
	elfdeps_info_free(&info);
	return node;
}

static int below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && path[len] == '/';
}

/* the library at a path, packed by now; its node or -ENOENT */
static int64_t try_path(struct elfdeps *d, const char *path)
{
	int64_t n = tree_find(d->t, path, 1);
	struct stat st;
	char magic[20];
	FILE *f;

	if (n >= 0)
		return usable(d, n);
	if (*path != '/' || below(path, "/app") || below(path, "/packages"))
		return -ENOENT;
	tree_saw(d->t, path, TREE_SAW_PATH);
	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return -ENOENT;
	/* look before it is packed: another machine's library is skipped */
	f = fopen(path, "re");
	if (!f)
		return -ENOENT;
	n = fread(magic, 1, sizeof(magic), f);
	fclose(f);
	if (n < 20 || memcmp(magic, "\177ELF\2", 5) || magic[18] != 62)
		return -ENOENT;
	n = tree_add_host(d->t, path, d->layer, d->err);
	return n;
}

static int64_t try_dir(struct elfdeps *d, const char *dir, size_t len,
		       const char *name)
{
	char path[TREE_PATH_MAX + PATH_MAX];
	int n = snprintf(path, sizeof(path), "%.*s/%s", (int)len, dir, name);

	if (!len || n >= TREE_PATH_MAX)
		return -ENOENT;
	return try_path(d, path);
}

/* one element of an RPATH, $ORIGIN replaced; others stay as they are */
static int expand(const char *elem, size_t len, const char *origin,
		  char *buf, size_t size)
{
	size_t at = 0, n;

	while (len) {
		n = !strncmp(elem, "$ORIGIN", 7) && len >= 7 ? 7 :
			!strncmp(elem, "${ORIGIN}", 9) && len >= 9 ? 9 : 0;
		if (n) {
			int put = snprintf(buf + at, size - at, "%s", origin);

			if ((size_t)put >= size - at)
				return -ENAMETOOLONG;
			at += put;
			elem += n;
			len -= n;
			continue;
		}
		if (at + 1 >= size)
			return -ENAMETOOLONG;
		buf[at++] = *elem++;
		len--;
	}
	buf[at] = 0;
	return 0;
}

static int64_t try_list(struct elfdeps *d, const char *list,
			const char *origin, const char *name)
{
	char dir[TREE_PATH_MAX];

	while (list && *list) {
		size_t len = strcspn(list, ":");
		int64_t n;

		if (expand(list, len, origin, dir, sizeof(dir)) == 0) {
			n = try_dir(d, dir, strlen(dir), name);
			if (n != -ENOENT)
				return n;
		}
		list += len;
		list += *list == ':';
	}
	return -ENOENT;
}

static int object_read(struct elfdeps *d, uint32_t node, struct object *o)
{
	char *slash;
	int rc = tree_path(d->t, node, o->dir, sizeof(o->dir));

	if (rc < 0)
		return rc;
	slash = strrchr(o->dir, '/');
	*(slash == o->dir ? slash + 1 : slash) = 0;
	o->node = node;
	return elfdeps_info_read(d->t, node, &o->info, d->err);
}

/* DT_RPATH counts where there is no DT_RUNPATH, up the chain of loaders */
static int64_t try_rpaths(struct elfdeps *d, const struct object *o,
			  const char *name)
{
	uint32_t at = d->t->node[o->node].loader;
	int64_t n;

	if (o->info.runpath)
		return -ENOENT;
	n = try_list(d, o->info.rpath, o->dir, name);
	for (int up = 0; n == -ENOENT && up < 64; up++) {
		struct object loader;

		if (!at)
			at = d->program;
		if (object_read(d, at, &loader) == 1) {
			if (!loader.info.runpath)
				n = try_list(d, loader.info.rpath, loader.dir,
					     name);
			elfdeps_info_free(&loader.info);
		}
		if (at == d->program)
			break;
		at = d->t->node[at].loader;
	}
	return n;
}

/* so that the guest's ld.so finds by default what the cache knew */
static int64_t put_link(struct elfdeps *d, const char *name, const char *path,
			int64_t node)
{
	char link[TREE_PATH_MAX + PATH_MAX], real[PATH_MAX], dir[PATH_MAX];
	int64_t n;

	snprintf(link, sizeof(link), "%s/%s", d->libdir, name);
	if (!*d->libdir || tree_find(d->t, link, 1) == node)
		return node;
	/* the same directory by another name needs no link */
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path),
		 path);
	tree_saw(d->t, dir, TREE_SAW_REAL);
	tree_saw(d->t, d->libdir, TREE_SAW_REAL);
	if (realpath(dir, real) && realpath(d->libdir, dir) &&
	    !strcmp(real, dir))
		return node;
	n = tree_add_link(d->t, link, path, d->layer, d->err);
	return n < 0 ? n : node;
}

static int64_t try_system(struct elfdeps *d, const char *name)
{
	const char *path = d->cache ? ldcache_find(d->cache, name) : NULL;
	int64_t n = path ? try_path(d, path) : -ENOENT;
	char at[PATH_MAX];

	for (size_t i = 0; n == -ENOENT && default_dirs[i]; i++) {
		n = try_dir(d, default_dirs[i], strlen(default_dirs[i]),
			    name);
		snprintf(at, sizeof(at), "%s/%s", default_dirs[i], name);
		path = at;
	}
	if (n < 0)
		return n;
	if (!strcmp(name, "libc.so.6") && !*d->libdir)
		snprintf(d->libdir, sizeof(d->libdir), "%.*s",
			 (int)(strrchr(path, '/') - path), path);
	return put_link(d, name, path, n);
}

static int64_t find_library(struct elfdeps *d, const struct object *o,
			    const char *name)
{
	char path[TREE_PATH_MAX];
	int64_t n;

	if (strchr(name, '/'))
		return expand(name, strlen(name), o->dir, path,
			      sizeof(path)) < 0 ? -ENOENT : try_path(d, path);
	n = try_rpaths(d, o, name);
	if (n == -ENOENT)
		n = try_list(d, o->info.runpath, o->dir, name);
	if (n == -ENOENT)
		n = try_system(d, name);
	return n;
}

/* is a library of that name in the tree, wherever? */
static int packed_somewhere(struct elfdeps *d, const char *name)
{
	for (uint32_t i = 1; i < d->t->nodes; i++)
		if (!strcmp(d->t->node[i].name, name))
			return 1;
	return 0;
}

static int missing(struct elfdeps *d, const struct object *o,
		   const char *name)
{
	const char *file = d->t->node[o->node].name;

	if (o->node == d->program)
		return err_set(d->err, -ENOENT, "the interpreter needs '%s', "
			       "which this host does not have", name);
	if (!packed_somewhere(d, name))
		tree_warn(d->t, "'%s/%s' needs '%s', which this host does "
			  "not have", o->dir, file, name);
	return 0;
}

/* files that can be objects; the rest is not even opened */
static int candidate(const struct tree_node *n)
{
	size_t len;
	const char *so;

	if (!S_ISREG(n->mode) || !n->size)
		return 0;
	if (n->mode & 0111)
		return 1;
	len = strlen(n->name);
	so = strstr(n->name, ".so.");
	return so || (len > 3 && !strcmp(n->name + len - 3, ".so"));
}

static int add_needs(struct elfdeps *d, uint32_t node)
{
	struct object o;
	int rc = object_read(d, node, &o);

	if (rc == -ENOEXEC) {
		tree_warn(d->t, "'%s/%s' is a broken ELF file", o.dir,
			  d->t->node[node].name);
		return 0;
	}
	if (rc <= 0)
		return rc;
	rc = 0;
	for (size_t i = 0; o.info.needed && o.info.needed[i] && rc == 0; i++) {
		uint32_t before = d->t->nodes;
		int64_t n = find_library(d, &o, o.info.needed[i]);

		if (n == -ENOENT)
			rc = missing(d, &o, o.info.needed[i]);
		else if (n < 0)
			rc = n;
		else if (n >= before)
			d->t->node[n].loader = node;
	}
	elfdeps_info_free(&o.info);
	return rc;
}

int elfdeps_add(struct elfdeps *d, uint32_t from, uint16_t layer,
		struct err *err)
{
	int rc = 0;

	d->layer = layer;
	d->err = err;
	/* it was opened for the first layer, and serves them all */
	tree_saw(d->t, LDCACHE, TREE_SAW_PATH);
	/* what is added on the way lands behind, and is looked at too */
	for (uint32_t i = from; i < d->t->nodes && rc == 0; i++)
		if (candidate(&d->t->node[i]))
			rc = add_needs(d, i);
	return rc;
}

int elfdeps_want(struct elfdeps *d, const char *soname, uint16_t layer,
		 struct err *err)
{
	int64_t n;

	d->layer = layer;
	d->err = err;
	n = try_system(d, soname);
	return n == -ENOENT ? 0 : n < 0 ? n : 1;
}
