/* log.c - what functions print, line by line, to a descriptor */
#include "cmd/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			buf += n;
			len -= n;
		}
	}
}

static void put_line(FILE *out, const char *name, const char *text, size_t len)
{
	if (name)
		fprintf(out, "%s: ", name);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		putc((c < ' ' && c != '\t') || c == 0x7f ? '?' : c, out);
	}
	putc('\n', out);
}

void log_write(int fd, const char *name, const char *text, size_t len)
{
	size_t size;
	char *buf;
	FILE *out = open_memstream(&buf, &size);

	if (!out)
		return;
	while (len) {
		const char *nl = memchr(text, '\n', len);
		size_t line = nl ? (size_t)(nl - text) : len;

		put_line(out, name, text, line);
		line += nl != NULL;
		text += line;
		len -= line;
	}
	if (fclose(out) == 0)
		write_all(fd, buf, size);
	free(buf);
}
