/* controlverb.c - what can be ordered by a control socket (controlsock.h) */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/control.h"
#include "cmd/describe.h"
#include "cmd/verb.h"

/* list */

/* where there are several */
static json_t *layouts(struct function *f)
{
	struct layout_info l[POOL_LAYOUTS_MAX];
	unsigned n = function_layouts(f, l);
	json_t *all = n > 1 ? json_array() : NULL;

	for (unsigned i = 0; all && i < n; i++)
		json_array_append_new(all, json_pack(
			"{s:i, s:I, s:b, s:b, s:I, s:i}",
			"layout", (int)l[i].layout,
			"base", (json_int_t)l[i].base,
			"ready", l[i].ready, "stored", l[i].stored_now,
			"pages", (json_int_t)l[i].pages,
			"clones", (int)l[i].clones));
	return all;
}

/* of seconds, no more than is of any use to who reads them */
static double milliseconds(double s)
{
	return (double)(long long)(s * 1e3 + 0.5) / 1e3;
}

static json_t *describe(struct function *f)
{
	struct function_info i;

	function_info(f, &i);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:b,"
			 " s:o, s:i, s:i, s:I, s:f, s:o, s:I, s:I, s:I,"
			 " s:o*}",
			 "name", i.name, "level", i.level,
			 "digest", i.digest ? i.digest : "",
			 "id", (json_int_t)i.id, "base", (json_int_t)i.base,
			 "ready", i.ready, "stored", i.stored_now,
			 "clones", describe_clones(&i),
			 "queued", (int)i.queued,
			 "shells", (int)i.shells,
			 "pages", (json_int_t)i.pages,
			 "age", milliseconds(i.age),
			 "starts", describe_starts(&i),
			 "requests", (json_int_t)i.requests,
			 "errors", (json_int_t)i.errors,
			 "refreshes", (json_int_t)i.refreshes,
			 "layouts", layouts(f));
}

static void list(struct control_peer *p, const char *name)
{
	struct pool *pool = control_pool(p);
	json_t *all = json_array();
	struct function *f = NULL;
	char *text;

	while ((f = pool_next_base(pool, f)))
		json_array_append_new(all, describe(f));
	while ((f = pool_next(pool, f)))
		json_array_append_new(all, describe(f));
	/* all digits of a double would be 44.408000000000001 */
	text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(all);
	control_answer(p, text, text ? strlen(text) : 0, NULL, 0);
}

/* fork */

struct fork_task {
	struct control_task task;
	struct fork_order order;
};

static void fork_forget(struct control_task *t)
{
	struct fork_task *k = (struct fork_task *)t;

	function_fork_forget(&k->order);
	free(k);
}

static void fork_done(struct fork_order *o, const char *why)
{
	struct fork_task *k = (struct fork_task *)((char *)o -
			      offsetof(struct fork_task, order));
	struct control_peer *p = k->task.peer;

	free(k);
	if (why)
		control_refuse(p, "no new snapshot: %s", why);
	else
		control_answer(p, strdup(""), 0, NULL, 0);
}

static void fork_again(struct control_peer *p, const char *name)
{
	struct function *f = pool_find(control_pool(p), name);
	struct fork_task *k = calloc(1, sizeof(*k));

	if (!k) {
		control_refuse(p, "out of memory");
		return;
	}
	k->task.forget = fork_forget;
	k->order.done = fork_done;
	if (function_fork(f, &k->order) < 0) {
		control_refuse(p, "function '%s' is not ready", name);
		free(k);
		return;
	}
	control_wait(p, &k->task);
}

/* snapshot */

struct snapshot_task {
	struct control_task task;
	struct snapshot_order order;
};

static void snapshot_forget(struct control_task *t)
{
	struct snapshot_task *k = (struct snapshot_task *)t;

	function_snapshot_forget(&k->order);
	free(k);
}

/* what saved_write() wants to have of it, as a file */
static int head_file(const struct saved_head *h)
{
	int fd = memfd_create("usetl-head", MFD_CLOEXEC);

	if (fd >= 0 && pwrite(fd, h, sizeof(*h), 0) != sizeof(*h)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void snapshot_done(struct snapshot_order *o, const char *why)
{
	struct snapshot_task *k = (struct snapshot_task *)((char *)o -
				  offsetof(struct snapshot_task, order));
	struct control_peer *p = k->task.peer;
	int fds[1 + SAVED_PARTS];
	unsigned n = o->head.parts;

	if (why) {
		control_refuse(p, "no snapshot: %s", why);
	} else {
		fds[0] = head_file(&o->head);
		memcpy(fds + 1, o->fd, n * sizeof(int));
		if (fds[0] >= 0) {
			control_answer(p, strdup(""), 0, fds, 1 + n);
		} else {
			for (unsigned i = 0; i < n; i++)
				close(o->fd[i]);
			control_refuse(p, "out of memory");
		}
	}
	free(k);
}

static const char *snapshot_why(int rc)
{
	return rc == -EBUSY ? "another one is being written; try again" :
	       rc == -EHOSTDOWN ? "the function is not ready" :
	       rc == -ESTALE ? "its runtime has ended since; fork makes another "
			       "one, then try again" :
	       rc == -ENOENT ? "this build of usetl has no name (build-id)" :
	       strerror(-rc);
}

static void snapshot_of(struct control_peer *p, const char *name, int ready)
{
	struct function *f = pool_find(control_pool(p), name);
	struct snapshot_task *k = calloc(1, sizeof(*k));
	int rc;

	if (!k) {
		control_refuse(p, "out of memory");
		return;
	}
	k->task.forget = snapshot_forget;
	k->order.done = snapshot_done;
	k->order.ready = ready;
	rc = function_snapshot(f, &k->order);
	if (rc < 0) {
		control_refuse(p, "no snapshot: %s", snapshot_why(rc));
		free(k);
		return;
	}
	control_wait(p, &k->task);
}

static void snapshot(struct control_peer *p, const char *name)
{
	snapshot_of(p, name, 0);
}

static void snapshot_ready(struct control_peer *p, const char *name)
{
	snapshot_of(p, name, 1);
}

static const struct verb {
	const char *name;
	int named;			/* with a function, which is there */
	void (*fn)(struct control_peer *p, const char *name);
} verbs[] = {
	{ "list", 0, list },
	{ "fork", 1, fork_again },
	{ "snapshot", 1, snapshot },
	{ "snapshot-ready", 1, snapshot_ready },
};

void control_order(struct control_peer *p, char *line)
{
	char *name = strchr(line, ' ');
	const struct verb *v;

	if (name)
		*name++ = '\0';
	v = VERB_FIND(verbs, line);
	if (!v)
		control_refuse(p, "there is no such order");
	else if (!name != !v->named)
		control_refuse(p, "'%s' is for %s function", v->name,
			       v->named ? "a" : "no");
	else if (name && !pool_find(control_pool(p), name))
		control_refuse(p, "there is no function '%.64s'; `usetl ctl "
			       "list` lists those there are", name);
	else
		v->fn(p, name);
}
