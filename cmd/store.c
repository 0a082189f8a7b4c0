/*
 * store.c - usetl store: what is kept, whether it is whole, and what may go
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "cmd/verb.h"
#include "conf/value.h"
#include "etlfs/store/store.h"

#define DAY	86400
#define AGE_MAX	36500			/* days */

struct storecmd {
	struct store *s;
	const char *dir;		/* NULL: the default one */
	uint64_t age;			/* days */
	int has_age;
};

static int do_list(struct storecmd *c, struct err *err)
{
	struct store_entry *v;
	size_t n;
	char day[32];
	int rc = store_list(c->s, &v, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		time_t used = (time_t)v[i].used;
		struct tm tm;

		if (!localtime_r(&used, &tm) ||
		    !strftime(day, sizeof(day), "%Y-%m-%d %H:%M", &tm))
			strcpy(day, "?");
		printf("%-9s %.12s %9.1f MB  used %s%s%s\n", v[i].kind[0] ?
		       v[i].kind : "-", v[i].digest, v[i].size / 1e6, day,
		       v[i].what[0] ? "  " : "", v[i].what);
	}
	if (rc == 0)
		free(v);
	return rc;
}

static void on_bad(void *arg, const char *line)
{
	printf("%s\n", line);
}

static int do_verify(struct storecmd *c, struct err *err)
{
	int bad = store_verify(c->s, on_bad, NULL, err);

	if (bad <= 0)
		return bad;
	return err_set(err, -EBADMSG, "%d of the files in '%s' cannot be "
		       "relied on; what they held is made anew when it is "
		       "needed", bad, c->dir);
}

static int do_gc(struct storecmd *c, struct err *err)
{
	/* without an age: what nothing names, but for what is being written */
	struct store_gc gc = {
		.keep = (int64_t)(c->has_age ? c->age : 1) * DAY,
		.keys = c->has_age,
		.keep_snapshots = c->has_age ? (int64_t)c->age * DAY :
				  STORE_SNAPSHOT_KEPT,
	};
	int rc = store_gc(c->s, &gc, err);

	if (rc == 0)
		printf("removed %u layers, %u snapshots, %.1f MB\n",
		       gc.layers, gc.snapshots, gc.bytes / 1e6);
	return rc;
}

static const struct verb {
	const char *name;
	int (*fn)(struct storecmd *c, struct err *err);
	const char *usage;
} verbs[] = {
	{ "list", do_list, "what is in it, used last first" },
	{ "verify", do_verify, "read all of it and name what is damaged" },
	{ "gc", do_gc, "remove what nothing needs" },
};

static void usage(FILE *to)
{
	fprintf(to, "usage: usetl store [OPTION]... COMMAND\n\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		fprintf(to, "  %-20s  %s\n", verbs[i].name, verbs[i].usage);
	fprintf(to,
		"\n"
		"      --store DIR       instead of the user's own\n"
		"      --age DAYS        gc: and what was not used for so long\n"
		"  -h, --help\n");
}

/* the command; or NULL, and *status is the exit status */
static const struct verb *parse(struct storecmd *c, int argc, char **argv,
				int *status)
{
	static const struct option longs[] = {
		{ "store", required_argument, NULL, 's' },
		{ "age", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const struct verb *v;
	int o;

	*status = 2;
	while ((o = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (o == 's') {
			c->dir = optarg;
		} else if (o == 'a') {
			c->has_age = 1;
			if (value_count(optarg, &c->age) == 0 &&
			    c->age <= AGE_MAX)
				continue;
			fprintf(stderr, "usetl store: --age '%s' is not a "
				"number of days\n", optarg);
			return NULL;
		} else {
			*status = o == 'h' ? 0 : 2;
			usage(o == 'h' ? stdout : stderr);
			return NULL;
		}
	}
	v = optind + 1 == argc ? VERB_FIND(verbs, argv[optind]) : NULL;
	if (v && (!c->has_age || v->fn == do_gc))
		return v;
	if (v) {
		fprintf(stderr, "usetl store: --age is for gc\n");
	} else if (optind + 1 == argc) {
		fprintf(stderr, "usetl store: unknown command '%s'; see `usetl "
			"help store`\n", argv[optind]);
	} else {
		fprintf(stderr, "usetl store: %s\n", optind == argc ?
			"which command?" : "one command, without arguments");
		usage(stderr);
	}
	return NULL;
}

int cmd_store(int argc, char **argv)
{
	struct storecmd c = { 0 };
	struct err err = { "" };
	char dir[PATH_MAX];
	const struct verb *v;
	int status, rc = 0;

	argv[0] = "usetl store";	/* for getopt's own messages */
	v = parse(&c, argc, argv, &status);
	if (!v)
		return status;
	if (!c.dir) {
		rc = store_default(dir, sizeof(dir), &err);
		c.dir = dir;
	}
	rc = rc < 0 ? rc : store_open(&c.s, c.dir, 0, &err);
	/* nothing was ever kept */
	if (rc == -ENOENT && c.dir == dir)
		return 0;
	rc = rc < 0 ? rc : v->fn(&c, &err);
	store_close(c.s);
	if (rc < 0)
		fprintf(stderr, "usetl store: %s\n", err.msg);
	return rc < 0 ? 1 : 0;
}
