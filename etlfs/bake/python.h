/*
 * python.h - the interpreter that an image is made with
 *
 * What bake needs to know about an interpreter it asks the interpreter
 * itself: bake.py, embedded here, runs in it on the host.  Variables that
 * begin with PYTHON are kept from it.
 */
#ifndef ETLFS_PYTHON_H
#define ETLFS_PYTHON_H

#include <jansson.h>
#include <stdint.h>

#include "conf/err.h"
#include "conf/manifest.h"
#include "etlfs/bake/tree.h"

struct python {
	char *command;			/* runs on the host, may be a venv's */
	char *program;			/* real path: what runs in the guest */
	char *version;			/* "3.11.2" */
	char *cache_tag;		/* "cpython-311" */
	char *stdlib;			/* folder */
	char *dynload;			/* folder, or NULL */
	struct strings site;		/* folders of distributions */
	int has_pip;
};

/*
 * runtime: a path, or a name that PATH is searched for.  Anything but an
 * x86-64 CPython 3.9 or newer on glibc is refused.  0, or -errno with err.
 */
int python_find(struct python **out, const char *runtime, struct err *err);
void python_destroy(struct python *py);

/*
 * Compiles every .py of the layer from node number `from` on, to
 * __pycache__ beside it.  A syntax error is an error when strict, else a
 * warning.
 */
int python_compile(const struct python *py, struct tree *t, uint32_t from,
		   uint16_t layer, int strict, struct err *err);

/* distributions by name, with what they require; or all, for one "*" */
struct python_dists {
	struct strings paths;		/* files, and folders to be walked */
	struct strings folders;		/* that have to be on sys.path */
	unsigned n;
};
int python_installed(const struct python *py, const struct strings *names,
		     struct tree *t, struct python_dists *out,
		     struct err *err);
void python_dists_free(struct python_dists *d);

/* is a wheel for this interpreter?  0, or -errno with its tags in err */
int python_wheel(const struct python *py, const char *file, struct tree *t,
		 struct err *err);
/* pip install -r file into the empty folder target */
int python_pip(const struct python *py, const char *file, const char *target,
	       struct tree *t, struct err *err);

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
