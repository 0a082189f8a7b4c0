/*
 * pull.c - usetl pull: an image from a registry
 *
 * It gets its name (cmd/output.h) when all of it was verified.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/transfer.h"
#include "etlfs/store/store.h"

static const char usage[] =
	"usage: usetl pull [-o IMAGE] [OPTION]... REF\n"
	"\n"
	"  REF is REGISTRY/NAME:TAG, or what else skopeo takes\n"
	"\n"
	"  -o, --output IMAGE          where to, by default NAME.usetl\n"
	"      --thin                  leave all but the function's own files "
	"in the store\n"
	"      --store DIR             where layers are kept\n"
	"      --no-store              have all travel, and keep none\n"
	"      --tls-verify=false      plain HTTP, or any certificate\n"
	"      --authfile FILE         as of skopeo login\n"
	"      --creds USER:PASSWORD\n"
	"      --cert-dir DIR          certificates of the registry\n"
	"  -h, --help\n";

/* with what is the same in the image that it replaces, if there is one */
static int write_image(struct transfer *t, struct image *img,
		       const struct registry_texts *texts, const char *path,
		       struct err *err)
{
	struct output out = { 0 };
	int rc = output_check(path, err), fd;

	fd = rc < 0 ? rc : output_create(&out, path, err);
	if (fd < 0)
		return fd;
	rc = registry_pull(&t->registry, img, texts, path, fd, err);
	if (close(fd) && rc == 0)
		rc = output_cannot(path, err);
	if (rc == 0)
		rc = output_commit(&out, err);
	output_drop(&out);
	return rc;
}

/* the store, or NULL: only a thin image needs it */
static int open_store(const struct transfer *t, struct store **out,
		      struct err *err)
{
	struct err why = { "" };
	char dir[PATH_MAX];
	int rc = 0;

	*out = NULL;
	if (t->no_store)
		return 0;
	if (!t->store)
		rc = store_default(dir, sizeof(dir), &why);
	if (rc == 0)
		rc = store_open(out, t->store ? t->store : dir, 1, &why);
	if (rc == 0 || (!t->store && !t->registry.thin))
		return 0;
	return err_set(err, rc, "%s%.900s", t->registry.thin ?
		       "a thin image needs a store: " : "store: ", why.msg);
}

static void print_pulled(const struct transfer *t, const struct image *img)
{
	printf("pulled %s: %.*f MB", t->output, img->thin ? 2 : 1,
	       img->size / 1e6);
	if (img->thin)
		printf(" and %.1f MB in the store",
		       (image_bytes(img) - img->size) / 1e6);
	printf(", sha256 %.12s\n", img->digest);
}

static int pull(struct transfer *t, struct err *err)
{
	struct registry_texts texts = { 0 };
	struct image *img = NULL;
	char name[PATH_MAX];
	int rc = t->output ? output_check(t->output, err) : 0;

	if (rc == 0)
		rc = open_store(t, &t->registry.store, err);
	if (rc == 0)
		rc = registry_look(&t->registry, &img, &texts, err);
	if (rc == 0) {
		snprintf(name, sizeof(name), "%s.usetl", img->name);
		if (!t->output)
			t->output = name;
		rc = write_image(t, img, &texts, t->output, err);
		progress_erase(&t->progress);
	}
	if (rc == 0)
		print_pulled(t, img);
	image_close(img);
	store_close(t->registry.store);
	free(texts.manifest);
	free(texts.config);
	return rc;
}

int cmd_pull(int argc, char **argv)
{
	struct transfer t = { 0 };
	struct err err = { "" };
	int status;

	argv[0] = "usetl pull";
	status = transfer_begin(&t, argc, argv, usage);
	if (status >= 0)
		return status;
	if (optind + 1 != argc) {
		fprintf(stderr, "usetl pull: one reference, please\n%s",
			usage);
		return 2;
	}
	if (t.registry.thin && t.no_store) {
		fprintf(stderr, "usetl pull: --thin needs the store: without "
			"--no-store\n");
		return 2;
	}
	t.registry.ref = argv[optind];
	return transfer_end(&t, pull(&t, &err), &err);
}
