/*
 * place_test.c - what a function is to its guest, and what of it is a runtime's
 */
#include <stdlib.h>
#include <string.h>

#include "t/unit/tap.h"
#include "vmm/guest/place.h"
#include "vmm/guest/ref.h"

static char *argv[] = { "/usr/bin/python3", "-I", NULL };
static char *env[] = { "USETL_NAME=a", "HOME=/tmp", "USETL_HANDLER=a.b",
		       "LC_ALL=C", NULL };

static struct image image(char **env_)
{
	struct image img = {
		.memory = 64u << 20, .files = 16u << 20,
		.timeout_ns = 5, .argv = argv, .env = env_,
		.layer = {
			{ .digest = "d", .addr = UK_IMAGE_BASE, .off = 4096,
			  .len = 8192, .index_off = 4096 },
			{ .digest = "e" },
			{ .digest = "f", .addr = UK_IMAGE_BASE + UK_BIG,
			  .off = 12288, .len = 4096 },
		},
	};

	return img;
}

static void test_create(void)
{
	struct image img = image(env);
	struct ref_opts o = { .img = &img, .memory = 128u << 20, .trial = 1,
			      .from = -1, .file = -1,
			      .recycle = RECYCLE_KEEP };
	struct err err = { "" };
	struct place *p = place_create(&o, &err);
	struct place *r = p ? place_runtime(p, &err) : NULL;

	ok(p && r, "a place is made: %s", err.msg);
	if (!p || !r)
		return;
	ok(p->memory == 128u << 20 && p->files == 16u << 20 &&
	   p->recycle == RECYCLE_KEEP && p->argc == 2 && p->envc == 5 &&
	   !memcmp(p->strings + p->strings_len - 14, "USETL_TRIAL=1", 14),
	   "it has what the server says, else the image's");
	ok(p->layer[0].size == 8192 && p->layer_off[0] == 4096 &&
	   !p->layer[1].size && p->layer[2].addr == UK_IMAGE_BASE + UK_BIG,
	   "it has the image's layers, where they are");
	ok(r->argc == 2 && r->envc == 2 && r->layer[0].size == 8192 &&
	   !r->layer[2].size && !memmem(r->strings, r->strings_len, "USETL_", 6),
	   "a runtime has nothing of a function");
	ok(place_valid(p) && place_valid(r), "both are whole");
	free(p);
	free(r);
}

/* fork = boot: nothing of it comes later */
static void test_fork_boot(void)
{
	char *at_boot[] = { "A=b", "USETL_NAME=f", PLACE_FORK_POINT "boot",
			    NULL };
	struct image img = image(at_boot), other = image(env);
	struct ref_opts o = { .img = &img, .from = -1, .file = -1 };
	struct err err = { "" };
	struct place *p = place_create(&o, &err), *r = place_runtime(p, &err);

	ok(place_forks_at_boot(&img) && !place_forks_at_boot(&other),
	   "an image says that it starts before the interpreter");
	ok(p->fork_boot && r->fork_boot && !memcmp(p, r, PLACE_SIZE),
	   "then it is all there from the first instruction");
	free(p);
	free(r);
	o.trial = 1;
	p = place_create(&o, &err);
	r = place_runtime(p, &err);
	ok(!p->fork_boot && !r->layer[2].size, "but in a trial");
	free(p);
	free(r);
}

static void test_long(void)
{
	static char lng[PLACE_SIZE];
	char *much[] = { lng, NULL };
	struct image img = image(much);
	struct ref_opts o = { .img = &img, .from = -1, .file = -1 };
	struct err err = { "" };

	memset(lng, 'x', sizeof(lng) - 1);
	ok(!place_create(&o, &err) && strstr(err.msg, "[environment]"),
	   "more than uk_ctl holds is refused, with its key");
}

static void test_same(void)
{
	char *other_name[] = { "HOME=/tmp", "USETL_NAME=b", "LC_ALL=C", NULL };
	char *other_home[] = { "HOME=/", "LC_ALL=C", NULL };
	char *more[] = { "HOME=/tmp", "LC_ALL=C", "A=b", NULL };
	struct image a = image(env), b = image(other_name);

	ok(place_same_runtime(&a, &b), "a function's own variables are no "
	   "difference");
	b = image(other_home);
	ok(!place_same_runtime(&a, &b), "another value is one");
	b = image(more);
	ok(!place_same_runtime(&a, &b) && !place_same_runtime(&b, &a),
	   "one variable more is one");
	b = image(env);
	strcpy(b.layer[0].digest, "x");
	ok(!place_same_runtime(&a, &b), "another runtime layer is one");
	b = image(env);
	strcpy(b.layer[2].digest, "x");
	ok(place_same_runtime(&a, &b), "other upper layers are none");
}

static void test_packages(void)
{
	char *modules[] = { "one", "two.three", NULL }, *fewer[] = { "one", NULL };
	char *more[] = { "one", "two.three", "four", NULL };
	char *paths[] = { "HOME=/tmp", "USETL_PATH=/app:/p", "USETL_NAME=a",
			  NULL };
	struct image a = image(paths), b = image(paths);
	struct ref_opts o = { .img = &a, .from = -1, .file = -1 };
	struct err err = { "" };
	struct place *p, *r;

	a.preload = b.preload = modules;
	a.layer[1].len = b.layer[1].len = 4096;
	a.layer[1].addr = UK_IMAGE_BASE + UK_BIG;
	p = place_create(&o, &err);
	r = p ? place_packages(p, &a, &err) : NULL;
	ok(r && r->level == UK_LEVEL_PACKAGES && r->envc == 3 &&
	   memmem(r->strings, r->strings_len, "USETL_PATH=/app:/p", 19) &&
	   memmem(r->strings, r->strings_len, "USETL_PRELOAD=one two.three",
		  28) && !memmem(r->strings, r->strings_len, "USETL_NAME", 10),
	   "packages have modules, and a path to them, and no name");
	ok(r && r->layer[0].size && r->layer[1].size && !r->layer[2].size &&
	   place_valid(r), "and two layers");
	free(p);
	free(r);
	ok(place_same_packages(&a, &b), "who imports the same shares it");
	b.preload = fewer;
	ok(!place_same_packages(&a, &b) && !place_same_packages(&b, &a),
	   "one module less is another start");
	b.preload = more;
	ok(!place_same_packages(&a, &b), "and so is one more");
	b.preload = NULL;
	ok(!place_same_packages(&a, &b) && place_same_runtime(&a, &b),
	   "none at all leaves the runtime");
	b.preload = modules;
	strcpy(b.layer[1].digest, "x");
	ok(!place_same_packages(&a, &b), "other packages are none of these");
	b = image(env);
	b.preload = modules;
	b.layer[1].len = 4096;
	ok(!place_same_packages(&a, &b), "nor are they by another path");
}

/* what came by a memfd says how long it is */
static void test_valid(void)
{
	static union {
		struct place p;
		char bytes[PLACE_SIZE];
	} u;
	struct place *p = &u.p;

	p->argc = 1;
	p->envc = 1;
	p->strings_len = 4;
	memcpy(p->strings, "a\0b", 4);
	ok(place_valid(p), "two strings are whole");
	p->envc = 2;
	ok(!place_valid(p), "a string too few");
	p->envc = UINT32_MAX;
	p->argc = UINT32_MAX;
	ok(!place_valid(p), "as many as there can be");
	p->argc = p->envc = 1;
	p->strings_len = 3;
	ok(!place_valid(p), "the last one does not end");
	p->strings_len = UINT32_MAX;
	ok(!place_valid(p), "longer than there is room");
	p->strings_len = 4;
	p->recycle = RECYCLE_KEEP + 1;
	ok(!place_valid(p), "a recycle that there is not");
}

int main(void)
{
	test_create();
	test_fork_boot();
	test_long();
	test_same();
	test_packages();
	test_valid();
	return plan();
}
