/*
 * thread_test.c - the scheduler, futexes, signals and timers, run natively
 *
 * The clock is the test's own and advances only when no thread can run, so
 * every sleep is exact.  Threads of the test are libOS threads on one Linux
 * thread; they call the system calls as functions and begin in
 * ret_to_user_full(), which here is a few instructions below.
 *
 * Objects, compiled as for the guest, linked -no-pie: unikernel/ thread
 * switch spawn fork futex robust signal sigframe sigrestart sigcall timer xstate.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cpuid.h>

#include "t/unit/shadow.h"
#include "t/unit/tap.h"
#include "t/unit/nolibc.h"
#include "unikernel/task/crash.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define MS		1000000ull
#define EPOCH		(1700000000ull * 1000 * MS)
#define THREAD_FLAGS	0x10f00		/* VM FS FILES SIGHAND THREAD */
#define STACK		65536
#define RESTORER	0x4242

struct two_words {
	u64 a, b;
};

static u64 mono = 1000 * MS;
static u64 rung[64];			/* deadlines of DB_WAIT */
static int n_rung;
static long exit_status, exit_signal;
static jmp_buf exited;
static int exit_expected;
static int pages_live, pages_fail, allocs_live;
static char order[64];
static int n_order;
static u8 *stacks[2048];		/* of all threads there ever were */
static int n_stacks;

u64 time_idle_ns;
u32 task_looks;

static void bail(const char *why)
{
	printf("Bail out! %s\n", why);
	fflush(stdout);
	_Exit(1);
}

/*
 * AddressSanitizer knows of one stack, and wants to clean it before a call that
 * does not return.  The threads' own are cleaned when they are freed.
 */
#ifdef __SANITIZE_ADDRESS__
void __real___asan_handle_no_return(void);
void __wrap___asan_handle_no_return(void);
void __asan_unpoison_memory_region(void const volatile *p, size_t len);
static char *main_frame;

void __wrap___asan_handle_no_return(void)
{
	char *here = __builtin_frame_address(0);

	if (here <= main_frame && main_frame - here < STACK)
		__real___asan_handle_no_return();
}

#define stack_clean(addr, len)	__asan_unpoison_memory_region(addr, len)
#define stack_is_main()		(main_frame = __builtin_frame_address(0))
#else
#define stack_clean(addr, len)
#define stack_is_main()
#endif

/* --- what the libOS calls --- */

static long ring(long a, long b, long c, long nr)
{
	if (nr == DB_WAIT) {
		if (a == -1)
			bail("everybody waits for ever");
		if (n_rung < 64)
			rung[n_rung++] = (u64)a;
		mono = MAX(mono, (u64)a);
		return 0;
	}
	if (nr != DB_EXIT || !exit_expected)
		bail("unexpected doorbell");
	exit_status = a;
	exit_signal = b;
	longjmp(exited, 1);
}

u64 now_mono(void)
{
	return mono;
}

u64 now_real(void)
{
	return mono + EPOCH;
}

u64 now_cpu(void)
{
	return mono - time_idle_ns;
}

struct task_ids task_ids = { .pid = UK_PID_BOOT };

void now_cpu_reset(void)
{
	time_idle_ns = mono;
}

static int wiped;

void pages_wipe(void)
{
	wiped++;
}

long task_refuse(void)
{
	return -ENOSYS;
}

u64 pages_alloc_dirty(int arena, u64 n)
{
	void *p;

	if (pages_fail)
		return 0;
	p = mmap(NULL, n * UK_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	memset(p, 0xa5, n * UK_PAGE);
	pages_live++;
	return (u64)p;
}

void pages_free(u64 addr, u64 n)
{
	stack_clean((void *)addr, n * UK_PAGE);
	munmap((void *)addr, n * UK_PAGE);
	pages_live--;
}

void *kmalloc(size_t len)
{
	allocs_live++;
	return malloc(len);
}

void *kzalloc(size_t len)
{
	allocs_live++;
	return calloc(1, len);
}

void kfree(void *p)
{
	allocs_live -= p != NULL;
	free(p);
}

int user_ok(const void *p, size_t len, int write)
{
	return (u64)p >= 0x10000 && (u64)p < 1ull << 47;
}

/* crash.c is the guest's own */
int crashing;
static u64 fault_rip, fault_addr, handler_sp;

void crash_signal(const struct regs *r, int signo,
		  const struct k_siginfo *info)
{
	ring(128 + signo, signo, 0, DB_EXIT);
	abort();
}

void crash_fault(const struct regs *r, int signo, u64 addr)
{
	fault_rip = r->rip;
	fault_addr = addr;
}

void crash_fault_handler(u64 sp)
{
	handler_sp = sp;
}

void refused_tell(void) { }

void crash_overdue(void)
{
	bail("time is over");
}

void log_printf(const char *fmt, ...)
{
}

void panic(const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_Exit(1);
}

/* rsp is at struct regs */
__asm__(
	".globl ret_to_user_full\n"
	"ret_to_user_full:\n"
	"	movq 112(%rsp), %rdi\n"
	"	movq 128(%rsp), %rax\n"
	"	movq 144(%rsp), %rsp\n"
	"	jmp *%rax\n");

static int map(u64 addr, u64 len, int prot)
{
	return mmap((void *)addr, len, prot, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_FIXED_NOREPLACE, -1, 0) == (void *)addr ? 0 : -1;
}

#undef uk_ctl
#define ctl ((struct uk_ctl *)UK_CTL)

static void setup(void)
{
	u64 target = (u64)ring;
	unsigned a, b, c, d;
	u8 *stub = (void *)UK_STUB;

	if (map(UK_STUB, UK_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) < 0 ||
	    map(UK_CTL, UK_PAGE, PROT_READ | PROT_WRITE) < 0 ||
	    map(UK_OUT, UK_PAGE, PROT_READ | PROT_WRITE) < 0)
		bail("the guest's addresses are taken");
	memcpy(stub, "\x48\xb8", 2);		/* mov $target, %rax */
	memcpy(stub + 2, &target, 8);
	memcpy(stub + 10, "\xff\xe0", 2);	/* jmp *%rax */
	__cpuid_count(13, 0, a, b, c, d);
	ctl->xcr0 = a & 7;
	ctl->xsave_size = a & 4 ? 832 : 576;
	thread_init();
}

/* --- threads of the test --- */

static int spawn(void (*fn)(long), long arg)
{
	u8 *stack = malloc(STACK);
	struct regs *r = current->regs;

	if (n_stacks == sizeof(stacks) / sizeof(stacks[0]))
		bail("too many threads");
	stacks[n_stacks++] = stack;
	memset(r, 0, sizeof(*r));
	r->rip = (u64)fn;
	r->rdi = (u64)arg;
	return (int)sys_clone(THREAD_FLAGS, (u64)stack + STACK - 8, NULL, NULL,
			      0);
}

static void note(long c)
{
	if (n_order < 63)
		order[n_order++] = (char)c;
}

static void clear_order(void)
{
	memset(order, 0, sizeof(order));
	n_order = 0;
	n_rung = 0;
}

static void join_all(void)
{
	struct waitq nobody = { NULL, NULL };

	while (thread_count > 1)
		thread_wait(&nobody, mono + MS);
}

static struct waitq queue;

static void wait_and_note(long name)
{
	thread_wait(&queue, NEVER);
	note(name);
	sys_exit(0);
}

static void test_queue(void)
{
	int live = pages_live, allocs = allocs_live;

	clear_order();
	spawn(wait_and_note, 'a');
	spawn(wait_and_note, 'b');
	spawn(wait_and_note, 'c');
	thread_yield();
	ok(thread_wake(&queue, 2) == 2, "two of three woken");
	thread_yield();
	ok(!strcmp(order, "ab"), "the first that waited are woken");
	ok(thread_wake(&queue, 5) == 1, "one of three still waits");
	join_all();
	thread_yield();
	ok(pages_live == live && allocs_live == allocs,
	   "stacks of the dead are freed");
}

static void sleep_and_note(long name)
{
	struct waitq nobody = { NULL, NULL };
	int rc = thread_wait(&nobody, 1000 * MS + (u64)(name - '0') * 10 * MS);

	note(rc == -ETIMEDOUT ? name : '?');
	sys_exit(0);
}

static void test_deadlines(void)
{
	struct waitq nobody = { NULL, NULL };
	u64 idle = time_idle_ns;

	mono = 1000 * MS;
	clear_order();
	spawn(sleep_and_note, '3');
	spawn(sleep_and_note, '1');
	spawn(sleep_and_note, '2');
	thread_wait(&nobody, 1100 * MS);
	ok(!strcmp(order, "123"), "sleepers wake in order of deadline");
	ok(n_rung == 4 && rung[0] == 1010 * MS && rung[1] == 1020 * MS &&
	   rung[3] == 1100 * MS, "the doorbell rings for the earliest");
	ok(time_idle_ns - idle == 100 * MS, "a sleep is no CPU time");
	ok(thread_wait(&nobody, mono) == -ETIMEDOUT && n_rung == 4,
	   "a deadline that passed does not sleep");
}

static u32 word;

static void futex_forever(long name)
{
	sys_futex(&word, 0, 0, 0, NULL, 0);
	note(name);
	sys_exit(0);
}

static void futex_a_while(long name)
{
	struct two_words ts = { 0, 50 * MS };

	note(sys_futex(&word, 0, 0, (u64)&ts, NULL, 0) == -ETIMEDOUT ?
	     name : '?');
	sys_exit(0);
}

static u32 want_tick(void)
{
	struct regs r = { .orig_rax = -1ull };

	thread_return(&r);
	return uk_out->want_tick;
}

static void test_ticks(void)
{
	clear_order();
	ok(want_tick() == 0, "one thread needs no tick");
	spawn(futex_forever, 'f');
	ok(want_tick() == 1, "two threads that can run need a tick");
	thread_yield();
	ok(want_tick() == 0, "a thread at a futex for ever needs no tick");
	spawn(futex_a_while, 'w');
	thread_yield();
	ok(want_tick() == 1, "a thread with a deadline needs a tick");
	mono += 60 * MS;
	want_tick();
	ok(!order[0], "without a tick nothing moves");
	ctl->ticks++;
	want_tick();
	ok(!strcmp(order, "w"), "a tick expires deadlines, and rotates");
	ok(sys_futex(&word, 1, 1, 0, NULL, 0) == 1, "FUTEX_WAKE");
	join_all();
	ok(!strcmp(order, "wf"), "FUTEX_WAKE wakes the thread");
}

static void wait_signal(long uninterruptible)
{
	int rc = uninterruptible ?
		thread_wait_uninterruptible(&queue, mono + 20 * MS) :
		thread_wait(&queue, NEVER);

	note(rc == -EINTR ? 'i' : rc == -ETIMEDOUT ? 't' : '?');
	sys_exit(0);
}

static void handler_set(int sig, u64 handler, u64 flags)
{
	struct k_sigaction act = {
		.handler = handler, .flags = flags | SA_RESTORER,
		.restorer = RESTORER,
	};

	sys_rt_sigaction(sig, &act, NULL, 8);
}

static void test_signal_wait(void)
{
	u64 all = ~0ull, none = 0, set;
	int tid;

	clear_order();
	handler_set(10, 0x5000, 0);
	sys_rt_sigprocmask(2, &all, NULL, 8);
	tid = spawn(wait_signal, 0);
	thread_yield();
	sys_tkill(tid, 10);
	sys_kill(1, 12);
	sys_rt_sigpending(&set, 8);
	ok(set == SIGBIT(12), "blocked by all: pending for the process");
	thread_find(tid)->sig.blocked = ~SIGBIT(10);
	sys_tkill(tid, 10);
	sys_rt_sigprocmask(2, &none, NULL, 8);
	handler_set(12, SIG_IGN, 0);
	sys_rt_sigpending(&set, 8);
	ok(set == 0, "ignoring takes a pending signal back");
	/* the mask changed behind its back; a new one reaches it */
	thread_find(tid)->sig.blocked = 0;
	handler_set(12, 0x5000, 0);
	sys_tkill(tid, 12);
	spawn(wait_signal, 1);
	thread_yield();
	join_all();
	ok(!strcmp(order, "it"), "a signal ends a wait, not an uninterruptible");
}

static void test_queue_limit(void)
{
	u64 all = ~0ull, none = 0, set = SIGBIT(40);
	struct k_siginfo info = { .code = SI_QUEUE };
	struct two_words now = { 0, 0 };
	int i, allocs = allocs_live, right = 1;
	long rc;

	sys_rt_sigprocmask(2, &all, NULL, 8);
	for (i = 0; (rc = sys_rt_sigqueueinfo(1, 40, &info)) == 0; i++)
		info.fields[1]++;
	ok(rc == -EAGAIN && i == 1024, "the queue has an end");
	ok(sys_kill(1, 10) == 0, "an ordinary signal needs no entry");
	for (i = 0; sys_rt_sigtimedwait(&set, &info, &now, 8) == 40; i++)
		right &= info.fields[1] == (u64)i;
	ok(i == 1024 && right, "queued signals are taken in order");
	set = SIGBIT(10);
	ok(sys_rt_sigtimedwait(&set, &info, &now, 8) == 10 &&
	   info.code == SI_USER, "the signal without an entry is taken, too");
	ok(allocs_live == allocs, "queued signals are freed");
	sys_rt_sigprocmask(2, &none, NULL, 8);
}

static u8 user_stack[16384] __attribute__((aligned(64)));

static struct regs interrupted(u64 nr, long rax)
{
	return (struct regs){
		.rbx = 0xb, .rbp = 0xbb, .r12 = 12, .rcx = 0xc, .r11 = 11,
		.rdi = 0xd1, .rax = (u64)rax, .orig_rax = nr, .rip = 0x401000,
		.rflags = 0x646, .rsp = (u64)user_stack + sizeof(user_stack),
	};
}

/* delivers signal 10 to a program in *r, and comes back from its handler */
static struct regs there_and_back(struct regs *r)
{
	struct regs *top = current->regs;

	sys_tkill(1, 10);
	signal_deliver(r);
	*top = *r;
	top->rsp += 8;
	sys_rt_sigreturn();
	return *top;
}

static void test_frame(void)
{
	struct regs was = interrupted(-1ull, 7), r = was, b;

	handler_set(10, 0x5000, 0);
	b = there_and_back(&r);
	ok(r.rip == 0x5000 && r.rdi == 10 && r.rax == 0 && r.rsp % 16 == 8 &&
	   *(u64 *)r.rsp == RESTORER && !(r.rflags & 0x400) &&
	   r.rsp < was.rsp - 128, "a handler's registers");
	ok(b.rbx == was.rbx && b.rsp == was.rsp && b.rip == was.rip &&
	   b.rcx == was.rcx && b.r11 == was.r11 && b.rax == 7 &&
	   b.rflags == was.rflags && b.orig_rax == -1ull,
	   "sigreturn restores all of them");
	ok(current->sig.blocked == 0, "sigreturn restores the mask");
}

static void test_restart(void)
{
	struct regs r, b;

	handler_set(10, 0x5000, SA_RESTART);
	r = interrupted(0, -EINTR);
	b = there_and_back(&r);
	ok(b.rip == 0x400ffe && b.rax == 0, "read begins again");
	r = interrupted(35, -EINTR);
	b = there_and_back(&r);
	ok(b.rip == 0x401000 && b.rax == (u64)-EINTR,
	   "nanosleep does not begin again");
	r = interrupted(202, -EINTR);
	r.r10 = 1;
	b = there_and_back(&r);
	ok(b.rip == 0x401000, "a futex with a timeout does not begin again");
	r = interrupted(0, 5);
	b = there_and_back(&r);
	ok(b.rip == 0x401000 && b.rax == 5,
	   "a call that succeeded does not begin again");
	handler_set(10, 0x5000, 0);
	r = interrupted(0, -EINTR);
	b = there_and_back(&r);
	ok(b.rip == 0x401000 && b.rax == (u64)-EINTR,
	   "without SA_RESTART it is EINTR");
	r = interrupted(23, -EINTR);
	signal_deliver(&r);
	ok(r.rip == 0x400ffe && r.rax == 23,
	   "select begins again when no handler ran");
}

static void test_bad_stack(void)
{
	struct regs r = interrupted(-1ull, 0);

	handler_set(10, 0x5000, 0);
	r.rsp = 0x20000;
	sys_tkill(1, 10);
	/* below 64 KB nothing is mapped: the frame fits barely not */
	r.rsp = 0x10100;
	exit_expected = 1;
	if (!setjmp(exited)) {
		signal_deliver(&r);
		ok(0, "a frame that does not fit is fatal");
	} else {
		ok(exit_status == 139 && exit_signal == 11,
		   "a frame that does not fit is fatal");
	}
	exit_expected = 0;
	current->sig.blocked = 0;
}

static void fatal(int sig, int code)
{
	struct regs r = interrupted(-1ull, 0);

	exit_expected = 1;
	exit_status = -1;
	if (!setjmp(exited))
		signal_fault(&r, sig, code, 0x1234, 14, 4);
	exit_expected = 0;
}

static void test_fault(void)
{
	struct regs r = interrupted(-1ull, 0);
	struct k_siginfo *si;

	handler_set(11, 0x6000, 0);
	signal_fault(&r, 11, 1, 0xabcd, 14, 4);
	si = (void *)r.rsi;
	ok(r.rip == 0x6000 && si->signo == 11 && si->code == 1 &&
	   si->fields[0] == 0xabcd, "a fault with a handler");
	ok(fault_addr == 0xabcd && fault_rip != r.rip && handler_sp == r.rsp,
	   "a fault is noted for a report");
	fatal(11, 1);
	ok(exit_status == 139 && fault_addr == 0x1234,
	   "a second fault inside the handler is fatal");
	current->sig.blocked = 0;
	handler_set(7, SIG_IGN, 0);
	fatal(7, 2);
	ok(exit_status == 135 && exit_signal == 7, "faults are not ignored");
	handler_set(11, SIG_DFL, 0);
}

struct robust {
	u64 next;
	u32 word, pad;
};

static void die_with(long head)
{
	sys_set_robust_list((void *)head, 24);
	sys_exit(0);
}

static void test_robust(void)
{
	static struct robust a, b;
	static u64 head[3];
	int tid = current->tid;

	head[0] = (u64)&a;
	head[1] = offsetof(struct robust, word);
	a.next = (u64)&b;
	b.next = (u64)&a;		/* round and round, never the head */
	tid = spawn(die_with, (long)head);
	a.word = 0x80000000u | (u32)tid;
	b.word = 1;			/* somebody else's */
	join_all();
	ok(a.word == 0xc0000000u && b.word == 1,
	   "a circular list ends; what was held is marked");
	head[0] = 0x1233;
	head[2] = 0x77;
	spawn(die_with, (long)head);
	spawn(die_with, 0x99);
	join_all();
	ok(1, "nonsense does no harm");
}

static void test_timers(void)
{
	u64 block = SIGBIT(14) | SIGBIT(34), none = 0, set = SIGBIT(34);
	struct two_words v[2] = { { 0, 10 * MS }, { 0, 10 * MS } }, left[2];
	struct two_words now = { 0, 0 };
	struct { u64 value; int signo, notify, pad[12]; } ev = { 5, 34, 0, { 0 } };
	struct k_siginfo info;
	int id, i, armed = signal_timer_armed();

	sys_rt_sigprocmask(2, &block, NULL, 8);
	ok(sys_timer_create(1, &ev, &id) == 0, "timer_create");
	sys_timer_settime(id, 0, v, NULL);
	ok(signal_timer_next() == mono + 10 * MS && want_tick() == 1,
	   "an armed timer asks for ticks");
	mono += 55 * MS;
	signal_timer_run(mono);
	sys_timer_gettime(id, left);
	ok(left[1].b == 5 * MS, "an armed timer stays in step");
	ok(sys_rt_sigtimedwait(&set, &info, &now, 8) == 34 &&
	   info.fields[0] >> 32 == 4 && info.fields[1] == 5 && !info.pad &&
	   sys_timer_getoverrun(id) == 4, "four expiries overran");
	ok(sys_timer_delete(id) == 0 && signal_timer_armed() == armed,
	   "timer_delete disarms");
	for (i = 0; sys_timer_create(1, &ev, &id) == 0; i++)
		;
	ok(i == 128, "timers have an end");
	while (i--)
		sys_timer_delete(i);
	ok(sys_alarm(3) == 0 && sys_alarm(0) == 3 && want_tick() == 0,
	   "alarm tells what was left");
	sys_rt_sigprocmask(2, &none, NULL, 8);
}

static void test_limits(void)
{
	int n;

	pages_fail = 1;
	ok(spawn(wait_and_note, 'x') == -EAGAIN, "no memory, no thread");
	pages_fail = 0;
	for (n = 1; spawn(wait_and_note, 'x') > 0; n++)
		thread_yield();
	ok(n == THREADS_MAX, "threads have an end");
	thread_wake(&queue, THREADS_MAX);
	join_all();
	ok(thread_count == 1, "all threads end");
}

static void test_clone_flags(void)
{
	u64 args[11] = { THREAD_FLAGS };

	ok(sys_clone(17, 0, NULL, NULL, 0) == -ENOSYS, "fork is refused");
	ok(sys_clone(0x4111, 0, NULL, NULL, 0) == -ENOSYS, "vfork is refused");
	ok(sys_clone(THREAD_FLAGS | 0x20000000, 0, NULL, NULL, 0) == -ENOSYS,
	   "a namespace is refused");
	ok(sys_clone(THREAD_FLAGS | 0x80000, 0, NULL, NULL, 1ull << 60) ==
	   -EPERM, "a TLS that no processor takes is refused");
	ok(sys_clone3(args, 60) == -EINVAL, "clone3: too small");
	args[5] = 0x20000;
	ok(sys_clone3(args, 64) == -EINVAL, "clone3: a stack without a size");
	args[6] = 4096;
	args[9] = 1;
	ok(sys_clone3(args, 88) == -ENOSYS, "clone3: what we do not know");
}

/* READY as a fork */

#define FORK_FLAGS	(0x1200000 | 17) /* CHILD_SETTID, CHILD_CLEARTID */

static long forked(void)
{
	fork_hook = NULL;
	mono += 1000 * MS;
	ctl->pid = 40000;
	task_begin();
	return 0;
}

static long refused_ready(void)
{
	return -EIO;
}

static void nothing(long arg)
{
	sys_exit(0);
}

static void block_all(int on)
{
	current->sig.blocked = on ? ~SIG_UNBLOCKABLE : 0;
}

static void test_fork(void)
{
	struct two_words timer[2] = { { 0 }, { 3600, 0 } }, left[2];
	int tid[2] = { 7, 7 }, id = -1, allocs;

	fork_hook = refused_ready;
	ok(sys_clone(FORK_FLAGS, 0, NULL, tid, 0) == -EIO && tid[0] == 7 &&
	   task_ids.pid == 1, "a fork that READY refuses");
	fork_hook = forked;
	ok(sys_clone(FORK_FLAGS | 0x20000000, 0, NULL, tid, 0) == -ENOSYS &&
	   sys_clone(17, 0x5000, NULL, tid, 0) == -ENOSYS,
	   "no namespaces and no other stack for a child");
	spawn(nothing, 0);
	ok(sys_clone(FORK_FLAGS, 0, NULL, tid, 0) == -EAGAIN,
	   "no fork while another thread lives");
	join_all();

	allocs = allocs_live;
	block_all(1);
	sys_kill(1, 12);
	sys_tkill(1, 40);
	sys_timer_create(1, NULL, &id);
	sys_timer_settime(id, 0, timer, NULL);
	sys_setitimer(0, timer, NULL);
	sys_set_robust_list(tid, 24);
	sys_set_tid_address(&tid[1]);
	ok(id == 0 && signal_timer_armed() == 2 && signal_pending_set(current),
	   "before the fork: signals and timers");
	wiped = 0;
	ok(sys_clone(FORK_FLAGS, 0, NULL, tid, 0) == 0,
	   "the fork returns in the child");
	ok(task_ids.pid == 40000 && task_ids.ppid == 1 &&
	   current->tid == 40000 && sys_gettid() == 40000,
	   "the child has a number of its own, its thread's too");
	ok(tid[0] == 40000 && current->clear_tid == (u32 *)&tid[0] &&
	   tid[1] == 7,
	   "the number is at the child's address, not the parent's");
	ok(!signal_pending_set(current) && !signal_timer_armed() &&
	   sys_timer_gettime(id, left) == -EINVAL &&
	   sys_getitimer(0, left) == 0 && !left[1].a && !left[1].b,
	   "signals, timers and interval timers are not inherited");
	ok(current->sig.blocked == ~SIG_UNBLOCKABLE,
	   "the signal mask is inherited");
	ok(!current->robust_list && now_cpu() == 0,
	   "the robust list and the times are not inherited");
	ok(wiped == 1, "memory is wiped, once");
	ok(allocs_live == allocs, "of wiped memory nothing is left");
	block_all(0);
	ok(sys_clone(FORK_FLAGS, 0, NULL, tid, 0) == -ENOSYS,
	   "a second fork is refused");
	ok(spawn(nothing, 0) == 40001,
	   "threads are numbered from the process's number on");
	join_all();
	ok(sys_kill(1, 0) == -EPERM && sys_kill(40000, 0) == 0 &&
	   sys_kill(2, 0) == -ESRCH, "whom a signal may be sent to");

	/* READY alone: the address that the C library gave is the number's */
	spawn(wait_and_note, 'x');
	thread_yield();
	ctl->pid = UK_PID_LAST;
	task_begin();
	ok(current->tid == UK_PID_LAST && tid[0] == UK_PID_LAST,
	   "with threads alive the first has the number");
	ok(thread_find(40002) != NULL,
	   "with threads alive the others keep their numbers");
	ok(spawn(nothing, 0) == UK_PID_FIRST, "numbers of processes go around");
	thread_wake(&queue, 1);
	join_all();
}

static void test_exit(void)
{
	exit_expected = 1;
	if (!setjmp(exited))
		sys_exit(0x123);
	ok(exit_status == 0x23 && !exit_signal,
	   "the last thread's exit is the process's");
}

int main(void)
{
	stack_is_main();
	setup();
	test_queue();
	test_deadlines();
	test_ticks();
	test_signal_wait();
	test_queue_limit();
	test_frame();
	test_restart();
	test_bad_stack();
	test_fault();
	test_robust();
	test_timers();
	test_limits();
	test_clone_flags();
	test_fork();
	test_exit();
	while (n_stacks)
		free(stacks[--n_stacks]);
	return plan();
}
