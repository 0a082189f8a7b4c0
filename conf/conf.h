/*
 * conf.h - usetl.conf(5), read (conf/ini.h)
 *
 * This folder: the two configuration files, usetl.conf and function.ini, and
 * what all of the host's side uses: text, values, errors.
 *
 * Every key has a default, so a conf that was never read from a file is whole
 * too.  Unknown sections and keys, repeated keys and values out of range are
 * errors that name file and line.  Sizes are bytes (K, M, G are powers of
 * 1024), times nanoseconds here and "500ms", "10s", "5m", "1h" in the file.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "conf/err.h"
#include "conf/words.h"

/* bytes of a result, at most: what one message of a guest can bring */
#define CONF_RESPONSE_MAX	(32u << 20)

struct conf_function {
	char *name;
	char *image;			/* path, made absolute to the file */
	unsigned line;			/* of its section */
	unsigned min, max;		/* 0 max: [pool] decides */
	int has_min, has_refresh;
	uint64_t refresh_ns;
	enum recycle recycle;
	enum yesno store;		/* its snapshot may be there */
	char *owner;			/* NULL: that of all who name none */
	uint64_t timeout_ns;		/* 0: the image's */
	uint64_t memory;		/* 0: the image's */
};

struct conf {
	/* [serve] */
	char *listen;			/* ADDR:PORT */
	char *user;			/* NULL: clones run as we do */
	char *log;			/* NULL: standard error */
	char *copies;			/* folder of images' copies; NULL: see
					   etlfs/image/image.h */
	char *store;			/* folder; NULL: nothing is kept */
	char *control;			/* socket; NULL: the usual one */
	enum tender_kind tender;
	uint64_t drain_ns;
	/* [limits] */
	uint64_t request_max, response_max, log_max;
	unsigned connections;
	unsigned per_address;		/* of them; 0: no limit */
	uint64_t log_rate;		/* bytes per second; 0: any */
	unsigned queue;
	uint64_t wait_ns;
	uint64_t boot_ns;
	/* [pool] */
	unsigned min, max;
	uint64_t idle_ns;
	uint64_t refresh_ns;		/* 0: never */
	uint64_t memory;		/* of idle functions; 0: any */
	enum yesno share;		/* one runtime for many functions */
	unsigned layouts;		/* references of each, side by side */
	unsigned shells;		/* of each such runtime; 0: none */
	/* [fetch] */
	unsigned windows;
	uint64_t warm;
	uint64_t fetch_timeout_ns;
	uint64_t fetch_max, fetch_total;

	struct conf_function *function;
	size_t functions;
};

/* the defaults; conf_destroy() frees it */
int conf_create(struct conf **out);
/* 0, or -errno with err set */
int conf_load(struct conf **out, const char *path, struct err *err);
/* the same from memory; name stands in messages and leads relative paths */
int conf_parse(struct conf **out, const char *name, const char *text,
	       size_t len, struct err *err);
void conf_destroy(struct conf *c);

#endif
