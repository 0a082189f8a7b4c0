/*
 * gdb_files.c - a temporary folder with all that gdb reads of a guest
 *
 * The image was checked when it was opened: no name in it leads out of root/,
 * where only folders and files are made.
 */
#include "cmd/gdb_files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/image/image_impl.h"
#include "vmm/tender/blob.h"

static int write_all(int fd, const unsigned char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_make(const char *path, const unsigned char *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return -errno;
	rc = write_all(fd, p, len);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* makes the parents of path, from the character at `from` on */
static int parents_make(char *path, size_t from)
{
	for (char *p = strchr(path + from, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

static int is_elf(const struct image *img, uint32_t node)
{
	const struct etlfs_node *n = image_node(img, node);
	const Elf64_Ehdr *eh;

	if (!S_ISREG(n->mode) || n->size < sizeof(*eh))
		return 0;
	eh = (const void *)image_data(img, node);
	return !memcmp(eh->e_ident, ELFMAG, SELFMAG) &&
	       eh->e_ident[EI_CLASS] == ELFCLASS64 &&
	       (eh->e_type == ET_EXEC || eh->e_type == ET_DYN);
}

static int root_make(const struct image *img, const char *dir)
{
	char path[2 * PATH_MAX];
	size_t len = (size_t)snprintf(path, sizeof(path), "%s/root", dir);
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < img->nodes; i++) {
		if (!is_elf(img, i))
			continue;
		rc = image_node_path(img, i, path + len, PATH_MAX);
		/* -ENOENT: another layer's file is what the guest sees */
		if (rc == -ENAMETOOLONG || rc == -ENOENT) {
			rc = 0;
			continue;
		}
		if (rc == 0)
			rc = parents_make(path, len);
		if (rc == 0)
			rc = file_make(path, image_data(img, i),
				       image_node(img, i)->size);
	}
	return rc;
}

extern const unsigned char gdb_py[], gdb_py_end[];	/* gdb_py.S */
static const struct blob script = { "gdb.py", gdb_py, gdb_py_end };

static int blob_make(const char *dir, const struct blob *b)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, b->name);
	return file_make(path, b->data, (size_t)(b->end - b->data));
}

int gdb_files_create(const struct image *img, char *dir, struct err *err)
{
	static const struct blob *const blob[] = {
		&blob_libos, &blob_stub, &blob_vdso, &script,
	};
	const char *tmp = getenv("TMPDIR");
	int rc = 0;

	if (snprintf(dir, PATH_MAX, "%s/usetl-gdb.XXXXXX", tmp && *tmp ? tmp :
		     "/tmp") >= PATH_MAX || !mkdtemp(dir))
		return err_set(err, -errno, "cannot make '%s': %s", dir,
			       strerror(errno));
	for (size_t i = 0; rc == 0 && i < sizeof(blob) / sizeof(blob[0]); i++)
		rc = blob_make(dir, blob[i]);
	if (rc == 0)
		rc = root_make(img, dir);
	if (rc == 0)
		return 0;
	gdb_files_remove(dir);
	return err_set(err, rc, "cannot write the symbols to '%s': %s; TMPDIR "
		       "names another folder", dir, strerror(-rc));
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	remove(path);
	return 0;
}

void gdb_files_remove(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
