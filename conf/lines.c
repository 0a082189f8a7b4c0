/* lines.c - the lines of a file, as inih has to get them */
#include "conf/lines.h"

#include <string.h>

void lines_init(struct lines *l, const char *text, const char *end)
{
	*l = (struct lines){ .at = text, .end = end, .key_indent = -1 };
}

/* columns before a line's text, which is at *text */
static int indent_of(char *line, char **text)
{
	int columns = 0;

	for (; *line == ' ' || *line == '\t'; line++)
		columns = *line == '\t' ? (columns | 7) + 1 : columns + 1;
	*text = line;
	return columns;
}

static void look_at_indent(struct lines *l, char *line)
{
	char *text;
	int indent;

	/* a byte order mark */
	if (l->number == 1 && !strncmp(line, "\xef\xbb\xbf", 3))
		memmove(line, line + 3, strlen(line + 3) + 1);
	indent = indent_of(line, &text);
	l->more = 0;
	if (strchr("#;\r\n", *text))	/* a comment, or nothing */
		return;
	l->more = l->key_indent >= 0 && indent > l->key_indent;
	if (l->more)
		return;
	l->key_indent = *text == '[' ? -1 : indent;
	memmove(line, text, strlen(text) + 1);
}

char *lines_next(struct lines *l, char *buf, int size, const char **why)
{
	const char *nl;
	size_t len, room;

	*why = NULL;
	if (l->at == l->end)
		return NULL;
	l->number++;
	nl = memchr(l->at, '\n', l->end - l->at);
	len = (nl ? nl + 1 : l->end) - l->at;
	/* the last line may lack its end, and is no longer for that */
	room = size - 1 - !nl;
	if (len > room || memchr(l->at, 0, len)) {
		*why = len > room ? "line is too long" :
			"line holds a NUL byte";
		l->at = l->end;
		return NULL;
	}
	memcpy(buf, l->at, len);
	buf[len] = 0;
	l->at += len;
	look_at_indent(l, buf);
	return buf;
}
