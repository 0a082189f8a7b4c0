/*
 * answer.h - how a request ended, for HTTP callers and for people
 *
 * Errors are JSON objects of errorType, errorMessage and stackTrace.  What a
 * handler raised is such an object already, made by the guest, and passed on
 * as it is; what befell the guest is made into one here.
 */
#ifndef CMD_ANSWER_H
#define CMD_ANSWER_H

#include <stdio.h>

#include "vmm/pool/pool.h"

/* HTTP status: 200, 500, 502, 503, 504 */
unsigned answer_status(const struct job_result *r);
/* JSON text, malloc'ed, or NULL when out of memory; not for JOB_OK */
char *answer_json(const struct job_result *r, size_t *len);
char *answer_error(const char *type, const char *message, size_t *len);
/* 1 when it is such an object: what else answers by HTTP is not usetl's */
int answer_is_error(const char *json, size_t len);
/*
 * A result on standard output, and a line feed.  The exit status: 1 when not
 * all of it could be written, which is then said.
 */
int answer_show(const char *who, const char *text, size_t len);
/*
 * "WHO: TypeError: message", then the trace, a line each; who may be NULL.
 * json is an error object, or anything else that the guest made, which is then
 * shown as it is but for control characters.  In brief: at most so much of a
 * trace, and of each line, that a log can have it for each request.
 */
void answer_print(FILE *to, const char *who, const char *json, size_t len,
		  int brief);

#endif
