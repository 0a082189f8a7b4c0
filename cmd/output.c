/* output.c - where bake and pull write an image */
#include "cmd/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_cannot(const char *path, struct err *err)
{
	return err_set(err, -errno, "cannot write '%s': %s", path,
		       strerror(errno));
}

/*
 * The image takes the place of an older one or of an empty file.  A slip like
 * `-o app.py` must not cost a function's source, nor root's `-o /dev/null`
 * all others their /dev/null.
 */
int output_check(const char *path, struct err *err)
{
	/* the first member of an image, and of one of format 1 */
	static const char member[] = "oci-layout";
	static const char older[] = "usetl/manifest.json";
	char head[sizeof(older)] = "";
	struct stat st;
	ssize_t n = -1;
	int fd;

	if (stat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return output_cannot(path, err);
	}
	fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		n = read(fd, head, sizeof(head));
		close(fd);
	}
	if (n == 0 || !memcmp(head, member, sizeof(member)) ||
	    !memcmp(head, older, sizeof(older)))
		return 0;
	return err_set(err, -EEXIST, "'%s' is there, and is no usetl image: "
		       "remove it first, or choose another -o", path);
}

int output_create(struct output *o, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	mode_t mask = umask(0);
	int fd, n;

	umask(mask);
	o->path = path;
	o->flushing = 0;
	n = snprintf(o->temp, sizeof(o->temp), "%.*s.%s.XXXXXX",
		     (int)(name - path), path, name);
	errno = ENAMETOOLONG;
	fd = (size_t)n < sizeof(o->temp) ? mkostemp(o->temp, O_CLOEXEC) : -1;
	if (fd < 0) {
		o->temp[0] = 0;
		return output_cannot(path, err);
	}
	fchmod(fd, 0644 & ~mask);
	return fd;
}

static void *flush(void *arg)
{
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	close(fd);
	return NULL;
}

void output_flush(struct output *o)
{
	o->flushing = access(o->path, F_OK) == 0 &&
		      pthread_create(&o->flush, NULL, flush, o->temp) == 0;
}

static void flush_end(struct output *o)
{
	if (o->flushing)
		pthread_join(o->flush, NULL);
	o->flushing = 0;
}

int output_commit(struct output *o, struct err *err)
{
	flush_end(o);
	if (rename(o->temp, o->path))
		return output_cannot(o->path, err);
	o->temp[0] = 0;
	return 0;
}

void output_drop(struct output *o)
{
	flush_end(o);
	if (o->temp[0])
		unlink(o->temp);
	o->temp[0] = 0;
}
