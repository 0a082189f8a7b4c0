/* invoke_url.h - invoke a function that another usetl serves, by libcurl */
#ifndef CMD_INVOKE_URL_H
#define CMD_INVOKE_URL_H

#include <stddef.h>
#include <stdint.h>

/*
 * POSTs the event `repeat` times; the last result goes to stdout, errors and,
 * with stats, times to stderr.  timeout_ns 0: none.  The exit status.
 */
int invoke_url(const char *url, const void *event, size_t len,
		  uint64_t timeout_ns, unsigned repeat, int stats);

#endif
