/*
 * pack_store.c - layers that were made before, from the store and into it
 *
 * What is known by a layer's key (pack_key.c) is a JSON object:
 *
 *   digest, len, index, files, nodes   as in struct tree_stored
 *   seen       all that was looked at (pack_seen.h): when any of it is not as
 *              it was, the layer is made anew
 *   hosts      by node of its index, where the file came from on the host: 1:
 *              the same path, 0: nowhere
 *   libdir, paths, used, warnings      what else its making had as a result:
 *              elfdeps' folder, folders of packages, patterns of exclude that
 *              matched, warnings, which are said again
 *
 * The store is never needed: what goes wrong with it is one warning.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/bake/elfdeps.h"
#include "etlfs/bake/pack.h"
#include "etlfs/image/image_impl.h"
#include "etlfs/store/store.h"

static const char *kind_of(uint16_t layer)
{
	return image_layer_name[layer];
}

static void complain(struct pack *p, const char *what)
{
	char line[1200];

	snprintf(line, sizeof(line), "store: %s", what);
	if (!p->store_told && p->o->warn)
		p->o->warn(p->o->arg, line);
	p->store_told = 1;
}

/* the interpreter itself, as far as the layer does not have it */
static void see_site(struct pack *p, const char *dir)
{
	const char *const *runs = p->rt->ops->site_runs;
	char path[2 * PATH_MAX];
	struct dirent *e;
	DIR *d;

	tree_saw(p->t, dir, TREE_SAW_FOLDER);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		for (int i = 0; runs && runs[i]; i++)
			if (!fnmatch(runs[i], e->d_name, 0))
				tree_saw(p->t, path, TREE_SAW_PATH);
	}
	if (d)
		closedir(d);
}

void pack_store_saw(struct pack *p, const char *path, enum tree_look how)
{
	struct stat st;

	if (!p->record.on)
		return;
	if (!p->temp || strncmp(path, p->temp, strlen(p->temp)))
		seen_add(&p->record.seen, path, how);
	/* what was installed is known by its key, but may lead elsewhere */
	else if (!lstat(path, &st) && S_ISLNK(st.st_mode))
		p->record.seen.doubt = 1;
}

/* text that is not UTF-8 cannot be put down */
static void append(struct pack *p, json_t *list, const char *text)
{
	if (json_array_append_new(list, json_string(text)))
		p->record.seen.doubt = 1;
}

void pack_store_warned(struct pack *p, const char *line)
{
	if (p->record.on)
		append(p, p->record.warnings, line);
}

int pack_store_begin(struct pack *p, uint16_t layer)
{
	struct pack_record *r = &p->record;

	if (!p->o->store)
		return 0;
	r->warnings = json_array();
	r->used = p->used;
	r->paths = p->path.n;
	p->used = calloc(p->o->manifest->exclude.n + 1, 1);
	if (!p->used)
		p->used = r->used;
	if (p->used == r->used || !r->warnings || seen_begin(&r->seen) < 0)
		return err_set(p->err, -ENOMEM, "out of memory");
	r->on = 1;
	for (size_t i = 0; i < p->rt->site.n; i++)
		see_site(p, p->rt->site.v[i]);
	return 0;
}

void pack_store_end(struct pack *p)
{
	struct pack_record *r = &p->record;

	for (size_t i = 0; r->used && i < p->o->manifest->exclude.n; i++)
		r->used[i] |= p->used[i];
	if (r->used) {
		free(p->used);
		p->used = r->used;
	}
	seen_end(&r->seen);
	json_decref(r->warnings);
	*r = (struct pack_record){ 0 };
}

/* --- out of the store */

static const char *host_of(void *arg, uint32_t i, const char *path)
{
	const json_t *host = json_array_get(arg, i);

	return json_is_integer(host) ?
		(json_integer_value(host) ? path : NULL) :
		json_string_value(host);
}

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static int add_index(struct pack *p, uint16_t layer, const json_t *o)
{
	const struct tree_stored *s = &p->t->stored[layer];
	size_t len = s->index_off < s->len ? s->len - s->index_off : 0;
	uint8_t *index = malloc(len + 1);
	uint32_t *map = NULL;
	int rc = index ? 0 : err_set(p->err, -ENOMEM, "out of memory");

	if (rc == 0 && pread(s->fd, index, len, (off_t)s->index_off) !=
	    (ssize_t)len)
		rc = err_set(p->err, -EIO, "cannot read the store");
	if (rc == 0)
		rc = tree_add_layer(p->t, layer, index, len, host_of,
				    json_object_get(o, "hosts"), &map, p->err);
	/* what was in the tree before is the layer's, too: the interpreter */
	if (rc == 0 && layer == ETLFS_LAYER_RUNTIME && p->t->nodes != s->nodes)
		rc = err_set(p->err, -EBADMSG, "the store has another "
			     "interpreter's runtime: bake with --no-store");
	free(map);
	free(index);
	return rc;
}

/* what its making had as results besides the files */
static int take_rest(struct pack *p, const json_t *o)
{
	const struct strings *exclude = &p->o->manifest->exclude;
	const char *libdir = json_string_value(json_object_get(o, "libdir"));
	const json_t *v;
	size_t i;

	p->record.on = 0;
	json_array_foreach(json_object_get(o, "warnings"), i, v)
		tree_warn(p->t, "%s", json_string_value(v));
	json_array_foreach(json_object_get(o, "used"), i, v)
		for (size_t k = 0; k < exclude->n; k++)
			p->used[k] |= !strcmp(json_string_value(v),
					      exclude->v[k]);
	json_array_foreach(json_object_get(o, "paths"), i, v)
		if (strings_add(&p->path, json_string_value(v),
				json_string_length(v)) < 0)
			return err_set(p->err, -ENOMEM, "out of memory");
	elfdeps_set_libdir(p->elf, libdir);
	return 0;
}

/* what upper layers take from this one besides its bytes */
static int sum_below(struct pack *p, uint16_t layer, const json_t *o)
{
	json_t *all = json_pack("[s, O, O]", p->t->stored[layer].digest,
				json_object_get(o, "hosts"),
				json_object_get(o, "libdir"));
	char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;

	p->below[0] = 0;
	if (text)
		sha256_text(text, strlen(text), p->below);
	json_decref(all);
	free(text);
	return p->below[0] ? 0 : -ENOMEM;
}

static int are_strings(const json_t *o, const char *key)
{
	const json_t *list = json_object_get(o, key), *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (!json_is_string(v))
			return 0;
	return json_is_array(list);
}

static int is_whole(const json_t *o, const char *digest)
{
	return digest && json_is_string(json_object_get(o, "libdir")) &&
		json_is_object(json_object_get(o, "seen")) &&
		json_array_size(json_object_get(o, "hosts")) ==
			number(o, "nodes") &&
		are_strings(o, "warnings") && are_strings(o, "used") &&
		are_strings(o, "paths");
}

/* the layer, when it is there and stands: 1, 0 or -errno */
static int open_stored(struct pack *p, uint16_t layer, const json_t *o)
{
	const char *digest = json_string_value(json_object_get(o, "digest"));
	struct tree_stored *s = &p->t->stored[layer];
	struct err why = { "" };
	int fd;

	if (!is_whole(o, digest) || !seen_same(json_object_get(o, "seen")))
		return 0;
	fd = store_layer_open(p->o->store, digest, number(o, "len"), &why);
	if (fd < 0) {
		if (fd != -ENOENT)
			complain(p, why.msg);
		return 0;
	}
	*s = (struct tree_stored){
		.fd = fd, .len = number(o, "len"),
		.index_off = number(o, "index"),
		.files = (uint32_t)number(o, "files"),
		.nodes = (uint32_t)number(o, "nodes"),
	};
	snprintf(s->digest, sizeof(s->digest), "%s", digest);
	return 1;
}

int pack_store_take(struct pack *p, uint16_t layer)
{
	struct err why = { "" };
	char *text = NULL;
	json_t *o = NULL;
	int rc;

	if (!p->record.on || pack_key(p, layer, p->record.key) < 0)
		return 0;
	rc = store_key_get(p->o->store, kind_of(layer), p->record.key, &text,
			   &why);
	if (rc < 0 && rc != -ENOENT)
		complain(p, why.msg);
	if (rc == 0)
		o = json_loads(text, 0, NULL);
	free(text);
	rc = o ? open_stored(p, layer, o) : 0;
	if (rc > 0) {
		rc = add_index(p, layer, o);
		rc = rc < 0 ? rc : take_rest(p, o);
		rc = rc < 0 ? rc : sum_below(p, layer, o);
		rc = rc < 0 ? rc : 1;
	}
	json_decref(o);
	return rc;
}

/* --- and into it */

static json_t *host_json(const struct pack *p, uint32_t node)
{
	const char *host = p->t->node[node].host;
	char path[TREE_PATH_MAX];

	/* a folder of an installer's is gone soon */
	if (!host || (p->temp && !strncmp(host, p->temp, strlen(p->temp))))
		return json_integer(0);
	if (tree_path(p->t, node, path, sizeof(path)) == 0 &&
	    !strcmp(path, host))
		return json_integer(1);
	return json_string(host);
}

static json_t *hosts_json(struct pack *p, uint16_t layer, uint32_t first)
{
	const struct tree *t = p->t;
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->stored[layer].nodes; i++)
		json_array_append_new(list, json_integer(0));
	for (uint32_t i = 0; i < t->nodes; i++)
		if (S_ISREG(t->node[i].mode) && t->node[i].layer == layer &&
		    json_array_set_new(list, t->node[i].number[layer] - first,
				       host_json(p, i)))
			p->record.seen.doubt = 1;
	return list;
}

static json_t *used_json(struct pack *p)
{
	const struct strings *exclude = &p->o->manifest->exclude;
	json_t *list = json_array();

	for (size_t i = 0; i < exclude->n; i++)
		if (p->used[i])
			append(p, list, exclude->v[i]);
	return list;
}

static json_t *paths_json(struct pack *p)
{
	json_t *list = json_array();

	for (size_t i = p->record.paths; i < p->path.n; i++)
		append(p, list, p->path.v[i]);
	return list;
}

static json_t *record_json(struct pack *p, uint16_t layer, uint32_t first)
{
	const struct tree_stored *s = &p->t->stored[layer];

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:s, s:o, s:o, s:O, "
			 "s:O}", "digest", s->digest,
			 "len", (json_int_t)s->len,
			 "index", (json_int_t)s->index_off,
			 "files", (json_int_t)s->files,
			 "nodes", (json_int_t)s->nodes,
			 "hosts", hosts_json(p, layer, first),
			 "libdir", elfdeps_libdir(p->elf),
			 "paths", paths_json(p), "used", used_json(p),
			 "warnings", p->record.warnings,
			 "seen", p->record.seen.look);
}

/* is the layer what it would be if it were made now? */
static int stands(struct pack *p, uint16_t layer)
{
	char key[65];

	return seen_stands(&p->record.seen) &&
		pack_key(p, layer, key) == 0 && !strcmp(key, p->record.key);
}

/* the layer that was written to f gets its names, if it is to be relied on */
static int put_names(struct pack *p, uint16_t layer, struct store_file *f,
		     uint32_t first, struct err *why)
{
	json_t *o = record_json(p, layer, first);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const char *digest = p->t->stored[layer].digest;
	int rc = 0;

	if (text && stands(p, layer)) {
		rc = store_layer_commit(p->o->store, f, digest, why);
		if (rc == 0)
			rc = store_key_put(p->o->store, kind_of(layer),
					   p->record.key, digest, text, why);
		if (rc == 0)
			sum_below(p, layer, o);
	}
	free(text);
	json_decref(o);
	return rc;
}

/* into f, and then the tree has it as its layer; 0 or -errno */
static int write_layer(struct pack *p, uint16_t layer, struct store_file *f,
		       uint32_t first)
{
	struct pack_layer w = {
		.t = p->t, .fd = f->fd, .number = layer, .first = first,
		.progress = &p->progress, .tell = p->o->progress,
		.arg = p->o->arg,
	};
	struct tree_stored *s = &p->t->stored[layer];
	struct image_layer l;
	uint32_t nodes;
	int rc = pack_layer_write(&w, &l, &nodes, p->err);
	int fd = rc < 0 ? rc : fcntl(f->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return rc < 0 ? rc : -errno;
	*s = (struct tree_stored){ .fd = fd, .len = l.len, .nodes = nodes,
				   .index_off = l.index_off,
				   .files = l.files };
	memcpy(s->digest, l.digest, sizeof(s->digest));
	return 0;
}

int pack_store_keep(struct pack *p, uint16_t layer)
{
	struct store_file f = { .fd = -1 };
	struct err why = { "" };
	uint32_t first = 0;
	int rc;

	if (!p->record.on || !p->record.key[0] || p->store_failed ||
	    !(p->t->node[0].in & 1u << layer) || !stands(p, layer))
		return 0;
	for (uint16_t i = 0; i < layer; i++)
		first += p->t->stored[i].nodes;
	rc = pack_stage(p, layer == ETLFS_LAYER_RUNTIME ?
			"writing the runtime" : "writing packages");
	if (rc < 0)
		return rc;
	rc = store_layer_create(p->o->store, &f, &why);
	if (rc == 0) {
		rc = write_layer(p, layer, &f, first);
		if (rc < 0)
			snprintf(why.msg, sizeof(why.msg), "cannot keep a "
				 "layer: %s", strerror(-rc));
	}
	if (rc == 0)
		rc = put_names(p, layer, &f, first, &why);
	store_layer_close(p->o->store, &f);
	/* an error of the layer's own comes again where it is written next */
	if (rc < 0 && rc != -EINTR) {
		complain(p, why.msg);
		p->store_failed = 1;
	}
	return rc == -EINTR ? rc : 0;
}
