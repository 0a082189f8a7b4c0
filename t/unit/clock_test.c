/*
 * clock_test.c - the time that a guest reads, and how exactly it is known
 *
 * The clock page is mapped at the address that it has in a guest.
 */
#include <sys/mman.h>
#include <time.h>

#include "conf/nstime.h"
#include "t/unit/tap.h"
#include "unikernel/arch/clock.h"
#include "vmm/guest/guest.h"
#include "vmm/tender/hostclock.h"

#define TURNS	200
#define APART	200000			/* ns */

static uint64_t real_khz;

static void learn(void)
{
	struct hostclock from, to;

	hostclock_read(&from);
	do {
		hostclock_read(&to);
	} while (to.mono - from.mono < 20000000);
	real_khz = (uint64_t)((unsigned __int128)(to.tsc - from.tsc) * 1000000 /
			      (to.mono - from.mono));
}

/* the counter is thought to be so fast; how often time went back, and
   how often it was behind the kernel's */
static void turns(struct guest *g, uint64_t khz, unsigned *back,
		  unsigned *early)
{
	uint64_t last = 0;

	tender_cpu.tsc_khz = khz;
	g->clock = (struct uk_clock){ 0 };
	*back = *early = 0;
	for (int i = 0; i < TURNS; i++) {
		uint64_t begun = nstime_now(), now;

		guest_clock(g);
		now = clock_read(0);
		*back += now < last;
		*early += now < begun;
		while (nstime_now() - begun < APART)
			;
		last = clock_read(0);
		*back += last < now;
	}
}

int main(void)
{
	static struct ram ram;		/* its addresses are this process's */
	static struct guest g = { .ram = &ram };
	void *page = mmap((void *)UK_CLOCK, UK_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			  -1, 0);
	unsigned back, early;
	uint64_t begun;

	ok(page == (void *)UK_CLOCK, "the page is where a guest has it");
	learn();
	turns(&g, real_khz, &back, &early);
	ok(!back && !early, "the counter's rate is known: %u times back, %u "
	   "times behind the kernel's", back, early);
	turns(&g, real_khz - real_khz / 8, &back, &early);
	ok(!back && !early,
	   "the counter is thought slower than it is: %u, %u", back,
	   early);
	turns(&g, real_khz + real_khz / 8, &back, &early);
	ok(!back && !early,
	   "the counter is thought faster than it is: %u, %u", back, early);
	/* the host's clock has begun anew since the snapshot */
	g.clock = (struct uk_clock){ 0 };
	g.mono_add = 1000 * (uint64_t)NSEC_PER_SEC;
	begun = nstime_now() + g.mono_add;
	guest_clock(&g);
	ok(clock_read(0) >= begun, "a guest's clock goes on from its "
	   "snapshot's, though the host's began anew");
	return plan();
}
