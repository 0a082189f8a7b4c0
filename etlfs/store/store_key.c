/*
 * store_key.c - what layers were made from
 *
 *   usetl-key 1 CHECKSUM LF DIGEST LF text
 *
 * The checksum is the SHA-256 of all behind its line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "etlfs/store/store_impl.h"

#define MAGIC	"usetl-key 1 "
#define HEAD	(sizeof(MAGIC) - 1 + 65)	/* bytes of the first line */
#define REST	(HEAD + 65)			/* where the text begins */

static int load(int fd, size_t len, char *buf)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = pread(fd, buf + at, len - at, (off_t)at);

		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		at += (size_t)n;
	}
	buf[len] = 0;
	return 0;
}

/* buf: len bytes and a NUL */
static int check(char *buf, size_t len, char digest[STORE_DIGEST])
{
	char sum[65];

	if (memcmp(buf, MAGIC, sizeof(MAGIC) - 1) || buf[HEAD - 1] != '\n' ||
	    buf[REST - 1] != '\n')
		return -EBADMSG;
	sha256_text(buf + HEAD, len - HEAD, sum);
	if (memcmp(sum, buf + sizeof(MAGIC) - 1, 64))
		return -EBADMSG;
	memcpy(digest, buf + HEAD, 64);
	digest[64] = 0;
	return store_is_digest(digest) ? 0 : -EBADMSG;
}

int store_key_read(const struct store *s, const char *name,
		   char digest[STORE_DIGEST], char **text, struct err *err)
{
	struct stat st;
	char *buf;
	int fd = store_file_open(s, s->keys, name, &st, err), rc = -EBADMSG;
	size_t len;

	if (fd < 0)
		return fd;
	len = (size_t)st.st_size;
	buf = len >= REST && len < STORE_KEY_MAX ? malloc(len + 1) : NULL;
	if (buf)
		rc = load(fd, len, buf);
	if (rc == 0)
		rc = check(buf, len, digest);
	if (rc == 0 && text) {
		memmove(buf, buf + REST, len + 1 - REST);
		*text = buf;
		buf = NULL;
		store_file_used(fd, &st);
	}
	free(buf);
	close(fd);
	return rc < 0 ? err_set(err, rc, "'%.24s' was cut short or changed",
				name) : 0;
}

static int name_of(char *name, size_t size, const char *kind, const char *key)
{
	return snprintf(name, size, "%s-%s", kind, key) < (int)size ? 0 :
		-ENAMETOOLONG;
}

int store_key_get(struct store *s, const char *kind, const char *key,
		  char **text, struct err *err)
{
	char name[128], digest[STORE_DIGEST];
	int rc = name_of(name, sizeof(name), kind, key);

	if (rc < 0)
		return err_set(err, rc, "'%s' is too long", kind);
	rc = store_key_read(s, name, digest, text, err);
	if (rc == -EBADMSG)
		unlinkat(s->keys, name, 0);
	return rc;
}

static int put(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int store_key_put(struct store *s, const char *kind, const char *key,
		  const char *digest, const char *text, struct err *err)
{
	struct store_file f = { .fd = -1 };
	char name[128], sum[65], *all = NULL;
	int n = asprintf(&all, MAGIC "%64s\n%s\n%s", "", digest, text);
	int rc = n < 0 ? -ENOMEM : name_of(name, sizeof(name), kind, key);

	if (rc < 0) {
		free(n < 0 ? NULL : all);
		return err_set(err, rc, "%s", strerror(-rc));
	}
	sha256_text(all + HEAD, (size_t)n - HEAD, sum);
	memcpy(all + sizeof(MAGIC) - 1, sum, 64);
	rc = store_file_create(s, s->keys, &f, err);
	if (rc == 0) {
		rc = put(f.fd, all, (size_t)n);
		rc = rc < 0 ? err_set(err, rc, "cannot write '%s': %s", s->dir,
				      strerror(-rc)) :
			store_file_commit(s, s->keys, &f, name, err);
	}
	store_file_close(s->keys, &f);
	free(all);
	return rc;
}
