/*
 * syscall.c - the table, dispatch, and the trace
 *
 * syscall.tbl generates three things: a check that each handler takes as many
 * arguments as its row says and returns long, the table, and the trace.
 */
#include "unikernel/start/syscall.h"
#include "unikernel/dev/devices.h"
#include "unikernel/map/mman.h"
#include "unikernel/task/crash.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/task.h"
#include "unikernel/fs/sysfile.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/task/thread.h"

#define SYSCALLS	512
#define STRING_SHOWN	64

typedef long handler(u64, u64, u64, u64, u64, u64);

struct syscall {
	handler *fn;
	const char *name;
	const char *format;
	/* answered when there is a name but no fn */
	int error;
};

/* as many arguments as the arity, each a pointer or a number */
#define ARGS_0
#define ARGS_1	0
#define ARGS_2	0, 0
#define ARGS_3	0, 0, 0
#define ARGS_4	0, 0, 0, 0
#define ARGS_5	0, 0, 0, 0, 0
#define ARGS_6	0, 0, 0, 0, 0, 0

#define DENY(nr, name, error) _Static_assert(nr == __NR_##name, #name);
#define SYS(nr, name, arity, format) \
	_Static_assert(sizeof(sys_##name(ARGS_##arity)) == sizeof(long) && \
		       sizeof(format) == arity + 1 && nr == __NR_##name, #name);
#include "unikernel/start/syscall.tbl"
#undef SYS
#undef DENY

#define DENY(nr, name, error)	[nr] = { NULL, #name, "", error },
#define SYS(nr, name, arity, format) \
	[nr] = { (handler *)(void *)sys_##name, #name, format, 0 },
static const struct syscall table[SYSCALLS] = {
#include "unikernel/start/syscall.tbl"
};
#undef SYS
#undef DENY

static u64 told[SYSCALLS / 64];

static void trace_string(u64 addr)
{
	char buf[STRING_SHOWN + 1];
	long len = user_strlen((const char *)addr, STRING_SHOWN), i;

	if (len == -EFAULT) {
		log_printf("%p", (void *)addr);
		return;
	}
	if (len < 0)
		len = STRING_SHOWN;
	memcpy(buf, (const char *)addr, len);
	for (i = 0; i < len; i++)
		if (buf[i] < ' ' || buf[i] == '"' || buf[i] > '~')
			buf[i] = '.';
	log_printf("\"%.*s\"", (int)len, buf);
}

static void trace_arg(char format, u64 arg)
{
	switch (format) {
	case 'd':
		log_printf("%d", (int)arg);
		break;
	case 'l':
		log_printf("%ld", (long)arg);
		break;
	case 's':
		trace_string(arg);
		break;
	case 'p':
		if (!arg) {
			log_printf("NULL");
			break;
		}
		/* fallthrough */
	default:
		log_printf("0x%lx", arg);
	}
}

static void trace_call(const struct syscall *s, const u64 *arg)
{
	int i;

	log_printf("[%d] %s(", current->tid, s->name);
	for (i = 0; s->format[i]; i++) {
		if (i)
			log_printf(", ");
		trace_arg(s->format[i], arg[i]);
	}
	log_printf(")");
}

static void trace_result(long ret)
{
	if (ret < 0 && ret > -4096)
		log_printf(" = %ld\n", ret);
	else
		log_printf(" = 0x%lx\n", ret);
}

static void tell_unknown(u32 nr)
{
	if (!(uk_ctl->flags & (UK_CTL_TRACE | UK_CTL_TRACE_UNKNOWN)))
		return;
	if (nr < SYSCALLS) {
		if (told[nr / 64] & 1ull << nr % 64)
			return;
		told[nr / 64] |= 1ull << nr % 64;
	}
	log_printf("usetl: unknown system call %u\n", nr);
}

#define __NR_exit		60
#define __NR_exit_group	231

/*
 * One line for each call, written once the answer is known, or before a call
 * that does not return.
 */
static long call_traced(u32 nr, const struct syscall *s, const u64 *a)
{
	long rc;

	if (nr == __NR_exit || nr == __NR_exit_group) {
		trace_call(s, a);
		log_printf("\n");
	}
	rc = s->fn ? s->fn(a[0], a[1], a[2], a[3], a[4], a[5]) : -s->error;
	trace_call(s, a);
	trace_result(rc);
	return rc;
}

/*
 * The number is an int, as in Linux; x32's numbers have bit 30 set and are
 * unknown.  A handler may change *r (sigreturn), and returns the value for rax.
 */
void syscall_enter(struct regs *r)
{
	u32 nr = r->orig_rax;
	const struct syscall *s = nr < SYSCALLS ? &table[nr] : NULL;

	if (crashing) {
		crash_syscall(r);
		return;
	}
	current->regs = r;
	if (!s || !s->name) {
		tell_unknown(nr);
		r->rax = -ENOSYS;
	} else if (uk_ctl->flags & UK_CTL_TRACE) {
		const u64 args[6] = {
			r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9,
		};

		r->rax = call_traced(nr, s, args);
	} else if (s->fn) {
		r->rax = s->fn(r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9);
	} else {
		r->rax = -s->error;
	}
}
