/*
 * python.h - what the parts of the Python runtime share: python*.c alone
 *
 * What bake needs to know about an interpreter it asks the interpreter
 * itself: bake.py, embedded here, runs in it on the host.  Variables that
 * begin with PYTHON are kept from it.  Functions that runtime_ops has too are
 * explained in runtime.h.
 */
#ifndef ETLFS_PYTHON_H
#define ETLFS_PYTHON_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "etlfs/bake/runtime.h"

struct python {
	struct runtime rt;		/* first: the one is the other */
	char *cache_tag;		/* "cpython-311" */
	char *prefix;			/* sys.prefix */
	char *pip;			/* where it is, or NULL */
};

static inline struct python *python_of(const struct runtime *rt)
{
	return (struct python *)rt;
}

/* python.c: anything but an x86-64 CPython 3.9 or newer on glibc is refused */
int python_find(struct runtime **out, const char *command, struct err *err);
void python_destroy(struct runtime *rt);

/* python_boot.S: all of unikernel/python */
extern const struct runtime_file python_boot[];

/* python_work.c: a .py is compiled to __pycache__ beside it */
int python_compile(const struct runtime *rt, struct tree *t, uint32_t from,
		   uint16_t layer, int strict, struct err *err);
/* distributions; a folder that cannot stand in sys.path is an error */
int python_installed(const struct runtime *rt, const struct strings *names,
		     struct tree *t, struct runtime_packages *out,
		     struct err *err);
/* a wheel has tags, which say what it is for; other archives are let pass */
int python_archive(const struct runtime *rt, const char *file, struct tree *t,
		   struct err *err);
/* by pip */
int python_install(const struct runtime *rt, const char *file,
		   const char *target, struct tree *t, struct err *err);
/* python_pip.c */
int python_needs(const struct runtime *rt, const char *file, struct tree *t,
		 FILE *to);

/*
 * python_run.c: runs argv with `in` on its standard input; *out is the whole
 * of its output, NUL-terminated, the caller's.  Its last line on standard
 * error is the reason when it fails, and t->said() gets the last 20.  spool,
 * when >= 0, stays open in it under the same number.  t->wait() is asked
 * while waiting.  t may be NULL.
 */
int python_run(char *const argv[], const char *in, int spool,
	       struct tree *t, char **out, struct err *err);
/* the same for a verb of bake.py, JSON to JSON; the caller's reference */
int python_ask(const char *command, const char *verb, const json_t *ask,
	       int spool, struct tree *t, json_t **out, struct err *err);

#endif
