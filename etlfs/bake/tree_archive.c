/*
 * tree_archive.c - zips and tars into the tree, by libarchive
 *
 * Content goes to the spool, never to the host's own file system.  What an
 * archive says is not trusted: names are taken apart and put together again,
 * and a member that would leave the target folder is an error.
 */
#include "etlfs/bake/tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK		65536

struct unpack {
	struct tree *t;
	struct archive *a;
	const struct tree_archive *from;
	struct err *err;
	char buf[BLOCK];
};

static int fail(struct unpack *u, int code, const char *member,
		const char *why)
{
	return err_set(u->err, code, "'%s': member '%s' %s", u->from->file,
		       member, why);
}

/*
 * name without empty and "." components; 0, or -EINVAL for one that is
 * absolute or climbs.
 */
static int clean(const char *name, char *buf, size_t size)
{
	size_t at = 0;

	if (*name == '/')
		return -EINVAL;
	buf[0] = 0;
	while (*name) {
		size_t len = strcspn(name, "/");

		if (len == 2 && name[0] == '.' && name[1] == '.')
			return -EINVAL;
		if (len > NAME_MAX || at + len + 2 > size)
			return -EINVAL;
		if (len && !(len == 1 && *name == '.')) {
			if (at)
				buf[at++] = '/';
			memcpy(buf + at, name, len);
			at += len;
			buf[at] = 0;
		}
		name += len;
		name += strspn(name, "/");
	}
	return 0;
}

static int spool_data(struct unpack *u, const char *name,
		      struct tree_file *f)
{
	ssize_t n;

	f->off = u->t->spool_len;
	while ((n = archive_read_data(u->a, u->buf, sizeof(u->buf))) > 0) {
		int64_t rc = tree_spool(u->t, u->buf, n);

		if (rc < 0)
			return fail(u, rc, name, strerror(-rc));
		f->size += n;
	}
	if (n < 0)
		return fail(u, -EIO, name, archive_error_string(u->a));
	return 0;
}

/* a hard link shares the bytes of a member that came before it */
static int add_hardlink(struct unpack *u, const char *name, const char *path,
			const char *to)
{
	char clean_to[TREE_PATH_MAX], full[TREE_PATH_MAX + PATH_MAX];
	const struct tree_node *n;
	struct tree_file f;
	int64_t rc;

	if (clean(to, clean_to, sizeof(clean_to)) < 0)
		return fail(u, -EINVAL, name, "links out of the archive");
	snprintf(full, sizeof(full), "%s/%s", u->from->guest, clean_to);
	rc = tree_find(u->t, full, 0);
	if (rc < 0 || !S_ISREG(u->t->node[rc].mode))
		return fail(u, -ENOENT, name, "is a link to nothing");
	n = &u->t->node[rc];
	f = (struct tree_file){
		.layer = u->from->layer, .mode = n->mode & 0777,
		.mtime = n->mtime, .size = n->size, .host = n->host,
		.off = n->off,
	};
	rc = tree_add_file(u->t, path, &f, u->err);
	return rc < 0 ? rc : 0;
}

/* a symlink must stay inside: count how far it climbs */
static int add_symlink(struct unpack *u, const char *name, const char *path,
		       const char *target)
{
	int depth = 0;
	int64_t rc;

	for (const char *s = name; *s; s++)
		depth += *s == '/';
	for (const char *s = target; *s && depth >= 0;) {
		size_t len = strcspn(s, "/");

		if (len == 2 && s[0] == '.' && s[1] == '.')
			depth--;
		else if (len && !(len == 1 && *s == '.'))
			depth++;
		s += len;
		s += strspn(s, "/");
	}
	if (!*target || *target == '/' || depth < 0)
		return fail(u, -EINVAL, name, "links out of the archive");
	rc = tree_add_link(u->t, path, target, u->from->layer, u->err);
	return rc < 0 ? rc : 0;
}

static const char *place_of(const struct unpack *u, struct archive_entry *e,
			    const char *name)
{
	int is_file = archive_entry_filetype(e) == AE_IFREG &&
		!archive_entry_hardlink(e);

	return u->from->place ?
		u->from->place(u->from->file, name, is_file) : name;
}

static int add_member(struct unpack *u, struct archive_entry *e)
{
	const char *raw = archive_entry_pathname(e), *place;
	char name[TREE_PATH_MAX], path[TREE_PATH_MAX + PATH_MAX];
	struct tree_file f = { .layer = u->from->layer };
	int64_t rc;

	if (!raw || clean(raw, name, sizeof(name)) < 0)
		return fail(u, -EINVAL, raw ? raw : "?",
			    "has a name that leaves the archive");
	place = place_of(u, e, name);
	if (!place || !*place)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", u->from->guest, place);
	if (archive_entry_is_encrypted(e))
		return fail(u, -EINVAL, name, "is encrypted");
	if (archive_entry_hardlink(e))
		return add_hardlink(u, name, path, archive_entry_hardlink(e));
	if (archive_entry_filetype(e) == AE_IFLNK)
		return add_symlink(u, place, path, archive_entry_symlink(e));
	if (archive_entry_filetype(e) == AE_IFDIR) {
		rc = tree_add_dir(u->t, path, u->from->layer, u->err);
		return rc < 0 ? rc : 0;
	}
	if (archive_entry_filetype(e) != AE_IFREG)
		return 0;
	f.mode = archive_entry_perm(e) & 0111 ? 0755 : 0644;
	f.mtime = archive_entry_mtime(e);
	rc = spool_data(u, name, &f);
	if (rc == 0)
		rc = tree_add_file(u->t, path, &f, u->err);
	return rc < 0 ? rc : 0;
}

static int add_members(struct unpack *u)
{
	struct archive_entry *e;
	int status, n = 0;

	while ((status = archive_read_next_header(u->a, &e)) == ARCHIVE_OK ||
	       status == ARCHIVE_WARN) {
		int rc = add_member(u, e);

		if (rc < 0)
			return rc;
		n++;
	}
	if (status != ARCHIVE_EOF)
		return err_set(u->err, -EIO, "cannot read '%s': %s",
			       u->from->file, archive_error_string(u->a));
	if (!n)
		return err_set(u->err, -EINVAL, "'%s' is empty", u->from->file);
	return 0;
}

int tree_add_archive(struct tree *t, const struct tree_archive *from,
		     struct err *err)
{
	struct unpack u = { .t = t, .from = from, .err = err };
	int rc;

	u.a = archive_read_new();
	if (!u.a)
		return err_set(err, -ENOMEM, "out of memory");
	archive_read_support_filter_all(u.a);
	archive_read_support_format_tar(u.a);
	archive_read_support_format_zip(u.a);
	if (archive_read_open_filename(u.a, from->file, BLOCK) != ARCHIVE_OK)
		rc = err_set(err, -EINVAL, "cannot read '%s' as a wheel, zip "
			     "or tar: %s", from->file,
			     archive_error_string(u.a));
	else
		rc = add_members(&u);
	archive_read_free(u.a);
	return rc;
}
