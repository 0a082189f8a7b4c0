/*
 * utimes.c - setting a file's times
 */
#include "unikernel/fs/inode.h"
#include "unikernel/fs/sysfile.h"

/*
 * as much as fits as ns into 64 bits; Linux also clamps to what can be stored
 */
#define SEC_MAX	9223372036ll

static int time_ok(const struct k_timespec *ts)
{
	return ts->nsec == UTIME_NOW || ts->nsec == UTIME_OMIT ||
		(ts->nsec >= 0 && ts->nsec < NSEC_PER_SEC);
}

static void time_set(s64 *ns, const struct k_timespec *ts)
{
	if (ts->nsec == UTIME_OMIT)
		return;
	if (ts->nsec == UTIME_NOW)
		*ns = now_real();
	else
		*ns = MAX(-SEC_MAX, MIN(ts->sec, SEC_MAX - 1)) * NSEC_PER_SEC +
			ts->nsec;
}

/* ts is copied and checked, or NULL for now */
static void times_set(struct inode *ip, const struct k_timespec *ts)
{
	static const struct k_timespec now = { 0, UTIME_NOW };

	time_set(&ip->atime, ts ? &ts[0] : &now);
	time_set(&ip->mtime, ts ? &ts[1] : &now);
	ip->ctime = now_real();
}

static long times_at(int dirfd, const char *path, const struct k_timespec *ts,
		     int flags)
{
	struct lookup lk;
	int rc;

	rc = path_lookup(dirfd, path,
			 (flags & AT_SYMLINK_NOFOLLOW ? LOOKUP_NOFOLLOW : 0) |
			 (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &lk);
	if (rc < 0)
		return rc;
	if (lk.ip)
		times_set(lk.ip, ts);
	path_done(&lk);
	return 0;
}

long sys_utimensat(int dirfd, const char *path, const struct k_timespec *user,
		   int flags)
{
	struct k_timespec ts[2];
	struct file *f;

	if (user) {
		if (!user_ok(user, sizeof(ts), 0))
			return -EFAULT;
		memcpy(ts, user, sizeof(ts));
		if (!time_ok(&ts[0]) || !time_ok(&ts[1]))
			return -EINVAL;
		if (ts[0].nsec == UTIME_OMIT && ts[1].nsec == UTIME_OMIT)
			return 0;
	}
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (path)
		return times_at(dirfd, path, user ? ts : NULL, flags);
	/* futimens() calls this */
	if (flags)
		return -EINVAL;
	f = fd_get(dirfd);
	if (!f)
		return dirfd == AT_FDCWD ? -EFAULT : -EBADF;
	if (f->inode)
		times_set(f->inode, user ? ts : NULL);
	return 0;
}

long sys_futimesat(int dirfd, const char *path, const struct k_timeval *tv)
{
	struct k_timespec ts[2];
	int i;

	if (tv && !user_ok(tv, 2 * sizeof(*tv), 0))
		return -EFAULT;
	for (i = 0; tv && i < 2; i++) {
		if (tv[i].usec < 0 || tv[i].usec >= 1000000)
			return -EINVAL;
		ts[i].sec = tv[i].sec;
		ts[i].nsec = tv[i].usec * 1000;
	}
	return times_at(dirfd, path, tv ? ts : NULL, 0);
}

long sys_utimes(const char *path, const struct k_timeval *tv)
{
	return sys_futimesat(AT_FDCWD, path, tv);
}

long sys_utime(const char *path, const s64 *times)
{
	struct k_timespec ts[2] = { { 0, 0 }, { 0, 0 } };

	if (!times)
		return times_at(AT_FDCWD, path, NULL, 0);
	if (!user_ok(times, 2 * sizeof(*times), 0))
		return -EFAULT;
	ts[0].sec = times[0];
	ts[1].sec = times[1];
	return times_at(AT_FDCWD, path, ts, 0);
}
