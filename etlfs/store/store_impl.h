/* store_impl.h - what the parts of the store share with each other */
#ifndef ETLFS_STORE_IMPL_H
#define ETLFS_STORE_IMPL_H

#include <sys/stat.h>

#include "etlfs/store/store.h"

#define STORE_LAYERS	"layers"
#define STORE_KEYS	"keys"
#define STORE_SNAPSHOTS	"snapshots"
#define STORE_PREFIX	"sha256-"	/* of a layer's name */
#define STORE_TEMP	"."		/* begins what has no name yet */
#define STORE_KEY_MAX	((size_t)64 << 20)	/* bytes of a key's text */

struct store {
	char *dir;
	int layers, keys, snapshots;	/* descriptors of the folders */
};

/* does the caller own it, and may nobody else write it? */
int store_trusted(const struct stat *st);
/*
 * Opens a file of a folder to read, when it is a regular one that is to be
 * trusted; its descriptor, -ENOENT, or -errno with err set.
 */
int store_file_open(const struct store *s, int folder, const char *name,
		    struct stat *st, struct err *err);
/*
 * It was used now, which its time says to the minute: each change of that may
 * wait for a disk
 */
void store_file_used(int fd, const struct stat *st);
/* a new file in a folder, for f->name; then its real name */
int store_file_create(const struct store *s, int folder, struct store_file *f,
		      struct err *err);
int store_file_commit(const struct store *s, int folder, struct store_file *f,
		      const char *name, struct err *err);
void store_file_close(int folder, struct store_file *f);
/* 64 hex digits and no more? */
int store_is_digest(const char *s);
/* a key's text, checked, and the digest of its layer; text may be NULL */
int store_key_read(const struct store *s, const char *name,
		   char digest[STORE_DIGEST], char **text, struct err *err);

/*
 * store_whole.c: a layer's file, of that digest, was read before and found good,
 * and is the same: 1.  It was found good now, and was `before` when that
 * began: 0, or -errno, which is no harm.  A key's name: is it one of these?
 */
int store_whole_knows(struct store *s, const char *digest,
		      const struct stat *st);
int store_whole_put(struct store *s, const char *digest,
		    const struct stat *before, int fd);
int store_whole_is(const char *name);
void store_whole_drop(struct store *s, const char *digest);

/* store_snapshot.c, for store_list.c: 0, or -errno with err set */
/* what it says of itself; its fd is closed */
int store_snapshot_names(const struct store *s, const char *key,
			 struct store_snapshot *out);
int store_snapshot_entry(const struct store *s, const char *key,
			 struct store_entry *e);

/* calls visit for each name in a folder but temporary ones; its < 0 ends it */
int store_each(const struct store *s, int folder,
	       int (*visit)(void *arg, const char *name), void *arg,
	       struct err *err);

#endif
