/*
 * build.h - which build of usetl this is
 *
 * What one build has written of itself, a snapshot or a layer, no other takes
 * for its own.
 */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#define BUILD_ID_MAX	41		/* 40 hex digits and a NUL */

/* the linker's build-id of this program; 0, or -ENOENT: it has none */
int build_id(char hex[BUILD_ID_MAX]);

#endif
