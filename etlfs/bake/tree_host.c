/*
 * tree_host.c - taking files over from the host, with their symlinks
 */
#include "etlfs/bake/tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct err *err, int code, const char *path)
{
	return err_set(err, code, "cannot pack '%s': %s", path,
		       strerror(-code));
}

/* one regular file; st is of its content, not of a link to it */
static int64_t add_file(struct tree *t, const char *guest, const char *host,
			const struct stat *st, uint16_t layer, int no_times,
			struct err *err)
{
	struct tree_file f = {
		.layer = layer,
		.mode = st->st_mode & 0111 ? 0755 : 0644,
		.mtime = no_times ? 0 : st->st_mtim.tv_sec,
		.size = st->st_size,
		.host = host,
	};

	if (access(host, R_OK))
		return fail(err, -errno, host);
	return tree_add_file(t, guest, &f, err);
}

/* target of a symlink, NUL-terminated; 0 or -errno */
static int read_link(const char *path, char *buf, size_t size)
{
	ssize_t n = readlink(path, buf, size - 1);

	if (n < 0)
		return -errno;
	if (!n || (size_t)n == size - 1)
		return -ENAMETOOLONG;
	buf[n] = 0;
	return 0;
}

/* "dir/name" without doubled slashes; 0 or -ENAMETOOLONG */
static int join(char *buf, size_t size, const char *dir, const char *name)
{
	size_t len = strlen(dir);
	int n;

	while (len && dir[len - 1] == '/')
		len--;
	n = snprintf(buf, size, "%.*s/%s", (int)len, dir, name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* drops the last component, down to "/" and no further */
static void parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == path)
		slash++;
	*slash = 0;
}

/*
 * `done` is the real path of what was walked so far.  A symlink is added
 * there and its target put before the rest, as the kernel would.
 */
struct chain {
	char done[PATH_MAX];
	char rest[PATH_MAX];
	int links;
};

static int follow(struct tree *t, struct chain *c, const char *link,
		  const char *rest, uint16_t layer, struct err *err)
{
	char target[PATH_MAX], next[PATH_MAX];
	int rc = read_link(link, target, sizeof(target));
	int64_t n;

	if (rc < 0)
		return rc;
	if (++c->links > TREE_LINKS_MAX)
		return -ELOOP;
	n = tree_add_link(t, link, target, layer, err);
	if (n < 0)
		return n;
	if (*target == '/')
		strcpy(c->done, "/");
	rc = join(next, sizeof(next), target, rest);
	if (rc == 0)
		strcpy(c->rest, next);
	return rc;
}

int64_t tree_add_host(struct tree *t, const char *path, uint16_t layer,
		      struct err *err)
{
	struct chain c = { .done = "/" };
	struct stat st = { .st_mode = S_IFDIR };
	int rc = strlen(path) < sizeof(c.rest) ? 0 : -ENAMETOOLONG;

	if (rc == 0)
		strcpy(c.rest, path);
	while (rc == 0) {
		char *name = c.rest + strspn(c.rest, "/"), at[PATH_MAX];
		size_t len = strcspn(name, "/");
		char *rest = name + len;

		if (!len)
			break;
		if (*rest)
			*rest++ = 0;
		if (!strcmp(name, "..")) {
			parent(c.done);
		} else if (strcmp(name, ".")) {
			rc = join(at, sizeof(at), c.done, name);
			if (rc == 0)
				tree_saw(t, at, TREE_SAW_PATH);
			if (rc == 0 && lstat(at, &st))
				rc = -errno;
			if (rc == 0 && S_ISLNK(st.st_mode)) {
				rc = follow(t, &c, at, rest, layer, err);
				if (rc < 0)
					break;
				continue;
			}
			strcpy(c.done, at);
		}
		memmove(c.rest, rest, strlen(rest) + 1);
	}
	if (rc < 0)
		return fail(err, rc, path);
	if (S_ISDIR(st.st_mode))
		return tree_add_dir(t, c.done, layer, err);
	if (!S_ISREG(st.st_mode))
		return fail(err, -EINVAL, path);
	return add_file(t, c.done, c.done, &st, layer, 0, err);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/*
 * How deep a folder may be.  A link to a folder outside, which becomes a
 * copy, weighs more: such links can form loops.
 */
#define DEPTH_MAX	128
#define DEPTH_LINK	16

struct visit {
	const struct tree_folder *f;
	char root[PATH_MAX];		/* real path of f->host */
	int same;			/* host and guest are one path */
	struct err *err;
};

static int visit_dir(struct tree *t, struct visit *v, const char *rel,
		     int depth);

/* 1 when the real path of `path` is the folder itself or lies in it */
static int inside(struct tree *t, const struct visit *v, const char *path)
{
	char real[PATH_MAX];
	size_t len = strlen(v->root);

	tree_saw(t, path, TREE_SAW_REAL);
	return realpath(path, real) && !strncmp(real, v->root, len) &&
		(real[len] == '/' || !real[len]);
}

/*
 * A symlink out of the folder, in its own place: what it leads to follows.
 * A folder there is taken whole, as a package's parts can live elsewhere.
 */
static int add_outside(struct tree *t, struct visit *v, const char *host)
{
	int64_t n = tree_add_host(t, host, v->f->layer, v->err);
	char real[PATH_MAX];
	struct tree_folder sub = {
		.host = real, .guest = real, .layer = v->f->layer,
	};

	if (n < 0)
		return n;
	if (!S_ISDIR(t->node[n].mode))
		return 0;
	if (!realpath(host, real))
		return fail(v->err, -errno, host);
	return tree_add_folder(t, &sub, v->err);
}

/* does a link lead to a folder that it lies in itself? */
static int leads_around(struct tree *t, const char *host)
{
	char real[PATH_MAX], dir[PATH_MAX], real_dir[PATH_MAX];
	size_t len;

	snprintf(dir, sizeof(dir), "%s", host);
	parent(dir);
	tree_saw(t, dir, TREE_SAW_REAL);
	if (!realpath(host, real) || !realpath(dir, real_dir))
		return 0;
	len = strlen(real);
	return !strncmp(real_dir, real, len) &&
		(real_dir[len] == '/' || !real_dir[len] || len == 1);
}

static int add_symlink(struct tree *t, struct visit *v, const char *host,
		       const char *guest, const char *rel, int depth)
{
	char target[PATH_MAX];
	struct stat st;
	int64_t n;
	int rc = read_link(host, target, sizeof(target));

	if (rc < 0)
		return fail(v->err, rc, host);
	if (stat(host, &st)) {
		tree_warn(t, "'%s' leads nowhere: left out", host);
		return 0;
	}
	if (inside(t, v, host) && (v->same || *target != '/')) {
		n = tree_add_link(t, guest, target, v->f->layer, v->err);
		return n < 0 ? n : 0;
	}
	if (S_ISDIR(st.st_mode) && leads_around(t, host)) {
		tree_warn(t, "'%s' leads to a folder around it: left out",
			  host);
		return 0;
	}
	if (v->same)
		return add_outside(t, v, host);
	if (S_ISDIR(st.st_mode))
		return visit_dir(t, v, rel, depth + DEPTH_LINK);
	if (!S_ISREG(st.st_mode))
		return 0;
	n = add_file(t, guest, host, &st, v->f->layer, v->f->no_times,
		     v->err);
	return n < 0 ? n : 0;
}

static int visit_entry(struct tree *t, struct visit *v, const char *rel,
		       int depth)
{
	char host[PATH_MAX], guest[TREE_PATH_MAX];
	struct stat st, to;
	int64_t n;

	if (join(host, sizeof(host), v->f->host, rel) < 0 ||
	    join(guest, sizeof(guest), v->f->guest, rel) < 0)
		return fail(v->err, -ENAMETOOLONG, rel);
	tree_saw(t, host, TREE_SAW_PATH);
	if (lstat(host, &st))
		return fail(v->err, -errno, host);
	to = st;
	if (S_ISLNK(st.st_mode) && stat(host, &to))
		to = st;
	if (v->f->keep && !v->f->keep(v->f->arg, rel, S_ISDIR(to.st_mode)))
		return 0;
	if (S_ISLNK(st.st_mode))
		return add_symlink(t, v, host, guest, rel, depth);
	if (S_ISDIR(st.st_mode))
		return visit_dir(t, v, rel, depth + 1);
	if (!S_ISREG(st.st_mode)) {
		tree_warn(t, "'%s' is no file, folder or symlink: left out",
			  host);
		return 0;
	}
	n = add_file(t, guest, host, &st, v->f->layer, v->f->no_times,
		     v->err);
	return n < 0 ? n : 0;
}

static int visit_dir(struct tree *t, struct visit *v, const char *rel,
		     int depth)
{
	char host[PATH_MAX], guest[TREE_PATH_MAX], sub[PATH_MAX];
	struct dirent **entry;
	int n, rc = 0;
	int64_t node;

	if (join(host, sizeof(host), v->f->host, rel) < 0 ||
	    join(guest, sizeof(guest), v->f->guest, rel) < 0)
		return fail(v->err, -ENAMETOOLONG, rel);
	if (depth > DEPTH_MAX)
		return fail(v->err, -ELOOP, host);
	node = tree_add_dir(t, guest, v->f->layer, v->err);
	if (node < 0)
		return node;
	tree_saw(t, host, TREE_SAW_FOLDER);
	n = scandir(host, &entry, NULL, by_name);
	if (n < 0)
		return fail(v->err, -errno, host);
	for (int i = 0; i < n; i++) {
		const char *name = entry[i]->d_name;

		if (rc == 0 && strcmp(name, ".") && strcmp(name, "..")) {
			if (snprintf(sub, sizeof(sub), "%s%s%s", rel,
				     *rel ? "/" : "", name) >=
			    (int)sizeof(sub))
				rc = fail(v->err, -ENAMETOOLONG, name);
			else
				rc = visit_entry(t, v, sub, depth);
		}
		free(entry[i]);
	}
	free(entry);
	return rc;
}

int tree_add_folder(struct tree *t, const struct tree_folder *f,
		    struct err *err)
{
	struct visit v = { .f = f, .same = !strcmp(f->host, f->guest),
			   .err = err };

	tree_saw(t, f->host, TREE_SAW_REAL);
	if (!realpath(f->host, v.root))
		return fail(err, -errno, f->host);
	/* the links that lead to a folder in its own place come with it */
	if (v.same) {
		int64_t n = tree_add_host(t, f->host, f->layer, err);

		if (n < 0)
			return n;
	}
	return visit_dir(t, &v, "", 0);
}
