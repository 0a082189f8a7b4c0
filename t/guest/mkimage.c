/*
 * mkimage.c - an image whose program is a C program instead of Python
 *
 * usage: mkimage IMAGE PROGRAM
 *
 * For the tests: the libOS runs whatever the image's argv names, so a test
 * program, static or dynamic, is packed with its ld.so and libraries by the
 * same builder that packs interpreters.  It ends before READY, so invoking
 * the image shows its output as the log of a boot that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/bake/elfdeps.h"
#include "etlfs/bake/pack.h"

#define GUEST_PATH	"/app/test"

static int64_t add_program(struct tree *t, const char *path, struct err *err)
{
	struct tree_file f = { .layer = ETLFS_LAYER_RUNTIME, .mode = 0755 };
	struct stat st;

	if (stat(path, &st) < 0)
		return err_set(err, -errno, "'%s': %s", path,
			       strerror(errno));
	f.host = path;
	f.size = st.st_size;
	return tree_add_file(t, GUEST_PATH, &f, err);
}

/* its ld.so and what it needs; none of it for a static program */
static int add_libraries(struct tree *t, uint32_t program, struct err *err)
{
	struct elfdeps *deps = NULL;
	struct elf_info info;
	int64_t rc = elfdeps_info_read(t, program, &info, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, -ENOEXEC, "not an x86-64 program");
	if (!info.interp) {
		elfdeps_info_free(&info);
		return 0;
	}
	rc = tree_add_host(t, info.interp, ETLFS_LAYER_RUNTIME, err);
	elfdeps_info_free(&info);
	if (rc >= 0)
		rc = elfdeps_create(&deps, t, program, err);
	if (rc >= 0)
		rc = elfdeps_add(deps, 0, ETLFS_LAYER_RUNTIME, err);
	/* glibc loads it by name when a thread is cancelled */
	if (rc >= 0)
		rc = elfdeps_want(deps, "libgcc_s.so.1", ETLFS_LAYER_RUNTIME,
				  err);
	elfdeps_destroy(deps);
	return rc < 0 ? rc : 0;
}

static int write_image(struct tree *t, const char *path, struct err *err)
{
	char *argv[] = { GUEST_PATH, NULL };
	char *env[] = { "PATH=/usr/bin:/bin", "HOME=/tmp",
			"LC_ALL=C.UTF-8", "TMPDIR=/tmp", NULL };
	struct image meta = {
		.name = "test", .handler = "none.none",
		.interpreter = GUEST_PATH, .version = "0.0.0",
		.argv = argv, .env = env, .memory = 256u << 20,
		.files = 64u << 20, .timeout_ns = 20000000000ull,
	};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return err_set(err, -errno, "'%s': %s", path,
			       strerror(errno));
	rc = pack_write(t, &meta, fd, NULL, NULL, NULL, err);
	close(fd);
	return rc;
}

int main(int argc, char **argv)
{
	struct err err = { "" };
	struct tree *t = NULL;
	int64_t rc;

	if (argc != 3) {
		fprintf(stderr, "usage: mkimage IMAGE PROGRAM\n");
		return 2;
	}
	rc = tree_create(&t, &err);
	if (rc >= 0)
		rc = add_program(t, argv[2], &err);
	if (rc >= 0)
		rc = add_libraries(t, rc, &err);
	if (rc >= 0 && tree_add_dir(t, "/tmp", ETLFS_LAYER_RUNTIME,
				    &err) < 0)
		rc = -EIO;
	if (rc >= 0)
		rc = tree_add_data(t, "/etc/passwd", "root:x:0:0::/tmp:\n",
				   18, ETLFS_LAYER_RUNTIME, &err);
	if (rc >= 0)
		rc = write_image(t, argv[1], &err);
	tree_destroy(t);
	if (rc < 0) {
		fprintf(stderr, "mkimage: %s\n", err.msg);
		return 1;
	}
	return 0;
}
