/* serverlog.c - what serve says: to its operator, and to functions' log */
#include "cmd/serverlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/answer.h"
#include "cmd/asynclog.h"
#include "cmd/loglines.h"
#include "conf/value.h"

static const char who[] = "usetl serve";

static struct ev_loop *loop;
/* standard error while the loop runs, which must not wait for its reader */
static struct asynclog *operator;
static struct asynclog *functions;	/* what they print; may be operator */
static const char *path;		/* of that; NULL: it is operator */

/* for the operator */

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

void serverlog_sayf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsayf(NULL, fmt, ap);
	va_end(ap);
}

void serverlog_say(const char *text)
{
	serverlog_sayf("%s", text);
}

/*
 * whose share of the log it is (cmd/asynclog.h): what it prints, notes about
 * it
 */
struct whose {
	char text[VALUE_NAME_MAX + 32];
};

static struct whose whose(struct function *f, int notes)
{
	struct whose w;

	snprintf(w.text, sizeof(w.text), "%sfunction '%s'",
		 notes ? "notes about " : "", function_name(f));
	return w;
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

void serverlog_ready(struct function *f)
{
	struct function_info i;
	char how[64];

	function_info(f, &i);
	if (i.stored)
		snprintf(how, sizeof(how), "from the store");
	else
		snprintf(how, sizeof(how), "booted in %.1f ms",
			 i.boot.boot_ns / 1e6);
	note(f, "function '%s' is ready: %s, %s, %.1f MB, digest %s", i.name,
	     i.handler, how, i.boot.ram_bytes / 1048576.0, i.digest);
}

/* and where more of it is; lines of a report follow the first */
void serverlog_cannot_boot(struct function *f, const char *why,
			   struct function *now)
{
	size_t line = strcspn(why, "\n");
	struct function_info i = { .ready = 0 };

	if (now && now != f)
		function_info(now, &i);

	note(f, "function '%s' cannot boot: %.*s%s%s%s%s%s", function_name(f),
	     (int)line, why,
	     path ? "; what it printed, if anything, is in '" : "",
	     path ? path : "", path ? "'" : "",
	     i.ready ? "; its earlier image goes on" : "", why + line);
}

void serverlog_note(struct function *f, const char *text)
{
	note(f, "function '%s': %s", function_name(f), text);
}

/* functions' log */

void serverlog_output(void *arg, struct function *f, const char *text,
		      size_t len)
{
	loglines_async(functions, function_name(f), whose(f, 0).text, text,
		       len);
}

uint64_t serverlog_room(void *arg, struct function *f)
{
	return asynclog_room(functions, whose(f, 0).text);
}

void serverlog_lost(void *arg, struct function *f, uint64_t lines)
{
	asynclog_lost(functions, whose(f, 0).text, lines);
}

void serverlog_failed(void *arg, struct function *f,
		      const struct job_result *r)
{
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
		serverlog_output(arg, f, text, size);
	free(text);
	free(json);
}

/* both */

int serverlog_open(struct asynclog **out, const struct conf *c,
		   struct err *err)
{
	int fd, rc;

	*out = operator;
	if (!c->log)
		return 0;
	/* a pipe without a reader is an error, not a wait */
	fd = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
		  O_NONBLOCK | O_NOCTTY, 0640);
	rc = fd < 0 ? -errno : asynclog_create(out, loop, fd, who, operator);
	if (fd >= 0)
		close(fd);
	return rc < 0 ? err_set(err, rc, "cannot open log '%s': %s", c->log,
				strerror(-rc)) : 0;
}

static void close_functions(void)
{
	if (functions != operator)
		asynclog_destroy(functions);
}

void serverlog_use(struct asynclog *log, const struct conf *c)
{
	if (functions != operator)
		asynclog_take(log, functions);
	close_functions();
	functions = log;
	path = c->log;
	asynclog_rate(log, c->log_rate);
}

int serverlog_begin(struct ev_loop *l)
{
	int rc = asynclog_create(&operator, l, STDERR_FILENO, who, NULL);

	loop = l;
	functions = operator;
	return rc;
}

void serverlog_end(void)
{
	close_functions();
	asynclog_destroy(operator);
	functions = operator = NULL;
	path = NULL;
}
