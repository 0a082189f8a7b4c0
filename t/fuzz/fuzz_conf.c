/*
 * fuzz_conf.c - usetl.conf(5) of any bytes
 *
 * Whatever is accepted must hold what conf.h promises.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	if (!c->listen || c->min > c->max || !c->queue)
		abort();
	for (size_t i = 0; i < c->functions; i++) {
		const struct conf_function *f = &c->function[i];

		if (!value_name_ok(f->name) || !f->image ||
		    f->recycle > CONF_KEEP)
			abort();
		for (size_t j = 0; j < i; j++)
			if (!strcmp(f->name, c->function[j].name))
				abort();
	}
	conf_destroy(c);
	return 0;
}

#ifdef FUZZ_MAIN
#include "t/fuzz/alone.h"

int main(int argc, char **argv)
{
	static const char whole[] =
		"# all of it\n[serve]\nlisten = 127.0.0.1:0\nuser = nobody\n"
		"log = f.log\ndrain = 5s\n[limits]\nrequest.max = 1M\n"
		"response.max = 2M\nlog.max = 64K\nqueue = 3\nwait = 100ms\n"
		"[pool]\nmin = 0\nmax = 2\nidle = 1m\n[fetch]\nwindows = 1\n"
		"warm = 0\ntimeout = 1h\nmax = 1G\n[function a]\n"
		"image = a.usetl\npool.min = 1\npool.max = 2\n"
		"recycle = fork ; each\ntimeout = 1s\nmemory = 64M\n";
	static const char two[] =
		"[function a]\nimage: /a\n[ function b ]\n[function c]\n"
		"image = c\n  more\n";
	static const struct alone_seed seeds[] = {
		{ whole, sizeof(whole) - 1 }, { two, sizeof(two) - 1 },
	};

	return alone_main(argc, argv, seeds, 2, 20000,
			  "damaged configurations");
}
#endif
