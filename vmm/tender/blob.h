/*
 * blob.h - what is embedded in the usetl binary: guest code and its Python
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
/*
 * for debuggers: the process tender's stub page, at its address; gdb's script
 */
extern const struct blob blob_stub;
extern const struct blob blob_gdb;
/*
 * guest Python, all of unikernel/python, ended by a NULL name: path in the
 * guest ("/usetl/boot.py"); blob_data.S has the table
 */
extern const struct blob blob_python[];

#endif
