/*
 * place.h - what a function is to its guest, apart from its files
 *
 * A guest boots as far as its interpreter, UK_LEVEL_RUNTIME, and there a
 * function is placed in it: limits, name, environment.  It is the same memory
 * in whatever process it is used, so it goes from the gateway to a reference
 * by a fork, or in a memfd of PLACE_SIZE bytes.
 *
 * Units: bytes, ns.  Strings are as in struct uk_ctl: argc arguments, then
 * envc variables, "NAME=value", each NUL-terminated.
 */
#ifndef VMM_PLACE_H
#define VMM_PLACE_H

#include <stdint.h>

#include "conf/err.h"
#include "conf/words.h"
#include "etlfs/image/image.h"
#include "unikernel/abi.h"

#define PLACE_SIZE	(UK_CTL_PAGES * UK_PAGE)
/* what of the environment is known before there is a function begins not so */
#define PLACE_OWN	"USETL_"
/* and one that bake writes, by function.ini(5), where fork is not `function` */
#define PLACE_FORK_POINT "USETL_FORK_POINT="
/* of these, where its modules lie: packages are imported by it, too */
#define PLACE_PATH	"USETL_PATH="
/* of packages alone: the modules to import, with spaces between them */
#define PLACE_PRELOAD	"USETL_PRELOAD="

struct place {
	uint64_t memory, files;
	uint64_t timeout_ns;		/* of a request, and of what a child does
					   before there is one */
	uint64_t boot_ns;		/* until READY */
	uint64_t log_max;		/* bytes of log of the boot */
	uint32_t recycle;		/* enum recycle */
	uint32_t level;			/* UK_LEVEL_*, of the READY at which it
					   is frozen */
	uint8_t trace, verify;		/* as ref_opts has them */
	uint8_t fork_boot;		/* it has no runtime to be placed in: it
					   is there from the first instruction,
					   and READY before its program */
	struct uk_layer layer[UK_LAYERS];	/* of its image, and where */
	uint64_t layer_off[UK_LAYERS];	/* they are in the file */
	uint32_t argc, envc, strings_len;
	char strings[];			/* up to PLACE_SIZE */
};

struct ref_opts;

/* of o's image, by o; the caller's to free().  NULL with err */
struct place *place_create(const struct ref_opts *o, struct err *err);
/* a copy without what only a function has: its upper layers, too; or, with
   fork_boot, all of it */
struct place *place_runtime(const struct place *p, struct err *err);
/* the same of what it imports from its packages before all else */
struct place *place_packages(const struct place *p, const struct image *img,
			     struct err *err);
/* fork in its function.ini(5) */
const char *place_fork_point(const struct image *img);
/* do clones of it start before the interpreter? then it shares no runtime */
int place_forks_at_boot(const struct image *img);
/* would both boot the same, as far as their runtime, or their packages? */
int place_same_runtime(const struct image *a, const struct image *b);
int place_same_packages(const struct image *a, const struct image *b);
/* is all of it there? what comes by a memfd is looked at once more */
int place_valid(const struct place *p);

#endif
