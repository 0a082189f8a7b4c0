/*
 * pack.c - from a function's folder to an image: the order of things
 */
#include "etlfs/bake/pack.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/fetch/egress.h"
#include "etlfs/bake/elfdeps.h"
#include "etlfs/image/image_impl.h"
#include "unikernel/abi.h"

static int tell(struct pack *p)
{
	return p->o->progress ? p->o->progress(p->o->arg, &p->progress) : 0;
}

static int on_file(void *arg)
{
	struct pack *p = arg;

	p->progress.files++;
	return tell(p);
}

static int on_wait(void *arg)
{
	return tell(arg);
}

static void on_said(void *arg, const char *text)
{
	struct pack *p = arg;

	if (p->o->said)
		p->o->said(p->o->arg, text);
}

static void on_warning(void *arg, const char *line)
{
	struct pack *p = arg;

	pack_store_warned(p, line);
	if (p->o->warn)
		p->o->warn(p->o->arg, line);
}

static void on_saw(void *arg, const char *path, enum tree_look how)
{
	pack_store_saw(arg, path, how);
}

int pack_stage(struct pack *p, const char *what)
{
	int rc;

	/* what another stage has counted is not this one's */
	p->progress = (struct pack_progress){ .what = what };
	rc = tell(p);
	return rc < 0 ? err_set(p->err, rc, "stopped") : 0;
}

int pack_resolve(const struct pack *p, const char *path, char *buf,
		 size_t size)
{
	int n = *path == '/' ? snprintf(buf, size, "%s", path) :
		snprintf(buf, size, "%s/%s", p->o->base, path);

	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

/* the interpreter; a path in the manifest begins at the manifest's folder */
static int find_runtime(struct pack *p)
{
	const char *command = p->o->manifest->runtime;
	char path[PATH_MAX];

	if (strchr(command, '/')) {
		if (pack_resolve(p, command, path, sizeof(path)) < 0)
			return err_set(p->err, -ENAMETOOLONG, "'%s' is too "
				       "long", command);
		command = path;
	}
	return runtime_find(&p->rt, command, p->err);
}

static int fill_tree(struct pack *p)
{
	int rc = strings_add(&p->path, PACK_APP, strlen(PACK_APP));

	p->used = calloc(p->o->manifest->exclude.n + 1, 1);
	if (rc < 0 || !p->used)
		return err_set(p->err, -ENOMEM, "out of memory");
	rc = pack_stage(p, "finding the interpreter");
	rc = rc < 0 ? rc : find_runtime(p);
	rc = rc < 0 ? rc : tree_create(&p->t, p->err);
	if (rc < 0)
		return rc;
	p->t->tick = on_file;
	p->t->wait = on_wait;
	p->t->warn = on_warning;
	p->t->said = on_said;
	p->t->saw = on_saw;
	p->t->arg = p;
	rc = pack_stage(p, "collecting the runtime");
	rc = rc < 0 ? rc : pack_runtime(p);
	rc = rc < 0 ? rc : pack_stage(p, "collecting packages");
	rc = rc < 0 ? rc : pack_packages(p);
	rc = rc < 0 ? rc : pack_stage(p, "collecting the function");
	rc = rc < 0 ? rc : pack_app(p);
	if (rc == 0)
		pack_unused(p);
	return rc;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	return remove(path);
}

static void remove_temp(struct pack *p)
{
	if (p->temp)
		nftw(p->temp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(p->temp);
}

static void fill_result(struct pack_result *r, const struct pack *p,
			const struct image *meta)
{
	r->files = r->stored = 0;
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		r->files += meta->layer[i].files;
		r->stored += meta->layer[i].stored ? meta->layer[i].len : 0;
	}
	r->bytes = meta->size;
	memcpy(r->digest, meta->digest, sizeof(r->digest));
	r->runtime = p->rt->ops->name;
	snprintf(r->version, sizeof(r->version), "%s", p->rt->version);
}

int pack_function(const struct pack_opts *o, int fd, struct pack_result *r,
		  struct err *err)
{
	struct pack p = { .o = o, .err = err };
	struct image meta = { .thin = o->thin };
	int rc = o->manifest->egress.n ?
		egress_check(o->manifest->egress.v, err) : 0;

	rc = rc < 0 ? rc : fill_tree(&p);
	if (rc == 0)
		rc = pack_meta_fill(&meta, &p);
	if (rc == 0)
		rc = pack_write(p.t, &meta, fd, o->store, o->progress, o->arg,
				err);
	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++)
		if (meta.layer[i].addr + meta.layer[i].len > UK_IMAGE_END)
			rc = err_set(err, -EFBIG, "the image has %llu MB; a "
				     "guest can map %llu",
				     (unsigned long long)meta.size >> 20,
				     (UK_IMAGE_END - UK_IMAGE_BASE + 0ull) >>
				     20);
	if (rc == 0)
		fill_result(r, &p, &meta);
	pack_store_end(&p);
	image_free_meta(&meta);
	elfdeps_destroy(p.elf);
	tree_destroy(p.t);
	runtime_destroy(p.rt);
	strings_free(&p.path);
	free(p.used);
	remove_temp(&p);
	return rc;
}
