/*
 * proctext.h - what the files under /proc and /sys say
 *
 * A text is composed as its file is opened, and read from there.  When
 * memory is out, `err` is set and what is appended after that is dropped.
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

struct proc_text {
	const char *path;
	void (*write)(struct proctext *t);
};

/* ended by a NULL path */
extern const struct proc_text proc_self_texts[];	/* proctext.c */
extern const struct proc_text proc_system_texts[];	/* procsys.c */

void cpuinfo_text(struct proctext *t);			/* cpuinfo.c */

#endif
