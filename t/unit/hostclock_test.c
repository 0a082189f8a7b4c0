/*
 * hostclock_test.c - nobody waits for the counter's rate who asks late enough
 *
 * The kernel's clocks are this test's: each reading takes a microsecond, and
 * the one that goes on while the host sleeps may be read a little early.
 */
#include <stdint.h>
#include <time.h>

#include "t/unit/tap.h"

static uint64_t now_ns, early_ns;
static unsigned readings;

static uint64_t test_clock(clockid_t clock)
{
	readings++;
	now_ns += 1000;
	return clock == CLOCK_BOOTTIME ? now_ns - early_ns : now_ns;
}

#define nstime_of	test_clock
#define hostclock_read	test_read
#define hostclock_begin	test_begin
#define hostclock_khz	test_khz
#include "vmm/tender/hostclock.c"

int main(void)
{
	uint64_t khz;

	now_ns = 1000000000;
	test_begin();
	now_ns += 2 * APART;
	/* of two readings of the same clocks one is always the smaller */
	early_ns = 1;
	readings = 0;
	khz = test_khz();
	ok(khz && readings <= 2 * TRIES + 2, "the rate is known by %u readings",
	   readings);
	readings = 0;
	ok(test_khz() == khz && !readings, "and from then on by none");
	return plan();
}
