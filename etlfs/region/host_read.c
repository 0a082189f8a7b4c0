/*
 * host_read.c - read a body out of a clone's memory
 *
 * process_vm_readv(2); where that is refused, /proc/PID/mem.  Both want what
 * a debugger would want (ptrace(2), "Ptrace access mode checking"): the same
 * user, or a capability.  Root has clones run as another user, and lacks the
 * capability in most containers; then the file is opened as that user.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "etlfs/region/host.h"

#define READ_IOVS	64

static int mem_open(pid_t pid)
{
	char path[64];
	struct stat st;
	uid_t uid;
	gid_t gid;
	int fd, rc;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	rc = -errno;
	if ((rc != -EACCES && rc != -EPERM) || geteuid() != 0 ||
	    stat(path, &st) < 0)
		return rc;
	gid = (gid_t)setfsgid(st.st_gid);
	uid = (uid_t)setfsuid(st.st_uid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = -errno;
	setfsuid(uid);
	setfsgid(gid);
	return fd < 0 ? rc : fd;
}

static ssize_t mem_read(pid_t pid, const struct iovec *v, size_t n, char *buf)
{
	int fd = mem_open(pid);
	ssize_t got = 0, sum = 0;

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < n; i++) {
		got = pread(fd, buf + sum, v[i].iov_len,
			    (off_t)(uintptr_t)v[i].iov_base);
		if (got < 0 && !sum)
			sum = -errno;
		if (got > 0)
			sum += got;
		if (got != (ssize_t)v[i].iov_len)
			break;
	}
	close(fd);
	return sum;
}

ssize_t host_read_process(pid_t pid, const struct body_part *part, size_t n,
			  uint64_t off, void *buf, size_t len)
{
	struct iovec remote[READ_IOVS];
	struct iovec local = { .iov_base = buf };
	size_t i, k = 0;
	uint64_t here;
	ssize_t rc;

	for (i = 0; i < n && k < READ_IOVS && local.iov_len < len; i++) {
		if (off >= part[i].len) {
			off -= part[i].len;
			continue;
		}
		here = part[i].len - off;
		if (here > len - local.iov_len)
			here = len - local.iov_len;
		remote[k].iov_base = (void *)(uintptr_t)(part[i].addr + off);
		remote[k++].iov_len = here;
		local.iov_len += here;
		off = 0;
	}
	rc = process_vm_readv(pid, &local, 1, remote, k, 0);
	if (rc < 0 && (errno == EPERM || errno == ENOSYS))
		return mem_read(pid, remote, k, buf);
	return rc < 0 ? -errno : rc;
}
