/*
 * xstate.h - the program's vector registers
 *
 * An area is xstate_size() bytes in XSAVE's standard format, 64-byte aligned.
 * The components, xstate_mask(), are what XGETBV says in the guest: a
 * hypervisor in which CPL 3 runs natively may leave more enabled than its
 * tender asked for (uk_ctl->xcr0), and what is enabled must be saved.
 */
#ifndef UNIKERNEL_XSTATE_H
#define UNIKERNEL_XSTATE_H

#include "unikernel/lib/lib.h"

#define XSAVE_LEGACY	512		/* bytes of the FXSAVE part */
#define XSAVE_HEADER	64		/* after it */
#define XSAVE_SW	464		/* bytes left to software */
#define XSTATE_FPSSE	3ull

u64 xstate_mask(void);
u32 xstate_size(void);

/* saves the registers; area's header must be zero or that of an earlier save */
void xstate_save(void *area);
/* loads the registers from an area saved here or found valid */
void xstate_load(const void *area);
/* sets the registers as at a program's start */
void xstate_reset(void);
/*
 * Whether area can be loaded, whatever the program wrote there.  Linux, too,
 * sends SIGSEGV for a frame that cannot.
 */
int xstate_valid(const void *area);

#endif
