/*
 * path.c - from a path to an inode
 *
 * One loop, no recursion: where a symbolic link is followed, its text and
 * what is left of the path become the new path (up to 40 times, then ELOOP).
 * lk->text owns that new path, so lk->name is good until path_done().
 */
#include "unikernel/fs/inode.h"
#include "unikernel/mem/mem.h"

struct inode *vfs_cwd_inode;

/* the link's text and the rest become the path */
static int splice(struct lookup *lk, struct inode *link, const char **p,
		  const char **end)
{
	size_t rest = *end - *p;
	char *text = kmalloc(PATH_MAX + rest);
	long n;

	if (!text)
		return -ENOMEM;
	n = inode_readlink(link, text, PATH_MAX);
	if (n == 0)
		n = -ENOENT;
	if (n > 0 && n + rest >= PATH_MAX)
		n = -ENAMETOOLONG;
	if (n < 0) {
		kfree(text);
		return n;
	}
	memcpy(text + n, *p, rest);
	kfree(lk->text);
	lk->text = text;
	*p = text;
	*end = text + n + rest;
	return 0;
}

/* sets *next to what name means in cur, with a reference; lk's name and dots */
static int step(struct lookup *lk, struct inode *cur, const char *name,
		size_t len, struct inode **next)
{
	int rc;

	*next = NULL;
	if (!S_ISDIR(cur->mode))
		return -ENOTDIR;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	lk->name = name;
	lk->len = len;
	lk->dots = name[0] != '.' ? 0 : len == 1 ? 1 :
		len == 2 && name[1] == '.' ? 2 : 0;
	if (lk->dots == 1)
		*next = cur;
	else if (lk->dots == 2)
		*next = inode_parent(cur);
	else {
		rc = dir_find(cur, name, len, next);
		task_looks += rc == 0 && imagefs_uppermost((*next)->node);
		return rc;
	}
	if (!*next)
		return -ENOENT;
	inode_get(*next);
	return 0;
}

/*
 * Follows a link that stands for an open file: the file's inode replaces the
 * link's.  1 when the file has no inode; then lk->file is the result.
 */
static int follow_file(struct lookup *lk, struct inode **ip, int last)
{
	struct file *f = (*ip)->ops->follow(*ip);

	if (!f)
		return -ENOENT;
	if (!f->inode) {
		if (!last)
			return -ENOTDIR;
		lk->file = f;
		return 1;
	}
	inode_get(f->inode);
	inode_put(*ip);
	*ip = f->inode;
	return 0;
}

static int follows(struct inode *ip, int last, int slash, int flags)
{
	if (!S_ISLNK(ip->mode))
		return 0;
	if (!last)
		return 1;
	if (flags & LOOKUP_PARENT)
		return 0;
	return slash || !(flags & LOOKUP_NOFOLLOW);
}

static int only_slashes(const char *p, const char *end)
{
	while (p < end && *p == '/')
		p++;
	return p == end;
}

/*
 * Follows the link next.  1: the path was replaced, and goes on from *cur.  0:
 * next, or lk->file, is what the link stands for.
 */
static int follow_link(struct lookup *lk, struct inode **next, int last,
		       struct inode **cur, const char **p, const char **end)
{
	int rc;

	if ((*next)->ops && (*next)->ops->follow)
		return MIN(follow_file(lk, next, last), 0);
	rc = splice(lk, *next, p, end);
	if (rc < 0)
		return rc;
	inode_put(*next);
	if (**p == '/') {
		inode_put(*cur);
		*cur = inode_get(root_inode);
	}
	return 1;
}

/* at the last name, whose inode is next, or NULL */
static int arrive(struct lookup *lk, struct inode *cur, struct inode *next,
		  int flags)
{
	lk->dir = inode_get(cur);
	lk->ip = next;
	if (lk->slash && next && !S_ISDIR(next->mode) &&
	    !(flags & LOOKUP_PARENT))
		return -ENOTDIR;
	return 0;
}

static int walk(struct lookup *lk, struct inode **cur, const char *p,
		const char *end, int flags)
{
	struct inode *next;
	const char *name;
	int links = 0, last, rc;

	for (;;) {
		while (p < end && *p == '/')
			p++;
		if (p == end) {
			lk->dots = 3;
			lk->ip = inode_get(*cur);
			return 0;
		}
		for (name = p; p < end && *p != '/'; )
			p++;
		lk->slash = p < end;
		last = only_slashes(p, end);
		if (last && lk->slash && flags & LOOKUP_FILE &&
		    S_ISDIR((*cur)->mode))
			return -EISDIR;
		rc = step(lk, *cur, name, p - name, &next);
		if (rc == -ENOENT && last && !lk->dots && flags & LOOKUP_NEW)
			return arrive(lk, *cur, NULL, flags);
		if (rc == 0 && follows(next, last, lk->slash, flags))
			rc = ++links > MAXSYMLINKS ? -ELOOP :
				follow_link(lk, &next, last, cur, &p, &end);
		if (rc == 1)
			continue;
		if (rc < 0 || lk->file) {
			inode_put(next);
			return rc;
		}
		if (last)
			return arrive(lk, *cur, next, flags);
		inode_put(*cur);
		*cur = next;
	}
}

int path_walk(struct inode *start, const char *path, size_t len, int flags,
	      struct lookup *lk)
{
	struct inode *cur;
	int rc;

	memset(lk, 0, sizeof(*lk));
	if (len == 0)
		return -ENOENT;
	cur = inode_get(*path == '/' ? root_inode : start);
	rc = walk(lk, &cur, path, path + len, flags);
	inode_put(cur);
	if (rc < 0)
		path_done(lk);
	return rc;
}

/* for "" with LOOKUP_EMPTY */
static int lookup_fd(int dirfd, struct lookup *lk)
{
	struct file *f;

	lk->dots = 3;
	if (dirfd == AT_FDCWD) {
		lk->ip = inode_get(vfs_cwd_inode);
		return 0;
	}
	f = fd_get_path(dirfd);
	if (!f)
		return -EBADF;
	if (f->inode)
		lk->ip = inode_get(f->inode);
	else
		lk->file = f;
	return 0;
}

int path_lookup(int dirfd, const char *path, int flags, struct lookup *lk)
{
	struct inode *start = vfs_cwd_inode;
	struct file *f;
	long n;

	memset(lk, 0, sizeof(*lk));
	n = user_strlen(path, PATH_MAX - 1);
	if (n < 0)
		return n;
	if (n == 0)
		return flags & LOOKUP_EMPTY ? lookup_fd(dirfd, lk) : -ENOENT;
	if (*path != '/' && dirfd != AT_FDCWD) {
		f = fd_get_path(dirfd);
		if (!f)
			return -EBADF;
		if (!f->inode || !S_ISDIR(f->inode->mode))
			return -ENOTDIR;
		start = f->inode;
	}
	return path_walk(start, path, n, flags, lk);
}

void path_done(struct lookup *lk)
{
	inode_put(lk->dir);
	inode_put(lk->ip);
	kfree(lk->text);
	memset(lk, 0, sizeof(*lk));
}

int vfs_chdir(struct inode *dir)
{
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	inode_get(dir);
	inode_put(vfs_cwd_inode);
	vfs_cwd_inode = dir;
	return 0;
}

long vfs_cwd(char *buf, size_t len)
{
	return inode_path(vfs_cwd_inode, buf, len);
}
