/*
 * err.h - an error with its reason
 *
 * Subsystems return -errno and, where a number says too little, leave one
 * line of text here (lower case, no full stop, subject quoted, a hint when
 * there is one).  Only usetl.c and cmd/ print it.  A NULL err is allowed
 * everywhere.
 */
#ifndef CONF_ERR_H
#define CONF_ERR_H

struct err {
	char msg[1024];
};

/* sets the text and returns code (a negative errno), for `return err_set()` */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
