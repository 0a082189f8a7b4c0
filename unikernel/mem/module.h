/*
 * module.h - which file's code lies where
 *
 * Each file mapping that was asked for with PROT_EXEC, for crash reports and
 * debuggers (cmd/gdb.py reads the list by this struct): a program and its
 * interpreter, which elf.c loads, and what the program's loader maps later.
 * Code that a program wrote itself has no entry, nor has a mapping that became
 * executable by mprotect.
 */
#ifndef UNIKERNEL_MODULE_H
#define UNIKERNEL_MODULE_H

#include "unikernel/abi.h"
#include "unikernel/lib/lib.h"

#define MODULES_MAX	1024	/* further ones are left out */
#define MODULE_PATH_MAX	512	/* those with a longer path are, too */

struct module {
	struct module *next;
	u64 addr, len;			/* whole pages */
	u64 off;			/* of addr within the file */
	char path[];			/* in the guest's file system */
};

/* in no order; allocated by kmalloc() */
extern struct module *modules;

/*
 * Replaces what is known of these addresses; path has n bytes, with n 0 there
 * is no code any more.
 */
void module_add(const char *path, size_t n, u64 addr, u64 len, u64 off);
/* to call when the range is unmapped or mapped anew */
void module_remove(u64 addr, u64 len);
/* the mapping that addr lies in, or NULL */
const struct module *module_at(u64 addr);

#endif
