/* deploy.c - from a configuration and images to functions in a pool */
#include "cmd/deploy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etlfs/image/image.h"

/* a function that there should be; img is NULL when it could not be opened */
struct want {
	const char *path;
	const struct conf_function *f;	/* NULL: an image by itself */
	struct image *img;
	char *why;			/* it could not, malloc'ed, or NULL */
};

struct deploy {
	const struct conf *c;
	void (*say)(const char *text);
	size_t n;
	struct want want[];
};

int deploy_verify(void)
{
	const char *s = getenv("USETL_VERIFY");

	return s && !strcmp(s, "1");
}

static const char *name_of(const struct want *w)
{
	return w->f ? w->f->name : w->img ? w->img->name : NULL;
}

static void fill_opts(const struct conf *c, const struct want *w,
		      struct function_opts *o)
{
	const struct conf_function *f = w->f;

	*o = (struct function_opts){
		.name = name_of(w),
		.min = f && f->has_min ? f->min : c->min,
		.max = f && f->max ? f->max : c->max,
		.idle_ns = c->idle_ns,
		.timeout_ns = f ? f->timeout_ns : 0,
		.memory = f ? f->memory : 0,
		.refresh_ns = f && f->has_refresh ? f->refresh_ns :
			      c->refresh_ns,
		.recycle = f ? f->recycle : RECYCLE_ROLLBACK,
		.verify = deploy_verify(),
		.no_store = f && f->store == NO,
	};
	/* no longer than that: conf checks it */
	snprintf(o->owner, sizeof(o->owner), "%s", f && f->owner ? f->owner :
		 "");
}

static int open_all(struct deploy *d, const char *store, struct err *err)
{
	for (size_t i = 0; i < d->n; i++) {
		struct want *w = &d->want[i];
		/* whoever cuts the file short must not end this process */
		int rc = image_open_heads(&w->img, w->path, store, err);

		if (rc == 0)
			continue;
		w->img = NULL;
		if (!d->say)
			return rc;
		w->why = strdup(err->msg);
		if (!w->why)
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int check_names(const struct want *want, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++) {
			const char *a = name_of(&want[i]);
			const char *b = name_of(&want[j]);

			if (a && b && !strcmp(a, b))
				return err_set(err, -EEXIST, "function '%s' is"
					       " given twice: by '%s' and '%s'",
					       a, want[j].path, want[i].path);
		}
	return 0;
}

static int apply_one(struct pool *pool, const struct conf *c, struct want *w,
		     struct err *err)
{
	struct image *img = w->img;
	struct function_opts o;
	struct function *f;

	fill_opts(c, w, &o);
	f = pool_find(pool, o.name);
	if (f && function_same(f, img, &o)) {
		function_set(f, &o);
		return 0;
	}
	w->img = NULL;			/* the pool's from here on */
	return pool_add(pool, img, &o, NULL, err);
}

static int is_for(const struct function *f, const struct want *w)
{
	const char *name = name_of(w);

	/* an image that cannot be opened now has a path alone */
	return name ? !strcmp(function_name(f), name) :
	       !strcmp(function_image(f)->path, w->path);
}

static int wanted(const struct function *f, const struct want *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_for(f, &want[i]))
			return 1;
	return 0;
}

/* of an image that could not be opened */
static void say_why(const struct deploy *d, struct pool *pool,
		    const struct want *w)
{
	struct function *f = pool_next(pool, NULL);
	char text[1280];

	while (f && !is_for(f, w))
		f = pool_next(pool, f);
	if (f)
		snprintf(text, sizeof(text), "function '%s': %s; it goes on as "
			 "it was", function_name(f), w->why);
	else if (w->f)
		snprintf(text, sizeof(text), "function '%s': %s", w->f->name,
			 w->why);
	d->say(f || w->f ? text : w->why);
}

/* names are compared before apply_one() gives the images away */
static void retire_others(struct pool *pool, const struct want *want, size_t n)
{
	struct function *f = pool_next(pool, NULL), *after;

	for (; f; f = after) {
		after = pool_next(pool, f);
		if (!wanted(f, want, n))
			pool_retire(f);
	}
}

void deploy_close(struct deploy *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		image_close(d->want[i].img);
		free(d->want[i].why);
	}
	free(d);
}

int deploy_open(struct deploy **out, const struct conf *c, char *const *images,
		size_t n, const char *store, void (*say)(const char *text),
		struct err *err)
{
	size_t total = c->functions + n;
	struct deploy *d = calloc(1, sizeof(*d) + total * sizeof(d->want[0]));
	int rc;

	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	d->c = c;
	d->say = say;
	d->n = total;
	for (size_t i = 0; i < c->functions; i++) {
		d->want[i].f = &c->function[i];
		d->want[i].path = c->function[i].image;
	}
	for (size_t i = 0; i < n; i++)
		d->want[c->functions + i].path = images[i];
	rc = open_all(d, store, err);
	if (rc == 0)
		rc = check_names(d->want, total, err);
	if (rc < 0)
		deploy_close(d);
	else
		*out = d;
	return rc;
}

int deploy_apply(struct deploy *d, struct pool *pool, struct err *err)
{
	int rc = 0;

	retire_others(pool, d->want, d->n);
	for (size_t i = 0; i < d->n && rc == 0; i++) {
		if (!d->want[i].img) {
			say_why(d, pool, &d->want[i]);
			continue;
		}
		rc = apply_one(pool, d->c, &d->want[i], err);
		if (rc < 0 && d->say) {
			d->say(err->msg);
			rc = 0;
		}
	}
	deploy_close(d);
	return rc;
}
