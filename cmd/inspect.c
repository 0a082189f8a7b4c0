/*
 * inspect.c - usetl inspect: say what is in an image
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "conf/value.h"
#include "etlfs/image/image.h"
#include "vmm/guest/place.h"
#include "vmm/guest/saved.h"

struct inspect {
	int json, list, verify;
	const char *path;
	const char *store;		/* of a thin image, or NULL */
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: usetl inspect [--json] [-l] [--verify] [--store DIR] IMAGE\n"
		"\n"
		"  -j, --json      the same as JSON\n"
		"  -l, --list      every file, as `tar tv` lists them\n"
		"      --verify    compare the image with its digest\n"
		"      --store     where a thin image's layers are\n"
		"  -h, --help\n");
}

/* an ELF file that is named as a library */
static int is_library(const struct image *img, uint32_t i)
{
	const struct etlfs_node *n = image_node(img, i);
	size_t len;
	const char *name = image_name(img, i, &len);
	const char *so = memmem(name, len, ".so", 3);

	return S_ISREG(n->mode) && n->size > 4 && so &&
		(so + 3 == name + len || so[3] == '.') &&
		!memcmp(image_data(img, i), "\177ELF", 4);
}

struct library {
	char *path;
	uint64_t size;
};

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct library *)a)->path,
		      ((const struct library *)b)->path);
}

/* the packed libraries by path, *n of them; the caller's */
static struct library *libraries(const struct image *img, size_t *n)
{
	struct library *lib = calloc(img->nodes, sizeof(*lib));
	char path[4096];

	*n = 0;
	for (uint32_t i = 0; lib && i < img->nodes; i++) {
		if (!is_library(img, i) ||
		    image_node_path(img, i, path, sizeof(path)))
			continue;
		lib[*n].path = strdup(path);
		if (!lib[*n].path)
			break;
		lib[(*n)++].size = image_node(img, i)->size;
	}
	if (lib)
		qsort(lib, *n, sizeof(*lib), by_path);
	return lib;
}

static void libraries_free(struct library *lib, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(lib[i].path);
	free(lib);
}

static void print_duration(uint64_t ns)
{
	if (ns % 1000000000)
		printf("%llums", (unsigned long long)ns / 1000000);
	else
		printf("%llus", (unsigned long long)ns / 1000000000);
}

static void print_limit(const char *what, uint64_t bytes)
{
	char text[VALUE_SIZE_MAX];

	value_print_size(text, bytes);
	printf("%-12s %s\n", what, text);
}

static void print_list(const char *what, char *const *v)
{
	printf("%-12s", what);
	for (; v && *v; v++)
		printf(" %s", *v);
	putchar('\n');
}

static void print_head(const struct image *img)
{
	char *const public[] = { "the public internet", NULL };

	printf("%-12s %s\n", "name", img->name);
	printf("%-12s %s\n", "handler", img->handler);
	printf("%-12s %s, python %s\n", "interpreter", img->interpreter,
	       img->version);
	printf("%-12s %s\n", "fork", place_fork_point(img));
	print_limit("memory", img->memory);
	print_limit("files", img->files);
	printf("%-12s ", "timeout");
	print_duration(img->timeout_ns);
	putchar('\n');
	print_list("egress", img->egress ? img->egress : (char **)public);
	print_list("command", img->argv);
	for (char *const *v = img->env; v && *v; v++)
		printf("%-12s %s\n", v == img->env ? "environment" : "", *v);
}

/* how many paths there are */
static uint32_t names(const struct image *img)
{
	uint32_t n = 0;
	char path[8192];

	for (uint32_t i = 0; i < img->nodes; i++)
		n += image_node_path(img, i, path, sizeof(path)) != -ENOENT;
	return n;
}

/* what functions that agree in it have in memory once */
static void print_shared(const struct image *img)
{
	const struct image_layer *l = img->layer;

	if (place_forks_at_boot(img))
		return;
	printf("%-12s runtime   with all of sha256 %.12s\n", "shared",
	       l[ETLFS_LAYER_RUNTIME].digest);
	if (!img->preload || !l[ETLFS_LAYER_PACKAGES].len)
		return;
	printf("%-12s packages  with all of sha256 %.12s that import",
	       "", l[ETLFS_LAYER_PACKAGES].digest);
	for (char *const *m = img->preload; *m; m++)
		printf(" %s", *m);
	putchar('\n');
}

static int print_text(const struct image *img)
{
	size_t n;
	struct library *lib = libraries(img, &n);

	if (!lib)
		return -ENOMEM;
	print_head(img);
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (!l->len)
			continue;
		printf("%-12s %-9s %9.1f MB %6u files  sha256 %.12s%s\n",
		       i ? "" : "layers", l->name, l->len / 1e6, l->files,
		       l->digest, l->stored ? "  in the store" : "");
	}
	print_shared(img);
	for (size_t i = 0; i < n; i++)
		printf("%-12s %9.1f KB  %s\n", i ? "" : "libraries",
		       lib[i].size / 1e3, lib[i].path);
	printf("%-12s %.*f MB, %u names, sha256 %s\n", "total",
	       img->thin ? 2 : 1, img->size / 1e6, names(img), img->digest);
	libraries_free(lib, n);
	return 0;
}

static json_t *json_list(char *const *v)
{
	json_t *a;

	if (!v)
		return json_null();
	a = json_array();
	for (; *v; v++)
		json_array_append_new(a, json_string(*v));
	return a;
}

static json_t *json_layers(const struct image *img)
{
	json_t *a = json_array();

	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &img->layer[i];

		if (!l->len)
			continue;
		json_array_append_new(a, json_pack(
			"{s:s, s:o, s:I, s:I, s:s}", "name", l->name,
			"offset", l->stored ? json_null() :
			json_integer((json_int_t)l->off),
			"length", (json_int_t)l->len,
			"files", (json_int_t)l->files, "sha256", l->digest));
	}
	return a;
}

static json_t *json_libraries(const struct image *img)
{
	json_t *a = json_array();
	size_t n;
	struct library *lib = libraries(img, &n);

	for (size_t i = 0; lib && i < n; i++)
		json_array_append_new(a, json_pack(
			"{s:s, s:I}", "path", lib[i].path, "size",
			(json_int_t)lib[i].size));
	if (lib)
		libraries_free(lib, n);
	return a;
}

static int print_json(const struct image *img)
{
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, "
		"s:o, s:I, s:I, s:s, s:o}",
		"name", img->name, "handler", img->handler,
		"interpreter", img->interpreter, "python", img->version,
		"fork", place_fork_point(img),
		"memory", (json_int_t)img->memory,
		"files", (json_int_t)img->files,
		"timeout_ns", (json_int_t)img->timeout_ns,
		"egress", json_list(img->egress),
		"command", json_list(img->argv),
		"environment", json_list(img->env),
		"layers", json_layers(img), "libraries", json_libraries(img),
		"names", (json_int_t)names(img),
		"size", (json_int_t)img->size, "sha256", img->digest,
		"preload", json_list(img->preload));
	int rc = o ? json_dumpf(o, stdout, JSON_INDENT(2)) : -1;

	putchar('\n');
	json_decref(o);
	return rc ? -ENOMEM : 0;
}

static void print_mode(uint32_t mode)
{
	static const char bits[] = "rwxrwxrwx";

	putchar(S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : '-');
	for (int i = 0; i < 9; i++)
		putchar(mode & 0400 >> i ? bits[i] : '-');
}

/* names can hold anything: control characters must not reach a terminal */
static void print_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];

		if (c < ' ' || c == 0177 || c == '\\')
			printf("\\%03o", c);
		else
			putchar(c);
	}
}

static void list_node(const struct image *img, uint32_t i)
{
	const struct etlfs_node *n = image_node(img, i);
	char path[8192], when[32];
	time_t t = n->mtime;
	const char *target;
	struct tm tm;
	size_t len;

	if (image_node_path(img, i, path, sizeof(path)))
		strcpy(path, "?");
	if (!gmtime_r(&t, &tm) ||
	    !strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm))
		strcpy(when, "?");
	print_mode(n->mode);
	printf(" 0/0 %12llu %s ", S_ISREG(n->mode) ?
	       (unsigned long long)n->size : 0, when);
	print_name(path, strlen(path));
	if (S_ISLNK(n->mode)) {
		printf(" -> ");
		target = image_target(img, i, &len);
		print_name(target, len);
	}
	putchar('\n');
}

/* depth first, as people read trees */
static int list(void *arg, uint32_t i)
{
	const struct image *img = arg;

	list_node(img, i);
	return S_ISDIR(image_node(img, i)->mode) ?
		image_list(img, i, list, arg) : 0;
}

static int inspect(const struct inspect *in, struct err *err)
{
	struct image *img;
	int rc = image_open(&img, in->path, in->store, err);

	if (rc < 0)
		return saved_no_image(in->path, rc, err);
	if (in->verify) {
		rc = image_verify(img, err);
		if (!rc && !in->json && !in->list)
			printf("%s: whole, sha256 %s\n", in->path,
			       img->digest);
	} else if (!in->list && !in->json) {
		rc = print_text(img);
	}
	if (!rc && in->list)
		rc = list(img, 0);
	else if (!rc && in->json)
		rc = print_json(img);
	image_close(img);
	if (rc == -ENOMEM)
		err_set(err, rc, "out of memory");
	if (!rc && (fflush(stdout) || ferror(stdout)))
		rc = err_set(err, -EIO, "cannot write standard output");
	return rc;
}

int cmd_inspect(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "list", no_argument, NULL, 'l' },
		{ "verify", no_argument, NULL, 'v' },
		{ "store", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct inspect in = { 0 };
	struct err err = { "" };
	int c;

	argv[0] = "usetl inspect";	/* for getopt's own messages */
	while ((c = getopt_long(argc, argv, "jlh", longs, NULL)) != -1) {
		if (c == 'j') {
			in.json = 1;
		} else if (c == 'l') {
			in.list = 1;
		} else if (c == 'v') {
			in.verify = 1;
		} else if (c == 's') {
			in.store = optarg;
		} else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind + 1 != argc || (in.json && in.list)) {
		fprintf(stderr, "usetl inspect: %s\n", optind + 1 != argc ?
			"one image, please" : "--json or --list, not both");
		usage(stderr);
		return 2;
	}
	in.path = argv[optind];
	if (inspect(&in, &err)) {
		fprintf(stderr, "usetl inspect: %s\n", err.msg);
		return 1;
	}
	return 0;
}
