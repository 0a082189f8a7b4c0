/*
 * runtime.h - what runs a function, as far as bake has to know it
 *
 * A runtime is a language's interpreter: how it is found on this host, which
 * folders are its library, how its packages are looked up and installed, what
 * it compiles, and what a guest starts it with.  Everything that is true of
 * one language only is behind the struct runtime_ops of its own file
 * (python_ops.c and its like), which has a row in runtime.c's table.  What
 * puts an image together asks there and knows no language.
 *
 * Functions return 0, or -errno with err set, unless they say otherwise.
 */
#ifndef ETLFS_RUNTIME_H
#define ETLFS_RUNTIME_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/err.h"
#include "conf/manifest.h"
#include "etlfs/bake/tree.h"

/*
 * An interpreter that was found.  What a runtime has to remember besides
 * stands behind this in a struct of its own.
 */
struct runtime {
	const struct runtime_ops *ops;
	char *command;			/* runs on the host; may be the one of a
					   virtual environment */
	char *program;			/* real path: what runs in the guest */
	char *version;			/* "3.11.2" */
	struct strings stdlib;		/* folders of the standard library */
	struct strings site;		/* folders of installed packages */
};

/* installed packages: where their files are, all by absolute paths */
struct runtime_packages {
	struct strings paths;		/* files, and folders to be walked */
	struct strings folders;		/* in which the guest looks for them */
};

/* a file of usetl's own, which starts the function in the guest */
struct runtime_file {
	const char *path;		/* in the guest */
	const char *data, *end;
};

/* lists end with NULL; patterns are explained in pack_rules.c */
struct runtime_ops {
	const char *name;		/* as people write it: "python" */
	const char *commands;		/* pattern of its programs' names */

	/* patterns of what each layer leaves out unless it is included */
	const char *const *not_stdlib, *const *not_packages, *const *not_app;
	/* in a function's folder, a folder with this file in it holds tools */
	const char *tools_mark;
	/* in a folder that install() filled: commands, for no guest to run */
	const char *scripts;
	/* what it runs of its own site folders whenever it starts */
	const char *const *site_runs;

	const char *const *options;	/* of argv, behind the program */
	/* "NAME=value" of env, for names that the function does not set */
	const char *const *env;
	const struct runtime_file *boot;	/* ended by a NULL path */

	/*
	 * command: a path, or a name that PATH is searched for.  *out is the
	 * caller's, runtime_destroy() frees it.
	 */
	int (*find)(struct runtime **out, const char *command,
		    struct err *err);
	/* frees what is the runtime's own, and rt */
	void (*destroy)(struct runtime *rt);
	/*
	 * Adds to the layer what its source files from node number `from` on
	 * compile to.  A syntax error is an error when strict, else a warning.
	 */
	int (*compile)(const struct runtime *rt, struct tree *t, uint32_t from,
		       uint16_t layer, int strict, struct err *err);
	/*
	 * Installed packages by name, with what they require; or all, for one
	 * "*".  *out is the caller's, runtime_packages_free() frees it.
	 */
	int (*installed)(const struct runtime *rt,
			 const struct strings *names, struct tree *t,
			 struct runtime_packages *out, struct err *err);
	/* what a requirements file asks for, into the empty folder target */
	const char *installing;		/* said meanwhile: "waiting for ..." */
	int (*install)(const struct runtime *rt, const char *file,
		       const char *target, struct tree *t, struct err *err);
	/*
	 * Writes all that decides what install() would bring; files that may
	 * change by themselves are told to t->saw().  -ENOTSUP: it cannot be
	 * said.
	 */
	int (*needs)(const struct runtime *rt, const char *file,
		     struct tree *t, FILE *to);
	/* is an archive of packages for this interpreter? */
	int (*archive)(const struct runtime *rt, const char *file,
		       struct tree *t, struct err *err);
	/* for tree_add_archive() */
	const char *(*place)(const char *file, const char *name, int is_file);
};

extern const struct runtime_ops runtime_python;

/* the interpreter that function.ini's `runtime` names, by find() */
int runtime_find(struct runtime **out, const char *command, struct err *err);
void runtime_destroy(struct runtime *rt);
/*
 * For find(): the absolute path of a command that can be run, symlinks kept,
 * since a virtual environment is known by its path; 0 or -errno
 */
int runtime_locate(const char *command, char *buf, size_t size);
void runtime_packages_free(struct runtime_packages *p);

#endif
