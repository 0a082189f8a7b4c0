/* text.c - a whole file that a person wrote */
#include "conf/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* up to size bytes of fd; how many, or -errno */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < size && (n = read(fd, buf + len, size - len)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? n : 0;
	}
	return len;
}

ssize_t text_load(const char *path, size_t max, char **text, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *buf;
	ssize_t n;

	if (fd < 0)
		return err_set(err, -errno, "cannot open '%s': %s", path,
			       strerror(errno));
	/* one more, to see that there is no more */
	buf = malloc(max + 1);
	n = buf ? read_all(fd, buf, max + 1) : -ENOMEM;
	close(fd);
	if (n < 0)
		err_set(err, n, "cannot read '%s': %s", path, strerror(-n));
	else if ((size_t)n > max)
		n = err_set(err, -EFBIG, "'%s' is longer than %zu bytes", path,
			    max);
	if (n < 0) {
		free(buf);
		return n;
	}
	*text = buf;
	return n;
}
