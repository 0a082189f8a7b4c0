/*
 * filecopy.h - bytes from one file into another, by the kernel where it can
 */
#ifndef ETLFS_FILECOPY_H
#define ETLFS_FILECOPY_H

#include <stdint.h>

/*
 * len bytes of `from` at from_off into `to` at to_off.  Where the file system
 * can share blocks between files, as the offsets then are multiples of a page,
 * they take no room.  0; -EBADMSG when `from` is shorter; or -errno.
 */
int file_copy(int from, uint64_t from_off, int to, uint64_t to_off,
	      uint64_t len);

#endif
