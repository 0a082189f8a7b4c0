/*
 * value.h - sizes, times, counts and names as people write them
 *
 * All answer 0, -EINVAL (not of that form) or -ERANGE (past 64 bits).
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdint.h>

#define VALUE_NAME_MAX	64		/* bytes of a function's name */

/* "6M" to bytes: K, M, G, T are powers of 1024 */
int value_size(const char *s, uint64_t *out);
/* "10s" to nanoseconds: us, ms, s (also when nothing follows), m, h */
int value_time(const char *s, uint64_t *out);
int value_count(const char *s, uint64_t *out);
/* 1 when s can be a function's name: [A-Za-z0-9][A-Za-z0-9_.-]* */
int value_name_ok(const char *s);

#endif
