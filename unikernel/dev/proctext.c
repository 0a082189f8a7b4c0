/*
 * proctext.c - a text that grows as it is written (proctext.h)
 */
#include "unikernel/dev/proctext.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"

#define TEXT_FIRST	512
#define LINE_SIZE	1024

static int reserve(struct proctext *t, size_t len)
{
	size_t cap = t->cap ? t->cap : TEXT_FIRST;
	char *buf;

	while (cap < t->len + len)
		cap *= 2;
	if (cap == t->cap)
		return 0;
	buf = krealloc(t->buf, cap);
	if (!buf) {
		t->err = -ENOMEM;
		return -ENOMEM;
	}
	t->buf = buf;
	t->cap = cap;
	return 0;
}

void proctext_write(struct proctext *t, const void *from, size_t len)
{
	if (t->err || reserve(t, len) < 0)
		return;
	memcpy(t->buf + t->len, from, len);
	t->len += len;
}

void proctext_printf(struct proctext *t, const char *fmt, ...)
{
	char line[LINE_SIZE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = k_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		proctext_write(t, line, MIN((size_t)n, sizeof(line) - 1));
}
