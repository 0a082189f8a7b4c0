/*
 * server.h - the serving process: from its start to its end, and its signals
 */
#ifndef CMD_SERVER_H
#define CMD_SERVER_H

#include <stddef.h>

/* of the command line, checked; NULL: not given */
struct server_opts {
	const char *conf_path, *listen, *tender, *store, *control;
	char **images;
	size_t n_images;
};

/* until it is told to stop; the exit status */
int server_run(const struct server_opts *o);

#endif
