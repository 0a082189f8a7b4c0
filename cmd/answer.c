/* answer.c - how a request ended, for HTTP callers and for people */
#include "cmd/answer.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/errdoc.h"

#define REPORT_LINES	128		/* of a report, in a stackTrace */
/* what is shown of an error in brief, in lines and in bytes */
#define BRIEF_READ	((size_t)256 << 10)
#define BRIEF_LINES	128
#define BRIEF_LINE	1000
#define BRIEF_MESSAGE	8192

unsigned answer_status(const struct job_result *r)
{
	switch (r->outcome) {
	case JOB_OK:
		return 200;
	case JOB_ERROR:
		return 500;
	case JOB_DIED:
	case JOB_TOO_LARGE:
		return 502;
	case JOB_TIMEOUT:
		return 504;
	case JOB_UNAVAILABLE:
		return 503;
	}
	return 500;
}

/* a JSON string of any bytes: what is not UTF-8 becomes '?' */
static json_t *string_of(const char *text, size_t len)
{
	json_t *s = json_stringn(text, len);
	char *copy;

	if (s)
		return s;
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i++)
		copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	s = json_stringn(copy, len);
	free(copy);
	return s;
}

static json_t *lines_of(const char *text, size_t len)
{
	json_t *list = json_array();

	for (int n = 0; len && n < REPORT_LINES; n++) {
		const char *nl = memchr(text, '\n', len);
		size_t used = nl ? (size_t)(nl - text) : len;

		if (used)
			json_array_append_new(list, string_of(text, used));
		used += nl != NULL;
		text += used;
		len -= used;
	}
	return list;
}

static char *object(const char *type, const char *message, const char *report,
		    size_t report_len, size_t *len)
{
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "errorType", json_string(type));
	json_object_set_new(o, "errorMessage",
			    string_of(message, strlen(message)));
	json_object_set_new(o, "stackTrace", lines_of(report, report_len));
	text = json_dumps(o, 0);
	json_decref(o);
	if (text)
		*len = strlen(text);
	return text;
}

char *answer_error(const char *type, const char *message, size_t *len)
{
	return object(type, message, "", 0, len);
}

static const char *died_message(const struct job_result *r, char *buf,
				size_t size)
{
	const char *name;

	switch (r->died) {
	case DIED_EXIT:
		snprintf(buf, size, "the function exited with status %d "
			 "instead of returning", (int)r->status);
		return "Runtime.ExitError";
	case DIED_SIGNAL:
		name = sigabbrev_np((int)r->status);
		snprintf(buf, size, "the function ended by signal %d%s%s%s",
			 (int)r->status, name ? " (SIG" : "",
			 name ? name : "", name ? ")" : "");
		return "Runtime.ExitError";
	case DIED_MEMORY:
		snprintf(buf, size, "the function ran out of memory");
		return "Runtime.OutOfMemory";
	case DIED_KILLED:
		snprintf(buf, size, "the function's process was killed from "
			 "outside, by somebody or for want of memory");
		return "Runtime.Killed";
	case DIED_FAULT:
		snprintf(buf, size, "the function broke its virtual machine");
		return "Runtime.Fault";
	default:
		snprintf(buf, size, "the function's virtual machine failed");
		return "Runtime.HostError";
	}
}

char *answer_json(const struct job_result *r, size_t *len)
{
	const char *type;
	char buf[256];
	char *copy;

	switch (r->outcome) {
	case JOB_OK:
	case JOB_ERROR:
		copy = malloc(r->len + 1);
		if (copy) {
			memcpy(copy, r->text, r->len);
			copy[r->len] = '\0';
			*len = r->len;
		}
		return copy;
	case JOB_TIMEOUT:
		snprintf(buf, sizeof(buf), "the function did not answer "
			 "within its time limit of %g s%s", r->limit_ns / 1e9,
			 r->stats.run_ns ? "" : " and was killed");
		return object("Runtime.Timeout", buf, r->text, r->len, len);
	case JOB_DIED:
		type = died_message(r, buf, sizeof(buf));
		return object(type, buf, r->text, r->len, len);
	case JOB_TOO_LARGE:
	case JOB_UNAVAILABLE:
		break;
	}
	snprintf(buf, sizeof(buf), "%.*s",
		 (int)(r->len < 255 ? r->len : 255), r->text);
	return answer_error(r->outcome == JOB_TOO_LARGE ?
			    "Runtime.ResponseTooLarge" :
			    "Usetl.Unavailable", buf, len);
}

/* text from a guest on its way to a terminal: no escape sequences */
static void print_text(FILE *to, const char *text, size_t len)
{
	for (; len; text++, len--)
		fputc(*text == '\n' || *text == '\t' ||
		      (unsigned char)*text >= 0x80 ||
		      isprint((unsigned char)*text) ? *text : '?', to);
}

static void print_line(FILE *to, const char *text, size_t len)
{
	print_text(to, text, len);
	if (!len || text[len - 1] != '\n')
		fputc('\n', to);
}

static void print_doc(FILE *to, const struct errdoc *d, int brief)
{
	size_t left_out = brief && d->lines > BRIEF_LINES ?
			  d->lines - BRIEF_LINES : 0;
	size_t long_line = brief ? BRIEF_LINE : SIZE_MAX;
	const char *at = d->trace;

	errdoc_print(to, &d->type, long_line);
	fputs(": ", to);
	if (!errdoc_print(to, &d->message, brief ? BRIEF_MESSAGE : SIZE_MAX))
		putc('\n', to);
	for (size_t i = 0; i < d->lines; i++) {
		struct errtext line = errdoc_line(d, &at);

		if (i == BRIEF_LINES / 2 && left_out)
			fprintf(to, "  [%zu lines left out]\n", left_out);
		/* where it began, and where it was raised */
		if (i >= BRIEF_LINES / 2 && i < BRIEF_LINES / 2 + left_out)
			continue;
		if (!errdoc_print(to, &line, long_line))
			putc('\n', to);
	}
}

void answer_print(FILE *to, const char *who, const char *json, size_t len,
		  int brief)
{
	struct errdoc d;

	if (who)
		fprintf(to, "%s: ", who);
	if ((!brief || len <= BRIEF_READ) && errdoc_read(&d, json, len))
		print_doc(to, &d, brief);
	else
		print_line(to, json, len < 1000 ? len : 1000);
}

int answer_is_error(const char *json, size_t len)
{
	struct errdoc d;

	return errdoc_read(&d, json, len);
}

int answer_show(const char *who, const char *text, size_t len)
{
	errno = 0;
	if ((!len || fwrite(text, len, 1, stdout) == 1) &&
	    putchar('\n') != EOF && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "%s: cannot write standard output: %s\n", who,
		strerror(errno));
	return 1;
}
