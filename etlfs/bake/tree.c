/*
 * tree.c - the guest's root file system while it is being put together
 */
#include "etlfs/bake/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/image/name.h"

void tree_warn(struct tree *t, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (!t->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	t->warn(t->arg, line);
}

void tree_saw(struct tree *t, const char *path, enum tree_look how)
{
	if (t->saw)
		t->saw(t->arg, path, how);
}

/* an unlinked file: O_TMPFILE where the file system has it */
static int open_spool(void)
{
	const char *dir = getenv("TMPDIR");
	char path[TREE_PATH_MAX];
	int fd;

	if (!dir || !*dir)
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "%s/usetl-bake-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int64_t new_node(struct tree *t)
{
	if (t->nodes == t->room) {
		uint32_t room = t->room ? t->room * 2 : 1024;
		struct tree_node *n = realloc(t->node, room * sizeof(*n));

		if (!n)
			return -ENOMEM;
		t->node = n;
		t->room = room;
	}
	t->node[t->nodes] = (struct tree_node){ 0 };
	return t->nodes++;
}

int tree_create(struct tree **out, struct err *err)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t || new_node(t) < 0) {
		free(t);
		return err_set(err, -ENOMEM, "out of memory");
	}
	for (int i = 0; i < ETLFS_LAYERS; i++)
		t->stored[i].fd = -1;
	t->node[0].mode = S_IFDIR | 0755;
	t->node[0].in = 1;
	t->spool = open_spool();
	if (t->spool < 0) {
		int rc = t->spool;

		tree_destroy(t);
		return err_set(err, rc, "cannot make a temporary file: %s; "
			       "set TMPDIR to a folder with room",
			       strerror(-rc));
	}
	*out = t;
	return 0;
}

void tree_destroy(struct tree *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->nodes; i++) {
		free(t->node[i].name);
		free(t->node[i].host);
		free(t->node[i].target);
		free(t->node[i].child);
	}
	free(t->node);
	for (int i = 0; i < ETLFS_LAYERS; i++)
		if (t->stored[i].fd >= 0)
			close(t->stored[i].fd);
	if (t->spool >= 0)
		close(t->spool);
	free(t);
}

/* where name is among dir's children, or would be; *found says which */
static uint32_t search(const struct tree *t, uint32_t dir, const char *name,
		       size_t len, int *found)
{
	const struct tree_node *d = &t->node[dir];
	uint32_t lo = 0, hi = d->children;

	*found = 0;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *other = t->node[d->child[mid]].name;
		int c = etlfs_name_cmp(name, len, other, strlen(other));

		if (!c) {
			*found = 1;
			return mid;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* a new child, without a mode yet */
static int64_t add_child(struct tree *t, uint32_t dir, uint32_t at,
			 const char *name, size_t len, uint16_t layer)
{
	int64_t n = new_node(t);
	struct tree_node *d = &t->node[dir], *c;

	if (n < 0)
		return n;
	if (d->children == d->room) {
		uint32_t room = d->room ? d->room * 2 : 8;
		uint32_t *child = realloc(d->child, room * sizeof(*child));

		if (!child) {
			t->nodes--;
			return -ENOMEM;
		}
		d->child = child;
		d->room = room;
	}
	c = &t->node[n];
	c->name = strndup(name, len);
	if (!c->name) {
		t->nodes--;
		return -ENOMEM;
	}
	c->parent = dir;
	c->layer = layer;
	memmove(d->child + at + 1, d->child + at,
		(d->children - at) * sizeof(*d->child));
	d->child[at] = n;
	d->children++;
	return n;
}

/* a directory is in a layer, and so are those above it */
static void claim(struct tree *t, uint32_t dir, uint16_t layer)
{
	while (!(t->node[dir].in & 1u << layer)) {
		t->node[dir].in |= 1u << layer;
		dir = t->node[dir].parent;
	}
}

static int64_t add_child_dir(struct tree *t, uint32_t dir, uint32_t at,
			     const char *name, uint16_t layer)
{
	int64_t n = add_child(t, dir, at, name, strlen(name), layer);

	if (n >= 0) {
		t->node[n].mode = S_IFDIR | 0755;
		claim(t, n, layer);
	}
	return n;
}

int64_t tree_in_layer(const struct tree *t, uint32_t node, uint16_t layer)
{
	if (S_ISDIR(t->node[node].mode))
		return t->node[node].in & 1u << layer ? (int64_t)node :
			-ENOENT;
	while (t->node[node].layer != layer) {
		node = t->node[node].under;
		if (!node)
			return -ENOENT;
	}
	return node;
}

/*
 * Walks path from dir.  The last component is looked up, and followed when
 * FOLLOW says so; with MAKE, directories that are missing on the way are
 * made for `layer`, and *last and *dir name what was not found.
 */
#define FOLLOW	1
#define MAKE	2
struct walk {
	int flags;
	uint16_t layer;
	int links;			/* followed so far */
	uint32_t dir;			/* of the last component */
	uint32_t at;			/* its place there */
	char last[NAME_MAX + 1];
};

static int64_t walk(struct tree *t, struct walk *w, uint32_t dir,
		    const char *path);

/* one component of len bytes under dir; more: others follow it */
static int64_t step(struct tree *t, struct walk *w, uint32_t dir,
		    const char *name, size_t len, int more)
{
	struct walk sub = { .flags = w->flags | FOLLOW, .layer = w->layer };
	int found;
	int64_t n;

	if (len == 1 && name[0] == '.')
		return dir;
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return t->node[dir].parent;
	w->dir = dir;
	w->at = search(t, dir, name, len, &found);
	memcpy(w->last, name, len);
	w->last[len] = 0;
	if (!found) {
		if (!more || !(w->flags & MAKE))
			return -ENOENT;
		return add_child_dir(t, dir, w->at, w->last, w->layer);
	}
	n = t->node[dir].child[w->at];
	if (!S_ISLNK(t->node[n].mode) || (!more && !(w->flags & FOLLOW)))
		return n;
	sub.links = ++w->links;
	if (sub.links > TREE_LINKS_MAX)
		return -ELOOP;
	n = walk(t, &sub, dir, t->node[n].target);
	/* what a link leads to is made too when more is to be put there */
	if (n == -ENOENT && more && (w->flags & MAKE))
		n = add_child_dir(t, sub.dir, sub.at, sub.last, w->layer);
	w->links = sub.links;
	return n;
}

static int64_t walk(struct tree *t, struct walk *w, uint32_t dir,
		    const char *path)
{
	int64_t n;

	if (*path == '/')
		dir = 0;
	n = dir;
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");
		int more = path[len + strspn(path + len, "/")] != 0;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		if (!S_ISDIR(t->node[n].mode))
			return -ENOTDIR;
		n = step(t, w, n, path, len, more);
		if (n < 0)
			return n;
		path += len;
	}
	return n;
}

int64_t tree_find(const struct tree *t, const char *path, int follow)
{
	struct walk w = { .flags = follow ? FOLLOW : 0 };

	/* without MAKE the tree is not written */
	return walk((struct tree *)t, &w, 0, path);
}

int tree_path(const struct tree *t, uint32_t node, char *buf, size_t len)
{
	size_t at = len;

	if (!len)
		return -ENAMETOOLONG;
	buf[--at] = 0;
	for (; node; node = t->node[node].parent) {
		size_t n = strlen(t->node[node].name);

		if (at < n + 1)
			return -ENAMETOOLONG;
		at -= n;
		memcpy(buf + at, t->node[node].name, n);
		buf[--at] = '/';
	}
	if (!buf[at]) {
		if (!at)
			return -ENAMETOOLONG;
		buf[--at] = '/';
	}
	memmove(buf, buf + at, len - at);
	return 0;
}

/* is the node what would be put in its place anyway? */
static int same(const struct tree_node *n, uint32_t mode, const char *host,
		const char *target)
{
	if (n->mode != mode)
		return 0;
	return host ? n->host && !strcmp(n->host, host) :
		target && !strcmp(n->target, target);
}

/* a new node takes the name of n, which stays under it */
static int64_t cover(struct tree *t, uint32_t n, uint16_t layer)
{
	int64_t over = new_node(t);
	struct tree_node *node = &t->node[n], *o;
	int found;
	uint32_t at;

	if (over < 0)
		return over;
	o = &t->node[over];
	o->name = strdup(node->name);
	if (!o->name) {
		t->nodes--;
		return -ENOMEM;
	}
	o->parent = node->parent;
	o->layer = layer;
	o->under = n;
	at = search(t, o->parent, o->name, strlen(o->name), &found);
	t->node[o->parent].child[at] = over;
	return over;
}

/* fills a node in that is not a directory */
static int fill(struct tree_node *node, uint32_t mode, const char *host,
		const char *target)
{
	free(node->host);
	free(node->target);
	node->host = host ? strdup(host) : NULL;
	node->target = target ? strdup(target) : NULL;
	node->mode = mode;
	return (host && !node->host) || (target && !node->target) ? -ENOMEM : 0;
}

/*
 * A node that is not a directory: new, in the place of an older one, or over
 * it.  When it is there already, in a lower layer, it is to be left alone:
 * *stays.
 */
static int64_t add(struct tree *t, const char *path, uint16_t layer,
		   uint32_t mode, const char *host, const char *target,
		   int *stays)
{
	struct walk w = { .flags = MAKE, .layer = layer };
	int rc = t->tick ? t->tick(t->arg) : 0;
	int64_t n = rc < 0 ? rc : walk(t, &w, 0, path);

	*stays = 0;
	if (n == -ENOENT)
		n = add_child(t, w.dir, w.at, w.last, strlen(w.last), layer);
	if (n < 0)
		return n;
	if (S_ISDIR(t->node[n].mode))
		return -EEXIST;
	if (t->node[n].layer != layer) {
		*stays = same(&t->node[n], mode, host, target);
		n = *stays ? n : cover(t, n, layer);
	}
	if (n < 0 || *stays)
		return n;
	claim(t, t->node[n].parent, layer);
	rc = fill(&t->node[n], mode, host, target);
	return rc < 0 ? rc : n;
}

static int64_t cannot(const char *path, int64_t rc, struct err *err)
{
	return err_set(err, rc, "cannot pack '%s': %s", path, strerror(-rc));
}

int64_t tree_add_dir(struct tree *t, const char *path, uint16_t layer,
		     struct err *err)
{
	struct walk w = { .flags = MAKE | FOLLOW, .layer = layer };
	int64_t n = walk(t, &w, 0, path);

	if (n == -ENOENT)
		n = add_child_dir(t, w.dir, w.at, w.last, layer);
	if (n >= 0 && !S_ISDIR(t->node[n].mode))
		n = -ENOTDIR;
	if (n < 0)
		return cannot(path, n, err);
	claim(t, n, layer);
	return n;
}

int64_t tree_add_file(struct tree *t, const char *path,
		      const struct tree_file *f, struct err *err)
{
	int stays;
	int64_t n = add(t, path, f->layer, S_IFREG | (f->mode & 0777),
			f->host, NULL, &stays);
	struct tree_node *node;

	if (n < 0)
		return cannot(path, n, err);
	if (stays)
		return n;
	node = &t->node[n];
	node->off = f->off;
	node->size = f->size;
	node->mtime = f->mtime;
	node->stored = 0;
	return n;
}

int64_t tree_add_link(struct tree *t, const char *path, const char *target,
		      uint16_t layer, struct err *err)
{
	int stays;
	int64_t n = add(t, path, layer, S_IFLNK | 0777, NULL, target, &stays);

	if (n < 0)
		return cannot(path, n, err);
	if (stays)
		return n;
	t->node[n].size = strlen(target);
	t->node[n].mtime = 0;
	return n;
}

int64_t tree_spool(struct tree *t, const void *data, size_t len)
{
	uint64_t at = t->spool_len;
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(t->spool, p, len, t->spool_len);

		if (n < 0)
			return -errno;
		p += n;
		len -= n;
		t->spool_len += n;
	}
	return at;
}

int64_t tree_add_data(struct tree *t, const char *path, const void *data,
		      size_t len, uint16_t layer, struct err *err)
{
	struct tree_file f = { .layer = layer, .mode = 0644, .size = len };
	int64_t off = tree_spool(t, data, len);

	if (off < 0)
		return err_set(err, off, "cannot write a temporary file: %s",
			       strerror(-off));
	f.off = off;
	return tree_add_file(t, path, &f, err);
}

int tree_open(const struct tree *t, uint32_t node, uint64_t *off)
{
	const struct tree_node *n = &t->node[node];
	int fd;

	if (n->stored) {
		*off = n->layer_off;
		fd = fcntl(t->stored[n->layer].fd, F_DUPFD_CLOEXEC, 0);
	} else if (n->host) {
		*off = 0;
		fd = open(n->host, O_RDONLY | O_CLOEXEC);
	} else {
		*off = n->off;
		fd = fcntl(t->spool, F_DUPFD_CLOEXEC, 0);
	}
	return fd < 0 ? -errno : fd;
}

ssize_t tree_read(const struct tree *t, uint32_t node, void *buf, size_t len,
		  uint64_t pos)
{
	const struct tree_node *n = &t->node[node];
	uint64_t off;
	ssize_t got;
	int fd;

	if (pos >= n->size)
		return 0;
	if (len > n->size - pos)
		len = n->size - pos;
	fd = tree_open(t, node, &off);
	if (fd < 0)
		return fd;
	got = pread(fd, buf, len, off + pos);
	if (got < 0)
		got = -errno;
	close(fd);
	return got;
}
