/*
 * pool_test.c - references, clones and the queue, with everything that dies
 *
 * The processes are fakeref.h's.  The pool's clock stands still but for what
 * the tests add to it: nothing waits for a time-out, and none comes because a
 * process had to wait for a processor.  What is waited for has a generous end.
 * This process adopts orphans, and at the end there must be none.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "t/unit/fakeref.h"
#include "t/unit/tap.h"
#include "vmm/pool/pool_impl.h"

#define MS	1000000ull
#define BEGAN	1000.0			/* the pool's clock, at first */

struct call {
	struct job job;
	unsigned done;
	enum outcome outcome;
	enum died died;
	int pid;
	unsigned boot, served;		/* of what answered */
	char text[128];
	struct function *again;		/* asked once more, `left` times */
	unsigned left, failed;
};

static struct pool *pool;
static struct pool_opts opts;
static unsigned ready, failed, idles, freed;
static size_t logged;
static char notes[65536];

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
	logged += len;
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	size_t len = strlen(notes);

	ready += what == POOL_READY;
	failed += what == POOL_FAILED;
	snprintf(notes + len, sizeof(notes) - len, "%s\n", text);
}

static void on_idle(void *arg, struct function *f, const struct run_stats *st,
		    const char *pages, size_t len)
{
	idles++;
}

/* how often a note has said that */
static unsigned said(const char *what)
{
	unsigned n = 0;

	for (const char *at = notes; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static uint64_t room = UINT64_MAX, lost;
static unsigned failures_seen;

static uint64_t on_log_room(void *arg, struct function *f)
{
	return room;
}

static void on_log_lost(void *arg, struct function *f, uint64_t lines)
{
	lost += lines;
}

static void on_failed(void *arg, struct function *f,
		      const struct job_result *r)
{
	failures_seen++;
}

static ev_tstamp on_now(struct ev_loop *l)
{
	return BEGAN + shift;
}

static const struct pool_ops ops = {
	.log = on_log, .event = on_event, .idle = on_idle,
	.log_room = on_log_room, .log_lost = on_log_lost, .failed = on_failed,
};

/* --- requests */

static void on_done(struct job *j, const struct job_result *r)
{
	struct call *c = (struct call *)j;

	c->done++;
	c->outcome = r->outcome;
	c->died = r->died;
	c->failed += r->outcome != JOB_OK;
	snprintf(c->text, sizeof(c->text), "%.*s", (int)(r->len < 100 ? r->len
		 : 100), r->text);
	sscanf(c->text, "%d %u %u", &c->pid, &c->boot, &c->served);
	freed += !j->event;
	if (c->left) {
		c->left--;
		j->event = strdup("1");
		if (pool_submit(c->again, j) < 0) {
			free(j->event);
			c->failed++;
		}
	}
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

/* until it is so, and meanwhile the pool's time passes about as ours does */
#define PASSING(cond)	UNTIL((cond) || (shift += 0.005, 0))

/*
 * So many attempts fail, one after the other.  Each says so, and only then does
 * the time pass for which the next one waits: twice as long each, up to 5 s.
 */
static void failing(const char *note, unsigned times, double wait)
{
	for (unsigned n = 1; n < times; n++, wait *= 2) {
		UNTIL(said(note) >= n);
		shift += wait < 5.1 ? wait : 5.1;
	}
	UNTIL(said(note) >= times);
	/* one that would not wait has its chance */
	later(0.1);
}

static enum outcome ask(struct function *f, struct call *c, const char *event)
{
	if (submit(f, c, event) < 0)
		return JOB_UNAVAILABLE;
	UNTIL(c->done);
	return c->done == 1 ? c->outcome : JOB_UNAVAILABLE;
}

static struct function_info info(struct function *f)
{
	struct function_info i;

	function_info(f, &i);
	return i;
}

static const struct function_opts plain = {
	.name = "f", .min = 1, .max = 2, .idle_ns = 60000 * MS,
	.timeout_ns = 100 * MS,
};

static struct function *add(const struct function_opts *o, const char *digest)
{
	struct function *f = NULL;
	struct err err = { "" };

	if (pool_add(pool, image(digest), o, &f, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return f;
}

/* a pool with one function that is ready, or has failed */
static struct function *begin(const struct function_opts *o)
{
	struct function *f;

	ready = failed = idles = 0;
	logged = 0;
	notes[0] = '\0';
	opts = (struct pool_opts){
		.response_max = 1000, .log_max = 100000, .queue = 2,
		.wait_ns = 30000 * MS, .boot_ns = 60000 * MS,
		.fetch_timeout_ns = 1000 * MS,
		.fetch_max = 1 << 20, .ops = &ops,
		.start = fake_start, .verify = fake_verify, .now = on_now,
	};
	if (pool_create(&pool, loop, &opts) < 0)
		exit(1);
	f = add(o, "d1");
	UNTIL(ready || failed);
	return f;
}

static void end(void)
{
	pool_destroy(pool);
	fake->boot = BOOT_WELL;
	fake->clone = CLONE_WELL;
	fake->held = fake->altered = 0;
}

/* --- tests */

static void test_serve(void)
{
	struct function *f = begin(&plain);
	struct call a, b;

	ok(ready == 1 && info(f).ready && pool_find(pool, "f") == f,
	   "a function becomes ready");
	ok(logged == 5, "what it said while it booted is in the log");
	UNTIL(info(f).idle == 1);
	ok(info(f).idle == 1, "min clones are made ahead");
	ok(ask(f, &a, "1") == JOB_OK && ask(f, &b, "2") == JOB_OK,
	   "requests are answered");
	ok(a.pid == b.pid && b.served == 2,
	   "requests are answered by one clone, rolled back");
	failures_seen = 0;
	ok(ask(f, &a, "raise") == JOB_ERROR && failures_seen == 1,
	   "what is raised is an error, of which the operator hears");
	ok(ask(f, &a, "big") == JOB_TOO_LARGE && strstr(a.text,
	   "response.max 1000"), "a result past response.max");
	logged = 0;
	ok(ask(f, &a, "log") == JOB_OK && logged > 100000 && logged < 101000,
	   "a log past log.max is cut");
	ok(!lost, "a cut log says so, and no line counts");
	room = 70000;
	logged = 0;
	ok(ask(f, &a, "log") == JOB_OK && logged == 65536 && lost == 1,
	   "past the room that there is nothing is kept, and lines count");
	room = lost = logged = 0;
	ok(ask(f, &a, "1") == JOB_OK && !logged && !lost,
	   "nothing is lost where nothing is said");
	room = UINT64_MAX;
	ok(submit(f, &a, "") == 0, "an empty event");
	a.job.event_len = POOL_EVENT_MAX + 1;
	ok(pool_submit(f, &a.job) == -E2BIG, "an event that is too large");
	UNTIL(a.done);
	ok(info(f).requests == 8 && info(f).errors == 2 &&
	   !pool_pending(pool), "answers and refusals are counted");
	end();
}

/* each would wake it */
static void test_kicks(void)
{
	struct function *f = begin(&plain);
	struct call a;
	int asked = ask(f, &a, "kicks");

	ok(asked == JOB_OK && a.served == 1, "four fetches end in one turn, "
	   "and their clone is told once: %u", a.served);
	end();
}

static void test_queue(void)
{
	struct function_opts o = plain;
	struct call c[4];
	struct function *f;

	o.max = 1;
	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	UNTIL(info(f).idle == 1);
	fake->held = 1;
	ok(!submit(f, &c[0], "hold") && !submit(f, &c[1], "1") &&
	   !submit(f, &c[2], "2") && info(f).busy == 1 && info(f).queued == 2,
	   "requests wait for the only clone");
	ok(submit(f, &c[3], "3") == -EAGAIN,
	   "as many requests wait as the queue takes");
	fake->held = 0;
	UNTIL(c[2].done);
	ok(c[0].served == 1 && c[1].served == 2 && c[2].served == 3,
	   "requests that waited are answered in order");
	function_pause(f, 1);
	if (submit(f, &c[0], "1") < 0)
		exit(1);
	later(0.3);
	ok(!c[0].done && info(f).idle == 1,
	   "a function that pauses runs nothing");
	function_pause(f, 0);
	UNTIL(c[0].done);
	ok(c[0].outcome == JOB_OK, "a function that paused goes on");
	fake->held = 1;
	if (submit(f, &c[0], "hold") < 0 || submit(f, &c[1], "1") < 0)
		exit(1);
	shift += 31;
	UNTIL(c[1].done);
	ok(c[1].outcome == JOB_UNAVAILABLE && !c[0].done,
	   "no request waits longer than `wait`");
	fake->held = 0;
	UNTIL(c[0].done);
	ok(c[0].outcome == JOB_OK, "a request that ran meanwhile is answered");
	end();
}

static struct function_info seen;

static void on_done_retire(struct job *j, const struct job_result *r)
{
	struct call *c = (struct call *)j;

	function_info(c->again, &seen);
	pool_retire(c->again);
	on_done(j, r);
}

/* who is called back sees no half of a change, and may make another */
static void test_called_back(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a, b;

	o.max = 1;
	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	UNTIL(info(f).idle == 1);
	fake->held = 1;
	if (submit(f, &a, "hold") < 0 || submit(f, &b, "1") < 0)
		exit(1);
	a.job.done = on_done_retire;
	a.again = f;
	fake->held = 0;
	UNTIL(a.done);
	ok(!seen.idle && seen.busy == 1 && !seen.queued,
	   "when an answer is told its clone works on what waited (%u idle, "
	   "%u busy, %u wait)", seen.idle, seen.busy, seen.queued);
	UNTIL(b.done);
	ok(b.outcome == JOB_OK && !pool_find(pool, "f"),
	   "an answer may retire its function, which serves what waits");
	end();
}

/* an event is the job's: freed before it is answered, or if it never is */
static void test_events(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a, b;

	o.max = 1;
	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	freed = 0;
	ok(ask(f, &a, "1") == JOB_OK && freed == 1,
	   "an event is freed before its request is answered");
	fake->held = 1;
	if (submit(f, &a, "hold") < 0 || submit(f, &b, "1") < 0)
		exit(1);
	ok(a.job.event && b.job.event && info(f).busy == 1,
	   "an event is kept while its request runs or waits");
	end();
	ok(!a.job.event && !b.job.event && !a.done && !b.done,
	   "a pool that ends frees the events that it does not answer");
}

static void test_clone_ends(void)
{
	static const struct {
		const char *event;
		enum outcome outcome;
		enum died died;
	} ways[] = {
		{ "crash", JOB_DIED, DIED_SIGNAL },
		{ "killed", JOB_DIED, DIED_KILLED },
		{ "vanish", JOB_DIED, DIED_KILLED },
		{ "garbage", JOB_DIED, DIED_HOST },
		{ "fetch", JOB_DIED, DIED_HOST },
		{ "logs", JOB_DIED, DIED_HOST },
		{ "chatter", JOB_DIED, DIED_HOST },
		{ "hang", JOB_TIMEOUT, DIED_TIMEOUT },
	};
	static const char *const late[] = { "idles", "late log",
					    "late cancel" };
	struct function *f = begin(&plain);
	struct call a, b;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ask(f, &a, "1") != JOB_OK || submit(f, &b, ways[i].event))
			exit(1);
		UNTIL(info(f).busy || b.done);
		shift += ways[i].outcome == JOB_TIMEOUT ? 1.2 : 0;
		UNTIL(b.done);
		ok(b.outcome == ways[i].outcome && b.died == ways[i].died,
		   "%s: the request ends so", ways[i].event);
		ok(ask(f, &b, "1") == JOB_OK && b.pid != a.pid &&
		   b.served == 1, "%s: the next is another's", ways[i].event);
	}
	ok(ask(f, &a, "twice") == JOB_OK, "two results: the first counts");
	UNTIL(strstr(notes, "an idle clone was lost: it broke the protocol"));
	ok(ask(f, &b, "1") == JOB_OK && b.pid != a.pid,
	   "two results: that clone ends");
	for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
		notes[0] = '\0';
		if (ask(f, &a, late[i]) != JOB_OK)
			exit(1);
		UNTIL(strstr(notes, "an idle clone was lost"));
		ok(ask(f, &b, "1") == JOB_OK && b.pid != a.pid,
		   "%s, after its result: that clone ends", late[i]);
	}
	ok(fake->boots && info(f).ready,
	   "faults of clones do not hurt the reference");
	end();
}

static void test_clone_fails(void)
{
	static const struct {
		enum fake_clone how;
		double wait;
		const char *note;
	} ways[] = {
		{ CLONE_FAILS, 0, "cannot clone: Resource temporarily" },
		{ CLONE_ENDS, 0, "cannot clone: its process ended" },
		{ CLONE_BABBLES, 0, "cannot clone: it broke the protocol" },
		{ CLONE_NO_UP, 10.1, "it did not come up in time" },
		{ CLONE_WRONG_PID, 0, "its reference ended" },
		{ CLONE_TWO_WORDS, 0, "its reference ended" },
	};
	struct function_opts o = plain;
	struct function *f;
	struct call a;

	o.min = 0;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		f = begin(&o);
		fake->clone = ways[i].how;
		if (submit(f, &a, "1") < 0)
			exit(1);
		UNTIL(info(f).coming || strstr(notes, ways[i].note));
		later(ways[i].wait ? 0.05 : 0);
		shift += ways[i].wait;
		UNTIL(strstr(notes, ways[i].note));
		ok(strstr(notes, ways[i].note) != NULL,
		   "clone fault %zu is noticed", i);
		fake->clone = CLONE_WELL;
		shift += 15;
		UNTIL(a.done);
		ok(a.outcome == JOB_OK, "clone fault %zu: the request that "
		   "waited is answered", i);
		end();
	}
	fake->clone = CLONE_UP_TWICE;
	begin(&plain);
	UNTIL(strstr(notes, "it came up twice"));
	ok(strstr(notes, "it came up twice") != NULL, "a clone may not come up "
	   "twice");
	end();
	f = begin(&o);
	fake->clone = CLONE_ENDS;
	if (submit(f, &a, "1") < 0)
		exit(1);
	failing("cannot clone", 3, 0.11);
	UNTIL(a.done);
	ok(a.done && a.outcome == JOB_UNAVAILABLE &&
	   !strcmp(a.text, "no clone can be made"),
	   "after failed clones nobody waits any longer");
	end();
}

/* nobody is refused for what was so before it came */
static void test_comes_again(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a;

	o.min = 0;
	f = begin(&o);
	fake->clone = CLONE_ENDS;
	if (submit(f, &a, "1") < 0)
		exit(1);
	a.again = f;
	a.left = 9;
	failing("cannot clone", 3, 0.11);
	UNTIL(a.done);
	ok(a.done == 1 && a.outcome == JOB_UNAVAILABLE && info(f).queued == 1,
	   "a request that comes again when it is refused waits, and is not "
	   "refused for the same (%u were)", a.done);
	a.left = 0;
	fake->clone = CLONE_WELL;
	shift += 15;
	UNTIL(a.outcome == JOB_OK);
	ok(a.done == 2 && a.outcome == JOB_OK,
	   "a request that came again is answered once a clone works");
	end();
}

/* what a clone takes is not to be had in this process */
static void test_clone_refused(void)
{
	struct rlimit was, none;
	struct function_opts o = plain;
	struct function *f;
	struct call a;

	o.min = 0;
	f = begin(&o);
	getrlimit(RLIMIT_NOFILE, &was);
	none = was;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	if (submit(f, &a, "1") < 0)
		exit(1);
	failing("cannot clone", 3, 0.11);
	UNTIL(a.done);
	ok(a.done && a.outcome == JOB_UNAVAILABLE &&
	   !strcmp(a.text, "no clone can be made"),
	   "without descriptors for a clone nobody waits for ever");
	ok(strstr(notes, "cannot clone: Too many open files") != NULL,
	   "without descriptors for a clone: it is said");
	setrlimit(RLIMIT_NOFILE, &was);
	shift += 15;
	if (submit(f, &a, "2") < 0)
		exit(1);
	UNTIL(a.done);
	ok(a.outcome == JOB_OK,
	   "with descriptors the next request is answered");
	end();
}

static void test_reference_ends(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a, b;
	pid_t was;

	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	was = fake->ref;
	fake->held = 1;
	if (submit(f, &a, "hold") < 0)
		exit(1);
	UNTIL(info(f).busy == 1);
	kill(was, SIGKILL);
	UNTIL(said("another boots in 0.5 s"));
	shift += 1;
	UNTIL(info(f).ready && fake->ref != was);
	ok(info(f).ready, "a reference that was killed boots again");
	ok(!a.done, "a request that runs goes on");
	ok(ask(f, &b, "1") == JOB_OK && b.pid != a.pid,
	   "while a reference is gone other clones go on");
	fake->held = 0;
	UNTIL(a.done);
	ok(a.outcome == JOB_OK,
	   "a request that ran without a reference is answered");
	ok(ask(f, &b, "1") == JOB_OK && b.pid != a.pid,
	   "a clone without its reference gets no more requests");
	kill(fake->ref, SIGKILL);
	UNTIL(!info(f).ready);
	ok(submit(f, &a, "1") == 0 && !a.done,
	   "while a reference boots requests wait");
	UNTIL(said("another boots in 1.0 s"));
	shift += 2;
	UNTIL(a.done);
	ok(a.outcome == JOB_OK, "requests wait until the reference is there");
	end();
}

/* what has no second boot must not wait for one */
static void test_reference_once(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a;
	unsigned boots;

	o.once = 1;
	o.min = 0;
	f = begin(&o);
	boots = fake->boots;
	kill(fake->ref, SIGKILL);
	if (submit(f, &a, "1") < 0)
		exit(1);
	UNTIL(a.done);
	ok(a.done && a.outcome == JOB_UNAVAILABLE &&
	   !strcmp(a.text, "its reference ended"),
	   "once: the reference is killed, the request that waits fails");
	shift += 61;
	later(0.3);
	ok(submit(f, &a, "1") == -EHOSTDOWN && fake->boots == boots,
	   "once: the next request fails, and nothing boots");
	end();
	f = begin(&o);
	fake->held = 1;
	if (submit(f, &a, "hold") < 0)
		exit(1);
	UNTIL(info(f).busy == 1);
	kill(fake->ref, SIGKILL);
	UNTIL(strstr(notes, "its reference ended"));
	fake->held = 0;
	UNTIL(a.done);
	ok(a.done && a.outcome == JOB_OK, "once: one that runs is answered");
	end();
}

/* a process that is killed is not the function's own doing */
static void test_killed(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a;

	o.min = 0;
	f = begin(&o);
	fake->clone = CLONE_DEAF_ONCE;
	if (submit(f, &a, "1") < 0)
		exit(1);
	UNTIL(said("a clone was lost"));
	shift += 0.11;
	UNTIL(a.done);
	ok(a.outcome == JOB_OK && said("a clone was lost") == 1,
	   "a request that its clone did not read is another's");
	end();
	f = begin(&o);
	fake->clone = CLONE_DEAF;
	if (submit(f, &a, "1") < 0)
		exit(1);
	failing("a clone was lost", 5, 0.11);
	ok(!a.done && said("a clone was lost") == 5,
	   "an unread request is another's, as often as it takes");
	fake->clone = CLONE_WELL;
	shift += 5;
	UNTIL(a.done);
	ok(a.outcome == JOB_OK && a.served == 1,
	   "an unread request is answered by a clone that reads");
	end();
	f = begin(&o);
	fake->clone = CLONE_DEAF;
	if (submit(f, &a, "1") < 0)
		exit(1);
	UNTIL(said("a clone was lost"));
	shift += 31;
	UNTIL(a.done);
	ok(a.outcome == JOB_UNAVAILABLE && strstr(a.text, "were killed"),
	   "an unread request waits no longer than `wait`");
	end();
}

/* a clone that answers, and then refuses its rollback, costs nobody else */
static void test_refuses(void)
{
	struct function_opts o = plain;
	struct call evil[3], a, b;
	struct function *f;

	o.timeout_ns = 60000 * MS;
	o.min = 0;
	o.max = 3;
	f = begin(&o);
	fake->held = 1;
	for (int i = 0; i < 3; i++) {
		if (submit(f, &evil[i], "hold and refuse") < 0)
			exit(1);
		UNTIL(info(f).busy == (unsigned)i + 1);
	}
	fake->held = 0;
	UNTIL(info(f).idle == 3);
	ok(!submit(f, &a, "1") && !submit(f, &b, "2"), "refused rollbacks: "
	   "requests for clones that all will");
	UNTIL(a.done && b.done);
	ok(a.outcome == JOB_OK && a.served == 1 && b.outcome == JOB_OK &&
	   b.served == 1, "refused rollbacks: they are answered by new ones");
	end();
}

/* somebody, or the kernel, kills its references again and again */
static void test_vanishes(enum fake_boot how)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a;
	unsigned boots;

	o.min = 0;
	f = begin(&o);
	boots = fake->boots;
	fake->boot = how;
	kill(fake->ref, SIGKILL);
	UNTIL(!info(f).ready);
	if (submit(f, &a, "1") < 0)
		exit(1);
	failing("its reference ended", 7, 0.51);
	ok(!a.done && !failed && fake->boots == boots + 6,
	   "killed %d: a reference boots as often as it is killed", how);
	fake->boot = BOOT_WELL;
	shift += 5.1;
	UNTIL(a.done);
	ok(a.done && a.outcome == JOB_OK && !failed,
	   "killed %d: the request that waited is answered", how);
	fake->boot = how;
	kill(fake->ref, SIGKILL);
	UNTIL(said("its reference ended") == 8);
	if (submit(f, &a, "1") < 0)
		exit(1);
	shift += 31;
	UNTIL(a.done);
	ok(a.outcome == JOB_UNAVAILABLE && strstr(a.text, "not ready in time"),
	   "killed %d: none waits longer than `wait`", how);
	ok(submit(f, &a, "1") == 0, "killed %d: the next waits, too", how);
	UNTIL(said("its reference ended") == 9);
	fake->boot = BOOT_WELL;
	shift += 5.1;
	UNTIL(a.done);
	ok(a.outcome == JOB_OK, "killed %d: and is answered", how);
	end();
}

static void test_reference_hangs(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a;

	o.min = 0;
	f = begin(&o);
	kill(fake->ref, SIGSTOP);
	if (submit(f, &a, "1") < 0)
		exit(1);
	UNTIL(info(f).coming == 1);
	shift += 10.1;
	UNTIL(strstr(notes, "its reference ended"));
	ok(strstr(notes, "its reference ended") != NULL,
	   "a reference that answers no CLONE is ended");
	shift += 15;
	UNTIL(a.done);
	ok(a.done && a.outcome == JOB_OK,
	   "a reference that answers no CLONE: another serves");
	end();
}

static void test_astray(void)
{
	struct function *f;
	struct call a;

	fake->boot = BOOT_ASTRAY;
	f = begin(&plain);
	ok(strstr(notes, "it is not in its cgroup: No such device") != NULL,
	   "a reference that could not enter its cgroup: it is said");
	ok(ask(f, &a, "1") == JOB_OK,
	   "a reference that could not enter its cgroup serves");
	fake->boot = BOOT_WELL;
	end();
}

/* it has been up for no time at all */
static void test_backs_off(void)
{
	struct function *f;
	unsigned boots;

	fake->boot = BOOT_DIES;
	f = begin(&plain);
	boots = fake->boots;
	for (int i = 0; i < 100 && fake->boots < boots + 4; i++) {
		shift += 1;
		later(0.05);
	}
	UNTIL(f->ref->state == REF_DOWN);
	ok(f->ref->retry_at - on_now(loop) > 4,
	   "who cannot boot is booted more and more seldom: in %.1f s",
	   f->ref->retry_at - on_now(loop));
	fake->boot = BOOT_WELL;
	function_set(f, &plain);
	boots = fake->boots;
	later(0.5);
	ok(fake->boots == boots + 1, "and at once when something was set");
	end();
}

static void test_boot_fails(void)
{
	static const struct {
		enum fake_boot how;
		int altered;
		const char *why;
	} ways[] = {
		{ BOOT_DIES, 0, "it exited with status 3" },
		{ BOOT_VANISHES, 0, "ended without a word" },
		{ BOOT_BABBLES, 0, "broke the protocol" },
		{ BOOT_HANGS, 0, "hung while it booted" },
		{ BOOT_WELL, 1, "altered" },
	};
	struct function *f;
	struct call a;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		fake->boot = ways[i].how;
		fake->altered = ways[i].altered;
		shift = ways[i].how == BOOT_HANGS ? -100 : 0;
		if (ways[i].how == BOOT_HANGS) {
			/* begin() waits for the failure: time flies */
			struct function_opts o = plain;

			opts.ops = &ops;
			ready = failed = 0;
			notes[0] = '\0';
			if (pool_create(&pool, loop, &opts) < 0)
				exit(1);
			f = add(&o, "d1");
			later(0.05);
			shift += 62;
			UNTIL(failed);
		} else {
			f = begin(&plain);
		}
		ok(failed == 1 && !ready && strstr(notes, ways[i].why),
		   "boot fault %zu: failed, and why", i);
		ok(submit(f, &a, "1") == -EHOSTDOWN,
		   "boot fault %zu: requests are refused", i);
		fake->boot = BOOT_WELL;
		if (!ways[i].altered) {
			shift += 61;
			PASSING(ready);
			ok(ready && ask(f, &a, "1") == JOB_OK,
			   "boot fault %zu: a later boot mends it", i);
		}
		end();
	}
}

/* what a function asks for too fast is read later, and all of it */
static void test_flood(void)
{
	struct function_opts o = plain;
	struct function *f, *g;
	struct call a, b;

	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	o.name = "g";
	g = add(&o, "d2");
	UNTIL(ready == 2 && info(g).idle == 1);
	ok(!submit(f, &a, "flood") && ask(g, &b, "1") == JOB_OK && !a.done,
	   "flood: another function is answered meanwhile");
	PASSING(a.done);
	ok(a.outcome == JOB_OK && a.served == 1, "flood: it is answered, too");
	ok(ask(f, &a, "1") == JOB_OK && a.served == 2,
	   "flood: and its clone goes on");
	end();
}

static void test_recycle(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a, b;

	o.recycle = RECYCLE_FORK;
	o.say_idle = 1;
	f = begin(&o);
	ok(ask(f, &a, "1") == JOB_OK && ask(f, &b, "1") == JOB_OK &&
	   a.pid != b.pid && b.served == 1, "fork: a clone for each request");
	end();
	o.recycle = RECYCLE_KEEP;
	f = begin(&o);
	ok(ask(f, &a, "1") == JOB_OK && ask(f, &b, "1") == JOB_OK &&
	   a.pid == b.pid, "keep: the same clone");
	UNTIL(idles == 2);
	ok(idles == 2, "say_idle: a report of each rollback");
	end();
}

static void test_reap(void)
{
	struct function_opts o = plain;
	struct call c[3];
	struct function *f;

	o.max = 3;
	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	fake->held = 1;
	for (int i = 0; i < 3; i++) {
		if (submit(f, &c[i], "hold") < 0)
			exit(1);
		UNTIL(info(f).busy == (unsigned)i + 1);
	}
	ok(info(f).busy == 3, "more are cloned under load");
	fake->held = 0;
	UNTIL(info(f).idle == 3);
	shift += 61;
	UNTIL(info(f).idle == 1);
	ok(info(f).idle == 1 && ask(f, &c[0], "1") == JOB_OK,
	   "idle ones are reaped down to min");
	end();
}

static void test_reload(void)
{
	struct function_opts o = plain;
	struct function *f, *g;
	struct call a, b;

	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	fake->held = 1;
	fake->boot = BOOT_DIES;
	if (submit(f, &a, "hold") < 0)
		exit(1);
	add(&o, "d2");
	UNTIL(failed);
	ok(failed == 1 && pool_find(pool, "f") == f && info(f).ready,
	   "an image that cannot boot replaces nothing");
	fake->boot = BOOT_WELL;
	g = add(&o, "d2");
	ok(pool_find(pool, "f") == f,
	   "the old reference serves until the new one is there");
	UNTIL(pool_find(pool, "f") == g);
	ok(pool_find(pool, "f") == g && ready == 2,
	   "the new reference takes over");
	ok(ask(g, &b, "1") == JOB_OK && !a.done && b.pid != a.pid,
	   "the new reference answers");
	ok(submit(f, &b, "1") == -EHOSTDOWN, "the old reference takes no more");
	fake->held = 0;
	UNTIL(a.done);
	ok(a.outcome == JOB_OK, "what ran in the old reference is answered");
	o.max = 7;
	ok(function_same(g, function_image(g), &o) == 1, "limits alone");
	function_set(g, &o);
	pool_retire(g);
	ok(!pool_find(pool, "f") && !pool_next(pool, NULL), "retired");
	end();
}

/* --- refresh */

static void test_refresh(unsigned min, unsigned max)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a, b;
	unsigned boots;

	o.min = min;
	o.max = max;
	o.refresh_ns = 100 * MS;
	o.timeout_ns = 60000 * MS;
	f = begin(&o);
	submit(f, &a, "1");
	a.again = f;
	a.left = UINT32_MAX;
	UNTIL(info(f).refreshes >= 3);
	a.left = 0;
	boots = a.done;
	UNTIL(!pool_pending(pool));
	ok(info(f).refreshes >= 3 && !a.failed && boots > 3,
	   "refresh %u/%u: no request fails", min, max);
	fake->held = 1;
	if (submit(f, &a, "hold") < 0)
		exit(1);
	boots = info(f).refreshes;
	UNTIL(info(f).refreshes > boots);
	ok(info(f).refreshes > boots && !a.done,
	   "refresh %u/%u: while one runs", min, max);
	/* its reference waits for it, so there is no further one */
	boots = fake->boots;
	if (max > 1) {
		ok(ask(f, &b, "1") == JOB_OK && b.boot == boots,
		   "refresh %u/%u: others run elsewhere", min, max);
	}
	later(0.3);
	ok(fake->boots == boots, "refresh %u/%u: one at a time", min, max);
	fake->held = 0;
	UNTIL(a.done);
	ok(a.outcome == JOB_OK, "refresh %u/%u: and is answered", min, max);
	end();
}

static void test_refresh_fails(void)
{
	struct function_opts o = plain;
	struct function *f;
	struct call a;

	o.refresh_ns = 100 * MS;
	f = begin(&o);
	fake->hangs = 0;
	fake->boot = BOOT_DIES;
	UNTIL(strstr(notes, "the old one goes on"));
	ok(!failed && ask(f, &a, "1") == JOB_OK,
	   "a refresh that cannot boot costs nothing");
	fake->boot = BOOT_HANGS;
	UNTIL(fake->hangs);
	kill(fake->ref, SIGSTOP);
	shift += 62;
	UNTIL(strstr(notes, "hung while it booted"));
	/* before another one begins to hang */
	fake->boot = BOOT_WELL;
	ok(strstr(notes, "hung while it booted") && ask(f, &a, "1") == JOB_OK,
	   "a refresh that hangs while it boots costs nothing");
	UNTIL(info(f).refreshes);
	ok(info(f).refreshes && ask(f, &a, "1") == JOB_OK,
	   "a later refresh works");
	end();
}

/* an image that was baked when nobody looked at its rules */
static void test_bad_rule(void)
{
	struct function *f = begin(&plain), *g = NULL;
	struct image *img = image("22");
	struct err err = { "" };

	img->egress = calloc(2, sizeof(img->egress[0]));
	img->egress[0] = strdup("https://*.example.org/");
	ok(pool_add(pool, img, &plain, &g, &err) == -EINVAL && !g &&
	   strstr(err.msg, "'https://*.example.org/'"),
	   "a rule that cannot be kept is said: %s", err.msg);
	ok(pool_find(pool, "f") == f,
	   "a rule that cannot be kept: the older function stays");
	end();
}

/* --- numbers of the guests' processes */

#define PIDS	(UK_PID_LAST - UK_PID_FIRST + 1)

static struct pool_clone numbered[3];	/* only their numbers are looked at */

static struct function *numbered_begin(void)
{
	static struct function f;

	memset(&f, 0, sizeof(f));
	for (int s = 0; s <= CLONE_DYING; s++)
		TAILQ_INIT(&f.clones[s]);
	for (int i = 0; i < 3; i++)
		TAILQ_INSERT_TAIL(&f.clones[i], &numbered[i], link);
	numbered[0].pid = UK_PID_LAST;
	numbered[0].next_pid = UK_PID_FIRST;
	numbered[1].pid = UK_PID_FIRST + 1;
	numbered[1].next_pid = UK_PID_FIRST + 3;
	numbered[2].pid = UK_PID_LAST - 1;
	numbered[2].next_pid = UK_PID_FIRST + 500000;
	return &f;
}

/* each is given once before any is given again, and none that lives */
static void test_pids(void)
{
	static unsigned char given[PIDS];
	struct function *f = numbered_begin();
	unsigned bad = 0, lives = 0;
	uint32_t pid;

	for (unsigned round = 1; round <= 2; round++)
		for (unsigned i = 0; i < PIDS - 6; i++) {
			pid = pool_clone_pid(f);
			if (pid < UK_PID_FIRST || pid > UK_PID_LAST ||
			    ++given[pid - UK_PID_FIRST] != round)
				bad++;
			for (int c = 0; c < 3; c++)
				lives += pid == numbered[c].pid ||
					 pid == numbered[c].next_pid;
		}
	ok(PIDS > 4000000, "there are %d process ids", PIDS);
	ok(!bad, "each process id comes once before one comes again (%u)", bad);
	ok(!lives, "no process has the id of one that lives (%u had)", lives);
	numbered[2].next_pid = 0;
	f->pid = UK_PID_FIRST + 499999;
	ok(pool_clone_pid(f) == UK_PID_FIRST + 500000,
	   "a process that ended gives its id back");
	f->pid = UK_PID_LAST - 2;
	ok(pool_clone_pid(f) == UK_PID_FIRST + 2,
	   "process ids begin again past those that live");
}

int main(void)
{

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGALRM, SIG_DFL);
	alarm(600);
	fake_init();
	fake_loop();
	test_serve();
	test_kicks();
	test_queue();
	test_events();
	test_called_back();
	test_clone_ends();
	test_clone_fails();
	test_comes_again();
	test_clone_refused();
	test_reference_ends();
	test_reference_once();
	test_reference_hangs();
	test_killed();
	test_refuses();
	test_vanishes(BOOT_VANISHES);
	test_vanishes(BOOT_KILLED);
	test_astray();
	test_boot_fails();
	test_backs_off();
	test_flood();
	test_recycle();
	test_reap();
	test_reload();
	test_refresh(1, 2);
	test_refresh(1, 1);
	test_refresh(0, 4);
	test_refresh_fails();
	test_bad_rule();
	test_pids();
	ok(no_children(), "no process is left");
	ev_timer_stop(loop, &beat);
	ev_loop_destroy(loop);
	return plan();
}
