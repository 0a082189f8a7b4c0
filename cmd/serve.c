/*
 * serve.c - usetl serve: functions over HTTP
 *
 * Options, signals and wiring; the work is the gateway's and the pool's.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd/answer.h"
#include "cmd/cmd.h"
#include "cmd/deploy.h"
#include "cmd/gateway.h"
#include "cmd/http.h"
#include "cmd/loglines.h"
#include "cmd/asynclog.h"
#include "cmd/tenderopt.h"
#include "conf/conf.h"
#include "conf/value.h"
#include "vmm/host/cgroup.h"

static const char who[] = "usetl serve";

struct server {
	struct ev_loop *loop;
	struct pool *pool;
	struct gateway *gateway;	/* NULL until all are ready */
	int listen_fd;			/* its, until then */
	struct conf *conf;
	struct conf *first;		/* of the start; may be conf */
	const char *conf_path, *listen, *tender;
	enum tender_kind runs;		/* what was resolved at the start */
	char **images;
	size_t n_images;
	struct asynclog *log;		/* what functions print */
	struct cgroup *cgroup;		/* NULL: functions have sessions */
	int stopping, failed;
	struct ev_signal term, intr, hup;
	struct ev_timer drain;
};

/* standard error while the loop runs, which must not wait for its reader */
static struct asynclog *operator;

static void sayf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void vsayf(const char *whose, const char *fmt, va_list ap)
{
	char text[4096];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s: ", who);

	vsnprintf(text + len, sizeof(text) - len - 1, fmt, ap);
	strcat(text, "\n");
	if (operator)
		asynclog_write(operator, whose, text, strlen(text));
	else
		fputs(text, stderr);
}

static void sayf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsayf(NULL, fmt, ap);
	va_end(ap);
}

static void say(const char *text)
{
	sayf("%s", text);
}

/* what the pool has to tell */

struct whose {
	char text[VALUE_NAME_MAX + 32];
};

/*
 * whose share of the log it is (cmd/asynclog.h): what it prints, notes about
 * it
 */
static struct whose whose(struct function *f, int notes)
{
	struct whose w;

	snprintf(w.text, sizeof(w.text), "%sfunction '%s'",
		 notes ? "notes about " : "", function_name(f));
	return w;
}

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
	struct server *s = arg;

	loglines_async(s->log, function_name(f), whose(f, 0).text, text, len);
}

static uint64_t on_log_room(void *arg, struct function *f)
{
	struct server *s = arg;

	return asynclog_room(s->log, whose(f, 0).text);
}

static void on_log_lost(void *arg, struct function *f, uint64_t lines)
{
	struct server *s = arg;

	asynclog_lost(s->log, whose(f, 0).text, lines);
}

/* what its caller hears, for the operator */
static void on_failed(void *arg, struct function *f,
		      const struct job_result *r)
{
	struct server *s = arg;
	size_t len = r->len, size;
	char *json = NULL, *text;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	if (r->outcome != JOB_ERROR)
		json = answer_json(r, &len);
	if (json || r->outcome == JOB_ERROR)
		answer_print(out, NULL, json ? json : r->text, len, 1);
	if (fclose(out) == 0)
		on_log(s, f, text, size);
	free(text);
	free(json);
}

static struct gateway_opts gateway_opts(const struct conf *c)
{
	return (struct gateway_opts){
		.request_max = c->request_max,
		.connections = c->connections,
		.per_address = c->per_address,
	};
}

static void note(struct function *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* a function can cause these as often as it likes: they have their share */
static void note(struct function *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsayf(whose(f, 1).text, fmt, ap);
	va_end(ap);
}

static int start_listening(struct server *s)
{
	struct gateway_opts o = gateway_opts(s->conf);
	struct err err;
	int r = gateway_create(&s->gateway, s->loop, s->pool, s->listen_fd, &o,
			       &err);

	s->listen_fd = -1;
	if (r < 0) {
		say(err.msg);
		return r;
	}
	sayf("listening on %s", gateway_url(s->gateway));
	return 0;
}

static void on_ready(struct server *s, struct function *f)
{
	struct function_info i;
	struct function *g = NULL;

	function_info(f, &i);
	note(f, "function '%s' is ready: %s, booted in %.1f ms, %.1f MB, digest "
	     "%s", i.name, i.handler, i.boot.boot_ns / 1e6,
	     i.boot.ram_bytes / 1048576.0, i.digest);
	if (s->gateway)
		return;
	while ((g = pool_next(s->pool, g))) {
		function_info(g, &i);
		if (!i.ready)
			return;
	}
	if (start_listening(s) < 0) {
		s->failed = 1;
		ev_break(s->loop, EVBREAK_ALL);
	}
}

/* and where more of it is; lines of a report follow the first */
static void say_failed(struct server *s, struct function *f, const char *why)
{
	const struct function *now = pool_find(s->pool, function_name(f));
	const char *path = s->log != operator ? s->conf->log : NULL;
	size_t line = strcspn(why, "\n");

	note(f, "function '%s' cannot boot: %.*s%s%s%s%s%s", function_name(f),
	     (int)line, why,
	     path ? "; what it printed, if anything, is in '" : "",
	     path ? path : "", path ? "'" : "",
	     now && now != f ? "; its earlier image goes on" : "", why + line);
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	struct server *s = arg;

	switch (what) {
	case POOL_READY:
		on_ready(s, f);
		break;
	case POOL_FAILED:
		say_failed(s, f, text);
		/* at start it is fatal, later only that function is lost */
		if (!s->gateway) {
			s->failed = 1;
			ev_break(s->loop, EVBREAK_ALL);
		}
		break;
	case POOL_NOTE:
		note(f, "function '%s': %s", function_name(f), text);
		break;
	}
}

static const struct pool_ops pool_ops = {
	.log = on_log, .event = on_event, .log_room = on_log_room,
	.log_lost = on_log_lost, .failed = on_failed,
};

static void fill_pool_opts(struct server *s, const struct conf *conf,
			   struct pool_opts *o)
{
	memset(o, 0, sizeof(*o));
	deploy_pool_opts(conf, o);
	o->copy_images = 1;
	o->tender = s->runs;
	o->cgroup = s->cgroup;
	o->ops = &pool_ops;
	o->arg = s;
}

/* where functions' output is to go: *out is `operator`, or log_close()'s */
static int log_open(struct server *s, const struct conf *conf,
		    struct asynclog **out, struct err *err)
{
	int fd, r;

	*out = operator;
	if (!conf->log)
		return 0;
	/* a pipe without a reader is an error, not a wait */
	fd = open(conf->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
		  O_NONBLOCK | O_NOCTTY, 0640);
	r = fd < 0 ? -errno : asynclog_create(out, s->loop, fd, who, operator);
	if (fd >= 0)
		close(fd);
	return r < 0 ? err_set(err, r, "cannot open log '%s': %s", conf->log,
			       strerror(-r)) : 0;
}

static void log_close(struct asynclog *log)
{
	if (log != operator)
		asynclog_destroy(log);
}

/* instead of the one that there is, with what waits there */
static void log_use(struct server *s, struct asynclog *log)
{
	if (s->log != operator)
		asynclog_take(log, s->log);
	log_close(s->log);
	s->log = log;
	asynclog_rate(log, s->conf->log_rate);
}

/* signals */

static void stop(struct server *s)
{
	ev_break(s->loop, EVBREAK_ALL);
}

static void on_drained(void *arg)
{
	stop(arg);
}

static void on_drain_over(struct ev_loop *loop, struct ev_timer *w,
			  int revents)
{
	struct server *s = w->data;

	sayf("%u requests were still running after %.0f s",
	     pool_pending(s->pool), s->conf->drain_ns / 1e9);
	stop(s);
}

static void on_term(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	struct server *s = w->data;

	if (!s->gateway || s->stopping) {
		stop(s);
		return;
	}
	s->stopping = 1;
	say("stopping");
	gateway_drain(s->gateway, on_drained, s);
	ev_timer_init(&s->drain, on_drain_over, s->conf->drain_ns / 1e9, 0.0);
	s->drain.data = s;
	ev_timer_start(loop, &s->drain);
}

static int load(struct server *s, struct conf **out, struct err *err)
{
	if (s->conf_path)
		return conf_load(out, s->conf_path, err);
	return conf_create(out) < 0 ?
	       err_set(err, -ENOMEM, "out of memory") : 0;
}

/* what a configuration needs, opened, before any of it counts */
struct opened {
	struct conf *conf;
	struct pool_opts pool;
	struct asynclog *log;
	struct deploy *deploy;
};

static int open_again(struct server *s, struct opened *o, struct err *err)
{
	int r = load(s, &o->conf, err);

	if (r < 0)
		return r;
	fill_pool_opts(s, o->conf, &o->pool);
	r = deploy_uid(o->conf->user, &o->pool.uid, err);
	if (r == 0)
		r = deploy_open(&o->deploy, o->conf, s->images, s->n_images,
				say, err);
	/* last, since it may make a file */
	if (r == 0)
		r = log_open(s, o->conf, &o->log, err);
	if (r < 0) {
		deploy_close(o->deploy);
		conf_destroy(o->conf);
	}
	return r;
}

/* of what is opened or made at the start alone, what runs is not as in c */
static void say_not_yet(const struct server *s, const struct conf *c)
{
	const struct conf *first = s->first;
	const struct {
		const char *key;
		int differs;
	} not_yet[] = {
		{ "listen", !s->listen && strcmp(c->listen, first->listen) },
		{ "tender", !s->tender && c->tender != first->tender },
		{ "windows", c->windows != first->windows },
		{ "warm", c->warm != first->warm },
	};

	for (size_t i = 0; i < sizeof(not_yet) / sizeof(not_yet[0]); i++)
		if (not_yet[i].differs)
			sayf("'%s' has changed: it takes effect at the next "
			     "start", not_yet[i].key);
}

static void on_hup(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	struct server *s = w->data;
	struct conf *old = s->conf;
	struct opened o = { NULL };
	struct gateway_opts g;
	struct err err;

	if (s->stopping || !s->gateway)
		return;
	if (open_again(s, &o, &err) < 0) {
		sayf("%s; all goes on as it was", err.msg);
		return;
	}
	s->conf = o.conf;
	log_use(s, o.log);
	/* before anything boots by it */
	pool_set(s->pool, &o.pool);
	g = gateway_opts(o.conf);
	gateway_set(s->gateway, &g);
	deploy_apply(o.deploy, s->pool, &err);
	say_not_yet(s, o.conf);
	if (old != s->first)
		conf_destroy(old);
	say("the configuration was read again");
}

static void watch(struct server *s, struct ev_signal *w, int sig,
		  void (*cb)(struct ev_loop *, struct ev_signal *, int))
{
	ev_signal_init(w, cb, sig);
	w->data = s;
	ev_signal_start(s->loop, w);
}

static void unwatch(struct server *s)
{
	ev_signal_stop(s->loop, &s->term);
	ev_signal_stop(s->loop, &s->intr);
	ev_signal_stop(s->loop, &s->hup);
	ev_timer_stop(s->loop, &s->drain);
}

/* wiring */

/*
 * A clone takes three descriptors, a caller and a connection of a fetch one
 * each: more than the usual soft limit, which is there for select().
 */
static void raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static int start(struct server *s, struct err *err)
{
	struct deploy *deploy;
	struct pool_opts o;
	struct asynclog *log;
	struct err note, why;
	/* before there is any other process here, or a thread */
	int shares = cgroup_open(&s->cgroup, "", &why);
	int r = load(s, &s->conf, err);

	if (r == 0) {
		s->first = s->conf;
		r = log_open(s, s->conf, &log, err);
	}
	if (r == 0)
		log_use(s, log);
	if (r == 0 && !s->conf->functions && !s->n_images)
		r = err_set(err, -EINVAL, "nothing to serve: give an IMAGE, or "
			    "a [function NAME] in the configuration");
	if (r == 0)
		r = tenderopt_resolve(s->tender, s->conf, &s->runs, &note, err);
	if (r < 0)
		return r;
	if (note.msg[0])
		say(note.msg);
	if (shares < 0)
		sayf("functions have no cgroups of their own: %s", why.msg);
	fill_pool_opts(s, s->conf, &o);
	/* before anything boots: what is in use is said at once */
	s->listen_fd = http_bind(s->listen ? s->listen : s->conf->listen, err);
	if (s->listen_fd < 0)
		return s->listen_fd;
	r = deploy_uid(s->conf->user, &o.uid, err);
	if (r == 0)
		r = pool_create(&s->pool, s->loop, &o);
	if (r < 0)
		return err->msg[0] ? r : err_set(err, r, "%s", strerror(-r));
	r = deploy_open(&deploy, s->conf, s->images, s->n_images, NULL, err);
	if (r == 0)
		r = deploy_apply(deploy, s->pool, err);
	if (r < 0)
		return r;
	/* they boot in processes of their own; this one has time */
	r = pool_prepare(s->pool);
	if (r < 0) {
		sayf("no warm windows: %s", strerror(-r));
		r = 0;
	}
	return r;
}

static int serve(struct server *s)
{
	struct err err = { "" };

	raise_files();
	s->loop = ev_loop_new(EVFLAG_AUTO);
	if (!s->loop) {
		say("no event loop");
		return 1;
	}
	/* whoever read what is written may go */
	signal(SIGPIPE, SIG_IGN);
	/* a copy or a log larger than a limit is an error of its write */
	signal(SIGXFSZ, SIG_IGN);
	if (asynclog_create(&operator, s->loop, STDERR_FILENO, who, NULL) < 0)
		say("out of memory");
	s->log = operator;
	watch(s, &s->term, SIGTERM, on_term);
	watch(s, &s->intr, SIGINT, on_term);
	watch(s, &s->hup, SIGHUP, on_hup);
	if (!operator || start(s, &err) < 0) {
		say(err.msg);
		s->failed = 1;
	} else {
		ev_run(s->loop, 0);
	}
	/* first whoever could still answer, then who waits for it */
	pool_destroy(s->pool);
	gateway_destroy(s->gateway);
	cgroup_close(s->cgroup);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	unwatch(s);
	if (s->first != s->conf)
		conf_destroy(s->first);
	conf_destroy(s->conf);
	log_close(s->log);
	asynclog_destroy(operator);
	operator = NULL;
	ev_loop_destroy(s->loop);
	return s->failed;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: usetl serve [-c CONF] [-l ADDR:PORT] [--tender HOW] "
		"[IMAGE]...\n"
		"  -c CONF       read usetl.conf(5); again at SIGHUP\n"
		"  -l ADDR:PORT  listen there (127.0.0.1:8080; port 0: any)\n"
		"  --tender HOW  auto, kvm or process (auto)\n"
		"POST /function/NAME runs a function; see usetl-serve(8)\n");
}

int cmd_serve(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tender", required_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct server s = { .listen_fd = -1 };
	struct err err;
	int c;

	argv[0] = "usetl serve";	/* for getopt's own messages */
	while ((c = getopt_long(argc, argv, "c:l:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			s.conf_path = optarg;
			break;
		case 'l':
			s.listen = optarg;
			break;
		case 'T':
			s.tender = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if ((s.listen && http_listen_check(s.listen, &err) < 0) ||
	    tenderopt_check(s.tender, &err) < 0) {
		say(err.msg);
		return 2;
	}
	s.images = argv + optind;
	s.n_images = argc - optind;
	if (!s.n_images && !s.conf_path) {
		say("which image, or whose configuration?");
		usage(stderr);
		return 2;
	}
	return serve(&s);
}
