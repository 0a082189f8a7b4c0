/*
 * cred.c - users, groups and capabilities
 *
 * A function is root of its own machine and of nothing else: every id is 0 and
 * a change to 0 succeeds.  A change to another id succeeds as root's would, and
 * is remembered, but no permission depends on it.
 */
#include "unikernel/task/task.h"

#define NO_CHANGE	(~0u)

struct ids {
	u32 real, effective, saved, fs;
};

static struct ids user, group;

#define GROUPS_MAX	64

static u32 groups[GROUPS_MAX];
static int ngroups;

static long set_ids(struct ids *id, u32 r, u32 e, u32 s)
{
	if (r != NO_CHANGE)
		id->real = r;
	if (e != NO_CHANGE)
		id->effective = id->fs = e;
	if (s != NO_CHANGE)
		id->saved = s;
	return 0;
}

static long get_ids(const struct ids *id, u32 *r, u32 *e, u32 *s)
{
	if (!user_ok(r, sizeof(*r), 1) || !user_ok(e, sizeof(*e), 1) ||
	    !user_ok(s, sizeof(*s), 1))
		return -EFAULT;
	*r = id->real;
	*e = id->effective;
	*s = id->saved;
	return 0;
}

static long set_fs(struct ids *id, u32 fs)
{
	u32 old = id->fs;

	if (fs != NO_CHANGE)
		id->fs = fs;
	return old;
}

long sys_getuid(void)
{
	return user.real;
}

long sys_geteuid(void)
{
	return user.effective;
}

long sys_getgid(void)
{
	return group.real;
}

long sys_getegid(void)
{
	return group.effective;
}

long sys_setuid(u32 id)
{
	return id == NO_CHANGE ? -EINVAL : set_ids(&user, id, id, id);
}

long sys_setgid(u32 id)
{
	return id == NO_CHANGE ? -EINVAL : set_ids(&group, id, id, id);
}

long sys_setreuid(u32 r, u32 e)
{
	return set_ids(&user, r, e, NO_CHANGE);
}

long sys_setregid(u32 r, u32 e)
{
	return set_ids(&group, r, e, NO_CHANGE);
}

long sys_setresuid(u32 r, u32 e, u32 s)
{
	return set_ids(&user, r, e, s);
}

long sys_setresgid(u32 r, u32 e, u32 s)
{
	return set_ids(&group, r, e, s);
}

long sys_getresuid(u32 *r, u32 *e, u32 *s)
{
	return get_ids(&user, r, e, s);
}

long sys_getresgid(u32 *r, u32 *e, u32 *s)
{
	return get_ids(&group, r, e, s);
}

long sys_setfsuid(u32 id)
{
	return set_fs(&user, id);
}

long sys_setfsgid(u32 id)
{
	return set_fs(&group, id);
}

long sys_getgroups(int n, u32 *list)
{
	if (n < 0 || (n && n < ngroups))
		return -EINVAL;
	if (!n)
		return ngroups;
	if (!user_ok(list, ngroups * sizeof(*list), 1))
		return -EFAULT;
	memcpy(list, groups, ngroups * sizeof(*list));
	return ngroups;
}

long sys_setgroups(int n, const u32 *list)
{
	if (n < 0 || n > GROUPS_MAX)
		return -EINVAL;
	if (!user_ok(list, n * sizeof(*list), 0))
		return -EFAULT;
	memcpy(groups, list, n * sizeof(*list));
	ngroups = n;
	return 0;
}

/* head: version, pid; data: effective, permitted, inheritable, twice each */
long sys_capget(u32 *head, u32 *data)
{
	if (!user_ok(head, 8, 1))
		return -EFAULT;
	if (head[0] != _LINUX_CAPABILITY_VERSION_3) {
		head[0] = _LINUX_CAPABILITY_VERSION_3;
		return data ? -EINVAL : 0;
	}
	if (!data)
		return 0;
	if (!user_ok(data, 24, 1))
		return -EFAULT;
	memset(data, 0, 24);
	return 0;
}

long sys_capset(u32 *head, const u32 *data)
{
	return -EPERM;
}
