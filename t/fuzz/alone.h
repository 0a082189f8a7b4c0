/*
 * alone.h - a fuzzer without libFuzzer, for `make check`
 *
 * With -DFUZZ_MAIN a target includes this and calls alone_main(): it runs the
 * files that it is given, or else `runs` mutations of its seeds from a fixed
 * start, and says so in TAP.  A crash is the failure.
 */
#ifndef T_FUZZ_ALONE_H
#define T_FUZZ_ALONE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALONE_MAX	65536

struct alone_seed {
	const void *data;
	size_t len;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t alone_state = 1;

static uint32_t alone_random(uint32_t n)
{
	alone_state = alone_state * 6364136223846793005ull +
		      1442695040888963407ull;
	return (uint32_t)(alone_state >> 33) % n;
}

static void alone_file(const char *path)
{
	static uint8_t data[ALONE_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
}

/* one change: a number near an edge, a byte, a piece lost, a piece twice */
static size_t alone_change(uint8_t *data, size_t len)
{
	static const uint64_t edges[] = { 0, 1, 2, 7, 63, 64, 65, 255, 4095,
		4096, 65536, 1u << 26, 0x7fffffff, 0xffffffff, 1ull << 36,
		~0ull >> 1, ~0ull };
	uint64_t v = edges[alone_random(sizeof(edges) / sizeof(edges[0]))];
	size_t at = alone_random(len), k = 1u << alone_random(4), n;

	switch (alone_random(4)) {
	case 0:
		if (k <= len - at)
			memcpy(data + at, &v, k);
		return len;
	case 1:
		data[at] = alone_random(256);
		return len;
	case 2:
		n = alone_random(len - at) + 1;
		memmove(data + at, data + at + n, len - at - n);
		return len - n ? len - n : len;
	default:
		n = alone_random(len - at) + 1;
		if (len + n > ALONE_MAX)
			return len;
		memmove(data + at + n, data + at, len - at);
		return len + n;
	}
}

static int alone_main(int argc, char **argv, const struct alone_seed *seeds,
		      unsigned n_seeds, unsigned runs, const char *what)
{
	static uint8_t data[ALONE_MAX];

	for (int i = 1; i < argc; i++)
		alone_file(argv[i]);
	if (argc > 1)
		return 0;
	for (unsigned i = 0; i < runs; i++) {
		const struct alone_seed *s = &seeds[i % n_seeds];
		size_t len = s->len;

		memcpy(data, s->data, len);
		/* each seed as it is first */
		for (unsigned k = i < n_seeds ? 0 : 1 + alone_random(6); k; k--)
			len = alone_change(data, len);
		LLVMFuzzerTestOneInput(data, len);
	}
	printf("ok 1 - %u %s, each with an answer\n1..1\n", runs, what);
	return 0;
}

#endif
