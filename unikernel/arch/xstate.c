/*
 * xstate.c - saving and loading the program's vector registers
 *
 * XSAVE and XRSTOR work at CPL 3.  XRSTOR faults on a header or an MXCSR with
 * reserved bits (SDM volume 1, 13.8.1), and a fault in the libOS is a panic:
 * what the program could write is copied first, and the copy must pass
 * xstate_valid().
 */
#include "unikernel/arch/xstate.h"

#define MXCSR_DEFAULT		0x1f80u
/* for a field of 0: SDM volume 1, 11.6.6 */
#define MXCSR_MASK_DEFAULT	0xffbfu
#define OFF_MXCSR		24
#define OFF_MXCSR_MASK		28
/* PKRU, the last component, ends at 2696 */
#define XSTATE_MAX		4096

struct xstate_header {
	u64 xstate_bv, xcomp_bv, reserved[6];
};
_Static_assert(sizeof(struct xstate_header) == XSAVE_HEADER, "XSAVE header");

/*
 * An area from which every register gets its initial value: components whose
 * bit in xstate_bv is clear do, but MXCSR is always loaded from memory.  XRSTOR
 * may touch the whole area, also where it loads nothing.
 */
static u8 initial[XSTATE_MAX] __attribute__((aligned(64)));

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

/* AVX and AVX-512 state and PKRU; AMX's 8 KB tiles are left out */
#define COMPONENTS	0x2e7ull

static void cpuid(u32 leaf, u32 sub, u32 *a, u32 *b)
{
	u32 c = sub, d;

	__asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "+c"(c), "=d"(d)
			 : "0"(leaf));
}

u64 xstate_mask(void)
{
	static u64 mask;
	u32 a, d;

	if (!mask) {
		__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
		mask = ((u64)d << 32 | a) & COMPONENTS;
	}
	return mask;
}

u32 xstate_size(void)
{
	static u32 size;
	u32 len, off;

	if (size)
		return size;
	size = XSAVE_LEGACY + XSAVE_HEADER;
	for (u32 i = 2; i < 63; i++) {
		if (!(xstate_mask() >> i & 1))
			continue;
		cpuid(0xd, i, &len, &off);
		size = MAX(size, off + len);
	}
	assert(size <= XSTATE_MAX);
	return size;
}

void xstate_save(void *area)
{
	u64 mask = xstate_mask();

	__asm__ volatile("xsave64 (%0)" :
			 : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

void xstate_load(const void *area)
{
	u64 mask = xstate_mask();

	__asm__ volatile("xrstor64 (%0)" :
			 : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

void xstate_reset(void)
{
	store32(initial + OFF_MXCSR, MXCSR_DEFAULT);
	xstate_load(initial);
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

	return !(h->xstate_bv & ~xstate_mask()) && !h->xcomp_bv &&
	       !h->reserved[0] &&
	       !(load32(legacy + OFF_MXCSR) & ~mxcsr_mask());
}
