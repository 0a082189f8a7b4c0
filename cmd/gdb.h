/*
 * gdb.h - gdb on a guest's process, for usetl invoke --gdb
 *
 * gdb runs in the foreground, a child of this process.  What it needs lies in
 * a temporary folder: the libOS and the stub page with their symbols, what is
 * ELF in the image, and gdb.py, which knows how to read the libOS's list of
 * modules.
 */
#ifndef CMD_GDB_H
#define CMD_GDB_H

#include <ev.h>
#include <sys/types.h>

#include "conf/err.h"
#include "etlfs/image/image.h"

struct gdb;

struct gdb_opts {
	struct ev_loop *loop;
	const struct image *img;
	int boot;			/* from the libOS's first instruction */
	char *const *command;		/* for gdb, after it is attached */
	unsigned commands;
	/* the guest may go on; err: there is to be an end */
	void (*attached)(void *arg, const struct err *err);
	void *arg;
};

/* is there a gdb, and may it?  0, or -errno and a line that says the fix */
int gdb_check(struct err *err);
/*
 * Makes the folder, and takes the signals that would leave it behind; *out is
 * the caller's, gdb_destroy() frees it.
 */
int gdb_create(struct gdb **out, const struct gdb_opts *o, struct err *err);
/*
 * A guest waits in this process.  attached() is called once gdb holds it.
 * When it is the one that gdb has already: once gdb has let it go.
 */
int gdb_attach(struct gdb *g, pid_t guest, struct err *err);
/* runs the loop until gdb has ended; the folder goes */
void gdb_destroy(struct gdb *g);

#endif
