/*
 * fuzz_errdoc.c - an error document of any bytes
 *
 * What is read of it lies within it, what is printed ends, and holds nothing
 * that could steer a terminal.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/errdoc.h"
#include "t/fuzz/fuzz.h"

const unsigned fuzz_runs = 20000;

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	return 0;
}

static void print(FILE *to, const struct errtext *s, const char *json,
		  size_t size)
{
	MUST(s->at >= json && s->at + s->len <= json + size);
	errdoc_print(to, s, 1 + size % 97);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *json = malloc(size ? size : 1), *text = NULL;
	struct errdoc d;
	size_t len, n = 0;
	FILE *to = open_memstream(&text, &len);

	MUST(json && to);
	memcpy(json, data, size);
	if (errdoc_read(&d, json, size)) {
		const char *at = d.trace;
		struct errtext line;

		print(to, &d.type, json, size);
		print(to, &d.message, json, size);
		for (; n < d.lines; n++) {
			line = errdoc_line(&d, &at);
			print(to, &line, json, size);
		}
		MUST(!d.lines || !errdoc_line(&d, &at).at);
	}
	fclose(to);
	MUST(len <= (n + 2) * 140);
	for (size_t i = 0; i < len; i++)
		MUST((unsigned char)text[i] >= ' ' || text[i] == '\n' ||
		     text[i] == '\t');
	free(text);
	free(json);
	return 0;
}
