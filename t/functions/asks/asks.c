/*
 * asks.c - doorbells rung by machine code, as fast as the guest can
 *
 * FETCH of a URL and CANCEL of its ticket, n times, or without end when n is
 * negative; returns how many were begun.  And one that nobody answers; and,
 * where the guest is a process, its stub's call that wakes the tender, again and
 * again without a doorbell.
 */
#include <string.h>

#include "unikernel/abi.h"

static long ring(long nr, long a)
{
	long ret;

	__asm__ volatile("call *%1" : "=a"(ret)
			 : "r"((uint64_t)UK_STUB), "D"(a), "S"(0L), "d"(0L),
			   "c"(nr)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	return ret;
}

long asks(long n, const char *url)
{
	struct uk_out *out = (void *)UK_OUT;
	long begun = 0, ticket;

	for (long i = 0; i != n; i++) {
		memset(&out->fetch, 0, sizeof(out->fetch));
		out->fetch.url = (uint64_t)url;
		out->fetch.url_len = strlen(url);
		ticket = ring(DB_FETCH, 0);
		if (ticket < 0)
			continue;
		begun++;
		ring(DB_CANCEL, ticket);
	}
	return begun;
}

void rings(long n)
{
	while (n-- > 0)
		ring(DB_COUNT, 0);
}

/* behind edx = 1, eax = FUTEX: the stub's call that wakes */
static uint64_t waking_call(void)
{
	static const unsigned char code[] = {
		0xba, 1, 0, 0, 0, 0xb8, 202, 0, 0, 0, 0x0f, 5,
	};
	const unsigned char *stub = (const void *)UK_STUB;

	for (unsigned i = 0; i + sizeof(code) < UK_PAGE; i++)
		if (!memcmp(stub + i, code, sizeof(code)))
			return UK_STUB + i + sizeof(code) - 2;
	return 0;
}

/* the stub returns to where the last doorbell was rung from: to the call */
__asm__(".type wake_on, @function\n"
	"wake_on:\n"
	"	push	%rbx\n"
	"	push	%rbp\n"
	"	push	%r12\n"
	"	mov	%rdi, %rbx\n"		/* the call */
	"	mov	%rsi, %rbp\n"		/* the word */
	"	xor	%edi, %edi\n"
	"	xor	%esi, %esi\n"
	"	xor	%edx, %edx\n"
	"	mov	%rdx, %rcx\n"
	"	mov	$10, %ecx\n"		/* no doorbell */
	"	mov	$0x70100000, %eax\n"
	"	call	*%rax\n"
	"	mov	%rbp, %rdi\n"
	"	mov	$1, %esi\n"		/* FUTEX_WAKE */
	"	mov	$1, %edx\n"
	"	mov	$202, %eax\n"
	"	xor	%r8d, %r8d\n"
	"	jmp	*%rbx\n");
void wake_on(uint64_t call, uint64_t word)
	__attribute__((visibility("hidden")));

/* 0: this guest has no such call; else without end */
long wakes(uint64_t word)
{
	uint64_t call = waking_call();

	if (call)
		wake_on(call, word);
	return 0;
}
