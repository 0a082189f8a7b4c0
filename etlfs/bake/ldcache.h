/*
 * ldcache.h - /etc/ld.so.cache of this host, for looking libraries up
 */
#ifndef ETLFS_LDCACHE_H
#define ETLFS_LDCACHE_H

#define LDCACHE	"/etc/ld.so.cache"

struct ldcache;

/* 0, or -errno: no such file, or not in glibc's format since 2.2 (1.1) */
int ldcache_open(struct ldcache **out);
/* path of an x86-64 glibc library for any processor, or NULL; the cache's */
const char *ldcache_find(const struct ldcache *c, const char *soname);
void ldcache_close(struct ldcache *c);

#endif
