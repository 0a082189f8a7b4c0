/*
 * fuzz_report.c - what a guest left at UK_REPORT, whatever it is
 *
 * Of any bytes there come lines that fit, end, and hold nothing that could
 * steer a terminal.
 */
#include <string.h>

#include "t/fuzz/fuzz.h"
#include "vmm/tender/machine.h"
#include "vmm/guest/report.h"

const unsigned fuzz_runs = 20000;

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	const struct uk_header *h = machine_header();
	struct uk_report *r = (void *)out;

	if (n > 2)
		return 0;
	memset(out, 0, UK_REPORT_SIZE);
	strcpy(r->head, "libOS: page fault");
	r->n_frames = 2 + n * 15;
	for (unsigned i = 0; i < UK_REPORT_FRAMES; i++)
		r->frame[i] = h->text + (h->text_end - h->text) / 40 * i;
	for (unsigned i = 0; i < UK_REPORT_STACK; i++)
		r->stack[i] = n == 2 ? h->text + i : h->text_end - i;
	r->len = n ? (uint32_t)UK_REPORT_TEXT : 30;
	memcpy(r->text, "Fatal Python error: Aborted\n\n  ", 30);
	return UK_REPORT_SIZE;
}

static void check(const struct uk_report *r, const char *host, size_t room)
{
	char *buf = malloc(room);
	size_t len;

	MUST(buf);
	MUST(report_lines(r, host, buf, room) <= UK_REPORT_FRAMES);
	len = strnlen(buf, room);
	MUST(len < room);
	for (size_t i = 0; i < len; i++)
		MUST((buf[i] >= ' ' && buf[i] <= '~') || buf[i] == '\n' ||
		     buf[i] == '\t');
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uk_report *r = calloc(1, UK_REPORT_SIZE);

	MUST(r);
	memcpy(r, data, size < UK_REPORT_SIZE ? size : UK_REPORT_SIZE);
	check(r, "running", REPORT_MAX);
	check(r, "", 1 + size % 700);
	free(r);
	return 0;
}
