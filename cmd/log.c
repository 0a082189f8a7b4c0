/* log.c - what functions print, line by line, to a descriptor */
#include "cmd/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/sink.h"

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

/* a line's bytes, with what a terminal would obey as '?' */
static char *put_line(char *to, const char *name, size_t name_len,
		      const char *text, size_t len)
{
	if (name) {
		memcpy(to, name, name_len);
		to += name_len;
		*to++ = ':';
		*to++ = ' ';
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		*to++ = (c < ' ' && c != '\t') || c == 0x7f ? '?' : c;
	}
	*to++ = '\n';
	return to;
}

/* malloc'ed, or NULL; at most a name longer for each line */
static char *format(const char *name, const char *text, size_t len,
		    size_t *size)
{
	size_t name_len = name ? strlen(name) : 0, lines = 1;
	char *buf, *to;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	to = buf = malloc(len + lines * (name_len + 3));
	while (buf && len) {
		const char *nl = memchr(text, '\n', len);
		size_t line = nl ? (size_t)(nl - text) : len;

		to = put_line(to, name, name_len, text, line);
		line += nl != NULL;
		text += line;
		len -= line;
	}
	*size = (size_t)(to - buf);
	return buf;
}

void log_write(int fd, const char *name, const char *text, size_t len)
{
	size_t size;
	char *buf = format(name, text, len, &size);

	if (buf)
		write_all(fd, buf, size);
	free(buf);
}

void log_sink(struct sink *to, const char *name, const char *text, size_t len)
{
	size_t size;
	char *buf = format(name, text, len, &size);

	if (buf)
		sink_write(to, buf, size);
	free(buf);
}
