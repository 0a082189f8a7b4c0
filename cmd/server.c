/*
 * server.c - the serving process: from its start to its end, and its signals
 *
 * Wiring; the work is the gateway's and the pool's.
 */
#include "cmd/server.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/control.h"
#include "cmd/deploy.h"
#include "cmd/gateway.h"
#include "cmd/http.h"
#include "cmd/openpool.h"
#include "cmd/serverlog.h"
#include "conf/conf.h"
#include "conf/lazylib.h"

struct server {
	const struct server_opts *o;
	struct ev_loop *loop;
	struct openpool open;
	struct gateway *gateway;	/* NULL until all are ready */
	int listen_fd;			/* its, until then */
	struct control *control;	/* NULL: none was to be had */
	struct conf *conf;
	struct conf *first;		/* of the start; may be conf */
	int stopping, failed;
	struct ev_signal term, intr, hup, chld;
	struct ev_timer drain;
};

static void stop(struct server *s)
{
	ev_break(s->loop, EVBREAK_ALL);
}

static void fail(struct server *s)
{
	s->failed = 1;
	stop(s);
}

/* what the pool has to tell */

static struct gateway_opts gateway_opts(const struct conf *c)
{
	return (struct gateway_opts){
		.request_max = c->request_max,
		.connections = c->connections,
		.per_address = c->per_address,
	};
}

static int start_listening(struct server *s)
{
	struct gateway_opts o = gateway_opts(s->conf);
	struct err err;
	int rc = gateway_create(&s->gateway, s->loop, s->open.pool,
				s->listen_fd, &o, &err);

	s->listen_fd = -1;
	if (rc < 0) {
		serverlog_say(err.msg);
		return rc;
	}
	serverlog_sayf("listening on %s", gateway_url(s->gateway));
	return 0;
}

static void on_ready(struct server *s, struct function *f)
{
	struct function_info i;

	serverlog_ready(f);
	if (s->gateway)
		return;
	for (f = NULL; (f = pool_next(s->open.pool, f));) {
		function_info(f, &i);
		if (!i.ready)
			return;
	}
	if (start_listening(s) < 0)
		fail(s);
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
		serverlog_cannot_boot(f, text, pool_find(s->open.pool,
							 function_name(f)));
		/* at start it is fatal, later only that function is lost */
		if (!s->gateway)
			fail(s);
		break;
	case POOL_NOTE:
		serverlog_note(f, text);
		break;
	}
}

static const struct pool_ops pool_ops = {
	.log = serverlog_output, .event = on_event,
	.log_room = serverlog_room, .log_lost = serverlog_lost,
	.failed = serverlog_failed,
};

/* signals */

static void on_drained(void *arg)
{
	stop(arg);
}

static void on_drain_over(struct ev_loop *loop, struct ev_timer *w,
			  int revents)
{
	struct server *s = w->data;

	serverlog_sayf("%u requests were still running after %.0f s",
		       pool_pending(s->open.pool), s->conf->drain_ns / 1e9);
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
	serverlog_say("stopping");
	gateway_drain(s->gateway, on_drained, s);
	ev_timer_init(&s->drain, on_drain_over, s->conf->drain_ns / 1e9, 0.0);
	s->drain.data = s;
	ev_timer_start(loop, &s->drain);
}

/* what only the one who listens can judge is judged with the file */
static int load_file(struct conf **out, const char *path, struct err *err)
{
	int rc = conf_load(out, path, err);
	struct err why;

	if (rc < 0 || http_listen_check((*out)->listen, &why) == 0)
		return rc;
	conf_destroy(*out);
	*out = NULL;
	return err_set(err, -EINVAL, "%s: listen: %.300s", path, why.msg);
}

static int load(struct server *s, struct conf **out, struct err *err)
{
	if (s->o->conf_path)
		return load_file(out, s->o->conf_path, err);
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

/* where the layers of thin images are */
static const char *store_of(const struct server *s, const struct conf *c)
{
	return s->o->store ? s->o->store : c->store;
}

static int open_again(struct server *s, struct opened *o, struct err *err)
{
	int rc = load(s, &o->conf, err);

	if (rc < 0)
		return rc;
	rc = openpool_limits(&s->open, o->conf, &o->pool, err);
	if (rc == 0)
		rc = deploy_open(&o->deploy, o->conf, s->o->images,
				 s->o->n_images, store_of(s, o->conf),
				 serverlog_say, err);
	/* last, since it may make a file */
	if (rc == 0)
		rc = serverlog_open(&o->log, o->conf, err);
	if (rc < 0) {
		deploy_close(o->deploy);
		conf_destroy(o->conf);
	}
	return rc;
}

/* of two that may be NULL, when they were not given */
static int differ(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") != 0;
}

/* of what is opened or made at the start alone, what runs is not as in c */
static void say_not_yet(const struct server *s, const struct conf *c)
{
	const struct conf *first = s->first;
	const struct {
		const char *key;
		int differs;
		const char *but;
	} not_yet[] = {
		{ "listen", !s->o->listen && strcmp(c->listen, first->listen),
		  "" },
		{ "tender", !s->o->tender && c->tender != first->tender, "" },
		{ "control", !s->o->control &&
			     differ(c->control, first->control), "" },
		{ "store", !s->o->store && differ(c->store, first->store),
		  ", but for the layers of thin images" },
		{ "windows", c->windows != first->windows, "" },
		{ "warm", c->warm != first->warm, "" },
	};

	for (size_t i = 0; i < sizeof(not_yet) / sizeof(not_yet[0]); i++)
		if (not_yet[i].differs)
			serverlog_sayf("'%s' has changed: it takes effect at "
				       "the next start%s", not_yet[i].key,
				       not_yet[i].but);
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
		serverlog_sayf("%s; all goes on as it was", err.msg);
		return;
	}
	s->conf = o.conf;
	serverlog_use(o.log, o.conf);
	/* before anything boots by it */
	pool_set(s->open.pool, &o.pool);
	g = gateway_opts(o.conf);
	gateway_set(s->gateway, &g);
	deploy_apply(o.deploy, s->open.pool, &err);
	say_not_yet(s, o.conf);
	if (old != s->first)
		conf_destroy(old);
	serverlog_say("the configuration was read again");
}

/*
 * Its children are references, of which pidfds tell the pool all, and what a
 * process that was killed leaves behind: branches, and guests of a process
 * tender, which no one else would reap in a container whose process 1 this is.
 */
static void on_chld(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
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
	ev_signal_stop(s->loop, &s->chld);
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

static int open_pool(struct server *s, struct err *err)
{
	/* before there is any other process here, or a thread */
	struct openpool_opts o = {
		.conf = s->conf, .tender = s->o->tender,
		.store = s->o->store, .copy_images = 1,
		.cgroups = 1, .loop = s->loop, .say = serverlog_say,
		.ops = &pool_ops, .arg = s,
	};
	int rc = openpool_create(&s->open, &o, err);

	return rc == 0 || err->msg[0] ? rc :
	       err_set(err, rc, "%s", strerror(-rc));
}

/* where nobody has said where, a server goes on without */
static int open_control(struct server *s, struct err *err)
{
	const char *path = s->o->control ? s->o->control : s->conf->control;
	struct controlsock sock;
	char usual[PATH_MAX];
	int rc = 0;

	if (!path)
		rc = controlsock_default(usual, err);
	if (rc == 0)
		rc = controlsock_listen(&sock, path ? path : usual, err);
	if (rc == 0 && control_create(&s->control, s->loop, s->open.pool,
				      &sock) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0 || path)
		return rc;
	/* nothing to speak of where there is no place for it */
	if (rc != -ENOENT)
		serverlog_sayf("%s; it goes on without", err->msg);
	return 0;
}

/* they boot in processes of their own */
static int boot(struct server *s, struct err *err)
{
	struct deploy *deploy;
	int rc = deploy_open(&deploy, s->conf, s->o->images, s->o->n_images,
			     store_of(s, s->conf), NULL, err);

	return rc < 0 ? rc : deploy_apply(deploy, s->open.pool, err);
}

static int start(struct server *s, struct err *err)
{
	const char *listen = s->o->listen;
	struct asynclog *log;
	int rc = load(s, &s->conf, err);

	if (rc < 0)
		return rc;
	/* of all that it may need later, what is missing is said now */
	lazylib_load(LAZYLIB_MICROHTTPD);
	s->first = s->conf;
	rc = serverlog_open(&log, s->conf, err);
	if (rc < 0)
		return rc;
	serverlog_use(log, s->conf);
	if (!s->conf->functions && !s->o->n_images)
		return err_set(err, -EINVAL, "nothing to serve: give an IMAGE, "
			       "or a [function NAME] in the configuration");
	rc = open_pool(s, err);
	if (rc < 0)
		return rc;
	/* before anything boots: what is in use is said at once */
	s->listen_fd = http_bind(listen ? listen : s->conf->listen, err);
	if (s->listen_fd < 0)
		return s->listen_fd;
	rc = open_control(s, err);
	return rc < 0 ? rc : boot(s, err);
}

static void end(struct server *s)
{
	control_destroy(s->control);
	/* first whoever could still answer, then who waits for it */
	openpool_stop(&s->open);
	gateway_destroy(s->gateway);
	openpool_destroy(&s->open);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	unwatch(s);
	if (s->first != s->conf)
		conf_destroy(s->first);
	conf_destroy(s->conf);
	serverlog_end();
	ev_loop_destroy(s->loop);
}

int server_run(const struct server_opts *o)
{
	struct server s = { .o = o, .listen_fd = -1 };
	struct err err = { "" };

	raise_files();
	s.loop = ev_loop_new(EVFLAG_AUTO);
	if (!s.loop) {
		serverlog_say("no event loop");
		return 1;
	}
	/* whoever read what is written may go */
	signal(SIGPIPE, SIG_IGN);
	/* a copy or a log larger than a limit is an error of its write */
	signal(SIGXFSZ, SIG_IGN);
	watch(&s, &s.term, SIGTERM, on_term);
	watch(&s, &s.intr, SIGINT, on_term);
	watch(&s, &s.hup, SIGHUP, on_hup);
	watch(&s, &s.chld, SIGCHLD, on_chld);
	if (serverlog_begin(s.loop) < 0) {
		serverlog_say("out of memory");
		s.failed = 1;
	} else if (start(&s, &err) < 0) {
		serverlog_say(err.msg);
		s.failed = 1;
	} else {
		ev_run(s.loop, 0);
	}
	end(&s);
	return s.failed;
}
