/*
 * fuzz_manifest.c - function.ini's parser against any bytes
 *
 * What it accepts has to keep the promises of conf/manifest.h; a refusal has
 * to say why, in one line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/manifest.h"
#include "conf/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void check_list(const struct strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		require(s->v[i] != NULL);
	require(!s->v || !s->v[s->n]);
}

static void check(const struct manifest *m)
{
	require(m->handler && strchr(m->handler, '.'));
	require(m->runtime && *m->runtime);
	require(!m->name || value_name_ok(m->name));
	require(m->memory >= 32ull << 20 && m->memory <= 8ull << 30);
	require(m->files >= 1ull << 20 && m->files <= 8ull << 30);
	require(m->timeout_ns >= 1000000 && m->timeout_ns <= 3600000000000ull);
	check_list(&m->include);
	check_list(&m->exclude);
	check_list(&m->path);
	check_list(&m->installed);
	check_list(&m->environment);
	check_list(&m->egress);
	for (size_t i = 0; i < m->environment.n; i++)
		require(strchr(m->environment.v[i], '=') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest *m = NULL;
	struct err err = { "" };

	if (manifest_parse(&m, "function.ini", (const char *)data, size,
			   &err)) {
		require(!strncmp(err.msg, "function.ini:", 13));
		return 0;
	}
	check(m);
	manifest_destroy(m);
	return 0;
}

#ifdef FUZZ_MAIN
#include "t/fuzz/alone.h"

int main(int argc, char **argv)
{
	static const char whole[] =
		"# all of it\n[function]\nname = total\n"
		"handler = app.handler\nruntime = python3\nmemory = 128M\n"
		"timeout = 10s\nfiles = 64M\ninclude = *.so data/*\n"
		"exclude = *.tmp\n[packages]\npath = lib a.whl b.tar.gz\n"
		"installed = numpy six\nrequirements = r.txt\n"
		"[environment]\nA = b ; c\nX_1 = \n[egress]\n"
		"allow = http://127.0.0.1:9000/\nallow = *\n";
	static const char two[] =
		"[function]\nhandler: a.b\n[egress]\nallow = none\n  more\n";
	static const struct alone_seed seeds[] = {
		{ whole, sizeof(whole) - 1 }, { two, sizeof(two) - 1 },
	};

	return alone_main(argc, argv, seeds, 2, 20000, "damaged manifests");
}
#endif
