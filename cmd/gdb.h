/*
 * gdb.h - gdb on a guest's process, for usetl invoke --gdb
 *
 * gdb runs in the foreground, as a child of this process.  Its files lie in a
 * temporary folder: the libOS and the stub page with their symbols, the image's
 * ELF files, and gdb.py, which can read the libOS's list of modules.
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
	/* begin at the libOS's first instruction */
	int boot;
	char *const *command;		/* gdb commands, after it is attached */
	unsigned commands;
	/* the guest may go on; with err, the invocation must end */
	void (*attached)(void *arg, const struct err *err);
	void *arg;
};

/* whether gdb exists and may attach: 0, or -errno with what to do in err */
int gdb_check(struct err *err);
/*
 * Makes the folder, and catches the signals that would leave it behind.  The
 * caller frees *out by gdb_destroy().
 */
int gdb_create(struct gdb **out, const struct gdb_opts *o, struct err *err);
/*
 * To call when a guest's process waits in the attach callback: attached() is
 * called once gdb has attached to it, or, when gdb has it already, once gdb has
 * detached.
 */
int gdb_attach(struct gdb *g, pid_t guest, struct err *err);
/* runs the loop until gdb has ended, and removes the folder */
void gdb_destroy(struct gdb *g);

#endif
