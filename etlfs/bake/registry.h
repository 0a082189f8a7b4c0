/*
 * registry.h - images to and from a registry, by skopeo
 *
 * Digests stay what they are on both sides, so only blobs travel that the other
 * side does not have, and a pulled image is the pushed one byte for byte.
 */
#ifndef ETLFS_REGISTRY_H
#define ETLFS_REGISTRY_H

#include "conf/err.h"
#include "etlfs/bake/pack.h"
#include "etlfs/image/image.h"

struct registry {
	const char *ref;		/* as people write it */
	const char *authfile, *creds, *cert_dir;	/* or NULL */
	int insecure;			/* plain HTTP, or any certificate */
	struct store *store;		/* of pull: of layers, or NULL */
	int thin;			/* of pull: the image names the layers
					   that can be there */
	/* -errno stops */
	int (*progress)(void *arg, const struct pack_progress *p);
	/* the last lines of a skopeo that failed, when there are several */
	void (*said)(void *arg, const char *text);
	void *arg;
};

/* verifies img and sends it; 0, or -errno with err set */
int registry_push(const struct registry *r, const struct image *img,
		  struct err *err);
/*
 * Manifest and config of what is there, checked; image_close() frees *out,
 * in which no layer can be read.  texts: both, for registry_pull().
 */
struct registry_texts {
	char *manifest, *config;	/* the caller's to free */
};
int registry_look(const struct registry *r, struct image **out,
		  struct registry_texts *texts, struct err *err);
/*
 * The image into fd, a new file, verified there.  older: the path of an image
 * that may have layers in common, which then do not travel, like those of the
 * store; or NULL.
 */
int registry_pull(const struct registry *r, struct image *img,
		  const struct registry_texts *texts, const char *older,
		  int fd, struct err *err);

/*
 * skopeo.c: how it is run.  side: which option names, "src-", "dest-" or "";
 * args begins with the command and ends with NULL; a reference in it is the
 * caller's.  *out is what it printed.
 */
struct skopeo {
	const struct registry *r;
	const char *side, *temp;	/* temp: for its own files, or NULL */
	int (*wait)(void *arg);
	void *arg;
};
int skopeo_run(const struct skopeo *s, const char *const *args, char **out,
	       struct err *err);
/*
 * What skopeo calls r->ref, the caller's, or NULL.  digest: of a manifest,
 * whatever its tag says by now; or NULL
 */
char *skopeo_ref(const struct registry *r, const char *digest);
/* what r->ref says of the manifest's digest, "sha256:...", or NULL */
const char *skopeo_digest(const struct registry *r);
/*
 * A folder for an OCI layout, whose path has no colon, which would mean
 * something else to skopeo; 0 or -errno.  Removed with all that is in it.
 */
int skopeo_folder(char *buf, size_t size, struct err *err);
void skopeo_folder_remove(const char *path);

#endif
