/*
 * gdb_files.h - a temporary folder with all that gdb reads of a guest
 *
 *   libos.elf  stub.elf  vdso.so	what every guest has
 *   gdb.py				see there
 *   root/...				programs and libraries of the image
 */
#ifndef CMD_GDB_FILES_H
#define CMD_GDB_FILES_H

#include <limits.h>

#include "conf/err.h"
#include "etlfs/image/image.h"

/* dir has PATH_MAX bytes, for the folder's path; 0, or -errno and no folder */
int gdb_files_create(const struct image *img, char *dir, struct err *err);
void gdb_files_remove(const char *dir);

#endif
