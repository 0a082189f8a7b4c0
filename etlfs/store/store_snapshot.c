/*
 * store_snapshot.c - snapshots by the key of what they were made from
 *
 * Whole pages of the caller's, then one more that says what they are: how many
 * bytes, since when, for which key, and their checksum.  That is none against
 * who forges, whom owner and mode keep out, but finds what a disk or a crash has
 * made of a file: XXH3, which is as fast as the file can be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "conf/nstime.h"
#include "etlfs/store/store_impl.h"

#define MAGIC	0x32307473746c7375ull	/* "usltst02" */
#define PAGE	4096u
#define CHUNK	((size_t)256 << 10)

struct tail {
	uint64_t magic, len;
	int64_t created;
	uint64_t sum;
	char key[STORE_DIGEST];
	char what[STORE_WHAT];
	uint8_t zero[7];
	uint8_t id[STORE_ID], over[STORE_ID];
	uint64_t tail_sum;		/* of all before it */
};

static uint64_t tail_sum(const struct tail *t)
{
	return XXH3_64bits(t, offsetof(struct tail, tail_sum));
}

static int write_all(int fd, const void *buf, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, buf, len, at);

		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		buf = (const uint8_t *)buf + n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/* the sum of the first len bytes of `from`; they go to `to`, too: -1: nowhere */
static int sum_copy(int from, uint64_t len, int to, uint64_t *sum)
{
	XXH3_state_t *x = XXH3_createState();
	uint8_t *buf = malloc(CHUNK);
	int rc = x && buf && XXH3_64bits_reset(x) == XXH_OK ? 0 : -ENOMEM;

	for (uint64_t at = 0; rc == 0 && at < len;) {
		ssize_t n = pread(from, buf, len - at < CHUNK ? len - at : CHUNK,
				  (off_t)at);

		if (n <= 0)
			rc = n < 0 ? -errno : -EBADMSG;
		else if (to >= 0)
			rc = write_all(to, buf, (size_t)n, (off_t)at);
		if (rc == 0) {
			XXH3_64bits_update(x, buf, (size_t)n);
			at += (uint64_t)n;
		}
	}
	if (rc == 0)
		*sum = XXH3_64bits_digest(x);
	XXH3_freeState(x);
	free(buf);
	return rc;
}

_Static_assert(sizeof(struct tail) == offsetof(struct tail, tail_sum) + 8 &&
	       sizeof(struct tail) <= PAGE, "its last page holds it");

int store_snapshot_put(struct store *s, const char *key,
		       const struct store_snapshot *snap, struct err *err)
{
	const uint64_t len = snap->len;
	struct store_file f = { .fd = -1 };
	struct tail t = {
		.magic = MAGIC, .len = len,
		.created = (int64_t)nstime_of(CLOCK_REALTIME),
	};
	int rc = len % PAGE ? err_set(err, -EINVAL, "no whole pages") :
		 store_file_create(s, s->snapshots, &f, err);

	if (rc < 0)
		return rc;
	strcpy(t.key, key);
	snprintf(t.what, sizeof(t.what), "%s", snap->what);
	memcpy(t.id, snap->id, STORE_ID);
	memcpy(t.over, snap->over, STORE_ID);
	rc = sum_copy(snap->fd, len, f.fd, &t.sum);
	t.tail_sum = tail_sum(&t);
	if (rc == 0)
		rc = write_all(f.fd, &t, sizeof(t), (off_t)len);
	if (rc == 0 && ftruncate(f.fd, (off_t)(len + PAGE)) < 0)
		rc = -errno;
	if (rc < 0)
		err_set(err, rc, "cannot write '%s': %s", s->dir,
			strerror(-rc));
	else
		rc = store_file_commit(s, s->snapshots, &f, key, err);
	store_file_close(s->snapshots, &f);
	return rc;
}

static int tail_read(int fd, uint64_t size, const char *key, struct tail *t)
{
	if (size < PAGE || pread(fd, t, sizeof(*t), (off_t)(size - PAGE)) !=
	    sizeof(*t))
		return -EBADMSG;
	return t->magic == MAGIC && t->tail_sum == tail_sum(t) &&
	       t->len == size - PAGE && !strncmp(t->key, key, sizeof(t->key)) ?
	       0 : -EBADMSG;
}

/* a damaged one stays where it is */
static int open_whole(const struct store *s, const char *key,
		      struct store_snapshot *out, struct stat *st,
		      struct err *err)
{
	struct tail t;
	int fd = store_file_open(s, s->snapshots, key, st, err);

	if (fd < 0)
		return fd;
	if (tail_read(fd, (uint64_t)st->st_size, key, &t) < 0) {
		close(fd);
		return err_set(err, -EBADMSG, "it was cut short or changed");
	}
	*out = (struct store_snapshot){
		.fd = fd, .len = t.len, .created = t.created, .sum = t.sum,
	};
	memcpy(out->what, t.what, sizeof(t.what) - 1);
	memcpy(out->id, t.id, STORE_ID);
	memcpy(out->over, t.over, STORE_ID);
	return 0;
}

int store_snapshot_open(struct store *s, const char *key,
			struct store_snapshot *out, struct err *err)
{
	struct stat st;
	int rc = open_whole(s, key, out, &st, err);

	if (rc == 0)
		store_file_used(out->fd, &st);
	if (rc != -EBADMSG)
		return rc;
	store_snapshot_drop(s, key);
	return err_set(err, rc, "snapshot %.12s was cut short or changed", key);
}

int store_snapshot_read(struct store *s, const char *key,
			const struct store_snapshot *snap, int to,
			struct err *err)
{
	uint64_t sum;
	int rc = sum_copy(snap->fd, snap->len, to, &sum);

	if (rc == 0 && sum != snap->sum)
		rc = -EBADMSG;
	if (rc != -EBADMSG)
		return rc == 0 ? 0 : err_set(err, rc, "cannot read snapshot "
					     "%.12s: %s", key, strerror(-rc));
	store_snapshot_drop(s, key);
	return err_set(err, rc, "snapshot %.12s was changed", key);
}

void store_snapshot_drop(struct store *s, const char *key)
{
	unlinkat(s->snapshots, key, 0);
}

int store_snapshot_names(const struct store *s, const char *key,
			 struct store_snapshot *out)
{
	struct err err;
	struct stat st;
	int rc = open_whole(s, key, out, &st, &err);

	if (rc < 0)
		return rc;
	close(out->fd);
	out->fd = -1;
	return 0;
}

/* what people are told, see store_list.c */

int store_snapshot_entry(const struct store *s, const char *key,
			 struct store_entry *e)
{
	struct store_snapshot snap;
	struct err err;
	struct stat st;
	int rc = open_whole(s, key, &snap, &st, &err);

	if (rc < 0)
		return rc;
	close(snap.fd);
	*e = (struct store_entry){ .size = (uint64_t)st.st_size,
				   .used = st.st_mtim.tv_sec };
	strcpy(e->kind, "snapshot");
	snprintf(e->digest, sizeof(e->digest), "%s", key);
	memcpy(e->what, snap.what, sizeof(e->what));
	return 0;
}

int store_snapshot_verify(const struct store *s, const char *key,
			  struct err *err)
{
	struct store_snapshot snap;
	struct stat st;
	uint64_t sum;
	int rc = open_whole(s, key, &snap, &st, err);

	if (rc < 0)
		return rc;
	rc = sum_copy(snap.fd, snap.len, -1, &sum);
	close(snap.fd);
	if (rc == 0 && sum != snap.sum)
		rc = -EBADMSG;
	return rc < 0 ? err_set(err, rc, "its checksum is another one") : 0;
}
