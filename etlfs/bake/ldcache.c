/*
 * ldcache.c - /etc/ld.so.cache of this host (glibc's dl-cache.h)
 *
 *   magic and version, nlibs, len_strings, flags, extensions | entries
 *   | strings; offsets in entries count from the start of the file
 *
 * Every offset is checked: a damaged cache finds nothing.
 */
#include "etlfs/bake/ldcache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC		"glibc-ld.so.cache1.1"
#define X86_64_LIBC6	0x0303

struct cache_head {
	char magic[20];
	uint32_t nlibs;
	uint32_t len_strings;
	uint8_t flags, pad[3];
	uint32_t extensions;
	uint32_t unused[3];
};

struct cache_entry {
	int32_t flags;
	uint32_t key, value;		/* soname and path */
	uint32_t osversion;
	uint64_t hwcap;			/* 0: any processor */
};

struct ldcache {
	const char *map;
	size_t size;
	uint32_t nlibs;
};

_Static_assert(sizeof(struct cache_head) == 48, "cache_head layout");
_Static_assert(sizeof(struct cache_entry) == 24, "cache_entry layout");

static int check(struct ldcache *c)
{
	struct cache_head h;

	if (c->size < sizeof(h))
		return -EINVAL;
	memcpy(&h, c->map, sizeof(h));
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) ||
	    h.nlibs > (c->size - sizeof(h)) / sizeof(struct cache_entry))
		return -EINVAL;
	c->nlibs = h.nlibs;
	return 0;
}

int ldcache_open(struct ldcache **out)
{
	struct ldcache *c = calloc(1, sizeof(*c));
	int fd = c ? open(LDCACHE, O_RDONLY | O_CLOEXEC) : -1, rc = 0;
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st)) {
		rc = c ? -errno : -ENOMEM;
		goto out;
	}
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		rc = -errno;
		goto out;
	}
	c->map = map;
	c->size = st.st_size;
	rc = check(c);
out:
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		ldcache_close(c);
	else
		*out = c;
	return rc;
}

/* a string that ends inside the file, or NULL */
static const char *string_at(const struct ldcache *c, uint32_t off)
{
	if (off >= c->size || !memchr(c->map + off, 0, c->size - off))
		return NULL;
	return c->map + off;
}

const char *ldcache_find(const struct ldcache *c, const char *soname)
{
	for (uint32_t i = 0; i < c->nlibs; i++) {
		struct cache_entry e;
		const char *key;

		memcpy(&e, c->map + sizeof(struct cache_head) +
		       i * sizeof(e), sizeof(e));
		if (e.flags != X86_64_LIBC6 || e.hwcap)
			continue;
		key = string_at(c, e.key);
		if (key && !strcmp(key, soname))
			return string_at(c, e.value);
	}
	return NULL;
}

void ldcache_close(struct ldcache *c)
{
	if (!c)
		return;
	if (c->map)
		munmap((void *)c->map, c->size);
	free(c);
}
