/*
 * pool_trust.c - an image that was verified before, and is what it was then
 *
 * Whoever boots from a file of his own, and not from a copy, hashes all of it
 * each time, which takes longer than what starts from a snapshot.  So the store
 * remembers which file was found good: by its place, size and times, of which
 * nobody sets ctime.  It counts for what nobody else can write, and what was
 * not changed just before it was read, since times are not that exact.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/pool/pool_impl.h"

#define KIND	"verified"

static int is_ours(const struct stat *st)
{
	return (st->st_uid == geteuid() || !st->st_uid) &&
	       !(st->st_mode & 022);
}

/* which file it is, as text of up to size bytes; how many, or -errno */
static int file_text(int fd, char *text, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return is_ours(&st) ? store_stamp(&st, text, size) : -EPERM;
}

/* a thin image is its own file and its layers' in the store */
static int key_of(const struct image *img, char key[STORE_DIGEST])
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "%s %s ", img->digest,
			 img->upper ? "upper" : "whole");
	int rc = file_text(img->fd, text + n, sizeof(text) - (size_t)n);

	for (int i = 0; rc >= 0 && i < ETLFS_LAYERS; i++) {
		n += rc;
		rc = img->layer[i].stored ?
			file_text(img->layer[i].fd, text + n,
				  sizeof(text) - (size_t)n) : 0;
	}
	if (rc < 0)
		return rc;
	sha256_text(text, (size_t)(n + rc), key);
	return 0;
}

int pool_trust_knows(struct store *s, const struct image *img)
{
	char key[STORE_DIGEST], *text;
	struct err why;

	if (!s || key_of(img, key) < 0 ||
	    store_key_get(s, KIND, key, &text, &why) < 0)
		return 0;
	free(text);
	return 1;
}

static int settle(const struct image *img)
{
	int rc = store_stamp_settle(img->fd);

	for (int i = 0; rc == 0 && i < ETLFS_LAYERS; i++)
		if (img->layer[i].stored)
			rc = store_stamp_settle(img->layer[i].fd);
	return rc;
}

int pool_trust_verify(struct store *s,
		      int (*verify)(const struct image *img, struct err *err),
		      const struct image *img, struct err *err)
{
	char before[STORE_DIGEST], after[STORE_DIGEST];
	struct err why;
	int known = s && settle(img) == 0 && key_of(img, before) == 0, rc;

	rc = verify(img, err);
	/* the same file, all the while that it was read */
	if (rc == 0 && known && key_of(img, after) == 0 &&
	    !strcmp(before, after))
		store_key_put(s, KIND, before, img->digest, "", &why);
	return rc;
}
