/* errdoc_test.c - what is read of an error document, and what is shown */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/answer.h"
#include "t/unit/tap.h"

/* answer_print() of len bytes, or of a string; the caller frees it */
static char *shown(const char *json, size_t len, int brief)
{
	char *text = NULL, *copy = malloc(len ? len : 1);
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f || !copy)
		exit(1);
	/* without anything behind it */
	memcpy(copy, json, len);
	answer_print(f, NULL, copy, len, brief);
	fclose(f);
	free(copy);
	return text;
}

static void shows(const char *json, const char *want, const char *what)
{
	char *text = shown(json, strlen(json), 1);

	ok(!strcmp(text, want), "%s", what);
	if (strcmp(text, want))
		printf("# got %s# want %s", text, want);
	free(text);
}

#define HEAD	"{\"errorType\": \"E\", \"errorMessage\": \"m\""

static void test_read(void)
{
	shows(HEAD ", \"stackTrace\": [\"a\", \"  b\"]}\n", "E: m\na\n  b\n",
	      "a document");
	shows("{\"stackTrace\":[],\"errorMessage\":\"m\",\"errorType\":\"E\"}",
	      "E: m\n", "in any order, without a trace");
	shows(HEAD "}", "E: m\n", "without a list");
	shows("{\"errorType\": \"E\", \"errorMessage\": \"one\\ntwo\\n\"}",
	      "E: one\ntwo\n", "a message of two lines");
	shows("{\"errorType\": \"E\", \"errorMessage\": "
	      "\"\\u00e9 \\\"\\\\\\/ \\ud83d\\ude00 \\ud800 \\udc00\\t.\"}",
	      "E: \303\251 \"\\/ \360\237\230\200 \357\277\275 \357\277\275"
	      "\t.\n", "escapes, pairs and halves of pairs");
	shows("{\"errorType\": \"E\", \"errorMessage\": "
	      "\"a\\u001b[2Jb\\u0000\\r\\b\\u007f\"}", "E: a?[2Jb????\n",
	      "nothing that steers a terminal");
}

static void test_others(void)
{
	static const char *const other[] = {
		"", "{", "{}", "[]", "null", "\"", "{\"errorType\": \"E\"}",
		HEAD, HEAD ",", HEAD ",}", HEAD "} x", HEAD "}}",
		HEAD ", \"errorType\": \"F\"}", HEAD ", \"more\": 1}",
		HEAD ", \"stackTrace\": [1]}", HEAD ", \"stackTrace\": [\"a\",",
		HEAD ", \"stackTrace\": [\"a\" \"b\"]}",
		HEAD ", \"stackTrace\": \"a\"}",
		HEAD ", \"stackTrace\": [\"\\",
		HEAD ", \"stackTrace\": [\"\n\"]}",
		HEAD ", \"stackTrace\": [], \"stackTrace\": []}",
		"{\"errorType\": 1, \"errorMessage\": \"m\"}",
	};
	unsigned wrong = 0;

	for (unsigned i = 0; i < sizeof(other) / sizeof(*other); i++) {
		char *text = shown(other[i], strlen(other[i]), 1);
		size_t len = strlen(other[i]);

		/* as it is */
		if (strncmp(text, other[i], len) ||
		    (strcmp(text + len, "\n") && len))
			wrong++;
		free(text);
	}
	ok(!wrong, "what is no such document is shown as it is");
	shows("\033[2Jx\r\n", "?[2Jx?\n",
	    "control characters of no document are not shown");
}

/* a document with so many lines of so many bytes */
static char *document(size_t lines, size_t bytes, size_t *len)
{
	char *json = malloc(100 + lines * (bytes + 40)), *p = json;

	if (!json)
		exit(1);
	p += sprintf(p, HEAD ", \"stackTrace\": [");
	for (size_t i = 0; i < lines; i++) {
		p += sprintf(p, "%s\"%05zu ", i ? ", " : "", i);
		memset(p, 'x', bytes);
		p += bytes;
		*p++ = '"';
	}
	p += sprintf(p, "]}");
	*len = (size_t)(p - json);
	return json;
}

static unsigned line_feeds(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_brief(void)
{
	size_t len;
	char *json = document(128, 10, &len), *text = shown(json, len, 1);

	ok(line_feeds(text) == 129 && !strstr(text, "left out"),
	   "a stack of 128 lines is shown");
	free(text);
	free(json);
	json = document(1000, 10, &len);
	text = shown(json, len, 1);
	ok(line_feeds(text) == 130 && strstr(text, "\n00063 ") &&
	   strstr(text, "\n  [872 lines left out]\n00936 ") &&
	   strstr(text, "\n00999 "), "of more, where it began and where it was "
	   "raised");
	free(text);
	text = shown(json, len, 0);
	ok(line_feeds(text) == 1001, "all lines are shown when not in brief");
	free(text);
	free(json);
	json = document(3, 5000, &len);
	text = shown(json, len, 1);
	ok(strlen(text) < 4000 && strstr(text, " more bytes)\n00001 "),
	   "a long line is cut, which is said");
	free(text);
	free(json);
	json = document(1, 300000, &len);
	text = shown(json, len, 1);
	ok(strlen(text) == 1001, "a document past all bounds is not read");
	free(text);
	free(json);
}

int main(void)
{
	test_read();
	test_others();
	test_brief();
	return plan();
}
