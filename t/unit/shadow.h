/*
 * shadow.h - guest memory at its own addresses, under AddressSanitizer
 *
 * AddressSanitizer keeps what it knows of address A at SHADOW + A / 8.  EXEC
 * and SYS lie below the shadow and are ordinary memory to it.  The other guest
 * addresses lie in a gap where programs have no memory: AddressSanitizer bars
 * it, or with an option fills it with a shadow of the shadow.  Here the gap is
 * unmapped, and a test that maps guest memory there calls shadow_map(), which
 * maps a shadow for just that memory: zeros, "may be accessed".
 *
 *	          at             its shadow
 *	STACK     0x090000000    0x091ff8000
 *	HEAP      0x100000000    0x09fff8000
 *	DATA      0x200000000    0x0bfff8000
 *	USF       0x500000000    0x11fff8000   HEAP + 511 MB
 *	IMAGE     0x800000000    0x17fff8000   HEAP + 2047 MB
 *	HOST      0xc00000000    0x1ffff8000   DATA - 32 KB
 *
 * Some shadows lie inside other arenas, as the last column says, so a test
 * cannot have all arenas as large as a guest can; one that tries fails with a
 * message.  Included by one file of a program.
 */
#ifndef T_UNIT_SHADOW_H
#define T_UNIT_SHADOW_H

#include <stdint.h>
#include <sys/mman.h>

#ifdef __has_feature			/* clang's way to say it */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#define SHADOW		0x7fff8000ull
#define SHADOW_GAP	0x00008fff7000ull
#define SHADOW_GAP_END	0x02008fff7000ull

/* the sanitizer's runtime asks the program for it */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "protect_shadow_gap=0";
}

__attribute__((constructor)) static void shadow_gap_empty(void)
{
	munmap((void *)SHADOW_GAP, SHADOW_GAP_END - SHADOW_GAP);
}

/* 0, or -1 when the shadow of guest [addr, addr + len) has no place */
__attribute__((unused)) static int shadow_map(uint64_t addr, uint64_t len)
{
	uint64_t from = (SHADOW + addr / 8) & ~4095ull;
	uint64_t to = (SHADOW + (addr + len + 7) / 8 + 4095) & ~4095ull;

	if (addr < SHADOW_GAP)
		return 0;
	return mmap((void *)from, to - from, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		    MAP_FIXED_NOREPLACE, -1, 0) == (void *)from ? 0 : -1;
}

#else
__attribute__((unused)) static int shadow_map(uint64_t addr, uint64_t len)
{
	return 0;
}
#endif

#endif
