/*
 * store.h - what was made once, kept for who needs it next
 *
 * This folder: the store, a folder of its owner's with
 *
 *   layers/sha256-DIGEST     the bytes of a layer, named by their SHA-256
 *   keys/KIND-KEY            what a layer of a kind was made from, as a SHA-256
 *                            that whoever makes layers computes, to a text of
 *                            his, which names the layer
 *   snapshots/KEY            guests' memory, by a SHA-256 of all that it depends
 *                            on, of the caller's
 *
 * It is a cache: nothing in it is needed, and whatever is in doubt is as if it
 * were not there.  A file gets its name when it is whole and on the disk, and
 * never changes afterwards; so whoever has it open may go on whatever happens to
 * the name, and any number of processes work on one store without locks.
 *
 * Trusted is only what belongs to the caller's own user and nobody else may
 * write: the store, its folders and each file.  A key's checksum is computed
 * each time that it is opened.  So is a layer's digest, but by store_layer_find(),
 * and unless it was computed before and nobody has changed the file since: who
 * has it has what was put there, or what a disk has made of that.
 *
 * Times of files: a file's mtime says when it was used last, to the minute.  A
 * layer that thin images need has a key of its own digest, so that it is not
 * taken for one that nothing needs: the store knows no images.
 *
 * Functions return 0, or -errno with err set.
 */
#ifndef ETLFS_STORE_H
#define ETLFS_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "conf/sha256.h"

#define STORE_DIGEST	SHA256_HEX
#define STORE_KIND_MAX	16
#define STORE_WHAT	96		/* one line and a NUL */
#define STORE_ID	16		/* bytes of a snapshot's name */

struct store;
struct stat;

/*
 * The folder that is meant where none is named: usetl in $XDG_DATA_HOME or in
 * ~/.local/share, or /var/lib/usetl for root without a HOME; -ENOENT: there is
 * none.
 */
int store_default(char *buf, size_t size, struct err *err);
/*
 * Opens it; what is missing is made when `make` says so, and is an error
 * otherwise (-ENOENT).  *out is the caller's, store_close() frees it.
 */
int store_open(struct store **out, const char *dir, int make, struct err *err);
void store_close(struct store *s);	/* may be NULL */
const char *store_dir(const struct store *s);	/* NULL of NULL */

/*
 * A layer of len bytes to read, its digest known; a descriptor, the
 * caller's.  -ENOENT: it is not there, which needs no word; -EBADMSG: it was
 * cut short or changed, and is removed; -EPERM: it is somebody else's.
 */
int store_layer_open(struct store *s, const char *digest, uint64_t len,
		     struct err *err);

/*
 * Which file it is and how it was changed last, as text that is another one
 * once anybody has changed it: how long, or -EAGAIN where that was just now.
 */
#define STORE_STAMP	160
int store_stamp(const struct stat *st, char *text, size_t size);
/*
 * Before the file is read that a stamp is kept of: from here on it tells of writes
 * by a mapping, too.  0, or -EOPNOTSUPP where it never does: on tmpfs.
 */
int store_stamp_settle(int fd);

/*
 * The same, but for the digest: for who verifies the bytes later, or has done
 * so.  -EBADMSG: it has another length.
 */
int store_layer_find(struct store *s, const char *digest, uint64_t len,
		     struct err *err);
/*
 * A thin image needs this layer of a kind, now: it stays for as long as gc is
 * told to keep what was used.
 */
int store_layer_need(struct store *s, const char *kind, const char *digest,
		     struct err *err);

/* a layer that is being written, to fd; begins as all 0 with fd -1 */
struct store_file {
	int fd;
	char name[48];			/* "" once it has its own */
};
int store_layer_create(struct store *s, struct store_file *f, struct err *err);
/* all of it is written: it is there by its digest.  fd stays open */
int store_layer_commit(struct store *s, struct store_file *f,
		       const char *digest, struct err *err);
/* closes fd; without a commit, nothing is left of it */
void store_layer_close(struct store *s, struct store_file *f);

/*
 * What is known by a key: the text, NUL-terminated, the caller's.  -ENOENT:
 * nothing, which needs no word; -EBADMSG and -EPERM as for a layer.
 */
int store_key_get(struct store *s, const char *kind, const char *key,
		  char **text, struct err *err);
/* digest: of the layer that the text is about */
int store_key_put(struct store *s, const char *kind, const char *key,
		  const char *digest, const char *text, struct err *err);

/* --- store_snapshot.c */

/* one that is open to read */
struct store_snapshot {
	int fd;				/* the caller's */
	uint64_t len;			/* bytes, whole pages */
	int64_t created;		/* ns since the epoch */
	uint64_t sum;
	char what[STORE_WHAT];
	/* its name, and that of the one without which it is of no use, which is
	   its own when there is none */
	uint8_t id[STORE_ID], over[STORE_ID];
};
/*
 * The first snap->len bytes of its fd, whole pages; replaces what the key had.
 * snap->what: one line for people.
 */
int store_snapshot_put(struct store *s, const char *key,
		       const struct store_snapshot *snap, struct err *err);
/*
 * -ENOENT: there is none, which needs no word; -EBADMSG: it was cut short, and is
 * removed; -EPERM.  It is as long as it was and of that key; what its pages are
 * store_snapshot_read() finds out.
 */
int store_snapshot_open(struct store *s, const char *key,
			struct store_snapshot *out, struct err *err);
/* all of it, into `to` from 0 on (-1: nowhere); -EBADMSG: it was changed, and
   is removed */
int store_snapshot_read(struct store *s, const char *key,
			const struct store_snapshot *snap, int to,
			struct err *err);
/* all of it is read: -EBADMSG where its checksum is another one */
int store_snapshot_verify(const struct store *s, const char *key,
			  struct err *err);
/* it is of no use to anybody */
void store_snapshot_drop(struct store *s, const char *key);

/* --- store_list.c: for people */

struct store_entry {
	char kind[STORE_KIND_MAX];	/* "" when no key refers to it */
	char digest[STORE_DIGEST];	/* of a snapshot, its key */
	char what[STORE_WHAT];		/* of a snapshot */
	uint64_t size;			/* bytes */
	int64_t used;			/* seconds since the epoch */
};
/* every layer and snapshot, those used last first; *out is the caller's, n of them */
int store_list(struct store *s, struct store_entry **out, size_t *n,
	       struct err *err);

/*
 * Everything in it is read.  say() is told of each file that is not what it
 * was, or not to be trusted; how many there were, or -errno.
 */
int store_verify(struct store *s, void (*say)(void *arg, const char *line),
		 void *arg, struct err *err);

/* s: one that is as new may be over what is about to be put in */
#define STORE_ORPHAN_KEPT	60

struct store_gc {
	int64_t keep;			/* seconds: what was used since, stays */
	int keys;			/* older keys go, too, and with them their
					   layers; else layers without a key */
	int64_t keep_snapshots;		/* the same, of snapshots */
	unsigned layers, gone;		/* removed: layers, keys, */
	unsigned snapshots;
	uint64_t bytes;
};
int store_gc(struct store *s, struct store_gc *gc, struct err *err);
/* of that the snapshots alone: nothing is read but the folder */
int store_gc_snapshots(struct store *s, struct store_gc *gc, struct err *err);
/* those over a snapshot that is not there, which are of no use to anybody, but for
   new ones */
int store_gc_orphans(struct store *s, struct store_gc *gc, struct err *err);
#define STORE_SNAPSHOT_KEPT	(7 * 86400)	/* s: those that nobody used */

#endif
