/*
 * guestclock.c - what time it is, as a guest is told
 *
 * A guest reads the processor's counter, and the clock page says what that
 * means (unikernel/arch/clock.h).
 */
#include "vmm/guest/guest.h"
#include "vmm/tender/hostclock.h"

/* what the guest's monotonic clock says by what was told last */
static uint64_t mono_told(const struct guest *g, uint64_t tsc)
{
	const struct uk_clock *k = &g->clock;
	uint64_t passed = tsc > k->tsc ? tsc - k->tsc : 0;

	return k->mono + (uint64_t)((unsigned __int128)passed * k->mult >>
				    k->shift);
}

void guest_clock(struct guest *g)
{
	struct uk_clock *k = ram_sys(g->ram, UK_CLOCK);
	uint64_t khz = tender_cpu.tsc_khz, told;
	struct uk_clock now = { .shift = 32 };
	struct hostclock h;

	now.mult = ((uint64_t)1000000 << 32) / (khz ? khz : 1);
	while (now.mult >> 32) {
		now.mult >>= 1;
		now.shift--;
	}
	hostclock_read(&h);
	/* the counter's rate is known nearly; that may not turn time back */
	told = mono_told(g, h.tsc);
	now.tsc = h.tsc;
	h.mono += g->mono_add;
	now.mono = h.mono > told ? h.mono : told;
	now.real = h.real;
	k->seq++;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	k->tsc = now.tsc;
	k->shift = now.shift;
	k->mult = now.mult;
	k->mono = now.mono;
	k->real = now.real;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	k->seq++;
	g->clock = now;
}

uint64_t guest_clock_told(const struct guest *g)
{
	return mono_told(g, __builtin_ia32_rdtsc());
}
