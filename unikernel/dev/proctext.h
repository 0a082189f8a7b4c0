/*
 * proctext.h - a text that grows as it is written: a file of /proc or /sys
 *
 * When memory is out, `err` is set and what is appended after that is
 * dropped.  buf is kmalloc'd, and its owner's to free; a line of
 * proctext_printf() that is longer than 1023 bytes is cut off.
 */
#ifndef UNIKERNEL_PROCTEXT_H
#define UNIKERNEL_PROCTEXT_H

#include "unikernel/lib/lib.h"

struct proctext {
	char *buf;
	size_t len, cap;
	int err;			/* -ENOMEM */
};

void proctext_write(struct proctext *t, const void *from, size_t len);
void proctext_printf(struct proctext *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
