/*
 * conf.c - usetl.conf(5): its keys, its defaults, and what they must agree on
 */
#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/ini.h"
#include "conf/text.h"
#include "conf/value.h"
#include "etlfs/format.h"

#define SEC		1000000000ull
#define US		1000ull
#define HOUR		(3600 * SEC)
#define DAY		(24 * HOUR)
#define MB		(1ull << 20)
#define GB		(1ull << 30)

/* a relative path begins at the file's folder */
static int set_path(struct ini *p, const struct ini_key *k, const char *value)
{
	char **field = ini_field(p, k), *path;
	const char *slash = strrchr(p->name, '/');
	int rc = ini_set_string(p, k, value);

	if (rc < 0 || *value == '/' || !slash)
		return rc;
	if (asprintf(&path, "%.*s/%s", (int)(slash - p->name), p->name,
		     value) < 0)
		return ini_fail(p, -ENOMEM, "out of memory");
	free(*field);
	*field = path;
	return 0;
}

#define C(f)		offsetof(struct conf, f)
#define F(f)		offsetof(struct conf_function, f)
#define PATH		INI_RANGE(1, 4095), .set = set_path
#define FUNCTION	"function"

static const struct ini_key keys[] = {
	{ "serve", "listen", INI_STRING, C(listen), INI_RANGE(1, 255) },
	{ "serve", "user", INI_STRING, C(user), INI_RANGE(1, 64) },
	{ "serve", "tender", INI_WORD, C(tender), .words = tender_words },
	{ "serve", "log", INI_OWN, C(log), PATH },
	{ "serve", "copies", INI_OWN, C(copies), PATH },
	{ "serve", "store", INI_OWN, C(store), PATH },
	{ "serve", "control", INI_OWN, C(control), PATH },
	{ "serve", "drain", INI_TIME, C(drain_ns), INI_RANGE(0, HOUR) },
	{ "limits", "request.max", INI_SIZE, C(request_max),
	  INI_RANGE(2, ETLFS_EVENT_MAX - ETLFS_EVENT_OFF) },
	{ "limits", "response.max", INI_SIZE, C(response_max),
	  INI_RANGE(2, CONF_RESPONSE_MAX) },
	{ "limits", "log.max", INI_SIZE, C(log_max), INI_RANGE(0, GB) },
	{ "limits", "connections", INI_COUNT, C(connections),
	  INI_RANGE(16, 65536) },
	{ "limits", "connections.address", INI_COUNT, C(per_address),
	  INI_RANGE(0, 65536) },
	{ "limits", "log.rate", INI_SIZE, C(log_rate), INI_RANGE(0, GB) },
	{ "limits", "queue", INI_COUNT, C(queue), INI_RANGE(1, 65536) },
	{ "limits", "wait", INI_TIME, C(wait_ns), INI_RANGE(US, HOUR) },
	{ "limits", "boot", INI_TIME, C(boot_ns), INI_RANGE(US, HOUR) },
	{ "pool", "min", INI_COUNT, C(min), INI_RANGE(0, 1024) },
	{ "pool", "max", INI_COUNT, C(max), INI_RANGE(1, 1024) },
	{ "pool", "idle", INI_TIME, C(idle_ns), INI_RANGE(0, DAY) },
	{ "pool", "refresh", INI_TIME, C(refresh_ns), INI_RANGE(0, 30 * DAY) },
	{ "pool", "memory", INI_SIZE, C(memory), INI_RANGE(0, 1ull << 50) },
	{ "pool", "share", INI_WORD, C(share), .words = yesno_words },
	{ "pool", "layouts", INI_COUNT, C(layouts), INI_RANGE(1, 64) },
	{ "pool", "shells", INI_COUNT, C(shells), INI_RANGE(0, 256) },
	{ "fetch", "windows", INI_COUNT, C(windows), INI_RANGE(0, 256) },
	{ "fetch", "warm", INI_SIZE, C(warm), INI_RANGE(0, GB) },
	{ "fetch", "timeout", INI_TIME, C(fetch_timeout_ns),
	  INI_RANGE(US, DAY) },
	{ "fetch", "max", INI_SIZE, C(fetch_max), INI_RANGE(0, 15 * GB) },
	{ "fetch", "total", INI_SIZE, C(fetch_total),
	  INI_RANGE(MB, 1ull << 50) },
	{ FUNCTION, "image", INI_OWN, F(image), PATH },
	{ FUNCTION, "pool.min", INI_COUNT, F(min), INI_RANGE(0, 1024),
	  .has = F(has_min) },
	{ FUNCTION, "pool.max", INI_COUNT, F(max), INI_RANGE(1, 1024) },
	{ FUNCTION, "pool.refresh", INI_TIME, F(refresh_ns),
	  INI_RANGE(0, 30 * DAY), .has = F(has_refresh) },
	{ FUNCTION, "recycle", INI_WORD, F(recycle), .words = recycle_words },
	{ FUNCTION, "owner", INI_STRING, F(owner),
	  INI_RANGE(1, VALUE_NAME_MAX) },
	{ FUNCTION, "store", INI_WORD, F(store), .words = yesno_words },
	{ FUNCTION, "timeout", INI_TIME, F(timeout_ns), INI_RANGE(US, DAY) },
	{ FUNCTION, "memory", INI_SIZE, F(memory),
	  INI_RANGE(32 * MB, 8 * GB) },
};

/* a [function NAME] */
static void *begin_function(struct ini *p, const char *name)
{
	struct conf *c = p->whole;
	struct conf_function *f;

	if (!value_name_ok(name)) {
		ini_fail(p, -EINVAL, "'%s' cannot name a function: letters, "
			 "digits and _.- only, at most %d", name,
			 VALUE_NAME_MAX);
		return NULL;
	}
	for (size_t i = 0; i < c->functions; i++)
		if (!strcmp(c->function[i].name, name)) {
			ini_fail(p, -EEXIST, "[function %s] is given twice, "
				 "first at line %u", name,
				 c->function[i].line);
			return NULL;
		}
	f = reallocarray(c->function, c->functions + 1, sizeof(*f));
	if (f) {
		c->function = f;
		f += c->functions;
		memset(f, 0, sizeof(*f));
		f->line = p->lines.number;
		f->store = YES;
		f->name = strdup(name);
	}
	if (!f || !f->name) {
		ini_fail(p, -ENOMEM, "out of memory");
		return NULL;
	}
	c->functions++;
	return f;
}

static const struct ini_file conf_file = {
	.key = keys, .keys = sizeof(keys) / sizeof(keys[0]),
	.named = FUNCTION, .begin = begin_function,
};

/* what a [function NAME] lacks, or has with what it takes from [pool] */
static int check_function(struct ini *p, const struct conf_function *f)
{
	const struct conf *c = p->whole;
	unsigned min = f->has_min ? f->min : c->min;
	unsigned max = f->max ? f->max : c->max;

	if (!f->image)
		return ini_fail_at(p, f->line, -EINVAL, "[function %s] has no "
				   "'image'", f->name);
	if (max && min > max)
		return ini_fail_at(p, f->line, -EINVAL, "[function %s] "
				   "pool.min %u is more than pool.max %u",
				   f->name, min, max);
	return 0;
}

static int check_whole(struct ini *p)
{
	const struct conf *c = p->whole;
	int rc = 0;

	if (c->max && c->min > c->max)
		return err_set(p->err, -EINVAL, "%s: [pool] min %u is more "
			       "than max %u", p->name, c->min, c->max);
	for (size_t i = 0; rc == 0 && i < c->functions; i++)
		rc = check_function(p, &c->function[i]);
	return rc;
}

int conf_parse(struct conf **out, const char *name, const char *text,
	       size_t len, struct err *err)
{
	struct ini p = { .of = &conf_file, .name = name, .err = err };
	struct conf *c;
	int rc = conf_create(&c);

	if (rc < 0)
		return err_set(err, rc, "%s: out of memory", name);
	p.whole = c;
	rc = ini_read(&p, text, len);
	if (rc == 0)
		rc = check_whole(&p);
	if (rc < 0) {
		conf_destroy(c);
		return rc;
	}
	*out = c;
	return 0;
}

int conf_load(struct conf **out, const char *path, struct err *err)
{
	char *text;
	ssize_t len = text_load(path, INI_TEXT, &text, err);
	int rc;

	if (len < 0)
		return len;
	rc = conf_parse(out, path, text, len, err);
	free(text);
	return rc;
}

int conf_create(struct conf **out)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (c)
		c->listen = strdup("127.0.0.1:8080");
	if (!c || !c->listen) {
		free(c);
		return -ENOMEM;
	}
	c->drain_ns = 30 * SEC;
	c->request_max = ETLFS_EVENT_MAX - ETLFS_EVENT_OFF;
	c->response_max = 6u << 20;
	c->log_max = 1u << 20;
	c->connections = 4096;
	c->per_address = 256;
	c->log_rate = 1u << 20;
	c->queue = 1024;
	c->wait_ns = 30 * SEC;
	c->boot_ns = 60 * SEC;
	c->min = 1;
	c->max = 2 * sysconf(_SC_NPROCESSORS_ONLN);
	if (c->max < 4)
		c->max = 4;
	c->idle_ns = 60 * SEC;
	c->refresh_ns = 3600 * SEC;
	c->share = YES;
	c->layouts = 1;
	c->shells = c->max < 16 ? c->max : 16;
	c->windows = 2;
	c->warm = 64u << 20;
	c->fetch_timeout_ns = 60 * SEC;
	c->fetch_max = 1ull << 30;
	c->fetch_total = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			 sysconf(_SC_PAGESIZE) / 2;
	*out = c;
	return 0;
}

void conf_destroy(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->functions; i++) {
		free(c->function[i].name);
		free(c->function[i].image);
		free(c->function[i].owner);
	}
	free(c->function);
	free(c->listen);
	free(c->user);
	free(c->log);
	free(c->copies);
	free(c->store);
	free(c->control);
	free(c);
}
