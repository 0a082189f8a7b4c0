/*
 * pack_oci.c - an image as OCI's tools see it: its config and its manifest
 *
 * OCI image-spec 1.0, config.md and manifest.md.  What only usetl knows is a
 * key of its own in the config, which others leave as it is.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "etlfs/bake/pack.h"
#include "etlfs/image/image_impl.h"

static json_t *list(char *const *v)
{
	json_t *a;

	if (!v)
		return json_null();
	a = json_array();
	for (; *v; v++)
		if (json_array_append_new(a, json_string(*v))) {
			json_decref(a);
			return NULL;
		}
	return a;
}

static json_t *digest(const char *hex)
{
	return json_sprintf("sha256:%s", hex);
}

static json_t *layers(const struct image *meta)
{
	json_t *a = json_array();

	for (int i = 0; i < ETLFS_LAYERS; i++) {
		const struct image_layer *l = &meta->layer[i];

		if (l->len)
			json_array_append_new(a, json_pack(
				"{s:s, s:I, s:I}", "name", l->name,
				"index", (json_int_t)l->index_off,
				"files", (json_int_t)l->files));
	}
	return a;
}

static json_t *own(const struct image *meta)
{
	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:o, "
		"s:I, s:I, s:I, s:o*, s:o}",
		"format", IMAGE_FORMAT, "version", IMAGE_VERSION,
		"abi", UK_ABI_VERSION,
		"name", meta->name, "handler", meta->handler,
		"interpreter", meta->interpreter,
		IMAGE_KEY_VERSION, meta->version,
		"egress", list(meta->egress),
		"memory", (json_int_t)meta->memory,
		"files", (json_int_t)meta->files,
		"timeout_ns", (json_int_t)meta->timeout_ns,
		IMAGE_KEY_PRELOAD,
		meta->preload ? list(meta->preload) : NULL,
		"layers", layers(meta));
}

static json_t *diff_ids(const struct image *meta)
{
	json_t *a = json_array();

	for (int i = 0; i < ETLFS_LAYERS; i++)
		if (meta->layer[i].len)
			json_array_append_new(a,
					      digest(meta->layer[i].digest));
	return a;
}

char *pack_config_text(const struct image *meta)
{
	json_t *o = json_pack(
		"{s:s, s:s, s:{s:o, s:o}, s:{s:s, s:o}, s:o}",
		"architecture", "amd64", "os", "linux",
		"config", "Entrypoint", list(meta->argv), "Env",
		list(meta->env),
		"rootfs", "type", "layers", "diff_ids", diff_ids(meta),
		IMAGE_KEY, own(meta));
	char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;

	json_decref(o);
	return text;
}

static json_t *descriptor(const char *type, const char *hex, uint64_t size)
{
	return json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest",
			 digest(hex), "size", (json_int_t)size);
}

char *pack_manifest_text(const struct image *meta)
{
	json_t *a = json_array(), *o;
	char *text;

	for (int i = 0; i < ETLFS_LAYERS; i++)
		if (meta->layer[i].len)
			json_array_append_new(a, descriptor(
				OCI_LAYER, meta->layer[i].digest,
				meta->layer[i].len));
	o = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
		      OCI_MANIFEST, "config", descriptor(
			      OCI_CONFIG, meta->config.digest,
			      meta->config.len), "layers", a);
	text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
	json_decref(o);
	return text;
}
