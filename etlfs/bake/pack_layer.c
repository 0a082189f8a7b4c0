/*
 * pack_layer.c - one layer of a tree, as a tar by libarchive
 *
 *   PATH...        parents before children, names in order
 *   usetl/index    the layer's index, data on a page; then zeros up to a page
 *
 * A file's data begin on a page: libarchive has no option for that, so the
 * header is made longer by an extended attribute of dots.  How long a header
 * gets is measured, by writing it to an archive that keeps nothing.
 *
 * What is written is hashed on its way, once.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/sha256.h"
#include "etlfs/bake/pack.h"
#include "etlfs/image/image_impl.h"

#define PAGE		IMAGE_PAGE
#define COPY		(256 << 10)

struct writer {
	const struct pack_layer *p;
	struct tree *t;
	struct image_layer *l;
	struct archive *out;
	struct archive *measure;	/* keeps nothing */
	struct sha256_ctx sum;
	uint64_t done;			/* bytes of the layer */
	struct pack_index index;
	uint8_t *buf;			/* COPY bytes */
	int error;			/* of write_out() */
	struct err *err;
};

static int tar_fail(struct writer *w, struct archive *a)
{
	if (w->error)
		return err_set(w->err, -w->error, "cannot write the image: %s",
			       strerror(w->error));
	return err_set(w->err, -EIO, "cannot write the image: %s",
		       archive_error_string(a));
}

/* to the file and to the digest; 0 or -errno */
static int put_bytes(struct writer *w, const void *data, size_t len)
{
	const char *p = data;

	sha256_update(&w->sum, len, data);
	while (len) {
		ssize_t n = pwrite(w->p->fd, p, len, w->p->off + w->done);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= n;
		w->done += n;
	}
	return 0;
}

static ssize_t write_out(struct archive *a, void *arg, const void *buf,
			 size_t len)
{
	struct writer *w = arg;
	int rc = put_bytes(w, buf, len);

	if (rc == 0)
		return len;
	w->error = -rc;
	archive_set_error(a, -rc, "%s", strerror(-rc));
	return ARCHIVE_FATAL;
}

static ssize_t keep_nothing(struct archive *a, void *arg, const void *buf,
			    size_t len)
{
	return len;
}

static struct archive *new_archive(void)
{
	struct archive *a = archive_write_new();

	if (!a)
		return NULL;
	archive_write_set_format_pax_restricted(a);
	archive_write_set_format_option(a, "pax", "xattrheader", "SCHILY");
	archive_write_add_filter_none(a);
	archive_write_set_bytes_per_block(a, 0);
	return a;
}

static uint64_t position(struct archive *a)
{
	return archive_filter_bytes(a, 0);
}

/* bytes of header that e gets with a padding attribute of `pad` bytes */
static int64_t header_len(struct writer *w, struct archive_entry *e,
			  size_t pad)
{
	static const char dots[2 * PAGE] = { [0 ... 2 * PAGE - 1] = '.' };
	uint64_t before = position(w->measure);
	int64_t size = archive_entry_size(e);
	int rc;

	archive_entry_xattr_clear(e);
	if (pad)
		archive_entry_xattr_add_entry(e, "user.pad", dots, pad);
	archive_entry_set_size(e, 0);
	rc = archive_write_header(w->measure, e);
	archive_entry_set_size(e, size);
	if (rc < ARCHIVE_WARN)
		return tar_fail(w, w->measure);
	return position(w->measure) - before;
}

/*
 * Leaves e padded so that its data begins on a page.  A longer attribute has
 * a longer length field before it, so the first guess can miss by a block.
 */
static int align(struct writer *w, struct archive_entry *e)
{
	uint64_t at = position(w->out);
	size_t pad = 0;

	for (int i = 0; i < 6; i++) {
		int64_t len = header_len(w, e, pad);
		unsigned miss;

		if (len < 0)
			return len;
		miss = (at + len) % PAGE;
		if (!miss)
			return 0;
		if (!pad)
			pad = 1;
		else
			pad += PAGE - miss;
		if (pad > PAGE + 512)
			pad -= PAGE;
	}
	return err_set(w->err, -EIO, "cannot align '%s'",
		       archive_entry_pathname(e));
}

static struct archive_entry *new_entry(const char *path, uint32_t mode,
				       int64_t mtime, uint64_t size)
{
	struct archive_entry *e = archive_entry_new();

	if (!e)
		return NULL;
	archive_entry_set_pathname(e, path);
	archive_entry_set_mode(e, mode);
	archive_entry_set_mtime(e, mtime, 0);
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	archive_entry_set_size(e, size);
	return e;
}

/* the header; *off says where the data begins.  e is freed */
static int put_header(struct writer *w, struct archive_entry *e, int aligned,
		      uint64_t *off)
{
	int rc;

	if (!e)
		return err_set(w->err, -ENOMEM, "out of memory");
	rc = aligned ? align(w, e) : 0;
	if (rc == 0 && archive_write_header(w->out, e) < ARCHIVE_WARN)
		rc = tar_fail(w, w->out);
	*off = position(w->out);
	if (rc == 0 && aligned && *off % PAGE)
		rc = err_set(w->err, -EIO, "cannot align '%s'",
			     archive_entry_pathname(e));
	archive_entry_free(e);
	return rc;
}

static int put_data(struct writer *w, const void *data, size_t len)
{
	if (len && archive_write_data(w->out, data, len) != (ssize_t)len)
		return tar_fail(w, w->out);
	return 0;
}

static int copy_file(struct writer *w, uint32_t node)
{
	const struct tree_node *n = &w->t->node[node];
	uint64_t off, left = n->size;
	int fd = tree_open(w->t, node, &off), rc = 0;
	const char *name = n->host ? n->host : n->name;

	if (fd < 0)
		return err_set(w->err, fd, "cannot read '%s': %s", name,
			       strerror(-fd));
	while (left && rc == 0) {
		size_t want = left < COPY ? left : COPY;
		ssize_t got = pread(fd, w->buf, want, off);

		if (got <= 0) {
			rc = got ? -errno : -ESTALE;
			err_set(w->err, rc, "cannot read '%s': %s", name,
				got ? strerror(-rc) : "it got shorter "
				"while it was packed");
			break;
		}
		rc = put_data(w, w->buf, got);
		off += got;
		left -= got;
	}
	close(fd);
	return rc;
}

static int put_node(struct writer *w, uint32_t node)
{
	struct tree_node *n = &w->t->node[node];
	char path[TREE_PATH_MAX];
	struct archive_entry *e;
	uint64_t off;
	int rc = tree_path(w->t, node, path, sizeof(path));

	if (rc < 0)
		return err_set(w->err, rc, "'%s': path is too long", n->name);
	if (n->size >= IMAGE_LAYER_MAX)
		return err_set(w->err, -EFBIG, "'%s' is larger than 8 GB",
			       path);
	e = new_entry(path + 1, n->mode, n->mtime,
		      S_ISREG(n->mode) ? n->size : 0);
	if (e && S_ISLNK(n->mode))
		archive_entry_set_symlink(e, n->target);
	rc = put_header(w, e, S_ISREG(n->mode) && n->size, &off);
	if (rc < 0 || !S_ISREG(n->mode))
		return rc;
	n->layer_off = n->size ? off : 0;
	rc = copy_file(w, node);
	if (rc == 0 && archive_write_finish_entry(w->out) < ARCHIVE_WARN)
		rc = tar_fail(w, w->out);
	w->l->files++;
	w->p->progress->files++;
	w->p->progress->bytes += n->size;
	if (rc == 0 && w->p->tell)
		rc = w->p->tell(w->p->arg, w->p->progress);
	return rc;
}

/* depth first, so that names come in the order in which people list them */
static int put_nodes(struct writer *w, uint32_t node)
{
	int rc = node ? put_node(w, node) : 0;

	for (uint32_t i = 0; rc == 0 && i < w->t->node[node].children; i++) {
		int64_t n = tree_in_layer(w->t, w->t->node[node].child[i],
					  w->p->number);

		if (n >= 0)
			rc = put_nodes(w, (uint32_t)n);
	}
	return rc;
}

static int put_index(struct writer *w)
{
	size_t len = w->index.head.total_len;
	uint8_t *data = calloc(1, len);
	int rc = data ? put_header(w, new_entry("usetl/index", S_IFREG | 0644,
						0, len), 1, &w->l->index_off) :
		err_set(w->err, -ENOMEM, "out of memory");

	if (rc == 0) {
		pack_index_fill(&w->index, data);
		rc = put_data(w, data, len);
	}
	free(data);
	return rc;
}

/* a tar may end with more zeros than it needs */
static int put_end(struct writer *w)
{
	static const uint8_t zeros[PAGE];
	int rc;

	if (archive_write_close(w->out) != ARCHIVE_OK)
		return tar_fail(w, w->out);
	rc = put_bytes(w, zeros, (PAGE - w->done % PAGE) % PAGE);
	if (rc < 0)
		return err_set(w->err, rc, "cannot write the image: %s",
			       strerror(-rc));
	w->l->len = w->done;
	if (w->done >= IMAGE_LAYER_MAX)
		return err_set(w->err, -EFBIG, "the %s layer is larger than "
			       "8 GB", w->l->name);
	return 0;
}

static int open_archives(struct writer *w)
{
	w->out = new_archive();
	w->measure = new_archive();
	w->buf = malloc(COPY);
	sha256_init(&w->sum);
	if (!w->out || !w->measure || !w->buf)
		return err_set(w->err, -ENOMEM, "out of memory");
	if (archive_write_open(w->out, w, NULL, write_out, NULL) != ARCHIVE_OK)
		return tar_fail(w, w->out);
	if (archive_write_open(w->measure, NULL, NULL, keep_nothing, NULL) !=
	    ARCHIVE_OK)
		return tar_fail(w, w->measure);
	return 0;
}

int pack_layer_write(const struct pack_layer *p, struct image_layer *l,
		     uint32_t *nodes, struct err *err)
{
	struct writer w = { .p = p, .t = p->t, .l = l, .err = err };
	int rc;

	*l = (struct image_layer){ .name = image_layer_name[p->number] };
	rc = pack_index_create(p->t, p->number, p->first, &w.index);
	if (rc < 0)
		err_set(err, rc, "out of memory");
	if (rc == 0)
		rc = open_archives(&w);
	if (rc == 0)
		rc = put_nodes(&w, 0);
	if (rc == 0)
		rc = put_index(&w);
	if (rc == 0)
		rc = put_end(&w);
	if (rc == 0)
		sha256_hex(&w.sum, l->digest);
	*nodes = w.index.head.nodes;
	pack_index_free(&w.index);
	archive_write_free(w.out);
	archive_write_free(w.measure);
	free(w.buf);
	return rc;
}
