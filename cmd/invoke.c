/*
 * invoke.c - usetl invoke: run a function once, here or where it is served
 *
 * Here means the machinery of serve, in this process and without HTTP: the
 * same pool, one clone.  The result alone goes to stdout.
 */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/answer.h"
#include "cmd/cmd.h"
#include "cmd/deploy.h"
#include "cmd/gdb.h"
#include "cmd/invoke_opts.h"
#include "cmd/invoke_stats.h"
#include "cmd/loglines.h"
#include "cmd/openpool.h"
#include "cmd/invoke_url.h"

#define LOG_MAX		((uint64_t)1 << 40)
#define IDLE_WAIT_S	5.0

static const char who[] = "usetl invoke";

struct run {
	const struct invoke_opts *o;
	struct openpool open;
	struct saved *from;		/* NULL: it boots */
	struct function *f;
	struct job job;
	struct gdb *gdb;
	struct ev_timer pause;		/* before the next event */
	struct ev_timer patience;	/* for the last report of a rollback */
	char *result;
	size_t result_len;
	int status;
	int failed;			/* it cannot boot, and that was said */
	unsigned done;			/* answers */
	struct invoke_stats *stats;	/* NULL: not asked for */
};

static void finish(struct run *r, int status)
{
	r->status = status;
	ev_break(r->open.loop, EVBREAK_ALL);
}

/* what the pool has to tell */

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
	loglines_write(STDERR_FILENO, NULL, text, len);
}

/* is it this host's doing?  Then that is said in its place */
static int refused(struct run *r)
{
	struct err err;

	if (openpool_doubt(&r->open, &err) == 0)
		return 0;
	fprintf(stderr, "%s: %s\n", who, err.msg);
	r->failed = 1;
	finish(r, 1);
	return 1;
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	if (what == POOL_READY || refused(arg))
		return;
	fprintf(stderr, what == POOL_FAILED ? "%s: function '%s' cannot boot: "
		"%s\n" : "%s: function '%s': %s\n", who, function_name(f),
		text);
	if (what == POOL_FAILED) {
		((struct run *)arg)->failed = 1;
		finish(arg, 1);
	}
}

static void on_idle(void *arg, struct function *f, const struct run_stats *st,
		    const char *pages, size_t len)
{
	struct run *r = arg;

	if (!r->stats)
		return;
	invoke_stats_rolled_back(r->stats, st);
	if (len)
		invoke_stats_pages(r->stats, pages, len);
	if (invoke_stats_whole(r->stats))
		finish(r, 0);
}

/* a guest waits for gdb */
static void on_attach(void *arg, struct function *f, pid_t guest)
{
	struct run *r = arg;
	struct err err = { "out of memory" };

	if (gdb_attach(r->gdb, guest, &err) == 0)
		return;
	fprintf(stderr, "%s: %s\n", who, err.msg);
	finish(r, 1);
}

static void on_attached(void *arg, const struct err *err)
{
	struct run *r = arg;

	if (!err) {
		function_attached(r->f);
		return;
	}
	fprintf(stderr, "%s: %s\n", who, err->msg);
	finish(r, 1);
}

static const struct pool_ops invoke_ops = {
	.log = on_log, .event = on_event, .idle = on_idle, .attach = on_attach,
};

static void on_patience(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	fprintf(stderr, "%s: the figures of the last rollback did not come\n",
		who);
	finish(w->data, 0);
}

/* requests */

static int submit(struct run *r);

static void submit_or_end(struct run *r)
{
	if (submit(r) < 0)
		finish(r, 1);
}

static void on_pause(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	submit_or_end(w->data);
}

static void submit_next(struct run *r)
{
	if (!r->o->pause_ns) {
		submit_or_end(r);
		return;
	}
	ev_timer_init(&r->pause, on_pause, r->o->pause_ns / 1e9, 0.0);
	r->pause.data = r;
	ev_timer_start(r->open.loop, &r->pause);
}

static void fail(const struct job_result *res)
{
	size_t len = 0;
	char *json = answer_json(res, &len);

	if (json)
		answer_print(stderr, who, json, len, 0);
	free(json);
}

static void note_run(struct run *r, const struct run_stats *st)
{
	struct function_info i;

	if (!r->stats)
		return;
	function_info(r->f, &i);
	invoke_stats_answered(r->stats, st, &i);
}

/* only what goes on with another request does */
static int rolls_back(const struct run *r)
{
	return r->o->stats && r->o->recycle == RECYCLE_ROLLBACK &&
	       !(r->from && saved_runs(&r->from->head));
}

/* what a function can bring about by itself */
static int is_own(enum outcome o)
{
	return o == JOB_ERROR || o == JOB_TIMEOUT || o == JOB_TOO_LARGE;
}

static void on_done(struct job *j, const struct job_result *res)
{
	struct run *r = (struct run *)((char *)j - offsetof(struct run, job));

	if (res->outcome != JOB_OK) {
		if (!r->failed && (is_own(res->outcome) || !refused(r)))
			fail(res);
		finish(r, 1);
		return;
	}
	note_run(r, &res->stats);
	if (++r->done < r->o->repeat) {
		submit_next(r);
		return;
	}
	r->result = malloc(res->len + 1);
	if (!r->result) {
		finish(r, 1);
		return;
	}
	memcpy(r->result, res->text, res->len);
	r->result_len = res->len;
	if (!rolls_back(r)) {
		finish(r, 0);
		return;
	}
	ev_timer_init(&r->patience, on_patience, IDLE_WAIT_S, 0.0);
	r->patience.data = r;
	ev_timer_start(r->open.loop, &r->patience);
}

static int submit(struct run *r)
{
	const size_t len = r->o->event_len;
	char *event = malloc(len);
	int rc = -ENOMEM;

	if (event) {
		memcpy(event, r->o->event, len);
		r->job = (struct job){
			event, len, .done = on_done,
			/* its figures come with its rollback */
			.last = r->done + 1 == r->o->repeat && !r->o->stats,
		};
		rc = pool_submit(r->f, &r->job);
	}
	if (rc == 0)
		return 0;
	free(event);
	fprintf(stderr, "%s: %s\n", who, rc == -E2BIG ?
		"the event is too large" : rc == -EHOSTDOWN ?
		"the function's reference ended" : strerror(-rc));
	return rc;
}

static void show_stats(struct run *r)
{
	struct function_info i;
	/* one clone's later runs are not first; each of fork's is */
	unsigned firsts = r->o->recycle == RECYCLE_FORK ? r->done : 1;

	if (!r->stats)
		return;
	function_info(r->f, &i);
	invoke_stats_print(r->stats, stderr, &i, firsts, r->o->json);
}

/* wiring */

/* before anything runs */
static int start_gdb(struct run *r, const struct image *img, struct err *err)
{
	const struct invoke_opts *o = r->o;
	struct gdb_opts go = {
		.loop = r->open.loop, .img = img,
		.boot = o->debug == DEBUG_BOOT,
		.command = o->gdb, .commands = o->n_gdb,
		.attached = on_attached, .arg = r,
	};
	int rc;

	if (!o->debug)
		return 0;
	if (r->open.tender != TENDER_PROCESS) {
		r->status = 2;
		return err_set(err, -EINVAL, "--gdb needs a process to debug: "
			       "--tender=process");
	}
	rc = gdb_check(err);
	return rc < 0 ? rc : gdb_create(&r->gdb, &go, err);
}

static void say(const char *text)
{
	fprintf(stderr, "%s: %s\n", who, text);
}

/* of what goes on from a snapshot, why in *err is all that there is to say yet */
static int no_image(const char *from, int rc, struct err *err)
{
	struct err why = *err;

	return err_set(err, rc, "snapshot '%s': %s; `usetl invoke --from %s "
		       "IMAGE` says where its image is", from, why.msg, from);
}

static int add(struct run *r, const char *path, struct err *err)
{
	const struct invoke_opts *o = r->o;
	struct function_opts fo = {
		.min = 1, .max = 1, .once = 1, .trace = o->trace,
		.say_idle = o->stats, .say_pages = o->pages,
		.timeout_ns = o->timeout_ns,
		.idle_ns = r->open.conf->idle_ns, .verify = deploy_verify(),
		/* a rollback would take breakpoints for the guest's doing */
		.recycle = o->debug ? RECYCLE_KEEP : o->recycle,
		.debug = o->debug, .from = r->from,
		.memory = r->from ? r->from->head.memory : 0,
		.name = r->from ? r->from->head.name : NULL,
	};
	struct image *img;
	int rc = image_open(&img, path, o->store, err);

	if (rc < 0)
		return r->from ? no_image(o->from, rc, err) :
		       saved_no_image(path, rc, err);
	if (r->from && strcmp(img->digest, r->from->head.digest)) {
		image_close(img);
		err_set(err, -ESTALE, "'%s' is not the image that it was made "
			"from", path);
		return no_image(o->from, -ESTALE, err);
	}
	rc = start_gdb(r, img, err);
	if (rc < 0) {
		image_close(img);
		return rc;
	}
	return pool_add(r->open.pool, img, &fo, &r->f, err);
}

/* a request that has begun has its event, and is one */
static int check_from(struct run *r, struct err *err)
{
	const struct invoke_opts *o = r->o;

	if (!saved_runs(&r->from->head) ||
	    (!o->has_data && o->repeat == 1 && o->recycle == RECYCLE_ROLLBACK))
		return 0;
	r->status = 2;
	return err_set(err, -EINVAL, "'%s' is of a request, which goes on: no "
		       "-d, --repeat or --recycle", o->from);
}

static int start(struct run *r, const char *path, struct err *err)
{
	struct saved *from = r->from;
	struct openpool_opts po = {
		.tender = r->o->tender || !from ? r->o->tender :
			  tender_words[from->head.tender],
		.store = r->o->store, .hope = 1, .boot_ns = r->o->boot_ns,
		/* a reference may take its time to boot; what it prints is
		   shown */
		.wait_ns = 600000000000ull, .log_max = LOG_MAX,
		.say = say, .ops = &invoke_ops, .arg = r,
	};
	int rc = openpool_create(&r->open, &po, err);

	if (rc == 0 && from)
		rc = saved_fits(from, r->open.tender, r->o->from, err);
	return rc < 0 ? rc : add(r, path ? path : from->head.image, err);
}

static int run_image(const char *path, const struct invoke_opts *o)
{
	struct run r = { .o = o, .status = 1 };
	struct err err = { "" };
	int rc = 0;

	/* a limit's signal would end us where the call can say it */
	signal(SIGXFSZ, SIG_IGN);
	if (o->stats)
		rc = invoke_stats_create(&r.stats, o->repeat);
	if (rc == 0 && o->from)
		rc = saved_open(&r.from, o->from, &err);
	if (rc == 0 && r.from)
		rc = check_from(&r, &err);
	if (rc == 0)
		rc = start(&r, path, &err);
	if (rc == 0) {
		if (submit(&r) == 0)
			ev_run(r.open.loop, 0);
	} else if (!refused(&r)) {
		say(err.msg[0] ? err.msg : strerror(-rc));
	}
	if (r.result && r.status == 0) {
		r.status = answer_show(who, r.result, r.result_len);
		show_stats(&r);
	}
	/* for the next time; the result was shown */
	if (!r.status)
		openpool_keep(&r.open);
	openpool_stop(&r.open);
	/* it waits on the loop for gdb's end, which is the guest's */
	gdb_destroy(r.gdb);
	openpool_destroy(&r.open);
	invoke_stats_destroy(r.stats);
	saved_close(r.from);
	free(r.result);
	return r.status;
}

int cmd_invoke(int argc, char **argv)
{
	struct invoke_opts o;
	int rc = invoke_parse(argc, argv, &o);

	if (rc) {
		free(o.gdb);
		return rc < 0 ? 0 : rc;
	}
	rc = invoke_event(&o);
	if (rc == 0)
		rc = invoke_is_url(&o) ?
		    invoke_url(o.target, o.event, o.event_len,
				  o.timeout_ns, o.repeat, o.stats) :
		    run_image(o.target, &o);
	free(o.event);
	free(o.gdb);
	return rc;
}
