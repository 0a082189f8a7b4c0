/* store_layer.c - layers by their digests */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "etlfs/store/store_impl.h"

static void name_of(char name[80], const char *digest)
{
	snprintf(name, 80, STORE_PREFIX "%s", digest);
}

int store_layer_open(struct store *s, const char *digest, uint64_t len,
		     struct err *err)
{
	char name[80], is[STORE_DIGEST];
	struct stat st;
	int fd, rc, keep;

	name_of(name, digest);
	fd = store_file_open(s, s->layers, name, &st, err);
	if (fd < 0)
		return fd;
	/* that it was used its key says, since its own time is to stay */
	if ((uint64_t)st.st_size == len && store_whole_knows(s, digest, &st))
		return fd;
	keep = store_stamp_settle(fd) == 0 && fstat(fd, &st) == 0;
	rc = sha256_file(fd, 0, (uint64_t)st.st_size, is);
	if (rc == 0 && strcmp(is, digest))
		rc = -EBADMSG;
	if (rc == 0 && (uint64_t)st.st_size == len) {
		if (!keep || store_whole_put(s, digest, &st, fd) < 0)
			store_file_used(fd, &st);
		return fd;
	}
	close(fd);
	/* it is good, and who asks takes it for another: it is not that */
	if (rc == 0)
		return -ENOENT;
	if (rc == -EBADMSG) {
		unlinkat(s->layers, name, 0);
		return err_set(err, rc, "layer %.12s was %s", digest,
			       (uint64_t)st.st_size < len ? "cut short" :
			       "changed");
	}
	return err_set(err, rc, "'%s': %s", name, strerror(-rc));
}

int store_layer_find(struct store *s, const char *digest, uint64_t len,
		     struct err *err)
{
	char name[80];
	struct stat st;
	int fd;

	name_of(name, digest);
	fd = store_file_open(s, s->layers, name, &st, err);
	if (fd < 0 || (uint64_t)st.st_size == len)
		return fd;
	close(fd);
	return err_set(err, -EBADMSG, "it was %s", (uint64_t)st.st_size < len ?
		       "cut short" : "changed");
}

/* the layer's own time stays: who trusts its bytes knows them by it */
int store_layer_need(struct store *s, const char *kind, const char *digest,
		     struct err *err)
{
	char *text;
	int rc = store_key_get(s, kind, digest, &text, err);

	if (rc < 0)
		return store_key_put(s, kind, digest, digest, "", err);
	free(text);
	return 0;
}

int store_layer_create(struct store *s, struct store_file *f, struct err *err)
{
	return store_file_create(s, s->layers, f, err);
}

int store_layer_commit(struct store *s, struct store_file *f,
		       const char *digest, struct err *err)
{
	char name[80];

	name_of(name, digest);
	return store_file_commit(s, s->layers, f, name, err);
}

void store_layer_close(struct store *s, struct store_file *f)
{
	store_file_close(s->layers, f);
}
