/* invoke_opts.c - what `usetl invoke` was asked for, and the event */
#include "cmd/invoke_opts.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/json.h"
#include "cmd/tenderopt.h"
#include "conf/value.h"

#define REPEAT_MAX	1000000u
#define EVENT_MAX	((size_t)64 << 20)	/* read; the pool takes less */

static const char who[] = "usetl invoke";

static int read_stream(FILE *f, struct invoke_opts *o)
{
	size_t size = 0, n;

	for (;;) {
		if (o->event_len == size) {
			char *p = realloc(o->event, size = 2 * size + 65536);

			if (!p)
				return -ENOMEM;
			o->event = p;
		}
		errno = 0;
		n = fread(o->event + o->event_len, 1, size - o->event_len, f);
		o->event_len += n;
		if (!n)
			return !ferror(f) ? 0 : errno ? -errno : -EIO;
		if (o->event_len > EVENT_MAX)
			return -EFBIG;
	}
}

static int read_event(struct invoke_opts *o)
{
	const char *path = o->data + 1;
	FILE *f;
	int rc;

	if (*o->data != '@' && strcmp(o->data, "-")) {
		o->event = strdup(o->data);
		o->event_len = o->event ? strlen(o->event) : 0;
		return o->event ? 0 : -ENOMEM;
	}
	if (*o->data == '-')
		return read_stream(stdin, o);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	rc = read_stream(f, o);
	fclose(f);
	return rc;
}

/* a file's name where its content was meant */
static int names_file(const char *data)
{
	size_t len = strlen(data);
	struct stat st;

	return (stat(data, &st) == 0 && S_ISREG(st.st_mode)) ||
	       (len > 5 && !strcmp(data + len - 5, ".json") &&
		!strpbrk(data, "{}[]\"\n"));
}

int invoke_event(struct invoke_opts *o)
{
	struct json j;
	int rc = read_event(o);

	if (rc < 0) {
		fprintf(stderr, "%s: cannot read '%s': %s\n", who, o->data,
			strerror(-rc));
		return 1;
	}
	/* as serve does */
	if (!o->event_len) {
		free(o->event);
		o->event = strdup("{}");
		o->event_len = o->event ? 2 : 0;
	}
	json_begin(&j);
	if (json_feed(&j, o->event, o->event_len) == 0 && json_end(&j) == 0)
		return 0;
	if (names_file(o->data))
		fprintf(stderr, "%s: -d '%s' is not JSON; for what is in that "
			"file: -d '@%s'\n", who, o->data, o->data);
	else
		fprintf(stderr, "%s: -d is not JSON: line %u, column %u: %s\n",
			who, j.line, j.column, j.wrong);
	return 2;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: usetl invoke [-d JSON|@FILE|-] [-t TIMEOUT] "
		"[--stats[=json|pages]]\n"
		"                    [--trace] [--repeat N] [--pause TIME] "
		"[--recycle HOW]\n"
		"                    [--tender HOW] [--store DIR]\n"
		"                    [--gdb[=boot] [--gdb-command CMD]...]\n"
		"                    [--from FILE] IMAGE|URL\n"
		"  -d, --data    the event: JSON, a file's, or stdin's ({})\n"
		"  -t, --timeout instead of the image's, as in 500ms or 10s\n"
		"      --boot-timeout  what the boot may take (IMAGE; 60s)\n"
		"      --stats   times, pages and exits to stderr, or as JSON; "
		"=pages:\n"
		"                whose pages the last run wrote (IMAGE)\n"
		"      --trace   the guest's system calls to stderr (IMAGE)\n"
		"      --repeat  run N times, show the last result\n"
		"      --pause   between them, as in 10ms (IMAGE)\n"
		"      --recycle rollback, fork or keep, between them (IMAGE)\n"
		"      --tender  auto, kvm or process (IMAGE; auto)\n"
		"      --store   keep in DIR what booted, for the next time "
		"(IMAGE)\n"
		"      --from    go on from a snapshot that usetl ctl made; its "
		"image is\n"
		"                where it was, if there is none\n"
		"      --gdb     on the request's guest, with =boot from its "
		"start\n"
		"                (IMAGE, --tender=process)\n"
		"      --gdb-command  for gdb, once attached; any number\n");
}

static int set_recycle(struct invoke_opts *o, const char *text)
{
	int i = words_find(recycle_words, text);

	if (i >= 0) {
		o->recycle = i;
		return 0;
	}
	fprintf(stderr, "%s: --recycle '%s' is not rollback, fork or keep\n",
		who, text);
	return 2;
}

static int set_time(const char *option, const char *text, uint64_t *to)
{
	if (value_time(text, to) == 0 && *to && *to <= 86400000000000ull)
		return 0;
	fprintf(stderr, "%s: %s '%s' is not a time like 500ms or 10s\n", who,
		option, text);
	return 2;
}

static int set_repeat(struct invoke_opts *o, const char *text)
{
	uint64_t n;

	if (value_count(text, &n) < 0 || !n || n > REPEAT_MAX) {
		fprintf(stderr, "%s: --repeat '%s' is not a number from 1 to "
			"%u\n", who, text, REPEAT_MAX);
		return 2;
	}
	o->repeat = n;
	return 0;
}

static int set_stats(struct invoke_opts *o, const char *text)
{
	o->stats = 1;
	o->json = text && !strcmp(text, "json");
	o->pages = text && !strcmp(text, "pages");
	if (!text || o->json || o->pages)
		return 0;
	fprintf(stderr, "%s: --stats '%s' is not json or pages\n", who, text);
	return 2;
}

static int set_gdb(struct invoke_opts *o, const char *text)
{
	o->debug = text ? DEBUG_BOOT : DEBUG_CLONES;
	if (!text || !strcmp(text, "boot"))
		return 0;
	fprintf(stderr, "%s: --gdb '%s' is not boot\n", who, text);
	return 2;
}

static int add_gdb(struct invoke_opts *o, char *text)
{
	char **p = realloc(o->gdb, (o->n_gdb + 1) * sizeof(*p));

	if (!p) {
		fprintf(stderr, "%s: out of memory\n", who);
		return 1;
	}
	o->gdb = p;
	o->gdb[o->n_gdb++] = text;
	return 0;
}

int invoke_is_url(const struct invoke_opts *o)
{
	return o->target && (!strncmp(o->target, "http://", 7) ||
			     !strncmp(o->target, "https://", 8));
}

/* HOST:PORT/function/NAME without a scheme would be a file that is not there */
static int check_url(const struct invoke_opts *o)
{
	if (!o->target || invoke_is_url(o) || access(o->target, F_OK) == 0 ||
	    (!strstr(o->target, "/function/") && !strstr(o->target, "://")))
		return 0;
	fprintf(stderr, "%s: '%s' is no file; a URL begins with http:// or "
		"https://\n", who, o->target);
	return 2;
}

/* what only who runs an image here can say */
static int check_options_of_url(const struct invoke_opts *o)
{
	const char *option = o->trace ? "--trace" : o->tender ? "--tender" :
		o->recycle != RECYCLE_ROLLBACK ? "--recycle" :
		o->boot_ns ? "--boot-timeout" : o->store ? "--store" :
		o->from ? "--from" :
		o->pages ? "--stats=pages" :
		o->pause_ns ? "--pause" : NULL;
	struct err err;

	if (option && invoke_is_url(o)) {
		fprintf(stderr, "%s: %s needs an IMAGE, to run here\n", who,
			option);
		return 2;
	}
	if (tenderopt_check(o->tender, &err) == 0)
		return 0;
	fprintf(stderr, "%s: %s\n", who, err.msg);
	return 2;
}

static int check_pages(const struct invoke_opts *o)
{
	if (!o->pages || o->recycle == RECYCLE_ROLLBACK)
		return 0;
	fprintf(stderr, "%s: --stats=pages is of a rollback: no --recycle\n",
		who);
	return 2;
}

/* what a snapshot has decided */
static int check_from(const struct invoke_opts *o)
{
	const char *option = !o->from ? NULL : o->trace ? "--trace" :
		o->debug ? "--gdb" : NULL;

	if (!option)
		return 0;
	fprintf(stderr, "%s: --from goes on where a guest was: no %s\n", who,
		option);
	return 2;
}

/* what cannot be had together */
static int check_gdb(const struct invoke_opts *o)
{
	const char *why = NULL;

	if (!o->debug)
		why = o->n_gdb ? "--gdb-command is for --gdb" : NULL;
	else if (invoke_is_url(o))
		why = "--gdb needs an IMAGE, to run here";
	else if (o->repeat > 1 || o->recycle != RECYCLE_ROLLBACK || o->stats)
		why = "--gdb is for one run: no --repeat, --recycle or "
			"--stats";
	else if (!strcmp(o->data, "-"))
		why = "standard input is gdb's: no -d -";
	if (!why)
		return 0;
	fprintf(stderr, "%s: %s\n", who, why);
	return 2;
}

static int set(struct invoke_opts *o, int c)
{
	switch (c) {
	case 'd':
		o->data = optarg;
		o->has_data = 1;
		return 0;
	case 't':
		return set_time("-t", optarg, &o->timeout_ns);
	case 'B':
		return set_time("--boot-timeout", optarg, &o->boot_ns);
	case 'S':
		return set_stats(o, optarg);
	case 'T':
		o->trace = 1;
		return 0;
	case 'R':
		return set_repeat(o, optarg);
	case 'P':
		return set_time("--pause", optarg, &o->pause_ns);
	case 'C':
		return set_recycle(o, optarg);
	case 'X':
		o->tender = optarg;
		return 0;
	case 'F':
		o->from = optarg;
		return 0;
	case 'D':
		o->store = optarg;
		return 0;
	case 'G':
		return set_gdb(o, optarg);
	case 'g':
		return add_gdb(o, optarg);
	case 'h':
		usage(stdout);
		return -1;
	}
	usage(stderr);
	return 2;
}

int invoke_parse(int argc, char **argv, struct invoke_opts *o)
{
	static const struct option longs[] = {
		{ "data", required_argument, NULL, 'd' },
		{ "timeout", required_argument, NULL, 't' },
		{ "stats", optional_argument, NULL, 'S' },
		{ "trace", no_argument, NULL, 'T' },
		{ "repeat", required_argument, NULL, 'R' },
		{ "pause", required_argument, NULL, 'P' },
		{ "recycle", required_argument, NULL, 'C' },
		{ "tender", required_argument, NULL, 'X' },
		{ "boot-timeout", required_argument, NULL, 'B' },
		{ "store", required_argument, NULL, 'D' },
		{ "from", required_argument, NULL, 'F' },
		{ "gdb", optional_argument, NULL, 'G' },
		{ "gdb-command", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc;

	argv[0] = "usetl invoke";	/* for getopt's own messages */
	*o = (struct invoke_opts){ .data = "{}", .repeat = 1 };
	while ((c = getopt_long(argc, argv, "d:t:h", longs, NULL)) != -1) {
		rc = set(o, c);
		if (rc)
			return rc;
	}
	if (argc - optind != 1 && (argc - optind || !o->from)) {
		fprintf(stderr, "%s: %s\n", who, argc == optind ?
			"which image or URL?" : "one image or URL at a time");
		usage(stderr);
		return 2;
	}
	o->target = argv[optind];
	rc = check_url(o);
	rc = rc ? rc : check_options_of_url(o);
	rc = rc ? rc : check_from(o);
	rc = rc ? rc : check_pages(o);
	return rc ? rc : check_gdb(o);
}
