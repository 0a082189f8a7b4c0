/*
 * image_meta.c - the JSON of an image: its manifest and its config, read
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "etlfs/image/image_impl.h"

/* what function.ini can ask for; see conf/manifest.c */
#define MB		(1ull << 20)
#define LIMIT_MAX	(8ull << 30)
#define TIMEOUT_MAX	3600000000000ull

const char *const image_layer_name[ETLFS_LAYERS] = {
	"runtime", "packages", "app"
};

int image_digest_take(const char *text, char out[65])
{
	if (!text || strlen(text) != 7 + 64 || strncmp(text, "sha256:", 7) ||
	    strspn(text + 7, "0123456789abcdef") != 64)
		return -EBADMSG;
	strcpy(out, text + 7);
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

static int take_modules(const json_t *list, char ***out)
{
	int rc = take_list(list, out);

	for (char **m = *out; rc == 0 && *m; m++)
		rc = image_module_ok(*m) ? 0 : -EBADMSG;
	return rc;
}

int image_module_ok(const char *name)
{
	size_t len = strlen(name);

	/* no more is looked at: what is no module is not found */
	return len && len <= IMAGE_MODULE_MAX && !strpbrk(name, " \t\r\n") &&
	       strspn(name, ".") == 0;
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

static int is_type(const json_t *o, const char *type)
{
	const char *s = json_string_value(json_object_get(o, "mediaType"));

	return s && !strcmp(s, type);
}

/* a descriptor of OCI's: what it is of, and how long that is */
static int take_descriptor(const json_t *o, const char *type, uint64_t max,
			   char digest[65], uint64_t *len)
{
	const char *text = json_string_value(json_object_get(o, "digest"));

	if (!is_type(o, type) || image_digest_take(text, digest) < 0)
		return -EBADMSG;
	return take_number(o, "size", 1, max, len);
}

/* which layers these are the config says: until then they are the first ones */
int image_read_manifest(struct image *img)
{
	json_t *o = json_loadb((const char *)img->map + img->manifest.off,
			       img->manifest.len, 0, NULL);
	const json_t *layers = json_object_get(o, "layers");
	size_t n = json_array_size(layers);
	int rc = is_type(o, OCI_MANIFEST) && n && n <= ETLFS_LAYERS ?
		take_descriptor(json_object_get(o, "config"), OCI_CONFIG,
				IMAGE_CONFIG_MAX, img->config.digest,
				&img->config.len) : -EBADMSG;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = take_descriptor(json_array_get(layers, i), OCI_LAYER,
				     IMAGE_LAYER_MAX - 1,
				     img->layer[i].digest,
				     &img->layer[i].len);
	json_decref(o);
	return rc;
}

/* what the config says of a layer; *at: the first that it can be */
static int take_layer(struct image *img, const json_t *o,
		      const struct image_layer *was, int *at)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	struct image_layer l = *was;
	uint64_t files;
	int i = *at;

	while (name && i < ETLFS_LAYERS && strcmp(name, image_layer_name[i]))
		i++;
	if (!name || i == ETLFS_LAYERS || l.len % IMAGE_PAGE ||
	    take_number(o, "index", 0, l.len, &l.index_off) < 0 ||
	    take_number(o, "files", 0, UINT32_MAX, &files) < 0)
		return -EBADMSG;
	l.name = image_layer_name[i];
	l.files = (uint32_t)files;
	l.fd = -1;
	img->layer[i] = l;
	*at = i + 1;
	return 0;
}

/* each layer to its own place: one below may be missing */
static int take_layers(struct image *img, const json_t *list)
{
	struct image_layer was[ETLFS_LAYERS];
	int n = 0, at = 0, rc = 0;

	memcpy(was, img->layer, sizeof(was));
	while (n < ETLFS_LAYERS && was[n].len)
		n++;
	if (json_array_size(list) != (size_t)n)
		return -EBADMSG;
	memset(img->layer, 0, sizeof(was));
	for (int i = 0; i < ETLFS_LAYERS; i++)
		img->layer[i].fd = -1;
	for (int i = 0; rc == 0 && i < n; i++)
		rc = take_layer(img, json_array_get(list, i), &was[i], &at);
	return rc == 0 && img->layer[0].len ? 0 : -EBADMSG;
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

static int check_size(struct image *img, struct err *err)
{
	uint64_t size = image_place_layers(img, image_front_end(img));
	const struct image_layer *last = &img->layer[ETLFS_LAYERS - 1];

	while (!last->len)
		last--;
	if (last->addr + last->len > UK_IMAGE_END)
		return image_bad(img, "it is larger than a guest can map", err);
	if (size > img->size)
		return err_set(err, -EBADMSG, "'%s' is truncated: %llu bytes "
			       "of %llu", img->path,
			       (unsigned long long)img->size,
			       (unsigned long long)size);
	if (size < img->size)
		return image_bad(img, "there is something behind its end", err);
	return 0;
}

/* o: the key of ours; run: what is the same for all who run images */
static int take_fields(struct image *img, const json_t *o, const json_t *run,
		       struct err *err)
{
	const json_t *egress = json_object_get(o, "egress");
	const json_t *preload = json_object_get(o, IMAGE_KEY_PRELOAD);

	if (take_text(o, "name", &img->name) < 0 ||
	    take_text(o, "handler", &img->handler) < 0 ||
	    take_text(o, "interpreter", &img->interpreter) < 0 ||
	    take_text(o, IMAGE_KEY_VERSION, &img->version) < 0 ||
	    take_list(json_object_get(run, "Entrypoint"), &img->argv) < 0 ||
	    take_list(json_object_get(run, "Env"), &img->env) < 0 ||
	    (egress && !json_is_null(egress) &&
	     take_list(egress, &img->egress) < 0) ||
	    (preload && take_modules(preload, &img->preload) < 0) ||
	    take_number(o, "memory", MB, LIMIT_MAX, &img->memory) < 0 ||
	    take_number(o, "files", MB, LIMIT_MAX, &img->files) < 0 ||
	    take_number(o, "timeout_ns", 1, TIMEOUT_MAX,
			&img->timeout_ns) < 0 ||
	    !value_name_ok(img->name) ||
	    strcmp(img->argv[0], img->interpreter) ||
	    take_layers(img, json_object_get(o, "layers")) < 0)
		return image_bad(img, "its config is not whole", err);
	return 0;
}

int image_read_meta(struct image *img, struct err *err)
{
	json_t *config = json_loadb((const char *)img->map + img->config.off,
				    img->config.len, 0, NULL);
	const json_t *o = json_object_get(config, IMAGE_KEY);
	int rc;

	if (!json_is_object(config)) {
		json_decref(config);
		return image_bad(img, "its config is not JSON", err);
	}
	rc = check_version(img, o, err);
	if (rc == 0)
		rc = take_fields(img, o, json_object_get(config, "config"),
				 err);
	if (rc == 0)
		rc = check_size(img, err);
	json_decref(config);
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
	free_list(img->preload);
}
