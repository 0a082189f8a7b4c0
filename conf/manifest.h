/*
 * manifest.h - function.ini(5), read (conf/ini.h)
 *
 * Every value was checked: names are well formed, sizes and durations are
 * in range, a handler is there.  Paths are as written; the caller resolves
 * them against the manifest's own folder.
 */
#ifndef CONF_MANIFEST_H
#define CONF_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "conf/words.h"

#define MANIFEST_MEMORY		(128ull << 20)
#define MANIFEST_FILES		(64ull << 20)
#define MANIFEST_TIMEOUT	10000000000ull
#define MANIFEST_RUNTIME	"/usr/bin/python3"

/* n strings; v[n] is NULL once anything was added, v is NULL before */
struct strings {
	char **v;
	size_t n;
};

struct manifest {
	char *name;			/* NULL: the folder's name */
	char *handler;			/* module.function */
	char *runtime;
	uint64_t memory;		/* bytes */
	uint64_t files;			/* bytes */
	uint64_t timeout_ns;
	enum fork_point fork;
	struct strings include, exclude;	/* globs */
	struct strings path;		/* folders, wheels, zips, tars */
	struct strings installed;	/* distributions, or one "*" */
	char *requirements;		/* a file, or NULL */
	struct strings environment;	/* "NAME=value" */
	struct strings egress;
	int has_egress;			/* there is a list, maybe empty */
};

/*
 * Parses len bytes of text; `file` stands before the line number in errors.
 * *out is the caller's, manifest_destroy() frees it.  0 or -errno.
 */
int manifest_parse(struct manifest **out, const char *file, const char *text,
		   size_t len, struct err *err);
/* the same for a file, of at most 1 MB */
int manifest_load(struct manifest **out, const char *file, struct err *err);
void manifest_destroy(struct manifest *m);

/* appends a copy of len bytes; 0 or -ENOMEM */
int strings_add(struct strings *s, const char *text, size_t len);
void strings_free(struct strings *s);
int strings_same(const struct strings *a, const struct strings *b);

#endif
