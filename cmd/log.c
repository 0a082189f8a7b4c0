/* log.c - what functions print, line by line, to a descriptor */
#include "cmd/log.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/backlog.h"
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

/*
 * The whole lines that have room in so many bytes, malloc'ed, or NULL; each is
 * a name longer.  What they were made of is taken off the text.
 */
static char *format(const char *name, uint64_t room, const char **text,
		    size_t *len, size_t *size)
{
	size_t name_len = name ? strlen(name) : 0;
	uint64_t all = *len + backlog_lines(*text, *len) * (name_len + 3);
	char *buf = malloc(all < room ? all : room + 1), *to = buf;

	while (buf && *len) {
		const char *nl = memchr(*text, '\n', *len);
		size_t line = nl ? (size_t)(nl - *text) : *len;

		if (name_len + line + 3 > room - (uint64_t)(to - buf))
			break;
		to = put_line(to, name, name_len, *text, line);
		line += nl != NULL;
		*text += line;
		*len -= line;
	}
	*size = (size_t)(to - buf);
	return buf;
}

void log_write(int fd, const char *name, const char *text, size_t len)
{
	size_t size;
	char *buf = format(name, UINT64_MAX, &text, &len, &size);

	if (buf)
		write_all(fd, buf, size);
	free(buf);
}

void log_sink(struct sink *to, const char *name, const char *whose,
	      const char *text, size_t len)
{
	size_t size;
	char *buf = format(name, sink_room(to, whose), &text, &len, &size);

	if (size)
		sink_write(to, whose, buf, size);
	if (len)
		sink_lost(to, whose, backlog_lines(text, len));
	free(buf);
}
