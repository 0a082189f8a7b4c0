/* trial.c - boot an image once, to see whether it can */
#include "cmd/trial.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/openpool.h"

#define LOG_KEPT	((size_t)16 << 10)
#define TICK_S		0.1

struct trial {
	const struct trial_opts *o;
	struct openpool open;
	struct ev_timer tick;
	struct err *err;
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
	ev_break(t->open.loop, EVBREAK_ALL);
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

const char trial_preload[] = "usetl: preload: ";

/* the runtime says it once, after all that the function has */
static int take_preload(const char *text, struct strings *preload)
{
	const char *at = strstr(text, trial_preload), *last = NULL;
	int rc = 0;

	for (; at; at = strstr(at + 1, trial_preload))
		if (at == text || at[-1] == '\n')
			last = at + strlen(trial_preload);
	while (rc == 0 && last && *last && *last != '\n') {
		size_t len = strcspn(last, " \n");

		if (len)
			rc = strings_add(preload, last, len);
		last += len + (last[len] == ' ');
	}
	return rc;
}

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
	struct ev_loop *loop = t->open.loop;

	ev_now_update(loop);
	ev_timer_init(&t->tick, on_tick, TICK_S, TICK_S);
	t->tick.data = t;
	ev_timer_start(loop, &t->tick);
	ev_run(loop, 0);
	ev_timer_stop(loop, &t->tick);
}

static const struct pool_ops trial_ops = { .log = on_log, .event = on_event };

/* it was written a moment ago, by us */
static int trust(const struct image *img, struct err *err)
{
	return 0;
}

static int run(struct trial *t, struct err *err)
{
	struct function_opts fo = { .max = 1, .once = 1, .trial = 1 };
	struct image *img;
	int rc = image_open(&img, t->o->image, t->o->store, err);

	if (rc == 0)
		rc = pool_add(t->open.pool, img, &fo, NULL, err);
	if (rc < 0)
		return rc;
	watch_boot(t);
	return t->result;
}

int trial_boot(const struct trial_opts *o, char **log, struct strings *preload,
	       struct err *err)
{
	struct trial t = { .o = o, .err = err };
	/* a host that cannot run the function may bake it all the same */
	struct openpool_opts po = {
		.boot_ns = o->boot_ns, .ops = &trial_ops, .arg = &t,
		.store = o->snapshots, .verify = trust,
		.or_else = "; or bake with --no-check, without a trial boot",
	};
	int rc = openpool_create(&t.open, &po, err);

	*log = NULL;
	if (rc < 0)
		return err->msg[0] ? rc : err_set(err, rc, "cannot boot: %s",
						 strerror(-rc));
	rc = run(&t, err);
	if (rc == 0)
		openpool_keep(&t.open);
	openpool_destroy(&t.open);
	*log = strdup(log_tail(&t));
	if (*log && rc == 0 && take_preload(*log, preload) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (*log && rc == 0)
		keep_notes(*log);
	if (*log && !**log) {
		free(*log);
		*log = NULL;
	}
	return rc;
}
