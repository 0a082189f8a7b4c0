/* signature.c - which processor a guest finds (signature.h); FNV-1a */
#include "vmm/tender/signature.h"

#include <cpuid.h>
#include <stddef.h>

static void add(uint64_t *sum, uint64_t word)
{
	for (int i = 0; i < 8; i++) {
		*sum ^= word >> 8 * i & 0xff;
		*sum *= 0x100000001b3ull;
	}
}

void signature_add(uint64_t *sum, uint32_t leaf, uint32_t index,
		   const uint32_t reg[4])
{
	uint32_t ebx = reg[1];

	switch (leaf) {
	case 0xb: case 0x1a: case 0x1f: case 0x8000001e:
		return;			/* which core it is, and of what kind */
	case 1:
		ebx &= 0xffffff;	/* without its number */
		break;
	case 0xd:
		ebx = 0;		/* of what is enabled just now */
		break;
	}
	add(sum, (uint64_t)leaf << 32 | index);
	add(sum, (uint64_t)reg[0] << 32 | ebx);
	add(sum, (uint64_t)reg[2] << 32 | reg[3]);
}

static void leaves(uint64_t *sum, uint32_t first)
{
	uint32_t r[4], last = __get_cpuid_max(first, NULL);

	for (uint32_t leaf = first; last && leaf <= last; leaf++)
		for (uint32_t i = 0; i < (leaf == 7 || leaf == 0xd ? 2 : 1);
		     i++) {
			__cpuid_count(leaf, i, r[0], r[1], r[2], r[3]);
			signature_add(sum, leaf, i, r);
		}
}

uint64_t signature_here(uint64_t xcr0)
{
	/* a hypervisor may take 10 us for each leaf */
	static _Atomic uint64_t known;
	uint64_t sum = known;

	if (!sum) {
		sum = SIGNATURE_NONE;
		leaves(&sum, 0);
		leaves(&sum, 0x80000000);
		known = sum;
	}
	add(&sum, xcr0);
	return sum;
}
