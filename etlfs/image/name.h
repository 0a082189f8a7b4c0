/*
 * name.h - the order of names in a directory (etlfs/format.h)
 *
 * Who writes an index and who searches one compare by this one function; the
 * guest, which shares no code with the host, has its own (imagefs.c).
 */
#ifndef ETLFS_NAME_H
#define ETLFS_NAME_H

#include <stddef.h>

/* as memcmp sorts, the shorter first where one is a prefix of the other */
int etlfs_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
