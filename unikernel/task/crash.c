/*
 * crash.c - the report, and the mode in which last words are said (crash.h)
 *
 * When the libOS itself has crashed, any of its data may be garbage.  So what
 * is safe to say is written first and what may fault is added afterwards; a
 * fault on the way (trap.c sees `crashing`) rings DB_EXIT with the report as it
 * is.  The program can write to the report's page, too, so nothing is read back
 * from it without a check.
 */
#include "unikernel/task/crash.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/mem/mem.h"
#include "unikernel/mem/module.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/task.h"
#include "unikernel/task/thread.h"

#define PATH_SHOWN	160		/* bytes of a path, from its end */
/* bytes that a handler's frames may span */
#define HANDLER_STACK	0x10000

extern const char __text[], __text_end[];

int crashing;
static volatile struct uk_report *const report = (void *)UK_REPORT;

/* the last fault, and where the frame of its handler is */
static struct {
	int signo, tid;
	u64 rip, addr, sp;
} fault;

static const char *const names[] = {
	"?", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT",
	"SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2",
	"SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT",
	"SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
	"SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR",
	"SIGSYS",
};

/* --- the report --- */

static void __attribute__((format(printf, 1, 2))) head(const char *fmt, ...)
{
	char line[UK_REPORT_HEAD];
	va_list ap;

	va_start(ap, fmt);
	k_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	memcpy((void *)report->head, line, sizeof(line));
}

void crash_write(const void *buf, size_t len)
{
	u32 at = report->len;

	if (at > UK_REPORT_TEXT)
		at = 0;
	len = MIN(len, UK_REPORT_TEXT - at);
	memcpy((u8 *)UK_REPORT + offsetof(struct uk_report, text) + at, buf,
	       len);
	report->len = at + (u32)len;
}

void crash_forget(void)
{
	refused_forget();
	/* a needless write costs a page of every clone */
	if (!report->len && !report->n_frames && !report->head[0])
		return;
	report->len = report->n_frames = 0;
	report->head[0] = '\0';
}

/* FILE+0xOFFSET, or rip where no file's code lies */
static const char *where(char *buf, size_t len, u64 rip)
{
	const struct module *m = module_at(rip);
	size_t n = m ? strlen(m->path) : 0;

	if (!m)
		k_snprintf(buf, len, "rip 0x%lx", rip);
	else
		k_snprintf(buf, len, "%s+0x%lx", m->path +
			   (n > PATH_SHOWN ? n - PATH_SHOWN : 0),
			   m->off + (rip - m->addr));
	return buf;
}

static int in_text(u64 rip)
{
	return rip >= (u64)__text && rip < (u64)__text_end;
}

static void frame_add(u64 rip)
{
	u32 n = report->n_frames;

	if (n >= UK_REPORT_FRAMES)
		return;
	report->frame[n] = rip;
	report->n_frames = n + 1;
}

/*
 * Walks the frame pointers, which only go upward within one libOS stack.  The
 * first function of an entry keeps the program's frame pointer, which ends the
 * walk.  Leaf functions may have no frame: the tender finds their callers in
 * the words at rsp.
 */
static void frames_note(const struct crash_at *at)
{
	u64 bp = at->rbp, low = at->rsp;

	report->n_frames = 0;
	memset((void *)report->stack, 0, sizeof(report->stack));
	frame_add(at->rip);
	while (bp % 8 == 0 && bp >= low && bp - low < KSTACK_SIZE) {
		const u64 *frame = (const u64 *)bp;

		if (!in_text(frame[1]))
			break;
		frame_add(frame[1]);
		low = bp + 16;
		bp = frame[0];
	}
	memcpy((void *)report->stack, (const void *)at->rsp,
	       sizeof(report->stack));
}

/* --- the end --- */

void crash_end(void)
{
	int signo = crashing ? crashing : SIGABRT;

	refused_tell();
	for (;;)
		doorbell(128 + signo, signo, 0, DB_EXIT);
}

/* runs the handler of the signal on current, if there is one, and ends */
static void __attribute__((noreturn))
last_words(int signo, const struct k_siginfo *info)
{
	struct k_sigaction act = signal_action(signo);
	struct regs *r = (struct regs *)current_kstack_top - 1;

	/* the handler is not to be interrupted by ticks */
	uk_out->want_tick = 0;
	if (act.handler == SIG_DFL || act.handler == SIG_IGN)
		crash_end();
	current->sig.saved_mask_valid = 0;
	if (sigframe_push(r, signo, &act, info) < 0)
		crash_end();
	leave_start(r);
}

void crash_fault(const struct regs *r, int signo, u64 addr)
{
	fault.signo = signo;
	fault.tid = current->tid;
	fault.rip = r->rip;
	fault.addr = addr;
	fault.sp = 0;
}

void crash_fault_handler(u64 sp)
{
	fault.sp = sp;
}

/* whether the handler of the last fault raised the same signal again */
static int raised_again(const struct regs *r, int signo)
{
	return signo == fault.signo && current->tid == fault.tid &&
	       fault.sp - r->rsp < HANDLER_STACK;
}

void crash_signal(const struct regs *r, int signo,
		  const struct k_siginfo *info)
{
	const char *name = signo < (int)ARRAY_LEN(names) ? names[signo] :
			   "real-time";
	char at[PATH_SHOWN + 32];
	int again = info->code <= 0 && raised_again(r, signo);
	int faulted = info->code > 0 || again;

	crashing = signo;
	head("fatal signal %d (%s)", signo, name);
	where(at, sizeof(at), again ? fault.rip : r->rip);
	/* for these the faulting address is not the instruction's */
	if (faulted && (signo == SIGSEGV || signo == SIGBUS))
		head("fatal signal %d (%s) at %s, address 0x%lx", signo, name,
		     at, again ? fault.addr : info->fields[0]);
	else
		head("fatal signal %d (%s) at %s", signo, name, at);
	crash_end();
}

void crash_libos(const struct crash_at *at, int signo, const char *what)
{
	struct k_siginfo info = { .signo = signo, .code = SI_KERNEL };
	const struct regs *r = (struct regs *)current_kstack_top - 1;
	char from[PATH_SHOWN + 32];

	if (crashing)
		crash_end();
	crashing = signo;
	report->len = 0;
	head("%s", what);
	frames_note(at);
	if (!current)
		crash_end();
	head("%s; program at %s", what, where(from, sizeof(from), r->rip));
	last_words(signo, &info);
}

/* makes t current, which tells the tender whose stack and TLS are in use */
static void adopt(struct thread *t)
{
	if (t == current)
		return;
	current = t;
	current_kstack_top = (u64)t->kstack + KSTACK_SIZE;
	__asm__ volatile("wrfsbase %0" : : "r"(t->fs_base));
	__asm__ volatile("wrgsbase %0" : : "r"(t->gs_base));
}

void crash_overdue(void)
{
	struct k_siginfo info = { .signo = UK_LAST_SIGNAL,
				  .code = SI_KERNEL };
	char at[PATH_SHOWN + 32];
	int waits = current->state != THREAD_RUN;

	if (crashing)
		return;
	crashing = UK_LAST_SIGNAL;
	/*
	 * The stack and TLS of a dead thread may be gone.  When all wait, the
	 * first thread is the most telling one.
	 */
	if (waits && thread_list)
		adopt(thread_list);
	report->len = 0;
	head("%s at %s", waits ? "waiting" : "running",
	     where(at, sizeof(at), current->regs->rip));
	last_words(UK_LAST_SIGNAL, &info);
}

/* --- system calls in last words --- */

static long crash_write_call(int fd, const void *buf, size_t len)
{
	if (!user_ok(buf, len, 0))
		return -EFAULT;
	if (fd == 1 || fd == 2)
		log_write(buf, len);
	else
		crash_write(buf, len);
	return (long)len;
}

void crash_syscall(struct regs *r)
{
	switch ((u32)r->orig_rax) {
	case __NR_write:
		r->rax = crash_write_call((int)r->rdi, (const void *)r->rsi,
					  r->rdx);
		break;
	case __NR_rt_sigaction:
	case __NR_rt_sigprocmask:
		r->rax = 0;
		break;
	case __NR_getpid:
		r->rax = (u64)task_ids.pid;
		break;
	case __NR_gettid:
		r->rax = current->tid;
		break;
	case __NR_rt_sigreturn:
	case __NR_kill:
	case __NR_tkill:
	case __NR_tgkill:
	case __NR_exit:
	case __NR_exit_group:
		crash_end();
	default:
		r->rax = -EIO;
	}
}

void crash_panic(u64 rip, u64 rsp, u64 rbp, const char *line)
{
	struct crash_at at = { rip, rsp, rbp };

	crash_libos(&at, SIGABRT, line);
}
