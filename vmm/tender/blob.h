/*
 * blob.h - what a guest and its debugger need, embedded in the usetl binary
 */
#ifndef VMM_BLOB_H
#define VMM_BLOB_H

#include <stddef.h>

struct blob {
	const char *name;		/* "libos.elf", "vdso.so" */
	const unsigned char *data, *end;
};

extern const struct blob blob_libos;
extern const struct blob blob_vdso;
/* for debuggers: the process tender's stub page, at its address */
extern const struct blob blob_stub;

#endif
