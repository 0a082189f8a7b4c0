/* openpool.c - a pool and what it stands on */
#include "cmd/openpool.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/tenderopt.h"
#include "etlfs/store/store.h"
#include "vmm/host/cgroup.h"
#include "vmm/tender/hostclock.h"

#define KEEP_S		10.0		/* a full disk's, say */
#define KEEP_EVERY_S	0.02
#define LAST_NS		200000		/* between looks for who has ended */
#define LOOKS		2500

/*
 * The number of nobody, who is in this file everywhere: to ask for him takes
 * longer, of services that may know other people.
 */
static int find_nobody(uid_t *out)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw = NULL;
	int found;

	while (f && (pw = fgetpwent(f)) && strcmp(pw->pw_name, "nobody"))
		;
	found = pw != NULL;
	if (found)
		*out = pw->pw_uid;
	if (f)
		fclose(f);
	return found;
}

/*
 * The user that clones run as: `user`, else nobody when this process is
 * root, else 0 (no change).
 */
static int find_uid(const char *user, uid_t *out, struct err *err)
{
	struct passwd *pw;

	*out = 0;
	if (geteuid() != 0)
		return user ? err_set(err, -EPERM, "[serve] user '%s': only "
				      "root can run clones as another user",
				      user) : 0;
	if (!user && find_nobody(out))
		return 0;
	errno = 0;
	pw = getpwnam(user ? user : "nobody");
	if (!pw && user)
		return err_set(err, -ENOENT, "[serve] user '%s': %s", user,
			       errno ? strerror(errno) : "no such user");
	*out = pw ? pw->pw_uid : 65534;
	return 0;
}

int openpool_limits(const struct openpool *p, const struct conf *c,
		    struct pool_opts *out, struct err *err)
{
	const struct openpool_opts *o = &p->o;

	*out = (struct pool_opts){
		.response_max = c->response_max,
		.log_max = o->log_max ? o->log_max : c->log_max,
		.queue = c->queue,
		.wait_ns = o->wait_ns ? o->wait_ns : c->wait_ns,
		.boot_ns = o->boot_ns ? o->boot_ns : c->boot_ns,
		.memory = c->memory,
		.fetch_timeout_ns = c->fetch_timeout_ns,
		.fetch_max = c->fetch_max,
		.fetch_total = c->fetch_total,
		.copy_images = o->copy_images,
		/* for one function alone it is worth while from a store */
		.share = o->copy_images ? c->share == YES : p->store != NULL,
		.shells = o->copy_images ? c->shells : 0,
		.layouts = o->copy_images ? c->layouts : 1,
		.copies = c->copies, .store = p->store,
		.windows = c->windows,
		.warm = c->warm,
		.tender = p->tender,
		.cgroup = p->cgroup,
		.verify = o->verify,
		.ops = o->ops,
		.arg = o->arg,
	};
	return find_uid(c->user, &out->uid, err);
}

static int choose_tender(struct openpool *p, struct err *err)
{
	const char *more = p->o.or_else;
	struct err note, why = { "" };
	int rc;

	p->hoped = p->o.hope && (p->o.store || p->conf->store);
	rc = tenderopt_resolve(p->o.tender, p->conf, p->hoped, &p->tender,
			       &note, &why);

	if (rc < 0)
		return err_set(err, rc, more ? "%.900s%s" : "%s%s", why.msg,
			       more ? more : "");
	if (note.msg[0] && p->o.say)
		p->o.say(note.msg);
	return 0;
}

int openpool_doubt(struct openpool *p, struct err *err)
{
	enum tender_kind tender;
	struct err note;

	if (!p->hoped)
		return 0;
	p->hoped = 0;
	return tenderopt_resolve(p->o.tender, p->conf, 0, &tender, &note, err);
}

static void say_no_cgroup(const struct openpool *p, const struct err *why)
{
	char text[sizeof(why->msg) + 64];

	snprintf(text, sizeof(text), "functions have no cgroups of their own: "
		 "%s", why->msg);
	if (p->o.say)
		p->o.say(text);
}

static void clean_up(struct openpool *p)
{
	struct store_gc gc = { .keep_snapshots = STORE_SNAPSHOT_KEPT };
	struct err why;

	store_gc_snapshots(p->store, &gc, &why);
}

/* it saves time, and nothing is wrong without it */
static void open_store(struct openpool *p)
{
	const char *dir = p->o.store ? p->o.store : p->conf->store;
	char text[sizeof(((struct err *)0)->msg) + 64];
	struct err why = { "" };

	if (!dir)
		return;
	if (store_open(&p->store, dir, 1, &why) == 0) {
		/* who is in a hurry does when he has something to keep */
		if (!p->o.hope)
			clean_up(p);
		return;
	}
	p->store = NULL;
	snprintf(text, sizeof(text), "nothing is kept in a store: %s", why.msg);
	if (p->o.say)
		p->o.say(text);
}

static int open_all(struct openpool *p, struct err *err)
{
	int rc = 0, shares = 0;
	struct pool_opts po;
	struct err why;

	p->loop = p->o.loop ? p->o.loop : ev_loop_new(EVFLAG_AUTO);
	if (!p->loop)
		return err_set(err, -ENOMEM, "no event loop");
	if (!p->conf)
		rc = conf_create(&p->defaults);
	if (rc < 0)
		return rc;
	if (!p->conf)
		p->conf = p->defaults;
	if (p->o.cgroups)
		shares = cgroup_open(&p->cgroup, "", &why);
	rc = choose_tender(p, err);
	if (rc < 0)
		return rc;
	if (shares < 0)
		say_no_cgroup(p, &why);
	open_store(p);
	rc = openpool_limits(p, p->conf, &po, err);
	return rc < 0 ? rc : pool_create(&p->pool, p->loop, &po);
}

/* are there children, ended or not? */
static int has_children(void)
{
	siginfo_t i;

	return waitid(P_ALL, 0, &i, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/*
 * What was a child of a child that ended is this process's then, and reaped
 * here: a process 1 that is no init would not do it.  All of it was killed.
 */
static void reap(const struct openpool *p)
{
	const struct timespec t = { .tv_nsec = LAST_NS };
	pid_t pid;

	for (int n = 0; n < LOOKS && !p->others; n += pid == 0) {
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0 && errno != EINTR)
			return;
		if (pid == 0)
			nanosleep(&t, NULL);
	}
}

int openpool_create(struct openpool *p, const struct openpool_opts *o,
		    struct err *err)
{
	int rc;

	*p = (struct openpool){ .o = *o, .conf = o->conf };
	hostclock_begin();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	p->others = has_children();
	err->msg[0] = '\0';
	rc = open_all(p, err);
	if (rc < 0)
		openpool_destroy(p);
	return rc;
}

struct keep {
	struct openpool *p;
	double until;
};

static void on_keep(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct keep *k = w->data;

	if (!pool_keeping(k->p->pool) || ev_now(loop) > k->until)
		ev_break(loop, EVBREAK_ALL);
}

void openpool_keep(struct openpool *p)
{
	struct keep k = { p, ev_time() + KEEP_S };
	struct ev_timer w;

	if (!p->pool || !pool_keeping(p->pool))
		return;
	ev_timer_init(&w, on_keep, KEEP_EVERY_S, KEEP_EVERY_S);
	w.data = &k;
	ev_timer_start(p->loop, &w);
	ev_run(p->loop, 0);
	ev_timer_stop(p->loop, &w);
	if (p->o.hope)
		clean_up(p);
}

void openpool_stop(struct openpool *p)
{
	if (p->pool) {
		pool_destroy(p->pool);
		reap(p);
	}
	cgroup_close(p->cgroup);
	p->pool = NULL;
	p->cgroup = NULL;
}

void openpool_destroy(struct openpool *p)
{
	openpool_stop(p);
	store_close(p->store);
	conf_destroy(p->defaults);
	if (p->loop && !p->o.loop)
		ev_loop_destroy(p->loop);
	*p = (struct openpool){ 0 };
}
