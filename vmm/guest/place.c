/* place.c - what a function is to its guest (place.h) */
#include "vmm/guest/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/guest/ref.h"

/* uk_ctl has the strings, too, behind what else it holds */
#define ROOM	(PLACE_SIZE - sizeof(struct uk_ctl))

static int add(struct place *p, const char *s, uint32_t *count)
{
	size_t len = strlen(s) + 1;

	if (p->strings_len + len > ROOM)
		return -E2BIG;
	memcpy(p->strings + p->strings_len, s, len);
	p->strings_len += (uint32_t)len;
	++*count;
	return 0;
}

static int add_all(struct place *p, char *const *list, uint32_t *count)
{
	int rc = 0;

	for (; rc == 0 && list && *list; list++)
		rc = add(p, *list, count);
	return rc;
}

static struct place *too_long(struct place *p, struct err *err)
{
	free(p);
	err_set(err, -E2BIG, "arguments and environment are longer than %zu "
		"bytes; shorten [environment]", ROOM);
	return NULL;
}

static struct place *alloc(struct err *err)
{
	struct place *p = calloc(1, PLACE_SIZE);

	if (!p)
		err_set(err, -ENOMEM, "%s", strerror(ENOMEM));
	return p;
}

struct place *place_create(const struct ref_opts *o, struct err *err)
{
	const struct image *img = o->img;
	struct place *p = alloc(err);
	int rc;

	if (!p)
		return NULL;
	p->memory = o->memory ? o->memory : img->memory;
	p->files = img->files;
	p->timeout_ns = img->timeout_ns;
	p->boot_ns = o->boot_timeout_ns;
	p->log_max = o->log_max;
	p->recycle = o->recycle;
	p->trace = o->trace != 0;
	p->verify = o->verify != 0;
	/* a trial is whether it loads */
	p->fork_boot = place_forks_at_boot(img) && !o->trial;
	for (int i = 0; i < UK_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (l->len)
			p->layer[i] = (struct uk_layer){ l->addr, l->len,
							 l->index_off };
		p->layer_off[i] = l->off;
	}
	rc = add_all(p, img->argv, &p->argc);
	if (rc == 0)
		rc = add_all(p, img->env, &p->envc);
	if (rc == 0 && o->trial)
		rc = add(p, "USETL_TRIAL=1", &p->envc);
	return rc < 0 ? too_long(p, err) : p;
}

/*
 * What p is without what only a function has: the first `layers` layers, no
 * variable of its own but those that begin with `but`, if that is not NULL
 */
static struct place *reduce(const struct place *p, int layers, const char *but,
			    struct err *err)
{
	struct place *r = alloc(err);
	const char *s = p->strings;

	if (!r)
		return NULL;
	memcpy(r, p, sizeof(*r));
	for (int i = layers; i < UK_LAYERS; i++)
		r->layer[i] = (struct uk_layer){ 0 };
	r->argc = r->envc = r->strings_len = 0;
	for (uint32_t i = 0; i < p->argc + p->envc; i++, s += strlen(s) + 1)
		if (i < p->argc)
			add(r, s, &r->argc);
		else if (strncmp(s, PLACE_OWN, strlen(PLACE_OWN)) ||
			 (but && !strncmp(s, but, strlen(but))))
			add(r, s, &r->envc);
	return r;
}

struct place *place_runtime(const struct place *p, struct err *err)
{
	struct place *r = p->fork_boot ? alloc(err) :
			  reduce(p, ETLFS_LAYER_RUNTIME + 1, NULL, err);

	if (r && p->fork_boot)
		memcpy(r, p, PLACE_SIZE);
	else if (r)
		r->level = UK_LEVEL_RUNTIME;
	return r;
}

struct place *place_packages(const struct place *p, const struct image *img,
			     struct err *err)
{
	struct place *r = reduce(p, ETLFS_LAYER_PACKAGES + 1, PLACE_PATH, err);
	char text[PLACE_SIZE] = PLACE_PRELOAD;
	size_t at = strlen(text);

	if (!r)
		return NULL;
	r->level = UK_LEVEL_PACKAGES;
	for (char *const *m = img->preload; m && *m && at < sizeof(text); m++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
				       m == img->preload ? "" : " ", *m);
	if (at >= sizeof(text) || add(r, text, &r->envc) < 0)
		return too_long(r, err);
	return r;
}

const char *place_fork_point(const struct image *img)
{
	const size_t len = strlen(PLACE_FORK_POINT);

	for (char *const *v = img->env; v && *v; v++)
		if (!strncmp(*v, PLACE_FORK_POINT, len))
			return *v + len;
	return fork_words[FORK_FUNCTION];
}

int place_forks_at_boot(const struct image *img)
{
	return !strcmp(place_fork_point(img), fork_words[FORK_BOOT]);
}

/* the next variable from list on that is not a function's own */
static char *const *shared(char *const *list)
{
	while (list && *list && !strncmp(*list, PLACE_OWN, strlen(PLACE_OWN)))
		list++;
	return list;
}

static int same(char *const *a, char *const *b)
{
	for (;; a++, b++) {
		a = shared(a);
		b = shared(b);
		if (!*a || !*b)
			return !*a && !*b;
		if (strcmp(*a, *b))
			return 0;
	}
}

int place_same_runtime(const struct image *a, const struct image *b)
{
	return !strcmp(a->layer[0].digest, b->layer[0].digest) &&
	       a->layer[0].len == b->layer[0].len &&
	       same(a->argv, b->argv) && same(a->env, b->env);
}

static const char *path_of(const struct image *img)
{
	for (char *const *v = img->env; v && *v; v++)
		if (!strncmp(*v, PLACE_PATH, strlen(PLACE_PATH)))
			return *v;
	return "";
}

static int same_list(char *const *a, char *const *b)
{
	for (; a && b && *a && *b; a++, b++)
		if (strcmp(*a, *b))
			return 0;
	return (!a || !*a) && (!b || !*b);
}

int place_same_packages(const struct image *a, const struct image *b)
{
	const struct image_layer *x = &a->layer[ETLFS_LAYER_PACKAGES];
	const struct image_layer *y = &b->layer[ETLFS_LAYER_PACKAGES];

	return place_same_runtime(a, b) && !strcmp(x->digest, y->digest) &&
	       x->len == y->len && !strcmp(path_of(a), path_of(b)) &&
	       same_list(a->preload, b->preload);
}

int place_valid(const struct place *p)
{
	uint64_t n = (uint64_t)p->argc + p->envc, at = 0;

	if (p->strings_len > ROOM || p->recycle > RECYCLE_KEEP ||
	    p->level > UK_LEVEL_PACKAGES)
		return 0;
	for (; n; n--) {
		at += strnlen(p->strings + at, p->strings_len - at) + 1;
		if (at > p->strings_len)
			return 0;
	}
	return 1;
}
