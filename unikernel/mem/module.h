/*
 * module.h - which file's code lies where
 *
 * Each file mapping that was asked for with PROT_EXEC, for crash reports and
 * debuggers (cmd/gdb.py follows the list in memory by this very struct): a
 * program and its interpreter as elf.c loads them, what a loader maps later.
 * Code that a program wrote itself has no entry, nor has a mapping that became
 * executable by mprotect.
 */
#ifndef UNIKERNEL_MODULE_H
#define UNIKERNEL_MODULE_H

#include "unikernel/abi.h"
#include "unikernel/lib/lib.h"

#define MODULES_MAX	1024	/* more are not remembered */
#define MODULE_PATH_MAX	512	/* nor are those with a longer path */

struct module {
	struct module *next;
	u64 addr, len;			/* whole pages */
	u64 off;			/* of addr, in the file */
	char path[];			/* in the guest, NUL-terminated */
};

extern struct module *modules;		/* no order; the libOS's own memory */

/* in place of what was known of these addresses; n bytes of path, 0: none */
void module_add(const char *path, size_t n, u64 addr, u64 len, u64 off);
/* the range is unmapped, or something else is mapped there */
void module_remove(u64 addr, u64 len);
/* the mapping that addr lies in, or NULL */
const struct module *module_at(u64 addr);

#endif
