/*
 * image_meta.c - the manifest of an image, read
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "etlfs/image/image_impl.h"
#include "unikernel/abi.h"

/* what function.ini can ask for; see conf/manifest.c */
#define MB		(1ull << 20)
#define LIMIT_MAX	(8ull << 30)
#define TIMEOUT_MAX	3600000000000ull

const char *const image_layer_name[ETLFS_LAYERS] = {
	"runtime", "packages", "function"
};

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
		buf = len > 0 && len <= IMAGE_MANIFEST_MAX ? calloc(1, len + 1) :
			NULL;
		if (buf && archive_read_data(a, buf, len) == len)
			rc = 0;
	}
	archive_read_free(a);
	if (rc < 0) {
		free(buf);
		return image_foreign(img, err);
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
		       uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EBADMSG;
	*out = json_integer_value(v);
	return *out >= min && *out <= max ? 0 : -EBADMSG;
}

static int take_layer(const struct image *img, const json_t *o, int i,
		      struct image_layer *l)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *digest = json_string_value(json_object_get(o, "digest"));
	uint64_t files;

	if (!name || strcmp(name, image_layer_name[i]) || !digest ||
	    strlen(digest) != 64 ||
	    strspn(digest, "0123456789abcdef") != 64 ||
	    take_number(o, "offset", 0, img->size, &l->off) < 0 ||
	    take_number(o, "length", 0, img->size, &l->len) < 0 ||
	    take_number(o, "files", 0, UINT32_MAX, &files) < 0)
		return -EBADMSG;
	if (l->off % IMAGE_PAGE || l->len % IMAGE_PAGE ||
	    l->len > img->size - l->off)
		return -EBADMSG;
	l->name = image_layer_name[i];
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
		return image_foreign(img, err);
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

	if (take_number(o, "size", IMAGE_TAIL, INT64_MAX, &size) < 0)
		return image_bad(img, "its manifest has no size", err);
	if (size > img->size)
		return err_set(err, -EBADMSG, "'%s' is truncated: %llu bytes "
			       "of %llu", img->path,
			       (unsigned long long)img->size,
			       (unsigned long long)size);
	if (size < img->size)
		return image_bad(img, "there is something behind its end", err);
	if (size > UK_IMAGE_END - UK_IMAGE_BASE)
		return image_bad(img, "it is larger than a guest can map", err);
	return 0;
}

static int take_fields(struct image *img, const json_t *o, struct err *err)
{
	const json_t *layers = json_object_get(o, "layers");
	const json_t *egress = json_object_get(o, "egress");

	if (take_text(o, "name", &img->name) < 0 ||
	    take_text(o, "handler", &img->handler) < 0 ||
	    take_text(o, "interpreter", &img->interpreter) < 0 ||
	    take_text(o, IMAGE_KEY_VERSION, &img->version) < 0 ||
	    take_list(json_object_get(o, "argv"), &img->argv) < 0 ||
	    take_list(json_object_get(o, "env"), &img->env) < 0 ||
	    (egress && !json_is_null(egress) &&
	     take_list(egress, &img->egress) < 0) ||
	    take_number(o, "memory", MB, LIMIT_MAX, &img->memory) < 0 ||
	    take_number(o, "files", MB, LIMIT_MAX, &img->files) < 0 ||
	    take_number(o, "timeout_ns", 1, TIMEOUT_MAX,
			&img->timeout_ns) < 0 ||
	    take_number(o, "index", 0, img->size, &img->index_off) < 0 ||
	    !value_name_ok(img->name) ||
	    strcmp(img->argv[0], img->interpreter))
		return image_bad(img, "its manifest is not whole", err);
	if (json_array_size(layers) != ETLFS_LAYERS)
		return image_bad(img, "its manifest is not whole", err);
	for (int i = 0; i < ETLFS_LAYERS; i++)
		if (take_layer(img, json_array_get(layers, i), i,
			       &img->layer[i]) < 0)
			return image_bad(img, "a layer lies outside", err);
	return 0;
}

int image_read_meta(struct image *img, struct err *err)
{
	char *text = NULL;
	json_error_t e;
	json_t *o;
	int rc = read_manifest(img, &text, err);

	if (rc < 0)
		return rc;
	o = json_loads(text, 0, &e);
	free(text);
	if (!json_is_object(o)) {
		json_decref(o);
		return image_bad(img, "its manifest is not JSON", err);
	}
	rc = check_version(img, o, err);
	if (rc == 0)
		rc = check_size(img, o, err);
	if (rc == 0)
		rc = take_fields(img, o, err);
	json_decref(o);
	return rc;
}

static void free_list(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

void image_free_meta(struct image *img)
{
	free(img->name);
	free(img->handler);
	free(img->interpreter);
	free(img->version);
	free_list(img->argv);
	free_list(img->env);
	free_list(img->egress);
}
