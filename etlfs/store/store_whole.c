/*
 * store_whole.c - layers that were read once, and are what they were then
 *
 * To compute a layer's digest takes longer than all that is done with most of
 * them.  So it is remembered of which file it was computed, and how that was
 * changed last, in a key of the layer's digest.  Nobody sets ctime, so a file
 * that anybody has written to since, or put in its place, is another.  That counts
 * for a writer's mapping, too, once what it had written before is on the disk,
 * and where files are on a disk; what that has made of one only store_verify()
 * finds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "etlfs/store/store_impl.h"

#define KIND	"whole"
#define CALM_S	2		/* since it was changed: times are not exact */

/* linux/magic.h: whose files change in a mapping without a time */
#define TMPFS	0x01021994
#define RAMFS	0x858458f6

int store_stamp(const struct stat *st, char *text, size_t size)
{
	int n;

	if (time(NULL) - st->st_ctim.tv_sec <= CALM_S)
		return -EAGAIN;
	n = snprintf(text, size, "%llu %llu %lld %lld.%09ld %lld.%09ld ",
		     (unsigned long long)st->st_dev,
		     (unsigned long long)st->st_ino, (long long)st->st_size,
		     (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		     (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	return n < (int)size ? n : -E2BIG;
}

int store_stamp_settle(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type == TMPFS || fs.f_type == RAMFS)
		return -EOPNOTSUPP;
	return fdatasync(fd) < 0 ? -errno : 0;
}

int store_whole_knows(struct store *s, const char *digest,
		      const struct stat *st)
{
	char stamp[STORE_STAMP], *text;
	struct err why;
	int same;

	if (store_stamp(st, stamp, sizeof(stamp)) < 0 ||
	    store_key_get(s, KIND, digest, &text, &why) < 0)
		return 0;
	same = !strcmp(text, stamp);
	free(text);
	return same;
}

int store_whole_put(struct store *s, const char *digest,
		    const struct stat *before, int fd)
{
	char was[STORE_STAMP], is[STORE_STAMP];
	struct stat after;
	struct err why;

	/* the same file, all the while that it was read */
	if (store_stamp(before, was, sizeof(was)) < 0 || fstat(fd, &after) ||
	    store_stamp(&after, is, sizeof(is)) < 0 || strcmp(was, is))
		return -EAGAIN;
	return store_key_put(s, KIND, digest, digest, is, &why);
}

int store_whole_is(const char *name)
{
	return !strncmp(name, KIND "-", sizeof(KIND));
}

void store_whole_drop(struct store *s, const char *digest)
{
	char name[sizeof(KIND) + STORE_DIGEST];

	snprintf(name, sizeof(name), KIND "-%s", digest);
	unlinkat(s->keys, name, 0);
}
