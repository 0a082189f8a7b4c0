/*
 * lib_test.c - the libOS's own memcpy, strings and printf against libc's,
 * and its ChaCha20 against RFC 8439
 *
 * Sources: this file alone; it includes what it tests under other names.
 */
#undef _GNU_SOURCE		/* kabi.h has the same names */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/tap.h"

#define memcpy k_memcpy
#define memmove k_memmove
#define memset k_memset
#define memcmp k_memcmp
#define strlen k_strlen
#define strnlen k_strnlen
#define strcmp k_strcmp
#define strncmp k_strncmp
#define strchr k_strchr
#define strrchr k_strrchr
#include "unikernel/lib/lib.c"
#include "unikernel/lib/entropy.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr

#define SPAN 700

static void fill(unsigned char *p, int len, unsigned seed)
{
	for (int i = 0; i < len; i++)
		p[i] = seed = seed * 1103515245 + 12345 + (seed >> 16);
}

static int test_copies(void)
{
	static unsigned char a[2 * SPAN], b[2 * SPAN];
	unsigned from, to, len, i;

	for (i = 0; i < 20000; i++) {
		from = rand() % SPAN;
		to = rand() % SPAN;
		len = rand() % (i % 2 ? 40 : SPAN);
		fill(a, sizeof(a), i);
		memcpy(b, a, sizeof(a));
		if (i % 3 == 0) {
			memset(a + to, i, len);
			if (k_memset(b + to, i, len) != b + to)
				return 0;
		} else {
			memmove(a + to, a + from, len);
			if (k_memmove(b + to, b + from, len) != b + to)
				return 0;
		}
		if (memcmp(a, b, sizeof(a)))
			return 0;
	}
	return 1;
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static int test_compares(void)
{
	char a[64], b[64];
	int i, n, at;

	for (i = 0; i < 20000; i++) {
		n = rand() % 40;
		memset(a, 'x', sizeof(a));
		memset(b, 'x', sizeof(b));
		at = rand() % 40;
		b[at] = rand();
		a[rand() % 40] = '\0';
		a[63] = b[63] = '\0';
		if (sign(memcmp(a, b, n)) != sign(k_memcmp(a, b, n)) ||
		    sign(strncmp(a, b, n)) != sign(k_strncmp(a, b, n)) ||
		    sign(strcmp(a, b)) != sign(k_strcmp(a, b)) ||
		    strlen(b) != k_strlen(b) ||
		    strnlen(b, n) != k_strnlen(b, n) ||
		    strchr(b, b[at]) != k_strchr(b, b[at]) ||
		    strrchr(b, b[at]) != k_strrchr(b, b[at]) ||
		    strchr(b, 'q') != k_strchr(b, 'q') ||
		    strrchr(b, 'x') != k_strrchr(b, 'x'))
			return 0;
	}
	return 1;
}

static void same(const char *fmt, ...)
{
	char a[256], b[256], what[1100];
	va_list ap;
	int x, y;

	va_start(ap, fmt);
	x = vsnprintf(a, sizeof(a), fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	y = k_vsnprintf(b, sizeof(b), fmt, ap);
	va_end(ap);
	snprintf(what, sizeof(what), "\"%s\": \"%s\", libc's \"%s\"", fmt, b,
		 a);
	ok(x == y && !strcmp(a, b), "%s", what);
}

static void test_printf(void)
{
	char small[8];

	same("%d %5d|%-5d|%05d %+d %d", 1, 2, 3, 4, 5, -2147483647 - 1);
	same("%u %x %X %#x %#x %08x", 4000000000u, 255, 255, 255, 0, 0xabc);
	same("%ld %lu %lx %zu %llx", -5l, 5ul, 0xdeadbeefcafel,
	     (size_t)77, 1ull << 63);
	same("%s|%10s|%-10s|%.3s|%.*s", "abc", "def", "ghi", "jklm", 2, "no");
	same("%c%c%% %5c|%-5c|", 'a', 'b', 'c', 'd');
	same("%p", (void *)0x1234);
	same("%hhd %hd %hhu %hx", 300, 70000, 300, 70000);
	same("%.5d %8.5d %-8.3x| %.0d %.0d", 42, 42, 10, 0, 7);
	same("%*d %-*d|", 6, 1, 6, 2);
	same("%o %i", 8, -8);
	ok(k_snprintf(small, sizeof(small), "%s", "0123456789") == 10 &&
	   !strcmp(small, "0123456"), "a short buffer is filled and ended");
	ok(k_snprintf(NULL, 0, "%d", 12345) == 5, "no buffer: the length");
}

/* RFC 8439 section 2.3.2 */
static void test_chacha(void)
{
	static const u32 ctr[4] = { 1, 0x09000000, 0x4a000000, 0 };
	static const u8 want[] = {
		0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15,
		0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4,
		0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03,
		0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e,
		0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09,
		0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2,
		0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9,
		0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
	};
	u8 k[32];
	u32 words[8], out[16];
	int i;

	for (i = 0; i < 32; i++)
		k[i] = i;
	memcpy(words, k, sizeof(k));
	chacha20_block(words, ctr, out);
	ok(!memcmp(out, want, sizeof(want)), "ChaCha20: RFC 8439 2.3.2");
}

int main(void)
{
	ok(test_copies(), "memmove, memcpy and memset do as libc's");
	ok(test_compares(), "comparisons and searches do as libc's");
	test_printf();
	test_chacha();
	return plan();
}
