/*
 * signature.h - which processor a guest finds, as a number
 *
 * What CPUID tells a guest decides what its C library and its numpy do, and a
 * snapshot has them as they decided.  Left out is what differs between the
 * cores of one machine, or from one moment to the next.
 */
#ifndef VMM_SIGNATURE_H
#define VMM_SIGNATURE_H

#include <stdint.h>

/* one leaf into *sum, which begins as SIGNATURE_NONE; registers as CPUID has
   them, in the order eax to edx */
#define SIGNATURE_NONE	0xcbf29ce484222325ull
void signature_add(uint64_t *sum, uint32_t leaf, uint32_t index,
		   const uint32_t reg[4]);
/* of this process's own processor, and of the state that it may use */
uint64_t signature_here(uint64_t xcr0);

#endif
