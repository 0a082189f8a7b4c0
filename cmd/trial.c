/* trial.c - boot an image once, to see whether it can */
#include "cmd/trial.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/deploy.h"
#include "cmd/tenderopt.h"
#include "conf/conf.h"
#include "vmm/pool/pool.h"

#define LOG_KEPT	((size_t)16 << 10)
#define TICK_S		0.1

struct trial {
	const struct trial_opts *o;
	struct ev_loop *loop;
	struct ev_timer tick;
	struct err *err;
	enum tender_kind tender;
	int result;
	char log[LOG_KEPT + 1];		/* the last bytes */
	size_t len;
	int dropped;			/* there was more before them */
};

static void on_log(void *arg, struct function *f, const char *text, size_t len)
{
	struct trial *t = arg;
	size_t keep;

	t->dropped |= len > LOG_KEPT - t->len;
	if (len > LOG_KEPT) {
		text += len - LOG_KEPT;
		len = LOG_KEPT;
	}
	keep = t->len + len > LOG_KEPT ? LOG_KEPT - len : t->len;
	memmove(t->log, t->log + t->len - keep, keep);
	memcpy(t->log + keep, text, len);
	t->len = keep + len;
}

/* from the first whole line, without the last newline */
static const char *log_tail(struct trial *t)
{
	char *start = t->log;

	while (t->len && t->log[t->len - 1] == '\n')
		t->len--;
	t->log[t->len] = '\0';
	if (t->dropped && strchr(start, '\n'))
		start = strchr(start, '\n') + 1;
	return start;
}

static void on_event(void *arg, struct function *f, enum pool_event what,
		     const char *text)
{
	struct trial *t = arg;

	if (what == POOL_NOTE)
		return;
	if (what == POOL_FAILED)
		t->result = err_set(t->err, -ENOEXEC, "function '%s' cannot "
				    "boot: %s", function_name(f), text);
	ev_break(t->loop, EVBREAK_ALL);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct trial *t = w->data;

	if (t->o->tick(t->o->arg) >= 0)
		return;
	t->result = err_set(t->err, -EINTR, "stopped");
	ev_break(loop, EVBREAK_ALL);
}

const char trial_note[] = "usetl: note: ";

/* of text, in place, the runtime's notes */
static void keep_notes(char *text)
{
	char *to = text, *line, *save;
	size_t head = strlen(trial_note), len;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, trial_note, head))
			continue;
		len = strlen(line + head);
		memmove(to, line + head, len);
		to += len;
		*to++ = '\n';
	}
	*(to > text ? to - 1 : to) = '\0';
}

static void watch_boot(struct trial *t)
{
	ev_now_update(t->loop);
	ev_timer_init(&t->tick, on_tick, TICK_S, TICK_S);
	t->tick.data = t;
	ev_timer_start(t->loop, &t->tick);
	ev_run(t->loop, 0);
	ev_timer_stop(t->loop, &t->tick);
}

static const struct pool_ops trial_ops = { .log = on_log, .event = on_event };

static int run(struct trial *t, struct image *img, struct err *err)
{
	struct pool_opts po = { .ops = &trial_ops, .arg = t };
	struct function_opts fo = { .max = 1, .once = 1, .trial = 1 };
	struct pool *pool;
	struct conf *conf;
	int rc = conf_create(&conf);

	if (rc == 0) {
		deploy_pool_opts(conf, &po);
		conf_destroy(conf);
		rc = deploy_uid(NULL, &po.uid, err);
	}
	po.tender = t->tender;
	if (t->o->boot_ns)
		po.boot_ns = t->o->boot_ns;
	if (rc == 0)
		rc = pool_create(&pool, t->loop, &po);
	if (rc < 0) {
		image_close(img);
		return err_set(err, rc, "cannot boot: %s", strerror(-rc));
	}
	rc = pool_add(pool, img, &fo, NULL, err);
	if (rc == 0) {
		watch_boot(t);
		rc = t->result;
	}
	pool_destroy(pool);
	return rc;
}

/* what would run the function here; a host that cannot may bake all the same */
static int choose_tender(enum tender_kind *out, struct err *err)
{
	struct err note, why = { "" };
	struct conf *conf;
	int rc = conf_create(&conf);

	if (rc < 0)
		return err_set(err, rc, "out of memory");
	rc = tenderopt_resolve(NULL, conf, out, &note, &why);
	conf_destroy(conf);
	return rc == 0 ? 0 :
		err_set(err, rc, "%.900s; or bake with --no-check, without a "
			"trial boot", why.msg);
}

int trial_boot(const struct trial_opts *o, char **log, struct err *err)
{
	struct trial t = { .o = o, .err = err };
	struct image *img;
	int rc = choose_tender(&t.tender, err);

	*log = NULL;
	if (rc == 0)
		rc = image_open(&img, o->image, err);
	if (rc < 0)
		return rc;
	t.loop = ev_loop_new(EVFLAG_AUTO);
	if (!t.loop) {
		image_close(img);
		return err_set(err, -ENOMEM, "no event loop");
	}
	rc = run(&t, img, err);
	ev_loop_destroy(t.loop);
	*log = strdup(log_tail(&t));
	if (*log && rc == 0)
		keep_notes(*log);
	if (*log && !**log) {
		free(*log);
		*log = NULL;
	}
	return rc;
}
