/* push.c - usetl push: an image to a registry */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/transfer.h"

static const char usage[] =
	"usage: usetl push [OPTION]... IMAGE REF\n"
	"\n"
	"  REF is REGISTRY/NAME:TAG, or what else skopeo takes\n"
	"\n"
	"      --store DIR             where a thin image's layers are\n"
	"      --tls-verify=false      plain HTTP, or any certificate\n"
	"      --authfile FILE         as of skopeo login\n"
	"      --creds USER:PASSWORD\n"
	"      --cert-dir DIR          certificates of the registry\n"
	"  -h, --help\n";

static int push(struct transfer *t, const char *path, struct err *err)
{
	struct image *img;
	int rc = image_open(&img, path, t->store, err);

	if (rc < 0)
		return rc;
	rc = registry_push(&t->registry, img, err);
	progress_erase(&t->progress);
	if (rc == 0)
		printf("pushed %s to %s: %.1f MB, sha256 %.12s\n", path,
		       t->registry.ref, image_bytes(img) / 1e6, img->digest);
	image_close(img);
	return rc;
}

int cmd_push(int argc, char **argv)
{
	struct transfer t = { 0 };
	struct err err = { "" };
	int status;

	argv[0] = "usetl push";
	status = transfer_begin(&t, argc, argv, usage);
	if (status >= 0)
		return status;
	if (optind + 2 != argc) {
		fprintf(stderr, "usetl push: an image and a reference, "
			"please\n%s", usage);
		return 2;
	}
	t.registry.ref = argv[optind + 1];
	return transfer_end(&t, push(&t, argv[optind], &err), &err);
}
