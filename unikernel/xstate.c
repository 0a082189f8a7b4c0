/*
 * xstate.c - saving and loading the program's vector registers
 *
 * XSAVE and XRSTOR work at CPL 3.  XRSTOR faults on a header or an MXCSR with
 * reserved bits (SDM volume 1, 13.8.1), and a fault in the libOS is a panic:
 * what the program could write is copied first, and the copy must pass
 * xstate_valid().
 */
#include "unikernel/xstate.h"

#define MXCSR_DEFAULT		0x1f80u
#define MXCSR_MASK_DEFAULT	0xffbfu	/* when the field is 0: SDM 11.6.6 */
#define OFF_MXCSR		24
#define OFF_MXCSR_MASK		28

struct xstate_header {
	u64 xstate_bv, xcomp_bv, reserved[6];
};
_Static_assert(sizeof(struct xstate_header) == XSAVE_HEADER, "XSAVE header");

/*
 * Components whose bit in xstate_bv is clear get their initial values, but
 * MXCSR is always loaded from memory.
 */
static struct {
	u8 legacy[XSAVE_LEGACY];
	struct xstate_header header;
} __attribute__((aligned(64))) initial;

static u32 load32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void store32(void *p, u32 v)
{
	memcpy(p, &v, sizeof(v));
}

void xstate_save(void *area)
{
	u64 mask = uk_ctl->xcr0;

	__asm__ volatile("xsave64 (%0)" :
			 : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

void xstate_load(const void *area)
{
	u64 mask = uk_ctl->xcr0;

	__asm__ volatile("xrstor64 (%0)" :
			 : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

void xstate_reset(void)
{
	store32(initial.legacy + OFF_MXCSR, MXCSR_DEFAULT);
	xstate_load(&initial);
}

static u32 mxcsr_mask(void)
{
	static u8 fx[XSAVE_LEGACY] __attribute__((aligned(16)));
	static u32 mask;

	if (!mask) {
		__asm__ volatile("fxsave64 (%0)" : : "r"(fx) : "memory");
		mask = load32(fx + OFF_MXCSR_MASK);
		if (!mask)
			mask = MXCSR_MASK_DEFAULT;
	}
	return mask;
}

int xstate_valid(const void *area)
{
	const u8 *legacy = area;
	const struct xstate_header *h = (void *)(legacy + XSAVE_LEGACY);

	return !(h->xstate_bv & ~uk_ctl->xcr0) && !h->xcomp_bv &&
	       !h->reserved[0] &&
	       !(load32(legacy + OFF_MXCSR) & ~mxcsr_mask());
}
