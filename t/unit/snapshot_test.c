/*
 * snapshot_test.c - what is taken of a guest at READY, and begun from
 *
 * The tender is one that runs nothing; guest memory is real.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "etlfs/format.h"
#include "t/unit/tap.h"
#include "vmm/guest/guest.h"
#include "vmm/guest/snapshot.h"
#include "vmm/tender/machine.h"

#define AHEAD_NS	3600000000000ull

static int ended;

static int save(struct tender *t, struct cpu_state *s)
{
	memset(s, 0x5a, sizeof(*s));
	s->regs = *t->regs;
	return 0;
}

static int unmap(struct tender *t, unsigned slot, uint64_t addr)
{
	return 0;
}

static void destroy(struct tender *t)
{
	ended = 1;
}

static const struct tender_ops ops = {
	.name = "none", .save = save, .unmap = unmap, .destroy = destroy,
};
static struct cpu_regs regs;
static struct tender tender = { .ops = &ops, .regs = &regs };
static struct ram ram;
static struct guest g = { .ram = &ram, .t = &tender };
static struct snapshot s;

static void test_take(void)
{
	struct err err = { "" };
	uint64_t from;
	char c = 0;

	g.ticket_gen[3] = 7;
	g.entropy_gen = 5;
	ram_grow(&ram, UK_ARENA_DATA, 16u << 20, &from);
	*(char *)ram_sys(&ram, UK_DATA_BASE) = 'S';
	regs.rip = UK_DATA_BASE;
	ok(snapshot_take(&s, &g, -1, &err) == -EPROTO && !ended,
	   "there is no snapshot of a guest outside its stub");
	regs.rip = UK_STUB;
	err.msg[0] = '\0';
	ok(snapshot_take(&s, &g, -1, &err) == 0 && ended && !g.t,
	   "a snapshot is taken, and the guest's tender ends: %s",
	   err.msg);
	ok(s.cpu.regs.rip == MACHINE_DB_RET,
	   "a snapshot's rip is where READY returns");
	ok(fcntl(s.memfd, F_GET_SEALS) & F_SEAL_WRITE,
	   "a snapshot's pages are sealed");
	ok(pread(s.memfd, &c, 1, UK_DATA_BASE) == 1 && c == 'S',
	   "a snapshot's pages lie at their guest addresses");
	*(char *)ram_sys(&ram, UK_DATA_BASE) = 'W';
	ok(pread(s.memfd, &c, 1, UK_DATA_BASE) == 1 && c == 'S',
	   "what is written later does not reach its pages");
}

static void test_begin(void)
{
	uint64_t from;

	ram_limit(&ram, 1ull << 30, 1ull << 30);
	ram_grow(&ram, UK_ARENA_DATA, 24u << 20, &from);
	snapshot_layout(&s, &ram);
	ok(ram.mem_limit == s.mem_limit && ram.files_limit == s.files_limit &&
	   s.mem_limit < 1u << 30 && s.files_limit < 1u << 30,
	   "a clone's limits are those of READY until it has others");
	ok(ram.win[UK_ARENA_DATA].span == 16u << 20 &&
	   ram.win[UK_ARENA_DATA].top == 16u << 20,
	   "a clone's memory is laid out as it was at READY");
	g.ticket_gen[3] = 99;
	g.entropy_gen = 50;
	g.ticks = 4;
	snapshot_begin(&s, &g);
	ok(g.ticket_gen[3] == 7 && g.entropy_gen == 5 && !g.ticks,
	   "a child's numbers go on from the snapshot's, whatever a "
	   "request made of them");
	s.mono += AHEAD_NS;
	snapshot_begin(&s, &g);
	guest_refresh(&g);
	ok(guest_clock_told(&g) >= s.mono,
	   "no clone's time is before the snapshot's");
}

static void test_same(void)
{
	static struct cpu_state now;

	now = s.cpu;
	ok(snapshot_cpu_same(&s, &now), "the snapshot's own registers are the same");
	now.xsave[512] ^= 1;
	ok(snapshot_cpu_same(&s, &now),
	   "registers are the same whatever is marked in use");
	now.xsave[576] ^= 1;
	ok(!snapshot_cpu_same(&s, &now), "other vector state is not the same");
	now = s.cpu;
	now.regs.r15 ^= 1;
	ok(!snapshot_cpu_same(&s, &now), "another register is not the same");
	now = s.cpu;
	now.gs_base ^= 1;
	ok(!snapshot_cpu_same(&s, &now), "another segment base is not the same");
}

/* in the process that has booted its runtime: no more time than that had */
static void test_placed(void)
{
	static union {
		struct place p;
		char bytes[PLACE_SIZE];
	} place = { .p = { .boot_ns = AHEAD_NS, .argc = 1, .strings_len = 2,
			   .strings = "x" } };
	const struct uk_ctl *c = ram_sys(&ram, UK_CTL);

	g.t = &tender;
	g.place = &place.p;
	g.deadline = 77;
	g.overdue = 0;
	guest_placed(&g);
	ok(g.placed && regs.rax == UK_PLACED && c->argc == 1 &&
	   !(c->flags & UK_CTL_OVERDUE), "a function is placed");
	ok(g.deadline == 77, "a function that is placed has what is left of "
	   "the boot's time");
	g.overdue = 1;
	guest_placed(&g);
	ok(g.overdue && c->flags & UK_CTL_OVERDUE,
	   "one that is placed when that is over is told so");
}

int main(void)
{
	struct err err = { "" };

	if (ram_create(&ram, 64u << 20, 16u << 20, &err) < 0) {
		ok(0, "memory: %s", err.msg);
		return plan();
	}
	tender_cpu.tsc_khz = 1000000;
	test_take();
	test_begin();
	test_same();
	test_placed();
	return plan();
}
