/*
 * base_test.c - functions that branch from one booted runtime, and all that
 * goes wrong with it
 *
 * The processes are fakeref.h's, the images are files: two of equal names and
 * texts have the same runtime.  What is said is remembered with the function
 * that it was said of.
 */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "etlfs/bake/pack.h"
#include "t/unit/fakeref.h"
#include "t/unit/tap.h"
#include "vmm/pool/pool_impl.h"

#define MS	1000000ull
#define MB	(1ull << 20)

struct call {
	struct job job;
	unsigned done;
	enum outcome outcome;
	int pid;
};

static char dir[] = "/tmp/usetl-base.XXXXXX";
static struct pool *pool;
static unsigned ready, failed;
static char notes[65536];
static const char *altered;		/* the file that is */
static const char *retire_with;		/* when f1 fails, this one goes */

/* --- images */

static const char *path_of(const char *name)
{
	static char path[4][64];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 64, "%s/%s.usetl", dir, name);
	return p;
}

/* packages: what is in them, or NULL */
static void bake_with(const char *name, const char *runtime,
		      const char *packages, char *env, uint64_t memory)
{
	char *argv[] = { "/bin/py", NULL }, own[64];
	char *envs[] = { env, own, NULL };
	struct image meta = {
		.name = (char *)name, .handler = "app.handler",
		.interpreter = "/bin/py", .version = "3.11.2", .argv = argv,
		.env = envs, .memory = memory,
		.files = 32 * MB, .timeout_ns = 5000 * MS,
	};
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0600);
	struct err err = { "" };
	struct tree *t = NULL;

	snprintf(own, sizeof(own), "USETL_NAME=%s", name);
	if (fd < 0 || tree_create(&t, &err) ||
	    tree_add_data(t, "/bin/py", runtime, strlen(runtime), 0,
			  &err) < 0 ||
	    (packages && tree_add_data(t, "/packages/one.py", packages,
				       strlen(packages), 1, &err) < 0) ||
	    tree_add_data(t, "/app/app.py", name, strlen(name), 2,
			  &err) < 0 ||
	    pack_write(t, &meta, fd, NULL, NULL, NULL, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	tree_destroy(t);
	close(fd);
}

static void bake(const char *name, const char *runtime, char *env,
		 uint64_t memory)
{
	bake_with(name, runtime, NULL, env, memory);
}

/* a function that imports `module` of its packages first */
static void bake_packages(const char *name, char *module, uint64_t memory)
{
	char *list[] = { module, NULL }, digest[65];
	struct strings modules = { .v = list, .n = 1 };
	struct err err = { "" };

	bake_with(name, "python", "packages", "A=b", memory);
	if (pack_preload(path_of(name), NULL, &modules, digest, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
}

static int verify(const struct image *img, struct err *err)
{
	return altered && !strcmp(img->path, altered) && !img->upper ?
	       err_set(err, -EBADMSG, "altered") : 0;
}

/* --- what the pool says */

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	static const char *const words[] = {
		[POOL_READY] = "ready", [POOL_FAILED] = "failed",
		[POOL_NOTE] = "note",
	};
	size_t len = strlen(notes);
	struct function *other;

	ready += what == POOL_READY;
	failed += what == POOL_FAILED;
	snprintf(notes + len, sizeof(notes) - len, "%s %s: %s\n", f->name,
		 words[what], text);
	if (what == POOL_FAILED && retire_with) {
		other = pool_find(pool, retire_with);
		retire_with = NULL;
		if (other)
			pool_retire(other);
	}
}

static ev_tstamp on_now(struct ev_loop *l)
{
	return ev_now(l) + shift;
}

static unsigned said(const char *what)
{
	unsigned n = 0;

	for (const char *at = notes; (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* whatever it was: what was said of it */
static void tell(int was_ok)
{
	char *save, *line;

	if (was_ok)
		return;
	for (line = strtok_r(notes, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		printf("# %s\n", line);
}

static const struct pool_ops ops = { .log = on_log, .event = on_event };

/* --- functions */

static const struct function_opts plain = {
	.min = 1, .max = 2, .idle_ns = 60000 * MS, .timeout_ns = 60000 * MS,
};

static struct function *add_with(const char *name,
				 const struct function_opts *o)
{
	struct function *f = NULL;
	struct err err = { "" };
	struct image *img;

	if (image_open_heads(&img, path_of(name), NULL, &err) < 0 ||
	    pool_add(pool, img, o, &f, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return f;
}

static struct function *add(const char *name)
{
	return add_with(name, &plain);
}

static void begin(void)
{
	static struct pool_opts opts;

	ready = failed = 0;
	notes[0] = '\0';
	fake->boots = fake->bases = fake->branches = fake->packages = 0;
	opts = (struct pool_opts){
		.response_max = 1000, .log_max = 100000, .queue = 2,
		.wait_ns = 30000 * MS, .boot_ns = 60000 * MS,
		.fetch_timeout_ns = 1000 * MS, .fetch_max = MB, .ops = &ops,
		.copy_images = 1, .share = 1, .copies = dir,
		.start = fake_start, .verify = verify, .now = on_now,
	};
	if (pool_create(&pool, loop, &opts) < 0)
		exit(1);
}

static void end(void)
{
	pool_destroy(pool);
	pool = NULL;
	fake->boot = fake->base_boot = fake->packages_boot = BOOT_WELL;
	fake->branch = BRANCH_WELL;
	fake->held = 0;
	altered = NULL;
}

static int is_ready(struct function *f)
{
	struct function_info i;

	function_info(f, &i);
	return i.ready;
}

static unsigned refreshes(struct function *f)
{
	struct function_info i;

	function_info(f, &i);
	return i.refreshes;
}

static unsigned others(void)
{
	struct function *f;
	unsigned n = 0;

	TAILQ_FOREACH(f, &pool->others, link)
		n++;
	return n;
}

static void on_done(struct job *j, const struct job_result *r)
{
	struct call *c = (struct call *)j;
	char text[32];

	c->done++;
	c->outcome = r->outcome;
	snprintf(text, sizeof(text), "%.*s", (int)(r->len < 30 ? r->len : 30),
		 r->text);
	c->pid = atoi(text);
}

static int submit(struct function *f, struct call *c, const char *event)
{
	int r;

	memset(c, 0, sizeof(*c));
	c->job.event = strdup(event);
	c->job.event_len = strlen(event);
	c->job.done = on_done;
	r = pool_submit(f, &c->job);
	if (r < 0)
		free(c->job.event);
	return r;
}

static int answers(struct function *f)
{
	struct call c;

	if (submit(f, &c, "1") < 0)
		return 0;
	UNTIL(c.done);
	return c.done == 1 && c.outcome == JOB_OK;
}

/* time passes until it is, as for who backs off */
#define UNTIL_LATER(cond) do {						\
	for (int n_ = 0; !(cond) && n_ < 200; n_++) {			\
		shift += 1;						\
		later(0.02);						\
	}								\
} while (0)

/* --- tests */

static void test_who_shares(void)
{
	struct function *f[6];
	int good;

	begin();
	f[0] = add("f1");
	f[1] = add("f2");
	f[2] = add("f3");
	UNTIL(ready + failed == 3);
	good = ready == 3 && answers(f[0]) && answers(f[1]) && answers(f[2]);
	ok(good && fake->bases == 1 && !fake->boots,
	   "three functions branch from one base: %u of %u", fake->branches,
	   fake->bases);
	tell(good);
	f[3] = add("env");
	UNTIL(ready + failed == 4);
	ok(ready == 4 && fake->bases == 2 && answers(f[3]),
	   "one of another environment has a base of its own");
	f[4] = add("other");
	UNTIL(ready + failed == 5);
	ok(ready == 5 && fake->bases == 3 && answers(f[4]),
	   "one of another runtime has a base of its own");
	f[5] = add("small");
	UNTIL(ready + failed == 6);
	ok(ready == 6 && fake->bases == 3 && fake->boots == 1 &&
	   answers(f[5]), "one of less memory than a base has boots alone");
	end();
}

/* how it goes wrong once, what is said of it, and then it is ready */
static void test_branch(enum fake_branch how, const char *what, int fails,
			const char *says)
{
	struct function *f1, *f2;
	int good;

	begin();
	f1 = add("f1");
	UNTIL(ready + failed == 1);
	fake->branch = how;
	f2 = add("f2");
	UNTIL(fake->branches == 2);
	if (how == BRANCH_SILENT)
		shift += 62;
	if (how == BRANCH_SILENT || fails)
		UNTIL(failed);
	else
		later(0.3);
	fake->branch = BRANCH_WELL;
	good = (failed == 1) == fails && (!says || said(says));
	ok(good, "%s: it is said, once", what);
	tell(good);
	UNTIL_LATER(is_ready(f2));
	good = is_ready(f2) && answers(f2) && answers(f1);
	ok(good && is_ready(f1) && !said("f1 failed"),
	   "%s: it is ready by another attempt, and others go on", what);
	tell(good);
	end();
}

static void test_branches(void)
{
	test_branch(BRANCH_DIES, "a base that dies when it is asked", 0, NULL);
	test_branch(BRANCH_FAILS, "a base that cannot fork", 1,
		    "f2 failed: cannot branch from its runtime: "
		    "Resource temporarily unavailable");
	test_branch(BRANCH_SILENT, "a base that never answers", 1,
		    "f2 failed: its runtime does not answer");
	test_branch(BRANCH_WRONG_PID, "a base that names who is no child", 0,
		    "f2 note: its reference ended");
	test_branch(BRANCH_TWO_WORDS, "a base that answers twice", 0, NULL);
	test_branch(BRANCH_ENDS, "a branch that ends at once", 0,
		    "f2 note: its reference ended");
	test_branch(BRANCH_ENDS_PLACED, "a branch that ends when placed", 1,
		    "f2 failed: its process ended without a word");
	test_branch(BRANCH_EARLY, "a branch that is ready before it is placed",
		    1, "f2 failed: it broke the protocol");
}

/* who says nothing as it boots, or dies, is as one that has no base */
static void test_branch_boots(void)
{
	struct function *f1, *f2;

	begin();
	f1 = add("f1");
	UNTIL(ready + failed == 1);
	fake->boot = BOOT_DIES;
	f2 = add("f2");
	UNTIL(failed);
	ok(said("f2 failed: it exited with status 3") && answers(f1),
	   "a function that cannot boot from a base is one that cannot");
	fake->boot = BOOT_HANGS;
	UNTIL_LATER(f2->ref->state == REF_BOOTING && !f2->ref->proc.from);
	shift += 62;
	fake->boot = BOOT_WELL;
	UNTIL_LATER(is_ready(f2));
	ok(is_ready(f2) && fake->bases == 1 && answers(f2),
	   "a function that hung is killed, and its base is not");
	end();
}

static void test_base_boots(enum fake_boot how, const char *what)
{
	struct function *f1, *f2, *f3;
	int good;

	begin();
	fake->base_boot = how;
	f1 = add("f1");
	f2 = add("f2");
	if (how == BOOT_HANGS) {
		UNTIL(fake->bases);
		later(0.1);
		shift += 62;
	}
	UNTIL(failed == 2);
	ok(said("f1 failed: ") == 1 && said("f2 failed: ") == 1,
	   "a base %s: each of its functions fails", what);
	/* with the base far from its next attempt */
	f1->base->ref->retry_at = on_now(loop) + 1000;
	f3 = add("f3");
	if (how != BOOT_HANGS) {
		UNTIL(failed == 3);
		ok(said("f3 failed: ") == 1,
		   "a base %s: one that comes later fails at once", what);
	}
	fake->base_boot = BOOT_WELL;
	if (how == BOOT_HANGS) {
		UNTIL(fake->bases == 2);
		kill(fake->base, SIGKILL);
	}
	UNTIL_LATER(is_ready(f1) && is_ready(f2) && is_ready(f3));
	good = is_ready(f1) && is_ready(f2) && is_ready(f3);
	ok(good && answers(f1) && answers(f2) && answers(f3),
	   "a base %s: and boots: they are ready", what);
	tell(good);
	end();
}

static void test_killed(void)
{
	struct function *f1, *f2, *f3;
	struct function_opts o;
	unsigned branches;
	struct call c;
	pid_t was;

	begin();
	f1 = add("f1");
	UNTIL(ready + failed == 1);
	was = fake->base;
	kill(was, SIGKILL);
	UNTIL(fake->base != was || f1->base->ref->state == REF_DOWN);
	ok(is_ready(f1) && answers(f1),
	   "a base is killed: who branched from it goes on");
	f2 = add("f2");
	UNTIL_LATER(is_ready(f2));
	ok(is_ready(f2) && answers(f2) && fake->bases == 2 && !failed,
	   "a base is killed: another has another one");
	/* its socket says so at once, and the loop has yet to hear it */
	was = fake->base;
	kill(was, SIGKILL);
	poll(&(struct pollfd){ f2->base->ref->proc.pidfd, POLLIN, 0 },
	     1, -1);
	ok(f2->base->ref->state == REF_READY && is_ready(f2),
	   "a base is killed, and nobody has heard it");
	o = plain;
	o.name = "of an image that is verified";
	f3 = add_with("f2", &o);
	UNTIL_LATER(is_ready(f3));
	ok(is_ready(f3) && answers(f3) && fake->bases == 3 && !failed,
	   "one that branches from it then waits for the next");
	branches = fake->branches;
	was = f1->ref->proc.pid;
	kill(was, SIGKILL);
	UNTIL(f1->ref->state != REF_READY);
	if (submit(f1, &c, "1") < 0)
		exit(1);
	UNTIL_LATER(c.done);
	ok(c.outcome == JOB_OK && fake->branches == branches + 1 &&
	   fake->bases == 3 && !fake->boots && f1->ref->proc.pid != was,
	   "a function's reference is killed: it branches again");
	end();
}

/* f1 is whose file the base was made of first */
static void test_bad_image(void)
{
	struct function *f1, *f2, *f3;
	const char *bad = strdup(path_of("f1"));
	int good;

	begin();
	altered = bad;
	fake->base_boot = BOOT_HANGS;
	f1 = add("f1");
	f2 = add("f2");
	f3 = add("f3");
	fake->base_boot = BOOT_WELL;
	UNTIL(ready + failed == 3);
	good = ready == 2 && failed == 1 && said("f1 failed: altered") == 1 &&
	       answers(f2) && answers(f3);
	ok(good && fake->bases == 2 && !is_ready(f1) && f2->base == f3->base,
	   "a runtime that was altered: whose it was fails, others go on");
	tell(good);
	UNTIL(others() == 1);
	ok(others() == 1, "a runtime that was altered: its base is gone");
	pool_retire(f1);
	UNTIL(!pool_find(pool, "f1"));
	ok(answers(f2), "a runtime that was altered: the function goes");
	end();
	free((void *)bad);
}

/* nothing boots from the half of an image whose runtime another was to have */
static void test_bad_and_gone(void)
{
	struct function *f2, *f3;
	const char *bad = strdup(path_of("f1"));

	begin();
	altered = bad;
	fake->base_boot = BOOT_HANGS;
	add("f1");
	f2 = add("f2");
	f3 = add("f3");
	fake->base_boot = BOOT_WELL;
	unlink(path_of("f2"));
	UNTIL(ready + failed == 3);
	later(0.3);
	shift += 100;
	later(0.3);
	ok(said("f2 failed: ") == 1 && !is_ready(f2) && !fake->boots &&
	   answers(f3), "a runtime that was altered, and a file that is gone: "
	   "it has failed");
	tell(!is_ready(f2) && !fake->boots);
	end();
	free((void *)bad);
	bake("f2", "python", "A=b", 64 * MB);
}

/* who hears of a failure may have another function go */
static void test_called_back(void)
{
	struct function *f3;

	begin();
	fake->base_boot = BOOT_DIES;
	retire_with = "f2";
	add("f1");
	add("f2");
	f3 = add("f3");
	UNTIL(said("f3 failed"));
	ok(said("f1 failed") == 1 && said("f3 failed") == 1 &&
	   !pool_find(pool, "f2"), "a function goes while others hear that "
	   "they have failed: each does, once");
	fake->base_boot = BOOT_WELL;
	UNTIL_LATER(is_ready(f3));
	ok(is_ready(f3), "a function goes while others fail: they boot later");
	end();
}

static void test_refresh(void)
{
	struct function_opts o = plain, never = plain;
	struct function *f1, *f2;
	struct call c;
	unsigned bases, n;

	begin();
	f1 = add_with("f1", &never);
	UNTIL(ready == 1);
	o.refresh_ns = 100 * MS;
	f2 = add_with("f2", &o);
	UNTIL(refreshes(f2) >= 3);
	ok(refreshes(f2) >= 3 && !refreshes(f1) && fake->bases >= 4 &&
	   answers(f1) && answers(f2), "a base is refreshed as often as one "
	   "of its functions wants, and that one with it: %u of %u",
	   refreshes(f2), fake->bases);
	/* as configured anew */
	function_set(f2, &never);
	function_set(f1, &never);
	later(0.3);
	bases = fake->bases;
	n = refreshes(f2);
	later(0.5);
	ok(fake->bases == bases && refreshes(f2) == n,
	   "no base is refreshed where none of its functions wants it");
	function_set(f1, &o);
	UNTIL(refreshes(f1) >= 2);
	ok(refreshes(f1) >= 2 && refreshes(f2) == n,
	   "a function wants to be refreshed from now on, and is");
	/*
	 * Its old reference lives on while a request runs; what the next one
	 * runs in is a clone of the new one.
	 */
	UNTIL(pool_ref_other(f1)->state == REF_DOWN && f1->n[CLONE_IDLE]);
	fake->held = 1;
	if (submit(f1, &c, "hold") < 0)
		exit(1);
	n = refreshes(f1);
	UNTIL(refreshes(f1) > n);
	o.refresh_ns = 1000000 * MS;
	bases = fake->bases;
	function_set(f1, &o);
	later(0.3);
	n = refreshes(f1);
	pool_base_refreshed(f1->base);
	later(0.3);
	ok(refreshes(f1) == n && !c.done,
	   "a refresh waits for a request of the reference before");
	fake->held = 0;
	UNTIL(refreshes(f1) > n);
	ok(refreshes(f1) > n && c.outcome == JOB_OK,
	   "a refresh that had to wait comes when it can");
	end();
}

static void test_last(void)
{
	struct function *f1, *f2;
	pid_t base;

	begin();
	f1 = add("f1");
	f2 = add("f2");
	UNTIL(ready + failed == 2);
	base = fake->base;
	pool_retire(f1);
	UNTIL(!pool_find(pool, "f1") && others() == 1);
	later(0.1);
	ok(!kill(base, 0) && answers(f2),
	   "a base is there as long as a function branches from it");
	pool_retire(f2);
	UNTIL(!others());
	ok(!others() && kill(base, 0) < 0,
	   "a base goes with the last of its functions");
	f1 = add("f1");
	UNTIL(ready == 3);
	ok(ready == 3 && fake->bases == 2 && answers(f1),
	   "a base went: whoever comes later has another");
	end();
}

/* to the pool a base has a name, too */
static void test_name(void)
{
	struct function *f1, *f2, *next;

	begin();
	f1 = add("f1");
	f2 = add("runtime");
	UNTIL(ready + failed == 2);
	function_set(f2, &plain);
	next = add("runtime");
	UNTIL(ready + failed == 3);
	later(0.3);
	ok(ready == 3 && is_ready(next) && fake->bases == 1 && answers(next) &&
	   !f1->base->retired, "a function of a base's name is no base");
	kill(f1->ref->proc.pid, SIGKILL);
	UNTIL(f1->ref->state != REF_READY);
	UNTIL_LATER(is_ready(f1));
	ok(is_ready(f1), "a function of a base's name: others branch again");
	end();
}

static void test_destroy(void)
{
	struct function *f1;
	struct call c;

	begin();
	add("f1");
	add("f2");
	end();
	ok(1, "the pool ends while a base is copied");
	begin();
	fake->base_boot = BOOT_HANGS;
	add("f1");
	add("f2");
	UNTIL(fake->bases);
	end();
	ok(1, "the pool ends while a base boots");
	begin();
	fake->branch = BRANCH_SILENT;
	add("f1");
	add("f2");
	UNTIL(fake->branches);
	later(0.1);
	end();
	ok(1, "the pool ends while a branch is asked for");
	begin();
	fake->boot = BOOT_HANGS;
	add("f1");
	add("f2");
	UNTIL(fake->branches == 2);
	later(0.1);
	end();
	ok(1, "the pool ends while a branch boots");
	begin();
	fake->held = 1;
	f1 = add("f1");
	UNTIL(ready == 1);
	if (submit(f1, &c, "hold") < 0)
		exit(1);
	pool_retire(f1);
	later(0.3);
	end();
	ok(1, "the pool ends while a function that went has a request");
	begin();
	fake->branch = BRANCH_SILENT;
	f1 = add("f1");
	UNTIL(fake->branches);
	pool_retire(f1);
	later(0.3);
	end();
	ok(1, "the pool ends while a function that went waits for a branch");
	begin();
	add("f1");
	UNTIL(ready == 1);
	add("p1");
	UNTIL(ready == 2);
	end();
	ok(ready == 2, "the pool ends where packages are over an older "
	   "runtime");
}

static void test_packages(void)
{
	struct function *f1, *f2, *f3, *f4;
	int good;

	begin();
	f1 = add("p1");
	f2 = add("p2");
	f3 = add("q1");
	f4 = add("f1");
	UNTIL(ready + failed == 4);
	good = ready == 4 && answers(f1) && answers(f2) && answers(f3) &&
	       answers(f4);
	ok(good && fake->bases == 1 && fake->packages == 2 && !fake->boots &&
	   f1->base == f2->base && f1->base != f3->base &&
	   f1->base->base == f4->base,
	   "who imports the same of them has packages in common, over one "
	   "runtime: %u, %u", fake->packages, fake->bases);
	tell(good);
	pool_retire(f1);
	pool_retire(f2);
	pool_retire(f3);
	UNTIL(others() == 1);
	ok(others() == 1 && answers(f4) && f4->base->base_of == 2,
	   "packages go with the last function, the runtime stays");
	end();
}

static void test_packages_fail(enum fake_boot how, const char *what)
{
	struct function *f1, *f2;
	int good;

	begin();
	fake->packages_boot = how;
	f1 = add("p1");
	f2 = add("p2");
	if (how == BOOT_HANGS) {
		UNTIL(fake->packages);
		later(0.1);
		shift += 62;
	}
	UNTIL(ready + failed == 2);
	good = ready == 2 && answers(f1) && answers(f2);
	ok(good && fake->packages == 1 && fake->bases == 1 && !fake->boots &&
	   said("imported by it alone") == 2 && !f1->base->base,
	   "with packages %s functions do without, and it is said: %u", what,
	   fake->packages);
	tell(good);
	UNTIL(others() == 1);
	ok(others() == 1, "and nothing is left of these");
	end();
}

static void test_packages_killed(void)
{
	struct function *f1, *f2;

	begin();
	f1 = add("p1");
	UNTIL(ready == 1);
	kill(fake->last_packages, SIGKILL);
	UNTIL(f1->base->ref->state != REF_READY);
	ok(answers(f1), "packages that were killed leave their functions");
	UNTIL_LATER(fake->packages == 2);
	f2 = add("p2");
	UNTIL(ready == 2);
	ok(answers(f2) && fake->packages == 2 && fake->bases == 1 &&
	   f2->base == f1->base, "and come back for others");
	kill(fake->base, SIGKILL);
	UNTIL_LATER(fake->bases == 2);
	ok(answers(f1) && answers(f2) && fake->packages == 2,
	   "a runtime that was killed leaves them, too");
	end();
}

static void test_packages_image(void)
{
	struct function *f1, *f2;

	begin();
	altered = strdup(path_of("p1"));
	f1 = add("p1");
	UNTIL(failed == 1);
	f2 = add("p2");
	UNTIL(ready == 1);
	ok(failed == 1 && ready == 1 && !is_ready(f1) && answers(f2),
	   "of an image that was altered nobody has packages");
	end();
}

static void test_packages_refresh(void)
{
	struct function_opts o = plain;
	struct function *f1;

	begin();
	o.refresh_ns = 1000 * MS;
	f1 = add_with("p1", &o);
	UNTIL(ready == 1);
	UNTIL_LATER(refreshes(f1) >= 2);
	ok(refreshes(f1) >= 2 && fake->packages >= 3 && fake->bases >= 3 &&
	   answers(f1), "packages are refreshed with their runtime: %u, %u",
	   fake->packages, fake->bases);
	end();
}

/* whose base never answers: neither stays */
static void test_gone_waits(void)
{
	struct function *f1;

	begin();
	fake->branch = BRANCH_SILENT;
	f1 = add("f1");
	UNTIL(fake->branches);
	pool_retire(f1);
	later(0.3);
	shift += 62;
	UNTIL(!others());
	ok(!others(), "a function goes whose base never answers: both are gone");
	end();
}

int main(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	mallopt(M_PERTURB, 0xa5);
	signal(SIGALRM, SIG_DFL);
	alarm(600);
	if (!mkdtemp(dir))
		return 1;
	bake("f1", "python", "A=b", 128 * MB);
	bake("f2", "python", "A=b", 64 * MB);
	bake("f3", "python", "A=b", 256 * MB);
	bake("runtime", "python", "A=b", 64 * MB);
	bake("env", "python", "A=c", 128 * MB);
	bake("other", "pythom", "A=b", 128 * MB);
	bake("small", "python", "A=b", 32 * MB);
	bake_packages("p1", "one", 128 * MB);
	bake_packages("p2", "one", 256 * MB);
	bake_packages("q1", "two", 128 * MB);
	fake_init();
	fake_loop();
	test_who_shares();
	test_branches();
	test_branch_boots();
	test_base_boots(BOOT_DIES, "that cannot boot");
	test_base_boots(BOOT_VANISHES, "that ends without a word");
	test_base_boots(BOOT_HANGS, "that hangs");
	test_killed();
	test_bad_image();
	test_bad_and_gone();
	test_called_back();
	test_refresh();
	test_last();
	test_name();
	test_gone_waits();
	test_packages();
	test_packages_fail(BOOT_DIES, "that cannot boot");
	test_packages_fail(BOOT_VANISHES, "that end without a word");
	test_packages_fail(BOOT_HANGS, "that hang");
	test_packages_fail(BOOT_BABBLES, "that babble");
	test_packages_killed();
	test_packages_image();
	test_packages_refresh();
	test_destroy();
	ok(no_children(), "no process is left");
	ev_timer_stop(loop, &beat);
	ev_loop_destroy(loop);
	for (const char *const *n = (const char *const[]){ "f1", "f2", "f3",
	     "runtime", "env", "other", "small", "p1", "p2", "q1", NULL };
	     *n; n++)
		unlink(path_of(*n));
	rmdir(dir);
	return plan();
}
