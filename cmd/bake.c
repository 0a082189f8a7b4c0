/*
 * bake.c - usetl bake: pack a function into an image
 *
 * The image gets its name (cmd/output.h) only when it has booted.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/loglines.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/trial.h"
#include "conf/value.h"
#include "etlfs/bake/pack.h"
#include "etlfs/store/store.h"
#include "vmm/guest/place.h"

struct bake {
	const char *dir, *image, *manifest;
	const char *store;		/* NULL: the default one */
	char dir_of_store[PATH_MAX];	/* the one that it is, or "" */
	int check, no_store, thin;
	uint64_t boot_ns;		/* the trial boot's limit; 0: serve's */
	struct progress progress;
	struct output out;
	char *log;			/* of a tool or a boot that failed; of one
					   that did not, its notes; or NULL */
};

static volatile sig_atomic_t stopped;

static void on_signal(int signo)
{
	stopped = 1;
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: usetl bake [OPTION]... DIR\n"
		"\n"
		"  -o, --output IMAGE    where to, by default NAME.usetl\n"
		"  -f, --file MANIFEST   instead of DIR/function.ini\n"
		"      --no-check        leave the trial boot out\n"
		"      --boot-timeout T  what that may take, as in 90s or 5m (60s)\n"
		"      --store DIR       where layers are kept that were made before\n"
		"      --no-store        make all layers anew, and keep none\n"
		"      --thin            leave all but the function's own files "
		"in the store\n"
		"  -h, --help\n");
}

static void print_size(char *buf, size_t size, const struct pack_result *r)
{
	int n = snprintf(buf, size, "%.*f MB", r->stored ? 2 : 1,
			 r->bytes / 1e6);

	if (r->stored)
		snprintf(buf + n, size - n, " and %.1f MB in the store",
			 r->stored / 1e6);
}

static int on_progress(void *arg, const struct pack_progress *p)
{
	struct bake *b = arg;

	if (stopped)
		return -EINTR;
	progress_tell(&b->progress, p);
	return 0;
}

static void on_warning(void *arg, const char *line)
{
	struct bake *b = arg;

	progress_erase(&b->progress);
	fprintf(stderr, "usetl bake: warning: %s\n", line);
}

/* shown below the error */
static void on_said(void *arg, const char *text)
{
	struct bake *b = arg;

	free(b->log);
	b->log = strdup(text);
}

/* the user's own store, which nobody asked for: there is no place for one */
static int is_no_place(const struct bake *b, int rc)
{
	return !b->store && (rc == -ENOENT || rc == -EACCES || rc == -EROFS ||
			     rc == -ENOTDIR);
}

/* the store, or NULL: only a thin image needs it, others no more than miss it */
static int open_store(struct bake *b, struct store **out, struct err *err)
{
	char *dir = b->dir_of_store, line[1200];
	struct err why = { "" };
	int rc = 0;

	*out = NULL;
	if (b->no_store)
		return 0;
	if (!b->store)
		rc = store_default(dir, PATH_MAX, &why);
	else
		snprintf(dir, PATH_MAX, "%s", b->store);
	if (rc == 0)
		rc = store_open(out, dir, 1, &why);
	if (rc == 0)
		return 0;
	dir[0] = 0;
	if (b->thin)
		return err_set(err, rc, "a thin image needs a store: %.900s",
			       why.msg);
	if (!is_no_place(b, rc)) {
		snprintf(line, sizeof(line), "store: %s", why.msg);
		on_warning(b, line);
	}
	return 0;
}

static int pack(struct bake *b, const struct manifest *m,
		struct pack_result *r, struct err *err)
{
	char base[PATH_MAX];
	struct pack_opts o = {
		.dir = b->dir, .base = base, .image = b->image,
		.manifest = m, .thin = b->thin, .progress = on_progress,
		.warn = on_warning, .said = on_said, .arg = b,
	};
	char *slash;
	int fd, rc;

	snprintf(base, sizeof(base), "%s", b->manifest);
	slash = strrchr(base, '/');
	if (slash)
		slash[slash == base] = 0;
	else
		strcpy(base, ".");
	fd = output_create(&b->out, b->image, err);
	if (fd < 0)
		return fd;
	rc = open_store(b, &o.store, err);
	if (rc == 0)
		rc = pack_function(&o, fd, r, err);
	store_close(o.store);
	if (close(fd) && rc == 0)
		rc = output_cannot(b->image, err);
	progress_erase(&b->progress);
	return rc;
}

/* a warm-up may take its time, or never end */
static int on_boot(void *arg)
{
	static const struct pack_progress p = { .what = "booting it once" };

	return on_progress(arg, &p);
}

/*
 * In *out what the image that is about to be replaced imports of its packages
 * first, where these are the same: most likely it still does.
 */
static int guess_preload(const struct bake *b, struct strings *out)
{
	struct image *was, *now;
	struct err err;
	int rc = 0;

	if (b->no_store || !b->dir_of_store[0] ||
	    image_open_heads(&was, b->image, b->store, &err) < 0)
		return 0;
	if (image_open_heads(&now, b->out.temp, b->store, &err) == 0) {
		now->preload = was->preload;
		for (char **m = place_same_packages(was, now) ? was->preload :
		     NULL; rc == 0 && m && *m; m++)
			rc = strings_add(out, *m, strlen(*m));
		now->preload = NULL;
		image_close(now);
	}
	image_close(was);
	return rc;
}

/* boots it over a guess; 1: it was right, and *r is of the image with it */
static int try_guess(struct bake *b, struct trial_opts *o,
		     struct pack_result *r, struct err *err)
{
	struct strings guess = { 0 }, learned = { 0 };
	char digest[65];
	int rc = guess_preload(b, &guess), right;

	if (rc < 0 || !guess.n) {
		strings_free(&guess);
		return rc;
	}
	o->snapshots = b->dir_of_store;
	rc = pack_preload(b->out.temp, b->store, &guess, digest, err);
	if (rc == 0)
		rc = trial_boot(o, &b->log, &learned, err);
	right = rc == 0 && strings_same(&guess, &learned);
	strings_free(&learned);
	strings_free(&guess);
	o->snapshots = NULL;
	if (right) {
		memcpy(r->digest, digest, sizeof(digest));
		return 1;
	}
	free(b->log);
	b->log = NULL;
	/* as it would have been without */
	return pack_preload(b->out.temp, b->store, &guess, digest, err);
}

/* what it imports of its packages first it may share with others */
static int try_and_learn(struct bake *b, struct pack_result *r,
			 struct err *err)
{
	struct trial_opts o = {
		.image = b->out.temp, .store = b->store,
		.boot_ns = b->boot_ns, .tick = on_boot, .arg = b,
	};
	struct strings preload = { 0 };
	int rc = try_guess(b, &o, r, err);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = stopped ? err_set(err, -EINTR, "stopped") :
	     trial_boot(&o, &b->log, &preload, err);
	if (rc == 0 && preload.n)
		rc = pack_preload(b->out.temp, b->store, &preload, r->digest, err);
	strings_free(&preload);
	return rc;
}

static int check_and_name(struct bake *b, struct pack_result *r,
			  struct err *err)
{
	int rc = 0;

	if (b->check) {
		output_flush(&b->out);
		rc = try_and_learn(b, r, err);
	}
	progress_erase(&b->progress);
	if (rc == 0 && stopped)
		rc = err_set(err, -EINTR, "stopped");
	return rc < 0 ? rc : output_commit(&b->out, err);
}

/* NAME.usetl in the current folder */
static int default_image(const struct bake *b, const struct manifest *m,
			 char *buf, size_t size)
{
	char real[PATH_MAX];
	const char *name = m->name;

	if (!name) {
		if (!realpath(b->dir, real))
			return -errno;
		name = strrchr(real, '/') + 1;
	}
	snprintf(buf, size, "%s.usetl", name);
	return 0;
}

static int bake(struct bake *b, struct err *err)
{
	char manifest[PATH_MAX], image[PATH_MAX], size[80];
	struct pack_result r;
	struct manifest *m;
	struct stat st;
	int rc;

	if (stat(b->dir, &st) || !S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "'%s' is no folder", b->dir);
	if (!b->manifest) {
		snprintf(manifest, sizeof(manifest), "%s/function.ini",
			 b->dir);
		b->manifest = manifest;
	}
	rc = manifest_load(&m, b->manifest, err);
	if (rc == -ENOENT)
		return err_set(err, rc, "cannot open '%.900s': %s; "
			       "function.ini(5) says what to write",
			       b->manifest, strerror(-rc));
	if (rc < 0)
		return rc;
	if (!b->image) {
		rc = default_image(b, m, image, sizeof(image));
		b->image = image;
	}
	if (rc == 0)
		rc = output_check(b->image, err);
	if (rc == 0)
		rc = pack(b, m, &r, err);
	if (rc == 0)
		rc = check_and_name(b, &r, err);
	output_drop(&b->out);
	manifest_destroy(m);
	if (rc < 0)
		return rc;
	print_size(size, sizeof(size), &r);
	printf("baked %s: %s %s, %llu files, %s, sha256 %.12s\n", b->image,
	       r.runtime, r.version, (unsigned long long)r.files, size,
	       r.digest);
	return 0;
}

/* returns true when the options are good; else *status is the exit status */
static int parse(struct bake *b, int argc, char **argv, int *status)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "file", required_argument, NULL, 'f' },
		{ "no-check", no_argument, NULL, 'n' },
		{ "store", required_argument, NULL, 's' },
		{ "no-store", no_argument, NULL, 'S' },
		{ "thin", no_argument, NULL, 'T' },
		{ "boot-timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:f:h", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			b->image = optarg;
			break;
		case 'f':
			b->manifest = optarg;
			break;
		case 'n':
			b->check = 0;
			break;
		case 's':
			b->store = optarg;
			break;
		case 'S':
			b->no_store = 1;
			break;
		case 'T':
			b->thin = 1;
			break;
		case 't':
			if (value_time(optarg, &b->boot_ns) == 0 && b->boot_ns)
				break;
			fprintf(stderr, "usetl bake: --boot-timeout '%s' is "
				"not a time like 90s or 5m\n", optarg);
			*status = 2;
			return 0;
		case 'h':
			usage(stdout);
			*status = 0;
			return 0;
		default:
			usage(stderr);
			*status = 2;
			return 0;
		}
	}
	*status = 2;
	if (b->thin && b->no_store) {
		fprintf(stderr, "usetl bake: --thin needs the store: without "
			"--no-store\n");
		return 0;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usetl bake: %s\n", optind == argc ?
			"which folder?" : "one folder at a time");
		usage(stderr);
		return 0;
	}
	b->dir = argv[optind];
	return 1;
}

/* what works, and yet not as its author may think */
static void print_notes(char *notes)
{
	char *save, *line = strtok_r(notes, "\n", &save);

	for (; line; line = strtok_r(NULL, "\n", &save))
		fprintf(stderr, "usetl bake: note: %s\n", line);
}

int cmd_bake(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct bake b = { .check = 1 };
	struct err err = { "" };
	int status, rc;

	argv[0] = "usetl bake";		/* for getopt's own messages */
	if (!parse(&b, argc, argv, &status))
		return status;
	/* names in archives are UTF-8; times in zips have no zone */
	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC0", 1);
	/* no SA_RESTART: waiting for the interpreter ends too */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	progress_begin(&b.progress, "usetl bake");
	rc = bake(&b, &err);
	if (rc < 0) {
		progress_erase(&b.progress);
		fprintf(stderr, "usetl bake: %s\n", stopped ? "stopped" :
			err.msg);
		if (b.log && !stopped)
			loglines_write(STDERR_FILENO, NULL, b.log,
				       strlen(b.log));
	} else if (b.log) {
		print_notes(b.log);
	}
	free(b.log);
	return rc < 0 ? 1 : 0;
}
