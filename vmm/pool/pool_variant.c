/*
 * pool_variant.c - references of one function that are not laid out alike
 *
 * With pool_opts.layouts = N a function has up to N - 1 variants: functions of
 * the pool that take no requests and have no clones, as a base is, each with a
 * reference over a base of its own.  A base has the layout of who had it made,
 * and only those of the same layout share it.  The variants' clones are the
 * function's: a new one begins where there are fewest, and a clone too many of
 * one layout is replaced, so that they are spread however they have come and
 * gone.
 *
 * Variants are made one after the other once the function is ready, from the
 * copy of the image that was verified for it.  No request waits for one, and
 * none is refused because one cannot boot.  One is there as long as a clone of
 * its references is, and its function as long as one of its variants.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

static int usable(const struct function *v)
{
	return pool_ref_usable(v) && !v->retired;
}

/* f, its first variant, and so on; NULL after the last */
static struct function *next(struct function *f, struct function *v)
{
	return !v ? f : v == f ? LIST_FIRST(&f->variants) :
	       LIST_NEXT(v, variant);
}

/* clones */

/* of v's reference, that go on taking requests */
static unsigned lasting(const struct function *v)
{
	const struct function *f = pool_main(v);
	const struct pool_clone *c;
	unsigned n = 0;

	for (int s = 0; s < CLONE_DYING; s++)
		TAILQ_FOREACH(c, &f->clones[s], link)
			n += c->ref == v->ref && !c->last && !c->given_up;
	return n;
}

static int sooner(const struct function *a, const struct function *b)
{
	unsigned n = lasting(a), m = lasting(b);

	return n < m || (n == m && a->turn_taken < b->turn_taken);
}

struct function *pool_variant_next(struct function *f)
{
	struct function *v, *best = f;

	LIST_FOREACH(v, &f->variants, variant)
		if (usable(v) && sooner(v, best))
			best = v;
	return best;
}

/* the one whose end costs least: idle, and not used for the longest time */
static struct pool_clone *surplus(const struct function *v, enum clone_state s)
{
	struct function *f = pool_main(v);
	struct pool_clone *c;

	TAILQ_FOREACH_REVERSE(c, &f->clones[s], clone_list, link)
		if (c->ref == v->ref && !c->last && !c->given_up)
			return c;
	return NULL;
}

void pool_variant_spread(struct function *f)
{
	unsigned layouts = 0, clones = 0, most;
	struct pool_clone *c;
	struct function *v;

	if (LIST_EMPTY(&f->variants) || f->given_up || f->retired)
		return;
	for (v = NULL; (v = next(f, v));) {
		layouts += (unsigned)usable(v);
		clones += usable(v) ? lasting(v) : 0;
	}
	most = (clones + layouts - 1) / layouts;
	for (v = NULL; (v = next(f, v));)
		while (usable(v) && lasting(v) > most) {
			c = surplus(v, CLONE_IDLE);
			if (!c)
				c = surplus(v, CLONE_BUSY);
			if (!c)
				break;	/* later: it is coming */
			c->last = 1;
		}
}

/* how many there are */

static unsigned wanted(const struct function *f)
{
	const struct pool_opts *o = &f->pool->o;

	if (!o->copy_images || !o->layouts || f->o.trial || f->o.from ||
	    f->o.debug != DEBUG_NONE)
		return 1;
	return o->layouts < POOL_LAYOUTS_MAX ? o->layouts : POOL_LAYOUTS_MAX;
}

/* of that layout, to stay */
static struct function *find(struct function *f, unsigned layout)
{
	struct function *v = NULL;

	while ((v = next(f, v)))
		if (v->layout == layout && !v->retired)
			return v;
	return NULL;
}

static struct function *variant_new(struct function *f, struct err *err)
{
	struct function_opts o = f->o;
	int fd = fcntl(f->img->fd, F_DUPFD_CLOEXEC, 0), rc;
	struct function *v;
	struct image *img;

	o.name = f->name;
	rc = fd < 0 ? err_set(err, -errno, "%s", strerror(errno)) :
	     image_open_copy(&img, f->img->path, f->img, fd, err);
	if (rc < 0)
		return NULL;
	img->upper = f->img->upper;
	v = function_new(f->pool, img, &o);
	if (!v) {
		image_close(img);
		err_set(err, -ENOMEM, "out of memory");
	}
	return v;
}

static int create(struct function *f, unsigned layout, struct err *err)
{
	struct function *v = variant_new(f, err);

	if (!v)
		return -ENOMEM;
	v->layout = layout;
	v->variant_of = f;
	v->alone = f->alone;
	/* its bytes are the very ones that were verified */
	v->copied = f->copied;
	v->image = IMAGE_GOOD;
	v->forking = !LIST_EMPTY(&f->forks);
	v->o.min = 0;
	LIST_INSERT_HEAD(&f->variants, v, variant);
	TAILQ_INSERT_TAIL(&f->pool->others, v, link);
	if (f->base && pool_base_get(v, err) < 0) {
		function_free(v);
		return -EINVAL;
	}
	function_mark(v);
	return 0;
}

static void retire(struct function *f, unsigned from)
{
	struct function *v;
	int any = 0;

	LIST_FOREACH(v, &f->variants, variant)
		if (v->layout >= from && !v->retired) {
			pool_retire(v);
			any = 1;
		}
	if (any)
		pool_clone_renew(f);
}

void pool_variant_pump(struct function *f)
{
	unsigned n = wanted(f);
	struct err err = { "" };
	struct function *v;

	if (f->base_of || f->variant_of || f->retired)
		return;
	retire(f, n);
	if (!f->current || !pool_ref_usable(f) || f->no_variants)
		return;
	for (unsigned i = 1; i < n; i++) {
		v = find(f, i);
		if (v && !usable(v) && !v->ref->failed)
			return;		/* one at a time */
		if (v)
			continue;
		if (create(f, i, &err) < 0) {
			f->no_variants = 1;
			pool_note(f, "layout %u cannot be made: %s", i,
				  err.msg);
		}
		return;
	}
}

int pool_variant_end(struct function *f)
{
	retire(f, 0);
	return !LIST_EMPTY(&f->variants);
}

/* what they are told, and tell */

void pool_variant_event(struct function *v, enum pool_event what,
			const char *text)
{
	struct function *f = v->variant_of;

	if (what == POOL_FAILED)
		pool_note(f, "layout %u cannot boot: %.*s", v->layout,
			  (int)strcspn(text, "\n"), text);
	else if (what == POOL_NOTE)
		pool_note(f, "layout %u: %s", v->layout, text);
	function_mark(f);
}

void pool_variant_opts(struct function *f)
{
	struct function *v;

	f->no_variants = 0;
	LIST_FOREACH(v, &f->variants, variant) {
		v->o = f->o;
		v->o.min = 0;
		pool_refresh_arm(v);
		if (v->base)
			pool_base_refresh_set(v->base);
		function_mark(v);
	}
}

void pool_variant_set(struct pool *pool)
{
	struct function *f;

	TAILQ_FOREACH(f, &pool->current, link) {
		f->no_variants = 0;
		function_mark(f);
	}
}

void pool_variant_mark(struct pool *pool)
{
	struct function *f;

	TAILQ_FOREACH(f, &pool->others, link)
		if (f->variant_of)
			function_mark(f);
}

static unsigned clones_of(const struct function *v)
{
	const struct function *f = pool_main(v);
	const struct pool_clone *c;
	unsigned n = 0;

	for (int s = 0; s < CLONE_DYING; s++)
		TAILQ_FOREACH(c, &f->clones[s], link)
			n += c->ref->proc.f == v;
	return n;
}

unsigned function_layouts(struct function *f,
			  struct layout_info out[POOL_LAYOUTS_MAX])
{
	struct function *v;
	unsigned n = 0;

	for (unsigned i = 0; i < POOL_LAYOUTS_MAX; i++) {
		v = find(f, i);
		if (!v)
			continue;
		out[n++] = (struct layout_info){
			.layout = i,
			.base = v->base ? v->base->id : 0,
			.pages = v->ref->stats.ram_bytes / UK_PAGE,
			.ready = pool_ref_usable(v),
			.stored_now = v->ref->stored,
			.clones = clones_of(v),
		};
	}
	return n;
}
