/*
 * report_test.c - what a guest left to say about its end, as lines
 */
#include <stdlib.h>
#include <string.h>

#include "t/unit/tap.h"
#include "vmm/tender/machine.h"
#include "vmm/guest/report.h"

static struct uk_report *r;
static char buf[REPORT_MAX];

static unsigned lines(const char *host)
{
	return report_lines(r, host, buf, sizeof(buf));
}

static void text(const char *s)
{
	r->len = (uint32_t)strlen(s);
	memcpy(r->text, s, r->len);
}

static void test_text(void)
{
	ok(lines("") == 0 && !buf[0], "nothing said, nothing shown");
	ok(lines("running") == 0 && !strcmp(buf, "running"),
	   "what was said, then the tender's own line");
	strcpy(r->head, "fatal signal\nof mine");
	text("Fatal: \x1b[0m\xc3\xa9\n  File \"a\"\n\n");
	lines("running");
	ok(!strcmp(buf, "fatal signal\nFatal: ?[0m??\n  File \"a\""),
	   "the guest's line first, one; no control characters");
	memset(r->head, 'h', sizeof(r->head));
	memset(r->text, 't', UK_REPORT_TEXT);
	r->len = UINT32_MAX;
	lines("");
	ok(strlen(buf) == UK_REPORT_HEAD + 1 + UK_REPORT_TEXT + 4 &&
	   !strcmp(buf + strlen(buf) - 5, "t\n..."),
	   "lengths past the page are the page's");
	ok(report_lines(r, "", buf, 100) == 0 && strlen(buf) == 99,
	   "what does not fit is left out");
}

static void test_frames(void)
{
	const struct uk_header *h = machine_header();
	char name[64];

	ok(report_symbol(h->syscall, name, sizeof(name)) == 0 &&
	   !strcmp(name, "syscall_entry+0x0"), "the name of an entry");
	ok(report_symbol(h->text - 1, name, sizeof(name)) < 0 &&
	   report_symbol(h->text_end, name, sizeof(name)) < 0 &&
	   report_symbol(0, name, sizeof(name)) < 0 &&
	   report_symbol(~0ull, name, sizeof(name)) < 0,
	   "no name outside of the text");
	memset(r, 0, UK_REPORT_SIZE);
	strcpy(r->head, "libOS: page fault");
	text("Fatal Python error\n");
	r->n_frames = 3;
	r->frame[0] = h->trap + 3;
	r->frame[1] = h->syscall + 1;
	r->frame[2] = 0x1234;
	ok(lines("") == 3 && !strcmp(buf, "libOS: page fault\n"
				     "  libOS trap_entry+0x3\n"
				     "  libOS syscall_entry+0x0\n"
				     "  libOS 0x1234\n"
				     "Fatal Python error"),
	   "frames between the line and the text, at their calls");
	r->n_frames = UINT32_MAX;
	ok(lines("") == UK_REPORT_FRAMES,
	   "no more frames than a report has room for");
}

/* the first call in the text: what follows it, and what it calls */
static uint64_t find_call(uint64_t *target)
{
	const struct uk_header *h = machine_header();
	const uint8_t *code = (const uint8_t *)h;	/* at UK_LIBOS */
	char name[64];
	int32_t rel;

	for (uint64_t at = h->text; at + 5 < h->text_end; at++) {
		if (code[at - UK_LIBOS] != 0xe8)
			continue;
		memcpy(&rel, code + at - UK_LIBOS + 1, 4);
		*target = at + 5 + (int64_t)rel;
		if (report_symbol(*target, name, sizeof(name)) == 0 &&
		    strstr(name, "+0x0") && strlen(strchr(name, '+')) == 4)
			return at + 5;
	}
	return 0;
}

static void test_hidden(void)
{
	uint64_t start = 0, ret = find_call(&start);
	char caller[64], want[160];

	memset(r, 0, UK_REPORT_SIZE);
	r->n_frames = 1;
	r->frame[0] = start;
	r->stack[3] = ret;
	ok(ret && report_symbol(ret - 1, caller, sizeof(caller)) == 0,
	   "there is a call in the libOS");
	snprintf(want, sizeof(want), "\n  libOS %s", caller);
	lines("");
	ok(strstr(buf, want) != NULL,
	   "a function without a frame yet: its caller by the stack");
	r->stack[3] = ret + 1;
	lines("");
	ok(strchr(buf, '\n') == NULL, "no caller by what is no direct call");
	r->stack[0] = ret;
	r->frame[0] = 0x1000;
	lines("");
	ok(strchr(buf, '\n') == NULL,
	   "a jump astray has no caller by a direct call");
	memset(r->stack, 0xff, sizeof(r->stack));
	r->stack[1] = 3;
	lines("");
	ok(strchr(buf, '\n') == NULL, "no caller by what is no address");
}

int main(void)
{
	r = calloc(1, UK_REPORT_SIZE);
	if (!r)
		return 1;
	test_text();
	test_frames();
	test_hidden();
	free(r);
	return plan();
}
