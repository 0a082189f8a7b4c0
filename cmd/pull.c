/*
 * pull.c - usetl pull: an image from a registry
 *
 * It is written beside its destination and gets its name when it was verified.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
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

/* an image, or an empty file: all else stays what it is */
static int may_replace(const char *path, struct err *err)
{
	char head[sizeof("oci-layout")] = "";
	struct stat st;
	ssize_t n = -1;
	int fd;

	if (stat(path, &st) < 0)
		return 0;
	fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		n = read(fd, head, sizeof(head));
		close(fd);
	}
	if (n == 0 || !memcmp(head, "oci-layout", sizeof(head)))
		return 0;
	return err_set(err, -EEXIST, "'%s' is there, and is no usetl image: "
		       "remove it first, or choose another -o", path);
}

static int cannot(const char *path, struct err *err)
{
	return err_set(err, -errno, "cannot write '%s': %s", path,
		       strerror(errno));
}

static int write_image(struct transfer *t, const struct image *img,
		       const struct registry_texts *texts, const char *path,
		       struct err *err)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash + 1 - path) : 0, fd, rc;
	mode_t mask = umask(0);
	char temp[PATH_MAX];

	umask(mask);
	rc = may_replace(path, err);
	if (rc < 0)
		return rc;
	snprintf(temp, sizeof(temp), "%.*s.%s.XXXXXX", dir, path, path + dir);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return cannot(path, err);
	fchmod(fd, 0644 & ~mask);
	rc = registry_pull(&t->registry, img, texts, fd, err);
	if (close(fd) && rc == 0)
		rc = cannot(path, err);
	if (rc == 0 && rename(temp, path))
		rc = cannot(path, err);
	if (rc < 0)
		unlink(temp);
	return rc;
}

static int pull(struct transfer *t, struct err *err)
{
	struct registry_texts texts = { 0 };
	struct image *img = NULL;
	char name[PATH_MAX];
	int rc = registry_look(&t->registry, &img, &texts, err);

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
