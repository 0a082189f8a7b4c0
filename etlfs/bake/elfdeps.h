/*
 * elfdeps.h - the shared libraries that packed ELF files need
 *
 * Libraries are looked for as the guest's ld.so will (ld.so(8)): DT_RPATH of
 * the object and of who loaded it, DT_RUNPATH, then ld.so.cache, then the
 * default directories.  The guest has no ld.so.cache: a library that only
 * the cache finds gets a symlink in the directory where libc is, which ld.so
 * searches by default.
 */
#ifndef ETLFS_ELFDEPS_H
#define ETLFS_ELFDEPS_H

#include <stdint.h>

#include "conf/err.h"
#include "etlfs/bake/tree.h"

/* what ld.so reads in an object; strings are the object's own, freed by
   elfdeps_info_free() */
struct elf_info {
	int dynamic;			/* has a dynamic section */
	char *interp;			/* PT_INTERP, or NULL */
	char *soname;			/* or NULL */
	char *rpath, *runpath;		/* or NULL */
	char **needed;			/* NULL-terminated */
};

/*
 * Reads a file in the tree.  1: an x86-64 ELF object; 0: none of that;
 * -errno with err set: a broken one.
 */
int elfdeps_info_read(const struct tree *t, uint32_t node, struct elf_info *out,
		      struct err *err);
void elfdeps_info_free(struct elf_info *e);

struct elfdeps;

/* program: node of the interpreter, which is packed already with its ld.so */
int elfdeps_create(struct elfdeps **out, struct tree *t, uint32_t program,
		   struct err *err);
/*
 * Adds to `layer` what the files from node number `from` on need, and what
 * that needs.  A library that is nowhere is an error for the interpreter and
 * a warning for others, which may find it loaded already.
 */
int elfdeps_add(struct elfdeps *d, uint32_t from, uint16_t layer,
		struct err *err);
/* dlopen()ed by name: packed when this host has it; 1 yes, 0 no, -errno */
int elfdeps_want(struct elfdeps *d, const char *soname, uint16_t layer,
		 struct err *err);
/*
 * The folder where libc was found, "" before that.  Whoever takes a layer
 * from elsewhere says what it was there.
 */
const char *elfdeps_libdir(const struct elfdeps *d);
void elfdeps_set_libdir(struct elfdeps *d, const char *dir);
void elfdeps_destroy(struct elfdeps *d);

#endif
