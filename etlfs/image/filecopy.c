/* filecopy.c - bytes from one file into another, by the kernel where it can */
#include "etlfs/image/filecopy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK	((size_t)1 << 20)	/* by reading and writing */
#define RANGE	((size_t)64 << 20)	/* by the kernel */

static int put(int to, const char *data, size_t len, uint64_t off)
{
	while (len) {
		ssize_t n = pwrite(to, data, len, (off_t)off);

		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* the rest of it: what no kernel call could copy */
static int copy_by_hand(int from, uint64_t from_off, int to, uint64_t to_off,
			uint64_t len)
{
	char *buf = malloc(CHUNK);
	int rc = buf ? 0 : -ENOMEM;

	while (rc == 0 && len) {
		ssize_t n = pread(from, buf, len < CHUNK ? len : CHUNK,
				  (off_t)from_off);

		if (n <= 0) {
			rc = n < 0 ? -errno : -EBADMSG;
			break;
		}
		rc = put(to, buf, (size_t)n, to_off);
		from_off += (uint64_t)n;
		to_off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	free(buf);
	return rc;
}

static int cannot_range(int error)
{
	return error == EXDEV || error == EINVAL || error == ENOSYS ||
	       error == EOPNOTSUPP || error == EPERM || error == EBADF;
}

int file_copy(int from, uint64_t from_off, int to, uint64_t to_off,
	      uint64_t len)
{
	while (len) {
		off_t in = (off_t)from_off, out = (off_t)to_off;
		ssize_t n = copy_file_range(from, &in, to, &out, len < RANGE ?
					    len : RANGE, 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* some file systems say 0 for what they cannot do */
		if (n == 0 || (n < 0 && cannot_range(errno)))
			return copy_by_hand(from, from_off, to, to_off, len);
		if (n < 0)
			return -errno;
		from_off += (uint64_t)n;
		to_off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}
