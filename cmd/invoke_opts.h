/*
 * invoke_opts.h - what `usetl invoke` was asked for, and the event
 *
 * Parsing and reading say on standard error what is wrong, and answer an exit
 * status: 0 where there is nothing.
 */
#ifndef CMD_INVOKE_OPTS_H
#define CMD_INVOKE_OPTS_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/guest/ref.h"

struct invoke_opts {
	const char *data, *tender, *store;
	int has_data;			/* it was given */
	const char *target;		/* IMAGE or URL; NULL: `from` says */
	const char *from;		/* a snapshot's file, or NULL */
	char *event;			/* the caller's to free */
	size_t event_len;
	int stats, json, pages, trace;
	enum debug debug;
	char **gdb;			/* commands for gdb; to free */
	unsigned n_gdb;
	enum recycle recycle;
	unsigned repeat;
	uint64_t pause_ns;		/* from an answer to the next event */
	uint64_t timeout_ns;		/* 0: the image's */
	uint64_t boot_ns;		/* 0: as long as serve waits */
};

/* -1: help was asked for, and given */
int invoke_parse(int argc, char **argv, struct invoke_opts *o);
/* 1: the target is a URL, and runs elsewhere */
int invoke_is_url(const struct invoke_opts *o);
/* reads it from where o->data says; it is JSON */
int invoke_event(struct invoke_opts *o);

#endif
