/*
 * lib.c - memory, strings and formatting (lib.h)
 *
 * The compiler may call memcpy, memmove, memset and memcmp for code of its
 * own, so these must not be turned back into calls to themselves: the bulk
 * is string instructions, and loop recognition is off in this file.
 */
#include "unikernel/lib/lib.h"

#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* below this a word loop beats the start-up of rep movsb */
#define SMALL	128

typedef u64 __attribute__((may_alias, aligned(1))) word;

void *memcpy(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if (n < SMALL) {
		for (; n >= 8; n -= 8, d += 8, s += 8)
			*(word *)d = *(const word *)s;
		while (n--)
			*d++ = *s++;
		return dst;
	}
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) :: "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = (u8 *)dst + n;
	const u8 *s = (const u8 *)src + n;

	if ((u64)dst - (u64)src >= n)
		return memcpy(dst, src, n);
	for (; n >= 8; n -= 8) {
		d -= 8;
		s -= 8;
		*(word *)d = *(const word *)s;
	}
	while (n--)
		*--d = *--s;
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	u64 fill = (u8)c * 0x0101010101010101ull;
	u8 *d = dst;
	size_t words;

	if (n < SMALL) {
		for (; n >= 8; n -= 8, d += 8)
			*(word *)d = fill;
		while (n--)
			*d++ = c;
		return dst;
	}
	words = n / 8;
	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(fill)
			 : "memory");
	for (n &= 7; n; n--)
		*d++ = c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= 8 && *(const word *)x == *(const word *)y; n -= 8) {
		x += 8;
		y += 8;
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	char *last = NULL;

	do {
		if (*s == (char)c)
			last = (char *)s;
	} while (*s++);
	return last;
}

/*
 * Formatting.  Output past the end of the buffer is counted, not stored.
 */
struct printer {
	char *buf;
	size_t len;			/* of buf, with room for the NUL */
	size_t pos;
};

struct spec {
	int width, precision;		/* -1: no precision */
	int left, zero, plus, alt;
	int size;			/* bytes of the integer */
};

static void put(struct printer *o, char c)
{
	if (o->pos + 1 < o->len)
		o->buf[o->pos] = c;
	o->pos++;
}

static void put_n(struct printer *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

/* prefix (sign or 0x), then body, padded to the width */
static void put_field(struct printer *o, const struct spec *f,
		      const char *prefix, const char *body, int len)
{
	int plen = strlen(prefix), pad = f->width - plen - len, i;

	if (!f->left && !f->zero)
		put_n(o, ' ', pad);
	for (i = 0; i < plen; i++)
		put(o, prefix[i]);
	if (!f->left && f->zero)
		put_n(o, '0', pad);
	for (i = 0; i < len; i++)
		put(o, body[i]);
	if (f->left)
		put_n(o, ' ', pad);
}

static void put_number(struct printer *o, struct spec *f, u64 n, unsigned base,
		       const char *prefix, const char *digits)
{
	char tmp[72];
	int i = sizeof(tmp), min = f->precision < 0 ? 1 : f->precision;

	if (f->precision >= 0)
		f->zero = 0;
	if (min > 64)
		min = 64;
	for (; n || min > 0; n /= base, min--)
		tmp[--i] = digits[n % base];
	put_field(o, f, prefix, tmp + i, sizeof(tmp) - i);
}

static u64 arg_unsigned(const struct spec *f, va_list *ap)
{
	if (f->size == 8)
		return va_arg(*ap, u64);
	return va_arg(*ap, unsigned) & (f->size == 4 ? ~0u :
					f->size == 2 ? 0xffffu : 0xffu);
}

static s64 arg_signed(const struct spec *f, va_list *ap)
{
	if (f->size == 8)
		return va_arg(*ap, s64);
	switch (f->size) {
	case 1:
		return (signed char)va_arg(*ap, int);
	case 2:
		return (int16_t)va_arg(*ap, int);
	default:
		return va_arg(*ap, int);
	}
}

static const char *read_number(const char *p, int *n, va_list *ap)
{
	if (*p == '*') {
		*n = va_arg(*ap, int);
		return p + 1;
	}
	for (*n = 0; *p >= '0' && *p <= '9'; p++)
		*n = *n * 10 + (*p - '0');
	return p;
}

static const char *read_spec(const char *p, struct spec *f, va_list *ap)
{
	*f = (struct spec){ .precision = -1, .size = 4 };
	for (;; p++) {
		if (*p == '-')
			f->left = 1;
		else if (*p == '0')
			f->zero = 1;
		else if (*p == '+')
			f->plus = 1;
		else if (*p == '#')
			f->alt = 1;
		else
			break;
	}
	p = read_number(p, &f->width, ap);
	if (f->width < 0) {
		f->left = 1;
		f->width = -f->width;
	}
	if (*p == '.')
		p = read_number(p + 1, &f->precision, ap);
	for (;; p++) {
		if (*p == 'l' || *p == 'z' || *p == 'j' || *p == 't')
			f->size = 8;
		else if (*p == 'h')
			f->size /= 2;
		else
			return p;
	}
}

static void put_string(struct printer *o, const struct spec *f, const char *s)
{
	if (!s)
		s = "(null)";
	put_field(o, f, "", s, strnlen(s, f->precision < 0 ? 1 << 20 :
				       f->precision));
}

static void put_signed(struct printer *o, struct spec *f, s64 n)
{
	const char *sign = n < 0 ? "-" : f->plus ? "+" : "";

	put_number(o, f, n < 0 ? -(u64)n : (u64)n, 10, sign, "0123456789");
}

static void put_one(struct printer *o, struct spec *f, char conv, va_list *ap)
{
	const char *lower = "0123456789abcdef";
	char c;
	u64 n;

	switch (conv) {
	case 'd':
	case 'i':
		put_signed(o, f, arg_signed(f, ap));
		break;
	case 'u':
		put_number(o, f, arg_unsigned(f, ap), 10, "", lower);
		break;
	case 'o':
		put_number(o, f, arg_unsigned(f, ap), 8, "", lower);
		break;
	case 'x':
	case 'X':
		n = arg_unsigned(f, ap);
		put_number(o, f, n, 16, f->alt && n ? "0x" : "",
			   conv == 'x' ? lower : "0123456789ABCDEF");
		break;
	case 'p':
		put_number(o, f, (u64)va_arg(*ap, void *), 16, "0x", lower);
		break;
	case 'c':
		c = va_arg(*ap, int);
		put_field(o, f, "", &c, 1);
		break;
	case 's':
		put_string(o, f, va_arg(*ap, const char *));
		break;
	default:
		put(o, conv);
	}
}

int k_vsnprintf(char *buf, size_t len, const char *fmt, va_list ap_in)
{
	struct printer o = { buf, len, 0 };
	struct spec f;
	va_list ap;

	va_copy(ap, ap_in);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = read_spec(fmt + 1, &f, &ap);
		if (!*fmt)
			break;
		put_one(&o, &f, *fmt, &ap);
	}
	va_end(ap);
	if (len)
		buf[MIN(o.pos, len - 1)] = '\0';
	return o.pos;
}

int k_snprintf(char *buf, size_t len, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = k_vsnprintf(buf, len, fmt, ap);
	va_end(ap);
	return n;
}
