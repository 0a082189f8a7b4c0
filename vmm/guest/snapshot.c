/* snapshot.c - all that a clone starts from (snapshot.h) */
#include "vmm/guest/snapshot.h"

#include <errno.h>
#include <string.h>

#include "vmm/guest/guest.h"
#include "vmm/tender/machine.h"

/* saves the vCPU as it will be when READY returns in a clone */
static int cpu_take(struct snapshot *s, struct guest *g, struct err *err)
{
	uint64_t rip = g->t->regs->rip;
	int rc;

	if (rip < UK_STUB || rip > MACHINE_DB_RET)
		return err_set(err, -EPROTO, "the guest rang READY outside "
			       "its stub");
	rc = g->t->ops->save(g->t, &s->cpu);
	if (rc < 0)
		return err_set(err, rc, "cannot save the vCPU: %s",
			       strerror(-rc));
	s->cpu.regs.rip = MACHINE_DB_RET;
	return 0;
}

int snapshot_take(struct snapshot *s, struct guest *g, struct err *err)
{
	struct ram *ram = g->ram;
	int rc = cpu_take(s, g, err);

	if (rc < 0)
		return rc;
	memcpy(s->ticket_gen, g->ticket_gen, sizeof(s->ticket_gen));
	s->entropy_gen = g->entropy_gen;
	s->mono = guest_clock_told(g);
	/* of what warm-up fetched, clones inherit nothing */
	guest_detach(g);
	guest_destroy(g);
	ram_unmap_host(ram, 0);
	s->memfd = ram_seal(ram, err);
	memcpy(s->win, ram->win, sizeof(s->win));
	s->mem_limit = ram->mem_limit;
	s->files_limit = ram->files_limit;
	return s->memfd < 0 ? s->memfd : 0;
}

void snapshot_layout(const struct snapshot *s, struct ram *ram)
{
	memcpy(ram->win, s->win, sizeof(ram->win));
	ram->mem_limit = s->mem_limit;
	ram->files_limit = s->files_limit;
}

void snapshot_begin(const struct snapshot *s, struct guest *g)
{
	/* nothing that the guest can read tells how many were before it */
	memcpy(g->ticket_gen, s->ticket_gen, sizeof(g->ticket_gen));
	g->entropy_gen = s->entropy_gen;
	g->ticks = 0;
	g->mono_least = s->mono;
}

/*
 * The components themselves, not XSTATE_BV (at 512): a register that holds
 * its initial value may or may not be marked in use.
 */
static int same_vectors(const uint8_t *a, const uint8_t *b)
{
	return !memcmp(a, b, 464) &&
	       !memcmp(a + 576, b + 576, sizeof(((struct cpu_state *)0)->xsave)
		       - 576);
}

int snapshot_cpu_same(const struct snapshot *s, const struct cpu_state *now)
{
	const struct cpu_state *want = &s->cpu;

	return !memcmp(&now->regs, &want->regs, sizeof(now->regs)) &&
	       now->fs_base == want->fs_base &&
	       now->gs_base == want->gs_base &&
	       same_vectors(now->xsave, want->xsave);
}
