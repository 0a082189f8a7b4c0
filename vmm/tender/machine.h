/*
 * machine.h - what a guest finds in its memory at power-on
 *
 * Page tables (static, accessed and dirty bits preset so that the processor
 * never writes them), descriptor tables, stubs, vDSO, libOS image.  All of it
 * is written once, by the reference, before the first instruction.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "unikernel/abi.h"
#include "vmm/memory/ram.h"

#define MACHINE_GATES	UK_SUPTEXT
#define MACHINE_RSP0	(UK_SUPSTACK + UK_PAGE)
/* where a doorbell returns: the instruction after the out */
#define MACHINE_DB_RET	(UK_STUB + 2)

/* the entries of the embedded libOS image */
const struct uk_header *machine_header(void);

/* KVM's, supervisor's and program's, over SYS */
void machine_stubs(struct ram *ram);

/*
 * An exception gate rang: its frame lies on the supervisor stack, where regs
 * points and which the guest cannot write.  Tells what happened (but for cr2)
 * and sends the gate's iretq to entry.  -EFAULT: it was not the program, why
 * says who.
 */
struct cpu_regs;
int machine_trap(struct ram *ram, struct cpu_regs *regs, unsigned vector,
		 struct uk_trap *facts, uint64_t entry, char *why, size_t len);

/*
 * Fills the SYS window, but for the stubs.  Page tables cover all of the arenas,
 * whatever the limits, which may change: where there is no memory the tender
 * has no mapping.  And the layers that are mapped, and the whole host region.
 */
int machine_setup(struct ram *ram, struct err *err);
/*
 * regs are to have the guest read these pages and ring: the list is in UK_LOG.
 * How many they are: those that any program can read.
 */
uint64_t machine_touch(struct ram *ram, struct cpu_regs *regs,
		       const uint32_t *page, size_t n);
/*
 * Page tables for a layer that was mapped after machine_setup().  They were not
 * present, so there is nothing to flush; whose RAM is private has them alone.
 */
void machine_map_layer(struct ram *ram, const struct uk_layer *layer);

#endif
