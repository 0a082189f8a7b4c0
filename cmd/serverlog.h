/*
 * serverlog.h - what serve says: to its operator, and to functions' log
 *
 * There is one of it in a process.  While the loop runs neither waits for its
 * reader (asynclog.h), and each function has its shares of both, one for what
 * it prints and one for notes about it.
 */
#ifndef CMD_SERVERLOG_H
#define CMD_SERVERLOG_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/err.h"
#include "vmm/pool/pool.h"

struct asynclog;

/* standard error by the loop from now on; functions' log is that, too */
int serverlog_begin(struct ev_loop *loop);
/* straight to standard error again, once what waits was written */
void serverlog_end(void);

/* one line for the operator, with "usetl serve: " before it */
void serverlog_say(const char *text);
void serverlog_sayf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* where c has functions' output go: serverlog_use() takes *out */
int serverlog_open(struct asynclog **out, const struct conf *c,
		   struct err *err);
/*
 * Instead of the one that there is, with what waits there.  c is its
 * configuration, and stays for as long as it is in use.
 */
void serverlog_use(struct asynclog *log, const struct conf *c);

/* notes about functions, for the operator */
void serverlog_ready(struct function *f);
/* now: who goes on in its place, or NULL */
void serverlog_cannot_boot(struct function *f, const char *why,
			   struct function *now);
void serverlog_note(struct function *f, const char *text);

/* of pool_ops; arg is not used */
void serverlog_output(void *arg, struct function *f, const char *text,
		      size_t len);
uint64_t serverlog_room(void *arg, struct function *f);
void serverlog_lost(void *arg, struct function *f, uint64_t lines);
/* what its caller hears, in functions' log */
void serverlog_failed(void *arg, struct function *f,
		      const struct job_result *r);

#endif
