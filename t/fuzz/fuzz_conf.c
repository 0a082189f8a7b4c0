/*
 * fuzz_conf.c - usetl.conf(5) of any bytes
 *
 * Whatever is accepted must hold what conf.h promises.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/value.h"
#include "t/fuzz/fuzz.h"

const unsigned fuzz_runs = 100000;

/* all in the corpus */
size_t fuzz_seed(unsigned n, uint8_t *out)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { "" };
	struct conf *c = NULL;

	if (conf_parse(&c, "fuzz.conf", (const char *)data, size, &err) < 0) {
		/* a refusal names the file and leaves nothing behind */
		if (c || strncmp(err.msg, "fuzz.conf", 9))
			abort();
		return 0;
	}
	if (!c->listen || c->min > c->max || !c->queue || c->connections < 16)
		abort();
	for (size_t i = 0; i < c->functions; i++) {
		const struct conf_function *f = &c->function[i];

		if (!value_name_ok(f->name) || !f->image ||
		    f->recycle > RECYCLE_KEEP)
			abort();
		for (size_t j = 0; j < i; j++)
			if (!strcmp(f->name, c->function[j].name))
				abort();
	}
	conf_destroy(c);
	return 0;
}
