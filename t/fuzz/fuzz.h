/*
 * fuzz.h - a fuzzer: a function of bytes, and the inputs that it starts from
 *
 * Each fuzz_NAME.c is linked with driver.c, which runs t/fuzz/corpus/NAME,
 * the seeds and changes of both, or with libFuzzer.  It says what is wrong by
 * ending the process.
 */
#ifndef T_FUZZ_FUZZ_H
#define T_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define FUZZ_MAX	65536		/* longest input */

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The n-th input made by code, where bytes of a file would go stale with a
 * struct: its length, at most FUZZ_MAX, or 0 when there are no more.
 */
size_t fuzz_seed(unsigned n, uint8_t *out);

/* how many changes driver.c tries */
extern const unsigned fuzz_runs;

#endif
