/*
 * sigframe.c - what a signal handler finds on its stack, and the way back
 *
 * Linux's x86-64 struct rt_sigframe, byte for byte: unwinders, faulthandler
 * and handlers that edit their ucontext depend on it.  From high addresses to
 * low ones:
 *
 *	(red zone of the interrupted code, or top of the alternate stack)
 *	FP_XSTATE_MAGIC2
 *	XSAVE image, 64-byte aligned; its software bytes describe it
 *	struct k_rt_sigframe, so aligned as if the handler had been called
 *
 * On the way back the frame may hold anything: it is copied once, and the copy
 * is checked.
 */
#include "unikernel/lib/kabi.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/thread.h"
#include "unikernel/arch/xstate.h"

#define RED_ZONE	128

/*
 * The program's rflags.  TF and AC are not among them, as they would trap in
 * the libOS, nor is NT, with which iretq faults.
 */
#define FLAGS_FIXED	0x202u
#define FLAGS_USER	0x00cd5u	/* OF DF SF ZF AF PF CF */
#define FLAGS_TF	0x100u
#define FLAGS_DF	0x400u

int sigstack_active(const struct thread_signals *s, u64 sp)
{
	/*
	 * a stack with SS_AUTODISARM may be used again while its handler runs
	 */
	if (s->alt_flags & SS_AUTODISARM)
		return 0;
	return sp > s->alt_sp && sp - s->alt_sp <= s->alt_size;
}

void sigstack_get(const struct thread_signals *s, u64 sp, struct k_stack *ss)
{
	ss->sp = s->alt_sp;
	ss->size = s->alt_size;
	ss->pad = 0;
	ss->flags = s->alt_size == 0 ? SS_DISABLE :
		    sigstack_active(s, sp) ? SS_ONSTACK : 0;
	ss->flags |= s->alt_flags & SS_AUTODISARM;
}

long sigstack_set(struct thread_signals *s, const struct k_stack *ss)
{
	u32 mode = ss->flags & ~SS_AUTODISARM;

	if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		s->alt_sp = s->alt_size = 0;
	} else {
		if (ss->size < MINSIGSTKSZ)
			return -ENOMEM;
		s->alt_sp = ss->sp;
		s->alt_size = ss->size;
	}
	s->alt_flags = ss->flags;
	return 0;
}

static void context_save(struct k_sigcontext *c, const struct regs *r,
			 const struct thread_signals *s)
{
	memset(c, 0, sizeof(*c));
	c->r8 = r->r8;
	c->r9 = r->r9;
	c->r10 = r->r10;
	c->r11 = r->r11;
	c->r12 = r->r12;
	c->r13 = r->r13;
	c->r14 = r->r14;
	c->r15 = r->r15;
	c->rdi = r->rdi;
	c->rsi = r->rsi;
	c->rbp = r->rbp;
	c->rbx = r->rbx;
	c->rdx = r->rdx;
	c->rax = r->rax;
	c->rcx = r->rcx;
	c->rsp = r->rsp;
	c->rip = r->rip;
	c->rflags = r->rflags;
	c->cs = __USER_CS;
	c->ss = __USER_DS;
	c->err = s->error;
	c->trapno = s->trapno;
	c->oldmask = s->blocked;
	c->cr2 = s->cr2;
}

static void context_load(struct regs *r, const struct k_sigcontext *c)
{
	r->r8 = c->r8;
	r->r9 = c->r9;
	r->r10 = c->r10;
	r->r11 = c->r11;
	r->r12 = c->r12;
	r->r13 = c->r13;
	r->r14 = c->r14;
	r->r15 = c->r15;
	r->rdi = c->rdi;
	r->rsi = c->rsi;
	r->rbp = c->rbp;
	r->rbx = c->rbx;
	r->rdx = c->rdx;
	r->rax = c->rax;
	r->rcx = c->rcx;
	r->rsp = c->rsp;
	r->rip = c->rip;
	r->rflags = (c->rflags & FLAGS_USER) | FLAGS_FIXED;
	r->orig_rax = -1ull;
}

/* saves vector state to the program's stack and describes it as Linux does */
static void fpstate_save(u8 *fp)
{
	u32 size = xstate_size(), magic2 = FP_XSTATE_MAGIC2;
	struct k_fpx_sw_bytes sw = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = size + sizeof(magic2),
		.xfeatures = xstate_mask(),
		.xstate_size = size,
	};
	u64 *header = (u64 *)(fp + XSAVE_LEGACY);

	memset(header, 0, XSAVE_HEADER);
	xstate_save(fp);
	/* handlers that edit these two need not know of xstate_bv */
	header[0] |= XSTATE_FPSSE;
	memcpy(fp + XSAVE_SW, &sw, sizeof(sw));
	memcpy(fp + size, &magic2, sizeof(magic2));
}

/* whether the frame carries more than the legacy area */
static int fpstate_extended(const u8 *fp)
{
	u32 size = xstate_size(), magic2;
	struct k_fpx_sw_bytes sw;

	if (!user_ok(fp, size + sizeof(magic2), 0))
		return 0;
	memcpy(&sw, fp + XSAVE_SW, sizeof(sw));
	memcpy(&magic2, fp + size, sizeof(magic2));
	return sw.magic1 == FP_XSTATE_MAGIC1 && magic2 == FP_XSTATE_MAGIC2 &&
	       sw.xstate_size == size;
}

static int fpstate_load(const u8 *fp)
{
	u8 *area = current->xsave;

	if (!fp) {
		xstate_reset();
		return 0;
	}
	if (!user_ok(fp, XSAVE_LEGACY, 0))
		return -EFAULT;
	memset(area, 0, xstate_size());
	if (fpstate_extended(fp)) {
		memcpy(area, fp, xstate_size());
	} else {
		memcpy(area, fp, XSAVE_LEGACY);
		*(u64 *)(area + XSAVE_LEGACY) = XSTATE_FPSSE;
	}
	if (!xstate_valid(area))
		return -EFAULT;
	xstate_load(area);
	return 0;
}

/* where the handler's stack begins; 0 when the alternate one is too small */
static u64 stack_choose(const struct regs *r, const struct k_sigaction *act,
			const struct thread_signals *s, u64 need)
{
	u64 sp = r->rsp - RED_ZONE;

	if (sigstack_active(s, r->rsp))
		return sp - s->alt_sp >= need && sp > s->alt_sp ? sp : 0;
	if ((act->flags & SA_ONSTACK) && s->alt_size)
		return s->alt_size >= need ? s->alt_sp + s->alt_size : 0;
	return sp;
}

static void frame_fill(struct k_rt_sigframe *f, u8 *fp, const struct regs *r,
		       const struct k_sigaction *act,
		       const struct k_siginfo *info)
{
	struct thread_signals *s = &current->sig;

	f->restorer = act->restorer;
	f->uc.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f->uc.link = 0;
	sigstack_get(s, r->rsp, &f->uc.stack);
	context_save(&f->uc.mc, r, s);
	f->uc.mc.fpstate = (u64)fp;
	f->uc.sigmask = s->saved_mask_valid ? s->saved_mask : s->blocked;
	f->info = *info;
	f->info.pad = 0;
	fpstate_save(fp);
}

/* sets the registers with which the handler begins */
static void handler_enter(struct regs *r, struct k_rt_sigframe *f, int signo,
			  const struct k_sigaction *act)
{
	struct thread_signals *s = &current->sig;

	s->saved_mask_valid = 0;
	s->blocked |= act->mask;
	if (!(act->flags & SA_NODEFER))
		s->blocked |= SIGBIT(signo);
	s->blocked &= ~SIG_UNBLOCKABLE;
	if (s->alt_flags & SS_AUTODISARM) {
		s->alt_sp = s->alt_size = 0;
		s->alt_flags = SS_DISABLE;
	}
	r->rdi = (u64)signo;
	r->rsi = (u64)&f->info;
	r->rdx = (u64)&f->uc;
	r->rax = 0;
	r->rip = act->handler;
	r->rsp = (u64)f;
	r->rflags &= ~(u64)(FLAGS_DF | FLAGS_TF);
	r->orig_rax = -1ull;
	xstate_reset();
	current->xsave_valid = 0;
}

int sigframe_push(struct regs *r, int signo, const struct k_sigaction *act,
		  const struct k_siginfo *info)
{
	u64 image = xstate_size() + sizeof(u32);
	/* the last terms are what the two alignments may add */
	u64 need = image + 64 + sizeof(struct k_rt_sigframe) + 32;
	u64 sp = stack_choose(r, act, &current->sig, need);
	struct k_rt_sigframe *f;
	u8 *fp;

	if (sp < need || act->handler >= CANONICAL_END ||
	    !(act->flags & SA_RESTORER))
		return -EFAULT;
	fp = (u8 *)ROUND_DOWN(sp - image, 64);
	f = (void *)(ROUND_DOWN((u64)fp - sizeof(*f), 16) - 8);
	if (!user_ok(f, sp - (u64)f, 1))
		return -EFAULT;
	frame_fill(f, fp, r, act, info);
	handler_enter(r, f, signo, act);
	return 0;
}

long sys_rt_sigreturn(void)
{
	struct regs *r = current->regs;
	/* the handler's ret has popped the address of the restorer */
	const struct k_rt_sigframe *at = (void *)(r->rsp - 8);
	struct k_siginfo segv = { .signo = SIGSEGV, .code = SI_KERNEL };
	struct k_ucontext uc;

	if (!user_ok(at, sizeof(*at), 0))
		goto bad;
	uc = at->uc;
	if (uc.mc.rip >= CANONICAL_END ||
	    fpstate_load((const u8 *)uc.mc.fpstate) < 0)
		goto bad;
	current->xsave_valid = 0;
	current->sig.blocked = uc.sigmask & ~SIG_UNBLOCKABLE;
	context_load(r, &uc.mc);
	uc.stack.flags &= SS_DISABLE | SS_AUTODISARM;
	sigstack_set(&current->sig, &uc.stack);
	return (long)r->rax;
bad:
	signal_force(SIGSEGV, &segv);
	r->orig_rax = -1ull;
	return 0;
}
