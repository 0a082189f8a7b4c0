/*
 * pack_write.c - the image of a tree, as a tar by libarchive
 *
 *   usetl/manifest.json   padded with line feeds, known last, written last
 *   usetl/index           data on a page; whole pages
 *   root/...              layer by layer, parents before children
 *   usetl/layer/NAME      empty: ends a layer on a page boundary
 *   usetl/digest          SHA-256 of all bytes before its header
 *
 * A file's data begins on a page: libarchive has no option for that, so the
 * header is made longer by an extended attribute of dots.  How long a header
 * gets is measured, by writing it to an archive that keeps nothing.  Every
 * layer begins on a page, so its bytes do not depend on what is before it.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etlfs/image/image_impl.h"
#include "etlfs/bake/pack.h"

#define PAGE		IMAGE_PAGE
#define COPY		(256 << 10)
#define FILE_MAX	(1ull << 33)	/* an ustar header holds no more */

struct writer {
	struct tree *t;
	struct image *meta;
	int fd;
	struct archive *out;
	struct archive *measure;	/* keeps nothing */
	uint32_t *order;
	uint64_t manifest_off, manifest_len;
	uint64_t index_len;
	uint64_t digest_off;		/* of its data */
	uint8_t *buf;			/* COPY bytes */
	struct pack_progress progress;
	int (*tell)(void *arg, const struct pack_progress *p);
	void *arg;
	struct err *err;
};

static int tar_fail(struct writer *w, struct archive *a)
{
	return err_set(w->err, -EIO, "cannot write the image: %s",
		       archive_error_string(a));
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

/* an entry of usetl's own; data NULL: zeros, to be written over */
static int put_own(struct writer *w, const char *path, const void *data,
		   size_t len, int aligned, uint64_t *off)
{
	int rc = put_header(w, new_entry(path, S_IFREG | 0644, 0, len),
			    aligned, off);

	if (rc == 0 && data)
		rc = put_data(w, data, len);
	/* libarchive fills up with zeros what was not written */
	if (rc == 0 && archive_write_finish_entry(w->out) < ARCHIVE_WARN)
		rc = tar_fail(w, w->out);
	return rc;
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
	char path[TREE_PATH_MAX + 8] = "root";
	struct archive_entry *e;
	uint64_t off;
	int rc = tree_path(w->t, node, path + 4, sizeof(path) - 4);

	if (rc < 0)
		return err_set(w->err, rc, "'%s': path is too long", n->name);
	if (n->size >= FILE_MAX)
		return err_set(w->err, -EFBIG, "'%s' is larger than 8 GB",
			       path + 4);
	e = new_entry(path, n->mode, n->mtime,
		      S_ISREG(n->mode) ? n->size : 0);
	if (e && S_ISLNK(n->mode))
		archive_entry_set_symlink(e, n->target);
	rc = put_header(w, e, S_ISREG(n->mode) && n->size, &off);
	if (rc < 0 || !S_ISREG(n->mode))
		return rc;
	n->image_off = n->size ? off : 0;
	rc = copy_file(w, node);
	if (rc == 0 && archive_write_finish_entry(w->out) < ARCHIVE_WARN)
		rc = tar_fail(w, w->out);
	w->meta->layer[n->layer].files++;
	w->progress.files++;
	w->progress.bytes += n->size;
	if (rc == 0 && w->tell)
		rc = w->tell(w->arg, &w->progress);
	return rc;
}

/* depth first, so that names come in the order in which people list them */
static int put_nodes(struct writer *w, uint32_t node, uint16_t layer)
{
	int rc = 0;

	/* a directory of a later layer holds nothing of this one */
	if (w->t->node[node].layer > layer)
		return 0;
	if (w->t->node[node].layer == layer)
		rc = put_node(w, node);
	for (uint32_t i = 0; rc == 0 && i < w->t->node[node].children; i++)
		rc = put_nodes(w, w->t->node[node].child[i], layer);
	return rc;
}

static int put_layer(struct writer *w, uint16_t layer)
{
	struct image_layer *l = &w->meta->layer[layer];
	char path[64];
	uint64_t end;
	int rc;

	l->name = image_layer_name[layer];
	l->off = position(w->out);
	l->files = 0;
	rc = put_nodes(w, 0, layer);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "usetl/layer/%s", l->name);
	rc = put_own(w, path, NULL, 0, 1, &end);
	l->len = end - l->off;
	return rc;
}

/* a manifest as long as it can get: its numbers are not known yet */
static int reserve_manifest(struct writer *w)
{
	struct image longest = *w->meta;
	char *text;

	longest.size = longest.index_off = INT64_MAX;
	memset(longest.digest, 'f', 64);
	for (int i = 0; i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &longest.layer[i];

		l->name = image_layer_name[i];
		memset(l->digest, 'f', 64);
		l->digest[64] = 0;
		l->off = l->len = INT64_MAX;
		l->files = UINT32_MAX;
	}
	text = pack_meta_text(&longest);
	if (!text)
		return err_set(w->err, -EINVAL, "the manifest holds text that "
			       "is not UTF-8");
	w->manifest_len = strlen(text) + 64;
	free(text);
	return put_own(w, "usetl/manifest.json", NULL, w->manifest_len, 0,
		       &w->manifest_off);
}

static int put_all(struct writer *w)
{
	uint64_t whole;
	int rc = reserve_manifest(w);

	w->index_len = pack_index_len(w->t);
	whole = (w->index_len + PAGE - 1) / PAGE * PAGE;
	if (rc == 0)
		rc = put_own(w, "usetl/index", NULL, whole, 1,
			     &w->meta->index_off);
	for (uint16_t i = 0; rc == 0 && i < ETLFS_LAYERS; i++)
		rc = put_layer(w, i);
	if (rc == 0)
		rc = put_own(w, "usetl/digest", NULL, 65, 0, &w->digest_off);
	if (rc == 0 && archive_write_close(w->out) != ARCHIVE_OK)
		rc = tar_fail(w, w->out);
	w->meta->size = position(w->out);
	return rc;
}

static int put_at(struct writer *w, const void *data, size_t len,
		  uint64_t off)
{
	ssize_t n = pwrite(w->fd, data, len, off);

	if (n == (ssize_t)len)
		return 0;
	return err_set(w->err, n < 0 ? -errno : -EIO, "cannot write the "
		       "image: %s", n < 0 ? strerror(errno) : "short write");
}

static int digest(struct writer *w, const uint8_t *data, size_t len,
		  char *out)
{
	int rc = image_sha256(data, len, out);

	return rc < 0 ? err_set(w->err, rc, "libcrypto cannot SHA-256") : 0;
}

/* what was left open: index, layer digests, manifest, digest */
static int finish(struct writer *w, const uint8_t *map)
{
	uint8_t *index = calloc(1, w->index_len);
	char *text = NULL, *padded = NULL;
	int rc = index ? 0 : err_set(w->err, -ENOMEM, "out of memory");

	if (rc == 0) {
		pack_index_fill(w->t, w->order, index);
		rc = put_at(w, index, w->index_len, w->meta->index_off);
	}
	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++) {
		struct image_layer *l = &w->meta->layer[i];

		rc = digest(w, map + l->off, l->len, l->digest);
	}
	if (rc == 0) {
		text = pack_meta_text(w->meta);
		padded = malloc(w->manifest_len);
		if (!text || !padded || strlen(text) > w->manifest_len)
			rc = err_set(w->err, -ENOMEM, "out of memory");
	}
	if (rc == 0) {
		memset(padded, '\n', w->manifest_len);
		memcpy(padded, text, strlen(text));
		rc = put_at(w, padded, w->manifest_len, w->manifest_off);
	}
	if (rc == 0)
		rc = digest(w, map, w->digest_off - 512, w->meta->digest);
	if (rc == 0) {
		char line[66];

		snprintf(line, sizeof(line), "%s\n", w->meta->digest);
		rc = put_at(w, line, 65, w->digest_off);
	}
	free(index);
	free(text);
	free(padded);
	return rc;
}

static int open_archives(struct writer *w)
{
	w->out = new_archive();
	w->measure = new_archive();
	w->buf = malloc(COPY);
	if (!w->out || !w->measure || !w->buf)
		return err_set(w->err, -ENOMEM, "out of memory");
	if (archive_write_open_fd(w->out, w->fd) != ARCHIVE_OK)
		return tar_fail(w, w->out);
	if (archive_write_open(w->measure, NULL, NULL, keep_nothing, NULL) !=
	    ARCHIVE_OK)
		return tar_fail(w, w->measure);
	return 0;
}

static void count(struct writer *w)
{
	w->progress.what = "writing";
	for (uint32_t i = 0; i < w->t->nodes; i++)
		if (S_ISREG(w->t->node[i].mode)) {
			w->progress.files_total++;
			w->progress.bytes_total += w->t->node[i].size;
		}
}

int pack_write(struct tree *t, struct image *meta, int fd,
	       int (*progress)(void *arg, const struct pack_progress *p),
	       void *arg, struct err *err)
{
	struct writer w = { .t = t, .meta = meta, .fd = fd, .tell = progress,
			    .arg = arg, .err = err };
	uint8_t *map = MAP_FAILED;
	int rc;

	count(&w);
	rc = pack_number(t, &w.order);
	if (rc < 0)
		err_set(err, rc, "out of memory");
	if (rc == 0)
		rc = open_archives(&w);
	if (rc == 0)
		rc = put_all(&w);
	if (rc == 0) {
		map = mmap(NULL, meta->size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			rc = err_set(err, -errno, "cannot read the image: %s",
				     strerror(errno));
	}
	if (rc == 0) {
		rc = finish(&w, map);
		munmap(map, meta->size);
	}
	archive_write_free(w.out);
	archive_write_free(w.measure);
	free(w.order);
	free(w.buf);
	return rc;
}
