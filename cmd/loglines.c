/* loglines.c - what functions print, line by line, to a descriptor */
#include "cmd/loglines.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/backlog.h"
#include "cmd/asynclog.h"

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

/*
 * How many bytes the character at s has, if a terminal shows it.  0 for one
 * that a terminal would obey (a C0 or C1 control character), or that is no
 * UTF-8 (RFC 3629).
 */
static size_t shown(const unsigned char *s, size_t len)
{
	size_t n = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	uint32_t c = *s & (0x7f >> n);

	if (*s < 0x80)
		return (*s >= ' ' && *s != 0x7f) || *s == '\t';
	if (*s < 0xc2 || *s > 0xf4 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/*
	 * overlong forms, surrogates, too large; C1 controls, line separators
	 */
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) ||
	    (c >= 0xd800 && c < 0xe000) || c > 0x10ffff || c < 0xa0 ||
	    c == 0x2028 || c == 0x2029)
		return 0;
	return n;
}

/* copies a line, with '?' for bytes that are not to be shown */
static char *put_line(char *to, const char *name, size_t name_len,
		      const char *text, size_t len)
{
	if (name) {
		memcpy(to, name, name_len);
		to += name_len;
		*to++ = ':';
		*to++ = ' ';
	}
	for (size_t i = 0, n; i < len; i += n) {
		n = shown((const unsigned char *)text + i, len - i);
		if (n)
			memcpy(to, text + i, n);
		else
			*to = '?';
		n += !n;
		to += n;
	}
	*to++ = '\n';
	return to;
}

/*
 * Formats as many whole lines as fit into room, each with the name before it:
 * malloc'ed, or NULL.  *text is advanced past the lines that were used.
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

void loglines_write(int fd, const char *name, const char *text, size_t len)
{
	size_t size;
	char *buf = format(name, UINT64_MAX, &text, &len, &size);

	if (buf)
		write_all(fd, buf, size);
	free(buf);
}

void loglines_async(struct asynclog *to, const char *name, const char *whose,
		    const char *text, size_t len)
{
	size_t size;
	char *buf = format(name, asynclog_room(to, whose), &text, &len, &size);

	if (size)
		asynclog_write(to, whose, buf, size);
	if (len)
		asynclog_lost(to, whose, backlog_lines(text, len));
	free(buf);
}
