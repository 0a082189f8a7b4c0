/* place.c - what a function is to its guest (place.h) */
#include "vmm/guest/place.h"

#include <errno.h>
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

struct place *place_runtime(const struct place *p, struct err *err)
{
	struct place *r = alloc(err);
	const char *s = p->strings;

	if (!r)
		return NULL;
	if (p->fork_boot) {
		memcpy(r, p, PLACE_SIZE);
		return r;
	}
	memcpy(r, p, sizeof(*r));
	for (int i = 1; i < UK_LAYERS; i++)
		r->layer[i] = (struct uk_layer){ 0 };
	r->argc = r->envc = r->strings_len = 0;
	for (uint32_t i = 0; i < p->argc + p->envc; i++, s += strlen(s) + 1)
		if (i < p->argc)
			add(r, s, &r->argc);
		else if (strncmp(s, PLACE_OWN, strlen(PLACE_OWN)))
			add(r, s, &r->envc);
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

int place_valid(const struct place *p)
{
	uint64_t n = (uint64_t)p->argc + p->envc, at = 0;

	if (p->strings_len > ROOM || p->recycle > RECYCLE_KEEP)
		return 0;
	for (; n; n--) {
		at += strnlen(p->strings + at, p->strings_len - at) + 1;
		if (at > p->strings_len)
			return 0;
	}
	return 1;
}
