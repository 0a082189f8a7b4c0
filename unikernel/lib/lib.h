/*
 * lib.h - what the libOS has instead of a C library
 *
 * The libOS runs at CPL 3 beside the program, is not re-entrant, and never
 * touches vector registers (-mgeneral-regs-only), so entering it need not
 * save them.  One vCPU; a thread leaves the libOS only at a wait (thread.h)
 * or on return to the program, so libOS data needs no locks.
 *
 * Errors are negative errno values, as in Linux.
 */
#ifndef UNIKERNEL_LIB_H
#define UNIKERNEL_LIB_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "unikernel/abi.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define ROUND_UP(x, n)	(((x) + (n) - 1) & ~((u64)(n) - 1))
#define ROUND_DOWN(x, n) ((x) & ~((u64)(n) - 1))
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))

#define uk_ctl		((const volatile struct uk_ctl *)UK_CTL)
#define uk_out		((volatile struct uk_out *)UK_OUT)

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* %d %u %x %lx %ld %lu %s %c %p %%, widths and 0; returns as C99's */
int k_vsnprintf(char *buf, size_t len, const char *fmt, va_list ap);
int k_snprintf(char *buf, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* to the invocation's log (log.c); buffered, DB_LOG when the buffer fills */
void log_write(const void *buf, size_t len);
void log_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Our own bug: one line, then the end.  The hook, once there is one, ends it as
 * it ends any crash of the libOS and does not return.
 */
void panic(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
extern void (*panic_hook)(u64 rip, u64 rsp, u64 rbp, const char *line);
#define assert(x) do { \
	if (!(x)) \
		panic("libOS: %s:%d: assertion failed: %s", \
		      __FILE__, __LINE__, #x); \
} while (0)

static inline long doorbell(long a, long b, long c, long nr)
{
	return ((long (*)(long, long, long, long))UK_STUB)(a, b, c, nr);
}

/* time.c: nanoseconds */
u64 now_mono(void);
u64 now_real(void);

/* entropy.c: never fails; reseeds itself when uk_ctl.entropy_gen has moved */
void random_bytes(void *buf, size_t len);

/*
 * 1 when [p, p + len) lies inside memory that the program may read (write:
 * may write); a system call answers -EFAULT otherwise.  mem.c
 */
int user_ok(const void *p, size_t len, int write);
/* length of the string, or -EFAULT, or -ENAMETOOLONG past max bytes */
long user_strlen(const char *s, size_t max);

#endif
