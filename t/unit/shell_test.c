/*
 * shell_test.c - what waits to be any function's clone, and all that goes wrong
 * with it
 *
 * The processes are fakeref.h's, the images are files that differ by a line.
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
#define SHELLS	3

static char dir[] = "/tmp/usetl-shell.XXXXXX";
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

static void bake(const char *name)
{
	char *argv[] = { "/bin/py", NULL }, *envs[] = { "A=b", NULL };
	struct image meta = {
		.name = (char *)name, .handler = "app.handler",
		.interpreter = "/bin/py", .version = "3.11.2", .argv = argv,
		.env = envs, .memory = 128 * MB, .files = 32 * MB,
		.timeout_ns = 5000 * MS,
	};
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0600);
	struct err err = { "" };
	struct tree *t = NULL;

	if (fd < 0 || tree_create(&t, &err) ||
	    tree_add_data(t, "/bin/py", "python", 6, 0, &err) < 0 ||
	    tree_add_data(t, "/app/app.py", name, strlen(name), 2,
			  &err) < 0 ||
	    pack_write(t, &meta, fd, NULL, NULL, NULL, &err) < 0) {
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
	snprintf(notes + len, sizeof(notes) - len, "%s: %s\n", f->name, text);
}

static ev_tstamp on_now(struct ev_loop *l)
{
	return ev_now(l) + shift;
}

static const struct pool_ops ops = { .log = on_log, .event = on_event };

static const struct function_opts plain = {
	.max = 2, .idle_ns = 60000 * MS, .timeout_ns = 60000 * MS,
};

static struct function *add(const char *name)
{
	struct function *f = NULL;
	struct err err = { "" };
	struct image *img;

	if (image_open_heads(&img, path_of(name), NULL, &err) < 0 ||
	    pool_add(pool, img, &plain, &f, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return f;
}

static struct function *f1, *f2;

/* two functions of one runtime, ready */
static void begin(void)
{
	ready = failed = 0;
	notes[0] = '\0';
	fake->boots = fake->bases = fake->branches = fake->shells = 0;
	fake->seals = 1;
	opts = (struct pool_opts){
		.response_max = 1000, .log_max = 100000, .queue = 8,
		.wait_ns = 30000 * MS, .boot_ns = 60000 * MS,
		.fetch_timeout_ns = 1000 * MS, .fetch_max = MB, .ops = &ops,
		.copy_images = 1, .share = 1, .shells = SHELLS, .copies = dir,
		.start = fake_start, .verify = verify, .now = on_now,
	};
	if (pool_create(&pool, loop, &opts) < 0)
		exit(1);
	f1 = add("f1");
	f2 = add("f2");
	UNTIL(ready == 2);
}

static void end(void)
{
	pool_destroy(pool);
	pool = NULL;
	fake->shell = SHELL_WELL;
}

static unsigned waiting(void)
{
	const struct pool_clone *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &f1->base->shells, link)
		n += c->state == CLONE_IDLE;
	return n;
}

static uint64_t starts(struct function *f, enum pool_start how)
{
	struct function_info i;

	function_info(f, &i);
	return i.starts[how];
}

static void test_used(void)
{
	begin();
	UNTIL(waiting() == 1);
	later(0.3);
	ok(waiting() == 1 && fake->shells == 1, "one waits before any call");
	ok(answers(f1) && starts(f1, START_SHELL) == 1,
	   "a request is what it is placed for");
	UNTIL(waiting() == SHELLS);
	later(0.3);
	ok(waiting() == SHELLS && fake->shells == SHELLS + 1,
	   "and so many wait then");
	ok(answers(f1) && starts(f1, START_WARM) == 1 && answers(f2) &&
	   starts(f2, START_SHELL) == 1, "another function has another one");
	shift += 61;
	UNTIL(waiting() == 1 && f1->base->n_shells == 1);
	ok(waiting() == 1, "unused, all but one end");
	end();
}

static void test_burst(void)
{
	struct call c[4];
	int good = 1;

	begin();
	UNTIL(waiting() == 1);
	fake->held = 1;
	for (int i = 0; i < 4; i++)
		submit(i % 2 ? f1 : f2, &c[i], "hold");
	UNTIL(f1->n[CLONE_BUSY] == 2 && f2->n[CLONE_BUSY] == 2);
	fake->held = 0;
	for (int i = 0; i < 4; i++) {
		UNTIL(c[i].done);
		good &= c[i].outcome == JOB_OK;
	}
	ok(good && starts(f1, START_SHELL) + starts(f2, START_SHELL) >= 1,
	   "more requests than shells are answered all the same");
	end();
}

/* before any is placed: requests have their clones made as ever */
static void test_none_waits(enum fake_shell how, const char *what)
{
	begin();
	UNTIL(waiting() == 1);
	fake->shell = how;
	answers(f1);
	UNTIL(fake->shells > 1);
	later(0.1);
	if (how == SHELL_NO_UP)
		shift += 11;
	ok(answers(f2) && answers(f1), "%s: requests are answered", what);
	ok(fake->bases == 1 && !failed, "%s: nobody else ends", what);
	fake->shell = SHELL_WELL;
	shift += 11;
	UNTIL(waiting() == SHELLS);
	ok(waiting() == SHELLS, "%s: others are made, later", what);
	end();
}

static void test_placed(enum fake_shell how, const char *what)
{
	struct call c;

	begin();
	UNTIL(waiting() == 1);
	fake->shell = how;
	submit(f1, &c, "1");
	later(0.3);
	if (how == SHELL_SILENT_PLACED)
		shift += 3;
	UNTIL(c.done);
	ok(c.outcome == JOB_OK && starts(f1, START_CLONE) == 1,
	   "%s: the request has a clone made as ever", what);
	ok(strstr(notes, "f1: a shell was lost") != NULL, "%s: it is said",
	   what);
	fake->shell = SHELL_WELL;
	shift += 11;
	UNTIL(waiting() == SHELLS);
	ok(answers(f2) && fake->bases == 1, "%s: nobody else ends", what);
	end();
}

static void test_killed(void)
{
	pid_t base;

	begin();
	answers(f1);
	UNTIL(waiting() == SHELLS);
	base = fake->base;
	kill(base, SIGKILL);
	UNTIL(!waiting());
	ok(answers(f2), "their base is killed: they end, and requests go on");
	shift += 6;
	UNTIL(fake->base != base && waiting());
	ok(waiting() >= 1, "the next base has its own");
	end();
}

static void test_set(void)
{
	begin();
	answers(f1);
	UNTIL(waiting() == SHELLS);
	opts.shells = 0;
	pool_set(pool, &opts);
	UNTIL(!f1->base->n_shells);
	ok(answers(f2) && !starts(f2, START_SHELL), "none, when it is so set");
	opts.shells = SHELLS;
	opts.memory = 1;
	pool_set(pool, &opts);
	UNTIL(waiting() == 1);
	UNTIL(!f1->base->n_shells);
	ok(!waiting(), "none where memory is short");
	opts.memory = 0;
	pool_set(pool, &opts);
	UNTIL(waiting());
	ok(waiting() >= 1, "and again when it is not");
	pool_retire(f1);
	pool_retire(f2);
	UNTIL(TAILQ_EMPTY(&pool->others) && TAILQ_EMPTY(&pool->current));
	ok(TAILQ_EMPTY(&pool->others), "they end with the last function");
	end();
}

int main(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	alarm(600);
	if (!mkdtemp(dir))
		return 1;
	bake("f1");
	bake("f2");
	fake_init();
	fake_loop();
	test_used();
	test_burst();
	test_none_waits(SHELL_FAILS, "a base that cannot fork");
	test_none_waits(SHELL_ENDS, "shells that end");
	test_none_waits(SHELL_BABBLES, "shells that babble");
	test_none_waits(SHELL_NO_UP, "shells that hang");
	test_none_waits(SHELL_UP_TWICE, "shells that are up twice");
	test_placed(SHELL_ENDS_PLACED, "one that ends when it is placed");
	test_placed(SHELL_SILENT_PLACED, "one that hangs then");
	test_placed(SHELL_BABBLES_PLACED, "one that babbles then");
	test_killed();
	test_set();
	ok(no_children(), "no process is left");
	ev_timer_stop(loop, &beat);
	ev_loop_destroy(loop);
	unlink(path_of("f1"));
	unlink(path_of("f2"));
	rmdir(dir);
	return plan();
}
