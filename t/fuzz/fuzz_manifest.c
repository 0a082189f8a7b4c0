/*
 * fuzz_manifest.c - function.ini's parser against any bytes
 *
 * What it accepts has to keep the promises of conf/manifest.h; a refusal has
 * to say why, in one line.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/manifest.h"
#include "conf/value.h"
#include "t/fuzz/fuzz.h"

const unsigned fuzz_runs = 100000;

/* all in the corpus */
size_t fuzz_seed(unsigned n, uint8_t *out)
{
	return 0;
}

static void check_list(const struct strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		MUST(s->v[i] != NULL);
	MUST(!s->v || !s->v[s->n]);
}

static void check(const struct manifest *m)
{
	MUST(m->handler && strchr(m->handler, '.'));
	MUST(m->runtime && *m->runtime);
	MUST(!m->name || value_name_ok(m->name));
	MUST(m->memory >= 32ull << 20 && m->memory <= 8ull << 30);
	MUST(m->files >= 1ull << 20 && m->files <= 8ull << 30);
	MUST(m->timeout_ns >= 1000000 && m->timeout_ns <= 3600000000000ull);
	check_list(&m->include);
	check_list(&m->exclude);
	check_list(&m->path);
	check_list(&m->installed);
	check_list(&m->environment);
	check_list(&m->egress);
	for (size_t i = 0; i < m->environment.n; i++)
		MUST(strchr(m->environment.v[i], '=') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest *m = NULL;
	struct err err = { "" };

	if (manifest_parse(&m, "function.ini", (const char *)data, size,
			   &err)) {
		MUST(!strncmp(err.msg, "function.ini:", 13));
		return 0;
	}
	check(m);
	manifest_destroy(m);
	return 0;
}
