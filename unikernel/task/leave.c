/* leave.c - what is done on every way back to the program (iret.S) */
#include "unikernel/arch/regs.h"
#include "unikernel/arch/xstate.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/task/task.h"
#include "unikernel/task/crash.h"
#include "unikernel/task/signal.h"
#include "unikernel/task/thread.h"

/* vector state saved in the thread's area is loaded last */
void leave_return(struct regs *r)
{
	if (crashing)
		return;
	thread_return(r);
	/* iretq to such an address would fault in the libOS */
	if (r->rip >= CANONICAL_END) {
		signal_fault(r, SIGSEGV, SI_KERNEL, 0, VEC_GP, 0);
		r->orig_rax = -1;
	}
	if (current->xsave_valid) {
		current->xsave_valid = 0;
		xstate_load(current->xsave);
	}
}
