/*
 * rename.c - rename, in all its cases
 *
 * A rename removes the old name, then whatever had the new one, then adds the
 * new one.  Nothing else runs meanwhile, so nobody sees the steps.  When there
 * is no memory for a step, the removed names are put back.
 */
#include "unikernel/fs/inode.h"
#include "unikernel/fs/sysfile.h"

/* whether dir is ip or above it */
static int is_above(struct inode *dir, struct inode *ip)
{
	for (; ip && ip != root_inode; ip = inode_parent(ip))
		if (ip == dir)
			return 1;
	return dir == root_inode;
}

static int check_place(struct lookup *old, struct lookup *new, u32 flags)
{
	int rc;

	if (old->dots)
		return -EBUSY;
	if (new->dots)
		return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (!old->ip)
		return -ENOENT;
	if (old->dir->dev != new->dir->dev || old->ip->dev != new->dir->dev)
		return old->ip->flags & I_MOUNT ? -EBUSY : -EXDEV;
	if (old->ip->flags & I_MOUNT || (new->ip && new->ip->flags & I_MOUNT))
		return -EBUSY;
	rc = dir_may_change(old->dir);
	return rc < 0 ? rc : dir_may_change(new->dir);
}

static int check_kinds(struct lookup *old, struct lookup *new)
{
	int dir = S_ISDIR(old->ip->mode);

	if (!dir && (old->slash || new->slash))
		return -ENOTDIR;
	if (dir && is_above(old->ip, new->dir))
		return -EINVAL;
	if (!new->ip || old->ip == new->ip)
		return 0;
	if (is_above(new->ip, old->dir))
		return -ENOTEMPTY;
	if (dir && !S_ISDIR(new->ip->mode))
		return -ENOTDIR;
	if (!dir && S_ISDIR(new->ip->mode))
		return -EISDIR;
	return dir && !dir_empty(new->ip) ? -ENOTEMPTY : 0;
}

static int check_exchange(struct lookup *old, struct lookup *new)
{
	if (!new->ip)
		return -ENOENT;
	if ((old->slash && !S_ISDIR(old->ip->mode)) ||
	    (new->slash && !S_ISDIR(new->ip->mode)))
		return -ENOTDIR;
	if ((S_ISDIR(old->ip->mode) && is_above(old->ip, new->dir)) ||
	    (S_ISDIR(new->ip->mode) && is_above(new->ip, old->dir)))
		return -EINVAL;
	return 0;
}

static int take(struct lookup *lk)
{
	return dir_remove(lk->dir, lk->name, lk->len);
}

static int give(struct lookup *lk, struct inode *ip)
{
	return dir_add(lk->dir, lk->name, lk->len, ip);
}

static int move(struct lookup *old, struct lookup *new, int exchange)
{
	int rc;

	rc = take(old);
	if (rc < 0)
		return rc;
	if (new->ip) {
		rc = take(new);
		if (rc < 0)
			goto out_old;
	}
	rc = give(new, old->ip);
	if (rc < 0)
		goto out_new;
	if (exchange) {
		rc = give(old, new->ip);
		if (rc < 0)
			goto out_given;
	} else if (new->ip) {
		inode_unlink(new->ip, new->dir);
	}
	old->ip->ctime = now_real();
	return 0;
out_given:
	take(new);
out_new:
	if (new->ip)
		give(new, new->ip);
out_old:
	give(old, old->ip);
	return rc;
}

static int rename_looked(struct lookup *old, struct lookup *new, u32 flags)
{
	int rc;

	rc = check_place(old, new, flags);
	if (rc < 0)
		return rc;
	if (flags & RENAME_NOREPLACE && new->ip)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE)
		rc = check_exchange(old, new);
	else
		rc = check_kinds(old, new);
	if (rc < 0)
		return rc;
	if (old->ip == new->ip)
		return 0;
	return move(old, new, flags & RENAME_EXCHANGE);
}

long sys_renameat2(int olddir, const char *old, int newdir, const char *new,
		   u32 flags)
{
	struct lookup from, to;
	long rc;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	rc = path_lookup(olddir, old, LOOKUP_PARENT | LOOKUP_NEW, &from);
	if (rc < 0)
		return rc;
	rc = path_lookup(newdir, new, LOOKUP_PARENT | LOOKUP_NEW, &to);
	if (rc == 0) {
		rc = rename_looked(&from, &to, flags);
		path_done(&to);
	}
	path_done(&from);
	return rc;
}

long sys_renameat(int olddir, const char *old, int newdir, const char *new)
{
	return sys_renameat2(olddir, old, newdir, new, 0);
}

long sys_rename(const char *old, const char *new)
{
	return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}
