/*
 * image.c - a baked function, opened
 *
 * The image may come from anywhere: nothing in it is used before it was
 * checked, and after image_open() every node of the index can be followed
 * without another look.
 */
#include "etlfs/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unikernel/abi.h"

#define PAGE		4096u
#define MANIFEST_MAX	(1 << 20)
#define TARGET_MAX	4096		/* of a symlink, as PATH_MAX */
#define TAIL		2048		/* digest's header, data, end of tar */

static const char *const layer_name[ETLFS_LAYERS] = {
	"runtime", "packages", "function"
};

static int bad(const struct image *img, const char *what, struct err *err)
{
	return err_set(err, -EBADMSG, "'%s' is damaged: %s", img->path, what);
}

static int foreign(const struct image *img, struct err *err)
{
	return err_set(err, -EINVAL, "'%s' is not a usetl image", img->path);
}

/* the first member has to be the manifest: its text, the caller's */
static int read_manifest(const struct image *img, char **text,
			 struct err *err)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int rc = -EINVAL;
	int64_t len;
	char *buf = NULL;

	if (!a)
		return err_set(err, -ENOMEM, "out of memory");
	archive_read_support_format_tar(a);
	if (archive_read_open_memory(a, img->map, img->size) == ARCHIVE_OK &&
	    archive_read_next_header(a, &e) == ARCHIVE_OK &&
	    archive_entry_pathname(e) &&
	    !strcmp(archive_entry_pathname(e), "usetl/manifest.json")) {
		len = archive_entry_size(e);
		buf = len > 0 && len <= MANIFEST_MAX ? calloc(1, len + 1) :
			NULL;
		if (buf && archive_read_data(a, buf, len) == len)
			rc = 0;
	}
	archive_read_free(a);
	if (rc) {
		free(buf);
		return foreign(img, err);
	}
	*text = buf;
	return 0;
}

static int take_text(const json_t *o, const char *key, char **out)
{
	const char *s = json_string_value(json_object_get(o, key));

	*out = s && *s ? strdup(s) : NULL;
	return *out ? 0 : -EBADMSG;
}

/* at least one; a list of strings */
static int take_list(const json_t *list, char ***out)
{
	size_t n = json_array_size(list), i;
	const json_t *v;
	char **s;

	if (!n || !(s = calloc(n + 1, sizeof(*s))))
		return -EBADMSG;
	*out = s;
	json_array_foreach(list, i, v) {
		s[i] = json_is_string(v) ? strdup(json_string_value(v)) : NULL;
		if (!s[i])
			return -EBADMSG;
	}
	return 0;
}

static int take_number(const json_t *o, const char *key, uint64_t min,
		       uint64_t *out)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EBADMSG;
	*out = json_integer_value(v);
	return *out >= min ? 0 : -EBADMSG;
}

static int take_layer(const struct image *img, const json_t *o, int i,
		      struct image_layer *l)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *digest = json_string_value(json_object_get(o, "digest"));
	uint64_t files;

	if (!name || strcmp(name, layer_name[i]) || !digest ||
	    strlen(digest) != 64 ||
	    strspn(digest, "0123456789abcdef") != 64 ||
	    take_number(o, "offset", 0, &l->off) ||
	    take_number(o, "length", 0, &l->len) ||
	    take_number(o, "files", 0, &files))
		return -EBADMSG;
	if (l->off % PAGE || l->len % PAGE || l->off > img->size ||
	    l->len > img->size - l->off || files > UINT32_MAX)
		return -EBADMSG;
	l->name = layer_name[i];
	l->files = files;
	strcpy(l->digest, digest);
	return 0;
}

/* format and version before all else: a newer image may differ in the rest */
static int check_version(const struct image *img, const json_t *o,
			 struct err *err)
{
	const char *format = json_string_value(json_object_get(o, "format"));
	json_int_t version = json_integer_value(json_object_get(o, "version"));
	json_int_t abi = json_integer_value(json_object_get(o, "abi"));

	if (!format || strcmp(format, IMAGE_FORMAT))
		return foreign(img, err);
	if (version > IMAGE_VERSION || abi > UK_ABI_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "'%s' was made by a "
			       "newer usetl (format %lld.%lld, this one reads "
			       "%d.%d)", img->path, version, abi,
			       IMAGE_VERSION, UK_ABI_VERSION);
	if (version < IMAGE_VERSION || abi < UK_ABI_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "'%s' was made by an "
			       "older usetl (format %lld.%lld, this one reads "
			       "%d.%d); bake it again", img->path, version,
			       abi, IMAGE_VERSION, UK_ABI_VERSION);
	return 0;
}

static int check_size(const struct image *img, const json_t *o,
		      struct err *err)
{
	uint64_t size;

	if (take_number(o, "size", TAIL, &size))
		return bad(img, "its manifest has no size", err);
	if (size > img->size)
		return err_set(err, -EBADMSG, "'%s' is truncated: %llu bytes "
			       "of %llu", img->path,
			       (unsigned long long)img->size,
			       (unsigned long long)size);
	if (size < img->size)
		return bad(img, "there is something behind its end", err);
	if (size > UK_IMAGE_END - UK_IMAGE_BASE)
		return bad(img, "it is larger than a guest can map", err);
	return 0;
}

static int take_fields(struct image *img, const json_t *o, struct err *err)
{
	const json_t *layers = json_object_get(o, "layers");
	const json_t *egress = json_object_get(o, "egress");

	if (take_text(o, "name", &img->name) ||
	    take_text(o, "handler", &img->handler) ||
	    take_text(o, "interpreter", &img->interpreter) ||
	    take_text(o, "python", &img->python) ||
	    take_list(json_object_get(o, "argv"), &img->argv) ||
	    take_list(json_object_get(o, "env"), &img->env) ||
	    (egress && !json_is_null(egress) &&
	     take_list(egress, &img->egress)) ||
	    take_number(o, "memory", PAGE, &img->memory) ||
	    take_number(o, "files", PAGE, &img->files) ||
	    take_number(o, "timeout_ns", 1, &img->timeout_ns) ||
	    take_number(o, "index", PAGE, &img->index_off))
		return bad(img, "its manifest is not whole", err);
	if (json_array_size(layers) != ETLFS_LAYERS)
		return bad(img, "its manifest is not whole", err);
	for (int i = 0; i < ETLFS_LAYERS; i++)
		if (take_layer(img, json_array_get(layers, i), i,
			       &img->layer[i]))
			return bad(img, "a layer lies outside", err);
	return 0;
}

static int parse_manifest(struct image *img, struct err *err)
{
	char *text = NULL;
	json_error_t e;
	json_t *o;
	int rc = read_manifest(img, &text, err);

	if (rc)
		return rc;
	o = json_loads(text, 0, &e);
	free(text);
	if (!json_is_object(o)) {
		json_decref(o);
		return bad(img, "its manifest is not JSON", err);
	}
	rc = check_version(img, o, err);
	if (!rc)
		rc = check_size(img, o, err);
	if (!rc)
		rc = take_fields(img, o, err);
	json_decref(o);
	return rc;
}

static const struct etlfs_node *nodes_of(const struct image *img)
{
	return (const void *)((const char *)img->index +
			      sizeof(struct etlfs_head));
}

static const char *names_of(const struct image *img)
{
	return (const char *)img->index + img->index->names_off;
}

static int in_range(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static int check_head(struct image *img, struct err *err)
{
	const struct etlfs_head *h;
	uint64_t room;

	if (img->index_off % PAGE ||
	    !in_range(img->index_off, sizeof(*h), img->size))
		return bad(img, "its index lies outside", err);
	h = (const void *)(img->map + img->index_off);
	room = img->size - img->index_off;
	if (h->magic != ETLFS_INDEX_MAGIC)
		return bad(img, "it has no index", err);
	if (h->version != ETLFS_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "'%s' was made by a "
			       "newer usetl (index version %u, this one reads "
			       "%d)", img->path, h->version, ETLFS_VERSION);
	if (h->total_len > room || !h->nodes ||
	    h->names_off != sizeof(*h) +
	    h->nodes * (uint64_t)sizeof(struct etlfs_node) ||
	    !in_range(h->names_off, h->names_len, h->total_len))
		return bad(img, "its index is not whole", err);
	img->index = h;
	return 0;
}

/* a name that can stand in a directory */
static int name_ok(const struct image *img, const struct etlfs_node *n)
{
	const char *name = names_of(img) + n->name_off;

	if (!n->name_len || n->name_len > 255 ||
	    !in_range(n->name_off, n->name_len, img->index->names_len))
		return 0;
	if (memchr(name, 0, n->name_len) || memchr(name, '/', n->name_len))
		return 0;
	return !(name[0] == '.' && (n->name_len == 1 ||
				    (n->name_len == 2 && name[1] == '.')));
}

/* as memcmp sorts, the shorter first */
static int name_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return d ? d : (a_len > b_len) - (a_len < b_len);
}

/* sorted, no name twice: i is behind its elder sibling */
static int sorted(const struct image *img, uint32_t i)
{
	const struct etlfs_node *n = nodes_of(img);

	if (i < 2 || n[i - 1].parent != n[i].parent)
		return 1;
	return name_cmp(names_of(img) + n[i - 1].name_off, n[i - 1].name_len,
			names_of(img) + n[i].name_off, n[i].name_len) < 0;
}

/*
 * next: the first node that no directory before i has as a child.  Directories
 * in order take their children in order, so each node has just one parent.
 */
static int check_node(const struct image *img, uint32_t i, uint64_t *next)
{
	const struct etlfs_node *all = nodes_of(img), *n = &all[i];

	if (n->layer >= ETLFS_LAYERS || n->mode & ~(uint32_t)(S_IFMT | 07777))
		return -EBADMSG;
	if (i && (!name_ok(img, n) || n->parent >= i || !sorted(img, i)))
		return -EBADMSG;
	switch (n->mode & S_IFMT) {
	case S_IFREG:
		return n->off % PAGE || !in_range(n->off, n->size, img->size) ?
			-EBADMSG : 0;
	case S_IFLNK:
		if (!n->size || n->size >= TARGET_MAX ||
		    !in_range(n->off, n->size, img->index->names_len) ||
		    memchr(names_of(img) + n->off, 0, n->size))
			return -EBADMSG;
		return 0;
	case S_IFDIR:
		if (n->off != *next || !in_range(n->off, n->size,
						 img->index->nodes) ||
		    (n->size && n->off <= i))
			return -EBADMSG;
		for (uint64_t c = n->off; c < n->off + n->size; c++)
			if (all[c].parent != i)
				return -EBADMSG;
		*next += n->size;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int check_index(struct image *img, struct err *err)
{
	uint64_t next = 1;
	int rc = check_head(img, err);

	if (rc)
		return rc;
	if ((nodes_of(img)->mode & S_IFMT) != S_IFDIR ||
	    nodes_of(img)->name_len || nodes_of(img)->parent)
		return bad(img, "its index has no root", err);
	for (uint32_t i = 0; i < img->index->nodes; i++)
		if (check_node(img, i, &next))
			return err_set(err, -EBADMSG, "'%s' is damaged: node "
				       "%u of its index", img->path, i);
	if (next != img->index->nodes)
		return bad(img, "its index has nodes without a parent", err);
	return 0;
}

/* the last member's plain header, its line, and the end of the archive */
static int read_digest(struct image *img, struct err *err)
{
	const char *tail = (const char *)img->map + img->size - TAIL;

	if (strncmp(tail, "usetl/digest", 100) ||
	    strspn(tail + 512, "0123456789abcdef") != 64 ||
	    tail[512 + 64] != '\n')
		return bad(img, "it has no digest", err);
	memcpy(img->digest, tail + 512, 64);
	return 0;
}

static int map_image(struct image *img, struct err *err)
{
	struct stat st;
	void *map;

	img->fd = open(img->path, O_RDONLY | O_CLOEXEC);
	if (img->fd < 0 || fstat(img->fd, &st))
		return err_set(err, -errno, "cannot open '%s': %s", img->path,
			       strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size < TAIL)
		return foreign(img, err);
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, img->fd, 0);
	if (map == MAP_FAILED)
		return err_set(err, -errno, "cannot map '%s': %s", img->path,
			       strerror(errno));
	img->map = map;
	img->size = st.st_size;
	return 0;
}

int image_open(struct image **out, const char *path, struct err *err)
{
	struct image *img = calloc(1, sizeof(*img));
	int rc = 0;

	if (!img || !(img->path = strdup(path))) {
		free(img);
		return err_set(err, -ENOMEM, "out of memory");
	}
	img->fd = -1;
	rc = map_image(img, err);
	if (!rc)
		rc = parse_manifest(img, err);
	if (!rc)
		rc = check_index(img, err);
	if (!rc)
		rc = read_digest(img, err);
	if (rc)
		image_close(img);
	else
		*out = img;
	return rc;
}

int image_verify(const struct image *img, struct err *err)
{
	char text[65];
	uint8_t md[32];

	if (EVP_Digest(img->map, img->size - TAIL, md, NULL, EVP_sha256(),
		       NULL) != 1)
		return err_set(err, -EIO, "libcrypto cannot SHA-256");
	for (int i = 0; i < 32; i++)
		sprintf(text + 2 * i, "%02x", md[i]);
	if (memcmp(text, img->digest, 64))
		return err_set(err, -EBADMSG, "'%s' was altered: its digest "
			       "is %.12s, not %.12s", img->path, text,
			       img->digest);
	return 0;
}

static void free_list(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

void image_close(struct image *img)
{
	if (!img)
		return;
	if (img->map)
		munmap((void *)img->map, img->size);
	if (img->fd >= 0)
		close(img->fd);
	free(img->path);
	free(img->name);
	free(img->handler);
	free(img->interpreter);
	free(img->python);
	free_list(img->argv);
	free_list(img->env);
	free_list(img->egress);
	free(img);
}

static const struct etlfs_node *child(const struct image *img,
				      const struct etlfs_node *dir,
				      const char *name, size_t len)
{
	const struct etlfs_node *all = nodes_of(img);
	uint64_t lo = dir->off, hi = dir->off + dir->size;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		int c = name_cmp(name, len, names_of(img) + all[mid].name_off,
				 all[mid].name_len);

		if (!c)
			return &all[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct etlfs_node *image_lookup(const struct image *img,
				      const char *path)
{
	const struct etlfs_node *n = nodes_of(img);

	for (path += strspn(path, "/"); n && *path;
	     path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		if ((n->mode & S_IFMT) != S_IFDIR)
			return NULL;
		n = child(img, n, path, len);
		path += len;
	}
	return n;
}

int image_node_path(const struct image *img, uint32_t node, char *buf,
		    size_t len)
{
	const struct etlfs_node *all = nodes_of(img);
	size_t at = len;

	if (node >= img->index->nodes)
		return -ENOENT;
	if (len < 2)
		return -ENAMETOOLONG;
	buf[--at] = 0;
	if (!node)
		buf[--at] = '/';
	for (; node; node = all[node].parent) {
		size_t n = all[node].name_len;

		if (at < n + 1)
			return -ENAMETOOLONG;
		at -= n;
		memcpy(buf + at, names_of(img) + all[node].name_off, n);
		buf[--at] = '/';
	}
	memmove(buf, buf + at, len - at);
	return 0;
}
