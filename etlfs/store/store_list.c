/* store_list.c - what is in a store, whether it is whole, what may go */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "etlfs/store/store_impl.h"

#define TEMP_KEPT	86400		/* s: a bake that writes is alive */

static int each(const struct store *s, int folder, int temporary,
		int (*visit)(void *arg, const char *name), void *arg,
		struct err *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (!d) {
		rc = err_set(err, -errno, "cannot read '%s': %s", s->dir,
			     strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc >= 0 && (e = readdir(d)))
		if ((e->d_name[0] == *STORE_TEMP) == temporary &&
		    strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = visit(arg, e->d_name);
	closedir(d);
	return rc < 0 ? rc : 0;
}

int store_each(const struct store *s, int folder,
	       int (*visit)(void *arg, const char *name), void *arg,
	       struct err *err)
{
	return each(s, folder, 0, visit, arg, err);
}

struct listing {
	struct store *s;
	struct store_entry *v;
	size_t n, room;
};

static struct store_entry *entry_new(struct listing *l)
{
	struct store_entry *e;

	if (l->n == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		e = realloc(l->v, l->room * sizeof(*e));
		if (!e)
			return NULL;
		l->v = e;
	}
	return &l->v[l->n++];
}

static int add_snapshot(void *arg, const char *name)
{
	struct listing *l = arg;
	struct store_entry e, *to;

	if (store_snapshot_entry(l->s, name, &e) < 0)
		return 0;
	to = entry_new(l);
	if (!to)
		return -ENOMEM;
	*to = e;
	return 0;
}

static int add_layer(void *arg, const char *name)
{
	struct listing *l = arg;
	const size_t skip = sizeof(STORE_PREFIX) - 1;
	struct store_entry *e;
	struct stat st;

	if (strncmp(name, STORE_PREFIX, skip) ||
	    !store_is_digest(name + skip) ||
	    fstatat(l->s->layers, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return 0;
	e = entry_new(l);
	if (!e)
		return -ENOMEM;
	*e = (struct store_entry){ .size = (uint64_t)st.st_size,
				   .used = st.st_mtim.tv_sec };
	strcpy(e->digest, name + skip);
	return 0;
}

/* the kind in a key's name */
static void kind_of(char kind[STORE_KIND_MAX], const char *name)
{
	snprintf(kind, STORE_KIND_MAX, "%.*s", (int)strcspn(name, "-"), name);
}

static int add_key(void *arg, const char *name)
{
	struct listing *l = arg;
	char digest[STORE_DIGEST];
	struct stat st;

	if (store_key_read(l->s, name, digest, NULL, NULL) < 0 ||
	    fstatat(l->s->keys, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].digest, digest))
			continue;
		if (!store_whole_is(name))
			kind_of(l->v[i].kind, name);
		if (l->v[i].used < st.st_mtim.tv_sec)
			l->v[i].used = st.st_mtim.tv_sec;
	}
	return 0;
}

static int by_use(const void *a, const void *b)
{
	const struct store_entry *x = a, *y = b;

	if (x->used != y->used)
		return x->used < y->used ? 1 : -1;
	return strcmp(x->digest, y->digest);
}

int store_list(struct store *s, struct store_entry **out, size_t *n,
	       struct err *err)
{
	struct listing l = { .s = s };
	int rc = store_each(s, s->layers, add_layer, &l, err);

	if (rc == 0)
		rc = store_each(s, s->keys, add_key, &l, err);
	if (rc == 0)
		rc = store_each(s, s->snapshots, add_snapshot, &l, err);
	if (rc < 0) {
		free(l.v);
		return rc == -ENOMEM ? err_set(err, rc, "out of memory") : rc;
	}
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_use);
	*out = l.v;
	*n = l.n;
	return 0;
}

struct verify {
	struct store *s;
	void (*say)(void *arg, const char *line);
	void *arg;
	int bad;
};

static void say(struct verify *v, const char *name, const char *what)
{
	char line[1200];

	snprintf(line, sizeof(line), "%.80s: %s", name, what);
	v->say(v->arg, line);
	v->bad++;
}

static int verify_layer(void *arg, const char *name)
{
	struct verify *v = arg;
	char is[STORE_DIGEST];
	struct err why = { "" };
	struct stat st;
	int fd = store_file_open(v->s, v->s->layers, name, &st, &why);

	/* gone by now: another's gc */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0) {
		say(v, name, why.msg);
		return 0;
	}
	if (sha256_file(fd, 0, (uint64_t)st.st_size, is) < 0)
		say(v, name, "cannot be read");
	else if (strncmp(name, STORE_PREFIX, sizeof(STORE_PREFIX) - 1) ||
		 strcmp(name + sizeof(STORE_PREFIX) - 1, is))
		say(v, name, "its bytes have another digest");
	close(fd);
	return 0;
}

static int verify_key(void *arg, const char *name)
{
	struct verify *v = arg;
	char digest[STORE_DIGEST];
	struct err why = { "" };
	int rc = store_key_read(v->s, name, digest, NULL, &why);

	if (rc < 0 && rc != -ENOENT)
		say(v, name, why.msg);
	return 0;
}

static int verify_snapshot(void *arg, const char *name)
{
	struct verify *v = arg;
	struct err why = { "" };
	int rc = store_snapshot_verify(v->s, name, &why);

	if (rc < 0 && rc != -ENOENT)
		say(v, name, why.msg);
	return 0;
}

int store_verify(struct store *s, void (*tell)(void *arg, const char *line),
		 void *arg, struct err *err)
{
	struct verify v = { .s = s, .say = tell, .arg = arg };
	int rc = store_each(s, s->layers, verify_layer, &v, err);

	if (rc == 0)
		rc = store_each(s, s->keys, verify_key, &v, err);
	if (rc == 0)
		rc = store_each(s, s->snapshots, verify_snapshot, &v, err);
	return rc < 0 ? rc : v.bad;
}

struct sweep {
	struct store *s;
	struct store_gc *gc;
	int64_t now;
	int folder;
	const struct store_entry *v;	/* layers */
	size_t n;
};

/* a clock that went back makes nothing old */
static int is_old(const struct sweep *w, int folder, const char *name,
		  int64_t keep, struct stat *st)
{
	return fstatat(folder, name, st, AT_SYMLINK_NOFOLLOW) == 0 &&
		w->now - st->st_mtim.tv_sec >= keep;
}

static int sweep_temp(void *arg, const char *name)
{
	struct sweep *w = arg;
	struct stat st;

	if (is_old(w, w->folder, name, TEMP_KEPT, &st))
		unlinkat(w->folder, name, 0);
	return 0;
}

/* keys of layers that are gone, those that nobody can read, and old ones */
static int sweep_key(void *arg, const char *name)
{
	struct sweep *w = arg;
	char digest[STORE_DIGEST];
	struct stat st;
	int rc = store_key_read(w->s, name, digest, NULL, NULL), there = 0;

	for (size_t i = 0; rc == 0 && i < w->n; i++)
		there |= !strcmp(w->v[i].digest, digest);
	if (there && !(w->gc->keys &&
		       is_old(w, w->s->keys, name, w->gc->keep, &st)))
		return 0;
	if (unlinkat(w->s->keys, name, 0) == 0)
		w->gc->gone++;
	return 0;
}

static int sweep_snapshot_older(struct sweep *w, const char *name,
				int64_t keep)
{
	struct stat st;

	if (!is_old(w, w->s->snapshots, name, keep, &st) ||
	    unlinkat(w->s->snapshots, name, 0))
		return 0;
	w->gc->snapshots++;
	w->gc->bytes += (uint64_t)st.st_size;
	return 0;
}

static int sweep_snapshot(void *arg, const char *name)
{
	struct sweep *w = arg;

	return sweep_snapshot_older(w, name, w->gc->keep_snapshots);
}

static int sweep_snapshots(struct sweep *w, struct err *err)
{
	int rc = store_each(w->s, w->s->snapshots, sweep_snapshot, w, err);

	w->folder = w->s->snapshots;
	return rc < 0 ? rc : each(w->s, w->folder, 1, sweep_temp, w, err);
}

int store_gc_snapshots(struct store *s, struct store_gc *gc, struct err *err)
{
	struct sweep w = { .s = s, .gc = gc, .now = time(NULL) };

	return sweep_snapshots(&w, err);
}

/* snapshots over one that is not there */
struct orphans {
	struct sweep w;
	uint8_t (*id)[STORE_ID];	/* of all that are there */
	size_t n, room;
};

static int note_id(void *arg, const char *name)
{
	struct orphans *o = arg;
	struct store_snapshot snap;
	void *p;

	if (store_snapshot_names(o->w.s, name, &snap) < 0)
		return 0;
	if (o->n == o->room) {
		p = realloc(o->id, (o->room * 2 + 64) * STORE_ID);
		if (!p)
			return -ENOMEM;
		o->id = p;
		o->room = o->room * 2 + 64;
	}
	memcpy(o->id[o->n++], snap.id, STORE_ID);
	return 0;
}

static int sweep_orphan(void *arg, const char *name)
{
	struct orphans *o = arg;
	struct store_snapshot snap;

	if (store_snapshot_names(o->w.s, name, &snap) < 0 ||
	    !memcmp(snap.id, snap.over, STORE_ID))
		return 0;
	for (size_t i = 0; i < o->n; i++)
		if (!memcmp(o->id[i], snap.over, STORE_ID))
			return 0;
	return sweep_snapshot_older(&o->w, name, STORE_ORPHAN_KEPT);
}

int store_gc_orphans(struct store *s, struct store_gc *gc, struct err *err)
{
	struct orphans o = { .w = { .s = s, .gc = gc, .now = time(NULL) } };
	unsigned before;
	int rc;

	/* what went may have had others over it */
	do {
		o.n = 0;
		before = gc->snapshots;
		rc = store_each(s, s->snapshots, note_id, &o, err);
		if (rc == 0)
			rc = store_each(s, s->snapshots, sweep_orphan, &o, err);
	} while (rc == 0 && gc->snapshots != before);
	free(o.id);
	return rc;
}

static int sweep_layers(struct sweep *w)
{
	struct store_entry *v;
	size_t n;
	char name[80];
	struct stat st;
	int rc = store_list(w->s, &v, &n, NULL);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		snprintf(name, sizeof(name), STORE_PREFIX "%s", v[i].digest);
		if (v[i].kind[0] || w->now - v[i].used < w->gc->keep ||
		    !is_old(w, w->s->layers, name, w->gc->keep, &st))
			continue;
		if (unlinkat(w->s->layers, name, 0))
			continue;
		store_whole_drop(w->s, v[i].digest);
		w->gc->layers++;
		w->gc->bytes += v[i].size;
	}
	if (rc == 0)
		free(v);
	return rc;
}

int store_gc(struct store *s, struct store_gc *gc, struct err *err)
{
	struct sweep w = { .s = s, .gc = gc, .now = time(NULL) };
	struct store_entry *v = NULL;
	int rc = store_list(s, &v, &w.n, err);

	w.v = v;
	if (rc == 0)
		rc = store_each(s, s->keys, sweep_key, &w, err);
	if (rc == 0)
		rc = sweep_layers(&w);
	if (rc == 0)
		rc = sweep_snapshots(&w, err);
	if (rc == 0)
		rc = store_gc_orphans(s, gc, err);
	for (int i = 0; rc == 0 && i < 2; i++) {
		w.folder = i ? s->keys : s->layers;
		rc = each(s, w.folder, 1, sweep_temp, &w, err);
	}
	free(v);
	return rc;
}
