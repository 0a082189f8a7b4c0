/*
 * value.h - sizes, times, counts and names as people write them
 *
 * All answer 0, -EINVAL (not of that form) or -ERANGE (past 64 bits).
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdint.h>

#define VALUE_NAME_MAX	64		/* bytes of a function's name */
#define VALUE_SIZE_MAX	24		/* of a size or time as it is printed */

/* "6M" to bytes: K, M, G, T are powers of 1024 */
int value_size(const char *s, uint64_t *out);
/*
 * for bytes that somebody wrote without a unit, in buf: the same number with
 * the smallest unit that puts it between min and max; 0 when there is none
 */
int value_size_meant(char buf[VALUE_SIZE_MAX], const char *s, uint64_t min,
		     uint64_t max);
/* "10s" to nanoseconds: us, ms, s (also when nothing follows), m, h */
int value_time(const char *s, uint64_t *out);
int value_count(const char *s, uint64_t *out);
/* bytes in the largest unit that says it exactly: "6M" */
void value_print_size(char buf[VALUE_SIZE_MAX], uint64_t bytes);
/* nanoseconds likewise: "500ms", "24h" */
void value_print_time(char buf[VALUE_SIZE_MAX], uint64_t ns);
/* 1 when s can be a function's name: [A-Za-z0-9][A-Za-z0-9_.-]* */
int value_name_ok(const char *s);
/* 1 when a word of s is '#': it was meant to begin a comment, and does not */
int value_has_comment(const char *s);
/* 1 when a key's name has one, since its line has ':' and no '=' before it */
int value_has_blank(const char *s);

#endif
