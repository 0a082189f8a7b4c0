/*
 * fuzz_json.c - texts of any bytes, and a second opinion
 *
 * In whatever pieces a text comes, the answer is the same.  What jansson takes
 * is taken; what is taken, jansson refuses for what json.h says it takes
 * beyond it alone: numbers out of a double's range and lone surrogates.  A NUL
 * is taken by neither grammar, but jansson overlooks some.
 */
#include <jansson.h>
#include <string.h>

#include "cmd/json.h"
#include "t/fuzz/fuzz.h"

const unsigned fuzz_runs = 50000;

/* all in the corpus but what is deep */
size_t fuzz_seed(unsigned n, uint8_t *out)
{
	size_t depth = JSON_DEPTH_MAX - 1 + n % 3;

	if (n >= 6)
		return 0;
	for (size_t i = 0; i < depth; i++)
		out[i] = '[';
	if (n < 3)
		return depth;
	memset(out + depth, ']', depth);
	return 2 * depth;
}

static int answer(struct json *j, const char *text, size_t size, size_t step)
{
	json_begin(j);
	for (size_t i = 0; i < size; i += step) {
		/* a piece of its own, so that a read past it is seen */
		size_t len = size - i < step ? size - i : step;
		char *piece = malloc(len);

		MUST(piece);
		memcpy(piece, text + i, len);
		json_feed(j, piece, len);
		free(piece);
	}
	return json_end(j);
}

static int beyond_jansson(const json_error_t *e)
{
	return json_error_code(e) == json_error_numeric_overflow ||
	       !strncmp(e->text, "invalid Unicode '\\u", 19);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct json whole, pieces;
	json_error_t e;
	json_t *o;
	int r = answer(&whole, text, size, size ? size : 1);

	MUST(answer(&pieces, text, size, 1 + size % 7) == r);
	MUST(pieces.wrong == whole.wrong && pieces.line == whole.line &&
	     pieces.column == whole.column);
	MUST(!whole.wrong == (r == 0) && whole.line);
	if (memchr(text, '\0', size)) {
		MUST(r < 0);
		return 0;
	}
	o = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL |
		       JSON_DECODE_INT_AS_REAL, &e);
	MUST(!o || r == 0);
	MUST(o || r < 0 || beyond_jansson(&e));
	json_decref(o);
	return 0;
}
