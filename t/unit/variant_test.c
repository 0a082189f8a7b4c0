/*
 * variant_test.c - references of one function side by side, and all that goes
 * wrong with one of them
 *
 * The processes are fakeref.h's, the images are files.  What is said of the
 * function is remembered.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "etlfs/bake/pack.h"
#include "t/unit/fakecall.h"
#include "t/unit/tap.h"
#include "vmm/pool/pool_impl.h"

#define MS	1000000ull
#define MB	(1ull << 20)

static char dir[] = "/tmp/usetl-variant.XXXXXX";
static struct pool *pool;
static struct pool_opts opts;
static unsigned ready, failed;
static char notes[65536];

static const char *path_of(const char *name)
{
	static char path[4][64];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 64, "%s/%s.usetl", dir, name);
	return p;
}

/* memory: of less than a base's it has none */
static void bake(const char *name, uint64_t memory, int packages)
{
	char *argv[] = { "/bin/py", NULL }, *envs[] = { "A=b", NULL };
	char *list[] = { "one", NULL }, digest[65];
	struct strings modules = { .v = list, .n = 1 };
	struct image meta = {
		.name = (char *)name, .handler = "app.handler",
		.interpreter = "/bin/py", .version = "3.11.2", .argv = argv,
		.env = envs, .memory = memory, .files = 32 * MB,
		.timeout_ns = 5000 * MS,
	};
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0600);
	struct err err = { "" };
	struct tree *t = NULL;

	if (fd < 0 || tree_create(&t, &err) ||
	    tree_add_data(t, "/bin/py", "python", 6, 0, &err) < 0 ||
	    (packages && tree_add_data(t, "/packages/one.py", "1", 1, 1,
				       &err) < 0) ||
	    tree_add_data(t, "/app/app.py", name, strlen(name), 2,
			  &err) < 0 ||
	    pack_write(t, &meta, fd, NULL, NULL, NULL, &err) < 0 ||
	    (packages && pack_preload(path_of(name), NULL, &modules, digest,
				      &err) < 0)) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	tree_destroy(t);
	close(fd);
}

static int verify(const struct image *img, struct err *err)
{
	return 0;
}

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	size_t len = strlen(notes);

	ready += what == POOL_READY;
	failed += what == POOL_FAILED;
	snprintf(notes + len, sizeof(notes) - len, "%s\n", text);
}

static unsigned said(const char *what)
{
	unsigned n = 0;

	for (const char *at = notes; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static ev_tstamp on_now(struct ev_loop *l)
{
	return ev_now(l) + shift;
}

static const struct pool_ops ops = { .log = on_log, .event = on_event };

static void begin(unsigned layouts)
{
	ready = failed = 0;
	notes[0] = '\0';
	fake->boots = fake->bases = fake->branches = fake->packages = 0;
	fake->seals = 1;
	opts = (struct pool_opts){
		.response_max = 1000, .log_max = 100000, .queue = 8,
		.wait_ns = 30000 * MS, .boot_ns = 60000 * MS,
		.fetch_timeout_ns = 1000 * MS, .fetch_max = MB, .ops = &ops,
		.copy_images = 1, .share = 1, .layouts = layouts,
		.copies = dir, .start = fake_start, .verify = verify,
		.now = on_now,
	};
	if (pool_create(&pool, loop, &opts) < 0)
		exit(1);
}

static void layouts_set(unsigned layouts)
{
	opts.layouts = layouts;
	pool_set(pool, &opts);
}

static struct function *add(const char *name, unsigned min)
{
	const struct function_opts o = {
		.name = "f", .min = min, .max = 6, .idle_ns = 60000 * MS,
		.timeout_ns = 60000 * MS,
	};
	struct function *f = NULL;
	struct err err = { "" };
	struct image *img;

	if (image_open_heads(&img, path_of(name), NULL, &err) < 0 ||
	    pool_add(pool, img, &o, &f, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return f;
}

static void end(void)
{
	pool_destroy(pool);
	pool = NULL;
	fake->boot = fake->base_boot = BOOT_WELL;
	fake->clone = CLONE_WELL;
	fake->held = 0;
}

/* "2 2 2": clones of each layout that is ready */
static const char *spread(struct function *f)
{
	static char text[256];
	struct layout_info l[POOL_LAYOUTS_MAX];
	unsigned n = function_layouts(f, l);
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		if (l[i].ready)
			at += snprintf(text + at, sizeof(text) - at, "%s%u",
				       at ? " " : "", l[i].clones);
	return text;
}

static int is_spread(struct function *f, const char *want)
{
	/* and none is about to be replaced */
	return !strcmp(spread(f), want) && !f->n[CLONE_COMING] &&
	       !f->n[CLONE_DYING];
}

static struct function *variant(struct function *f, unsigned layout)
{
	struct function *v;

	LIST_FOREACH(v, &f->variants, variant)
		if (v->layout == layout)
			return v;
	return NULL;
}

static unsigned others(void)
{
	struct function *f;
	unsigned n = 0;

	TAILQ_FOREACH(f, &pool->others, link)
		n++;
	return n;
}

/* six requests that hold every clone of f */
static struct call calls[6];

static void hold(struct function *f)
{
	fake->held = 1;
	for (int i = 0; i < 6; i++)
		submit(f, &calls[i], "hold");
	UNTIL(f->n[CLONE_BUSY] == 6);
}

static int released(void)
{
	int good = 1;

	fake->held = 0;
	for (int i = 0; i < 6; i++) {
		UNTIL(calls[i].done);
		good &= calls[i].done == 1 && calls[i].outcome == JOB_OK;
	}
	return good;
}

/* time passes until it is, as for who backs off */
#define UNTIL_LATER(cond) do {						\
	for (int n_ = 0; !(cond) && n_ < 200; n_++) {			\
		shift += 1;						\
		later(0.02);						\
	}								\
} while (0)

/* --- tests */

static void test_spread(const char *name, unsigned bases, unsigned packages)
{
	struct function *f;

	begin(3);
	f = add(name, 6);
	UNTIL(is_spread(f, "2 2 2"));
	ok(is_spread(f, "2 2 2") && f->n[CLONE_IDLE] == 6,
	   "%s: six clones are of three references: %s", name, spread(f));
	ok(fake->bases == bases && fake->packages == packages,
	   "%s: over %u runtimes, and %u with packages", name, fake->bases,
	   fake->packages);
	ok(ready == 1 && !failed && !notes[1],
	   "%s: one function is ready, once, and nothing else is said", name);
	end();
}

static void test_one(void)
{
	struct function *f;

	begin(1);
	f = add("f1", 2);
	UNTIL(is_spread(f, "2"));
	later(0.2);
	ok(is_spread(f, "2") && fake->bases == 1 && fake->branches == 1,
	   "one layout is one reference over one runtime");
	end();
	begin(0);
	f = add("f1", 2);
	UNTIL(is_spread(f, "2"));
	ok(is_spread(f, "2"), "so is none that is asked for");
	end();
}

/* with min = 0, as requests come */
static void test_turns(void)
{
	struct function *f;

	begin(3);
	f = add("f1", 0);
	UNTIL(is_spread(f, "0 0 0"));
	hold(f);
	ok(is_spread(f, "2 2 2"), "clones that requests need: %s", spread(f));
	ok(released(), "they are answered");
	end();
}

/* the further ones cannot boot at first */
static void test_boot(void)
{
	struct function *f;

	begin(1);
	f = add("f1", 6);
	UNTIL(is_spread(f, "6"));
	fake->base_boot = BOOT_DIES;
	layouts_set(3);
	UNTIL(said("layout 2 cannot boot"));
	UNTIL_LATER(fake->bases >= 7);
	ok(said("layout 1 cannot boot") == 1 &&
	   said("layout 2 cannot boot") == 1 && !failed,
	   "runtimes that cannot boot are named once, after %u attempts",
	   fake->bases);
	ok(is_spread(f, "6") && answers(f), "the function goes on without");
	fake->base_boot = BOOT_WELL;
	UNTIL_LATER(is_spread(f, "2 2 2"));
	ok(is_spread(f, "2 2 2"), "and uses them as soon as they do: %s",
	   spread(f));
	end();
}

static void test_killed(void)
{
	struct function *f;

	begin(3);
	f = add("f1", 6);
	UNTIL(is_spread(f, "2 2 2"));
	kill(variant(f, 1)->ref->proc.pid, SIGKILL);
	UNTIL(!strcmp(spread(f), "3 3"));
	ok(!strcmp(spread(f), "3 3") && answers(f),
	   "a further reference is killed: clones are of the others");
	UNTIL_LATER(is_spread(f, "2 2 2"));
	ok(is_spread(f, "2 2 2") && ready == 1 && !failed,
	   "it boots again: %s", spread(f));
	kill(f->ref->proc.pid, SIGKILL);
	UNTIL(!pool_ref_usable(f));
	UNTIL_LATER(is_spread(f, "2 2 2"));
	ok(is_spread(f, "2 2 2") && answers(f) && ready == 1 && !failed,
	   "the first one is killed: %s", spread(f));
	kill(variant(f, 2)->base->ref->proc.pid, SIGKILL);
	UNTIL(!pool_ref_usable(variant(f, 2)->base));
	ok(answers(f), "the runtime of one is killed");
	end();
}

static void test_fewer(void)
{
	struct function *f;

	begin(3);
	f = add("f1", 6);
	UNTIL(is_spread(f, "2 2 2"));
	hold(f);
	layouts_set(2);
	later(0.2);
	ok(f->n[CLONE_BUSY] == 6 && variant(f, 2),
	   "fewer are asked for: requests go on");
	ok(released(), "and are answered");
	UNTIL(is_spread(f, "3 3") && others() == 3);
	ok(is_spread(f, "3 3") && !variant(f, 2) && others() == 3,
	   "then the surplus goes, its runtime too: %s", spread(f));
	layouts_set(1);
	layouts_set(3);
	UNTIL(is_spread(f, "2 2 2"));
	layouts_set(1);
	later(0.01);
	layouts_set(3);
	UNTIL(is_spread(f, "2 2 2") && others() == 5);
	ok(is_spread(f, "2 2 2") && others() == 5,
	   "one that was to go is followed by another: %s", spread(f));
	end();
}

static void test_retired(void)
{
	struct function *f, *g;

	begin(3);
	f = add("f1", 6);
	UNTIL(is_spread(f, "2 2 2"));
	hold(f);
	g = add("f2", 6);
	UNTIL(is_spread(g, "2 2 2"));
	ok(is_spread(g, "2 2 2") && ready == 2 && fake->bases == 3,
	   "another takes its place, over the same runtimes");
	ok(released(), "requests of the first are answered");
	UNTIL(others() == 5);
	ok(others() == 5, "then all of it goes");
	pool_retire(g);
	UNTIL(!others());
	ok(!others() && TAILQ_EMPTY(&pool->current) && no_children(),
	   "and with the last function all is gone");
	end();
}

struct order {
	struct fork_order o;
	unsigned done;
	int failed;
};

static void on_forked(struct fork_order *o, const char *why)
{
	struct order *r = (struct order *)o;

	r->done++;
	r->failed = why != NULL;
}

static void test_fork(void)
{
	struct order o = { .o.done = on_forked };
	struct function *f;
	pid_t was[3];
	int anew = 0;

	begin(3);
	f = add("f1", 6);
	UNTIL(is_spread(f, "2 2 2"));
	for (unsigned i = 0; i < 3; i++)
		was[i] = (i ? variant(f, i) : f)->ref->proc.pid;
	ok(function_fork(f, &o.o) == 0, "a new snapshot is ordered");
	UNTIL(o.done);
	for (unsigned i = 0; i < 3; i++)
		anew += (i ? variant(f, i) : f)->ref->proc.pid != was[i];
	ok(o.done == 1 && !o.failed && anew == 3,
	   "it is there when that of each layout is: %d", anew);
	UNTIL(is_spread(f, "2 2 2"));
	fake->boot = BOOT_DIES;
	o = (struct order){ .o.done = on_forked };
	ok(function_fork(f, &o.o) == 0, "another one is ordered");
	UNTIL(o.done);
	ok(o.done == 1 && o.failed && answers(f),
	   "who ordered it hears that it cannot boot");
	fake->boot = BOOT_WELL;
	o = (struct order){ .o.done = on_forked };
	ok(function_fork(f, &o.o) == 0, "one is ordered and forgotten");
	function_fork_forget(&o.o);
	later(0.2);
	ok(!o.done && answers(f), "nobody hears of it");
	end();
}

/* what is in the midst of anything */
static void test_destroy(void)
{
	struct function *f;

	begin(3);
	f = add("f1", 6);
	UNTIL(variant(f, 1));
	end();
	begin(3);
	f = add("f1", 6);
	UNTIL(is_spread(f, "2 2 2"));
	hold(f);
	add("f2", 6);
	layouts_set(1);
	later(0.05);
	end();
	ok(no_children(), "whatever they do, all end with the pool");
}

int main(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	alarm(600);
	if (!mkdtemp(dir))
		return 1;
	bake("f1", 128 * MB, 0);
	bake("f2", 256 * MB, 0);
	bake("small", 32 * MB, 0);
	bake("packages", 128 * MB, 1);
	fake_init();
	fake_loop();
	test_spread("f1", 3, 0);
	test_spread("packages", 3, 3);
	test_spread("small", 0, 0);
	test_one();
	test_turns();
	test_boot();
	test_killed();
	test_fewer();
	test_retired();
	test_fork();
	test_destroy();
	ev_timer_stop(loop, &beat);
	ev_loop_destroy(loop);
	for (const char *const *n = (const char *const[]){ "f1", "f2",
	     "small", "packages", NULL }; *n; n++)
		unlink(path_of(*n));
	rmdir(dir);
	return plan();
}
