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

static const char usage[] =
	"usage: usetl pull [-o IMAGE] [OPTION]... REF\n"
	"\n"
	"  REF is REGISTRY/NAME:TAG, or what else skopeo takes\n"
	"\n"
	"  -o, --output IMAGE          where to, by default NAME.usetl\n"
	"      --tls-verify=false      plain HTTP, or any certificate\n"
	"      --authfile FILE         as of skopeo login\n"
	"      --creds USER:PASSWORD\n"
	"      --cert-dir DIR          certificates of the registry\n"
	"  -h, --help\n";

/* with what is the same in the image that it replaces, if there is one */
static int write_image(struct transfer *t, const struct image *img,
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

static int pull(struct transfer *t, struct err *err)
{
	struct registry_texts texts = { 0 };
	struct image *img = NULL;
	char name[PATH_MAX];
	int rc = t->output ? output_check(t->output, err) : 0;

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
		printf("pulled %s: %.1f MB, sha256 %.12s\n", t->output,
		       img->size / 1e6, img->digest);
	image_close(img);
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
	t.registry.ref = argv[optind];
	return transfer_end(&t, pull(&t, &err), &err);
}
