/*
 * process_child.c - the child in which a guest runs as a locked process
 *
 * Forked from the tender, so it begins with all that the tender has.  It
 * moves the guest's windows from the reservation to the guest's own
 * addresses, gives each its rights, closes every descriptor, and leaves this
 * program for the stub page, which unmaps everything above PROC_LAST_END and
 * locks the filter.  Invariant from there on: its address space is the guest's
 * map and the pages of process.h; it has three system calls.
 */
#include "vmm/tender/process.h"

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "etlfs/format.h"
#include "vmm/memory/ram_ops.h"
#include "vmm/tender/blob.h"
#include "vmm/tender/machine.h"

#define RSEQ_SIG	0x53053053u
#define RSEQ_UNREGISTER	1

extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

#define FIELD(f)	((uint32_t)offsetof(struct seccomp_data, f))
#define ARG(n)		(FIELD(args) + 8 * (n))
#define LOAD(off)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (off))
/* the next instruction when equal, else TRAP, which comes next */
#define MUST(k)		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 1, 0), \
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)

void process_filter_set(struct process_ro *ro)
{
	/*
	 * Any of it may be called with any arguments, so what passes must do
	 * no harm by itself; that it comes from the stub only serves to tell
	 * the program's own futex calls from the stub's.
	 */
	static const struct sock_filter f[] = {
		LOAD(FIELD(arch)), MUST(AUDIT_ARCH_X86_64),
		LOAD(FIELD(instruction_pointer) + 4), MUST(0),
		LOAD(FIELD(instruction_pointer)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(UK_PAGE - 1)),
		MUST(UK_STUB),
		LOAD(FIELD(nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 4),
		LOAD(ARG(2)), MUST(MADV_DONTNEED),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		MUST(SYS_futex),
		LOAD(ARG(0) + 4), MUST(0),
		LOAD(ARG(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RW_RING, 0, 4),
		LOAD(ARG(1)), MUST(FUTEX_WAKE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		MUST(RO_SEQ),
		LOAD(ARG(1)), MUST(FUTEX_WAIT),
		LOAD(ARG(3)), MUST(0),
		LOAD(ARG(3) + 4), MUST(0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	_Static_assert(sizeof(f) <= sizeof(ro->filter), "the filter fits");

	memcpy(ro->filter, f, sizeof(f));
	ro->fprog.len = sizeof(f) / sizeof(f[0]);
	ro->fprog.filter = PROC_RO + offsetof(struct process_ro, filter);
}

/*
 * All that follows is done once; in a shell's child, where all that the base has
 * was moved before its function came (ram->moved), what is new is laid over it.
 */
static int move_only(void *from, uint64_t addr, uint64_t len)
{
	void *to = (void *)addr;

	return len && mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to) != to ? -errno : 0;
}

static int move(const struct ram *ram, void *from, uint64_t addr, uint64_t len,
		int prot)
{
	int rc;

	if (ram->moved)
		return 0;
	rc = move_only(from, addr, len);
	return rc == 0 && len && mprotect((void *)addr, len, prot) < 0 ?
	       -errno : rc;
}

/*
 * What is of more mappings than one, as deltas lie over the base: before Linux
 * 6.17 one mremap takes one.  guest: the address whose pages they are.
 */
static int move_laid(const struct ram *ram, const void *from, uint64_t guest,
		     uint64_t addr, uint64_t len, int prot)
{
	uint64_t done = 0;
	int rc = 0;

	if (ram->moved)
		return 0;
	while (rc == 0 && done < len) {
		uint64_t n = ram_lay_next(ram, guest + done) - (guest + done);

		if (n > len - done)
			n = len - done;
		rc = move_only((uint8_t *)from + done, addr + done, n);
		done += n;
	}
	return rc == 0 && len && mprotect((void *)addr, len, prot) < 0 ?
	       -errno : rc;
}

/* where what is laid belongs: guest [from, from + len) at `to` */
struct there {
	uint64_t from, len, to;
	int prot, flags, fd;
};

/* 1 where any of it is there */
static int map_run(const struct there *t, const struct ram_run *r)
{
	uint64_t at = (uint64_t)r->page * UK_PAGE, a = at;
	uint64_t end = a + (uint64_t)r->n * UK_PAGE;

	a = a > t->from ? a : t->from;
	end = end < t->from + t->len ? end : t->from + t->len;
	if (a >= end)
		return 0;
	return mmap((void *)(t->to + (a - t->from)), end - a,
		    t->prot & ~PROT_EXEC, t->flags | MAP_FIXED | MAP_NORESERVE,
		    t->fd, (off_t)((uint64_t)r->at * UK_PAGE + (a - at))) ==
	       MAP_FAILED ? -errno : 1;
}

/* in memory of one's own some pages are there already: a copy */
static int lay_run(const struct ram *ram, const struct there *t,
		   const struct ram_run *r)
{
	const int own = t->flags == MAP_PRIVATE && ram->moved;
	int copy, rc = 0, mapped = 0;
	uint32_t n;

	if (!own)
		return map_run(t, r);
	for (uint32_t i = 0; rc >= 0 && i < r->n; i += n) {
		struct ram_run piece;

		n = ram_ahead_piece(ram, r, i, &copy);
		piece = (struct ram_run){ r->page + i, n, r->at + i };
		rc = copy ? ram_ahead_copy(ram, r, i, n, t->fd) :
		     map_run(t, &piece);
		mapped |= rc > 0;
	}
	return rc < 0 ? rc : mapped;
}

/* the deltas that are not there yet, of what is to be there */
static int lay(const struct ram *ram, struct there t)
{
	int rc = 0, mapped = 0;

	for (unsigned k = ram->laid; k < ram->deltas; k++) {
		const struct ram_delta *d = &ram->delta[k];

		t.fd = d->fd;
		for (uint32_t i = 0; rc >= 0 && i < d->n; i++) {
			const struct ram_run *r = &d->run[i];

			if (((uint64_t)r->page + r->n) * UK_PAGE <= t.from ||
			    (uint64_t)r->page * UK_PAGE >= t.from + t.len)
				continue;
			rc = lay_run(ram, &t, r);
			mapped |= rc > 0;
		}
	}
	if (rc < 0)
		return rc;
	/* the filter lets nothing be mapped that is executable */
	return mapped && (t.prot & PROT_EXEC) &&
	       mprotect((void *)t.to, t.len, t.prot) < 0 ? -errno : 0;
}

static int move_ram(struct ram *ram, uint64_t addr, uint64_t len, int prot)
{
	int rc = move_laid(ram, ram_sys(ram, addr), addr, addr, len, prot);

	return rc < 0 || (addr >= ram->apart && addr < ram->apart_end) ? rc :
	       lay(ram, (struct there){ addr, len, addr, prot, MAP_PRIVATE,
					-1 });
}

/*
 * A debugger writes its breakpoints where the kernel lets it: in memory that
 * is private, as a clone's is, or writable.
 */
static int move_libos(struct ram *ram)
{
	const int debug = tender_debug && !ram->snap ? PROT_WRITE : 0;
	const Elf64_Ehdr *eh = (const void *)blob_libos.data;
	const Elf64_Phdr *ph = (const void *)(blob_libos.data + eh->e_phoff);
	int rc = 0;

	for (int i = 0; rc == 0 && i < eh->e_phnum; i++) {
		uint64_t a = ph[i].p_vaddr, len = ph[i].p_memsz;

		if (ph[i].p_type != PT_LOAD || !len)
			continue;
		len = (len + UK_PAGE - 1) & ~(uint64_t)(UK_PAGE - 1);
		rc = move_ram(ram, a, len, PROT_READ | debug |
			      (ph[i].p_flags & PF_W ? PROT_WRITE : 0) |
			      (ph[i].p_flags & PF_X ? PROT_EXEC : 0));
	}
	return rc;
}

/* what lies beyond the snapshot is another mapping */
static int move_arena(struct ram *ram, const struct ram_window *w, int prot)
{
	uint64_t own = ram->snap ? w->sealed : w->cap;
	int rc = move_ram(ram, w->base, own, prot);

	/* what its function has more of is no program's yet */
	if (rc == 0 && ram->moved && (prot & PROT_EXEC) &&
	    mprotect((void *)w->base, w->cap, prot) < 0)
		rc = -errno;
	return rc < 0 ? rc : move(ram, ram_sys(ram, w->base + own),
				  w->base + own, w->cap - own, prot);
}

/* its spans only: to read a hole of it would take memory, and for good */
static int move_snapshot(struct ram *ram)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < RAM_WINDOWS; i++) {
		uint64_t base = ram->win[i].base, len = ram->win[i].sealed;

		rc = move_laid(ram, ram->snap + base, base, PROC_SNAP + base,
			       len, PROT_READ);
		if (rc == 0)
			rc = lay(ram, (struct there){
				 base, len, PROC_SNAP + base, PROT_READ,
				 MAP_SHARED, -1 });
	}
	return rc;
}

/* what was placed over it, without the head of its file */
static int map_last(const struct ram *ram)
{
	const struct ram_delta *d = &ram->delta[ram->deltas - 1];
	uint32_t from, to;

	ram_delta_extent(d, &from, &to);
	if (to - from > (PROC_LAST_END - PROC_LAST) / UK_PAGE)
		return -EFBIG;
	return from == to || mmap((void *)PROC_LAST,
				  (uint64_t)(to - from) * UK_PAGE, PROT_READ,
				  MAP_SHARED | MAP_FIXED | MAP_NORESERVE, d->fd,
				  (off_t)((uint64_t)from * UK_PAGE)) !=
	       MAP_FAILED ? 0 : -errno;
}

/* *out: where process_rw is meanwhile, or NULL where nobody knows */
static int move_all(const struct process_child *c, struct process_rw **out)
{
	struct ram *ram = c->ram;
	const struct ram_window *w = ram->win;
	const int r = PROT_READ, rw = r | PROT_WRITE, rx = r | PROT_EXEC;
	const struct {
		uint64_t addr, len;
		int prot;
	} piece[] = {
		{ w[RAM_STACK].base, w[RAM_STACK].cap, rw },
		{ UK_STUB, UK_PAGE, rx },
		{ UK_VDSO, 2 * UK_PAGE, rx },
		{ UK_CLOCK, UK_PAGE, r },
		{ UK_CTL, UK_CTL_PAGES * UK_PAGE, r },
		{ UK_OUT, UK_PAGE, rw },
		{ UK_REPORT, UK_REPORT_SIZE, rw },
		{ UK_LOG, UK_LOG_SIZE, rw },
		{ PROC_RO, 2 * UK_PAGE, r },
		{ PROC_LIST, PROC_LIST_SIZE, r },
		{ PROC_RW, 2 * UK_PAGE, rw },
		{ PROC_ALT, PROC_ALT_SIZE, rw },
		{ UK_HOST_BASE, ram->host_size[0], r },
	};
	int rc = 0;

	/* what is not the guest's there: nothing, or a sanitizer's shadow */
	if (!ram->moved && munmap((void *)UK_PAGE, PROC_LAST_END - UK_PAGE) < 0)
		rc = -errno;
	for (size_t i = 0; rc == 0 && i < sizeof(piece) / sizeof(piece[0]);
	     i++) {
		rc = move_ram(ram, piece[i].addr, piece[i].len, piece[i].prot);
		if (piece[i].addr == PROC_RW)
			*out = rc == 0 ? (void *)PROC_RW : NULL;
	}
	for (int i = 0; rc == 0 && i < UK_LAYERS; i++)
		rc = move(ram, ram_sys(ram, ram->layer[i].addr),
			  ram->layer[i].addr, ram->layer[i].size, r);
	for (int i = 0; rc == 0 && i < UK_ARENAS; i++)
		rc = move_arena(ram, &w[i], i == UK_ARENA_EXEC ? rw | rx : rw);
	if (rc == 0 && ram->moved)
		rc = map_last(ram);
	else if (rc == 0 && ram->snap && !ram->once)
		rc = move_snapshot(ram);
	if (rc == 0)
		rc = move_libos(ram);
	if (rc == 0 && c->windows)
		rc = move(ram, c->windows, UK_HOST_BASE + ETLFS_WINDOW_STRIDE,
			  c->windows_size, r);
	return rc;
}

/* asm-generic/signal.h's, which is not glibc's */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};
#define KSA_FLAGS	(0x00000004 /* SIGINFO */ | 0x04000000 /* RESTORER */ \
			 | 0x08000000 /* ONSTACK */ | 0x40000000 /* NODEFER */)

/* 0 or -errno: on no stack but this one may the program's signals come */
static int signals_set(void)
{
	static const int traps[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	struct kernel_sigaction sa = { 0 };
	stack_t alt = { .ss_sp = (void *)PROC_ALT, .ss_size = PROC_ALT_SIZE };
	uint64_t none = 0;
	long rc = 0;

	/* the tender's handlers are about to be unmapped */
	for (int s = 1; s < NSIG; s++)
		syscall(SYS_rt_sigaction, s, &sa, NULL, 8);
	sa.flags = KSA_FLAGS;
	sa.restorer = process_stub_at(process_restorer);
	sa.handler = process_stub_at(process_on_trap);
	for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++)
		rc |= syscall(SYS_rt_sigaction, traps[i], &sa, NULL, 8);
	sa.handler = process_stub_at(process_on_syscall);
	rc |= syscall(SYS_rt_sigaction, SIGSYS, &sa, NULL, 8);
	sa.handler = process_stub_at(process_on_tick);
	rc |= syscall(SYS_rt_sigaction, SIGALRM, &sa, NULL, 8);
	rc |= syscall(SYS_sigaltstack, &alt, NULL);
	rc |= syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
	return rc ? -EPERM : 0;
}

/* the kernel would go on writing to glibc's area, which is unmapped */
static void rseq_leave(void)
{
	unsigned size[2] = { 32, 32 };
	char *area;

	if (!&__rseq_size || !__rseq_size)
		return;
	size[0] = __rseq_size;
	area = (char *)__builtin_thread_pointer() + __rseq_offset;
	for (int i = 0; i < 2; i++)
		if (syscall(SYS_rseq, area, size[i], RSEQ_UNREGISTER,
			    RSEQ_SIG) == 0)
			return;
}

/* the user is the tender's, who may reach it; it ends with its tender */
static int privileges_set(pid_t parent)
{
	if (prctl(PR_SET_DUMPABLE, 1) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (tender_debug)		/* nothing to allow without Yama */
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	return getppid() == parent ? 0 : -ESRCH;
}

static int close_all_but(int one, int other)
{
	const int first = one < other ? one : other;
	const int last = one < other ? other : one;
	int rc = 0;

	if (first > 0)
		rc = syscall(SYS_close_range, 0, first - 1, 0);
	if (rc == 0 && last > first + 1)
		rc = syscall(SYS_close_range, first + 1, last - 1, 0);
	if (rc == 0)
		rc = syscall(SYS_close_range, last + 1, ~0u, 0);
	return rc < 0 ? -errno : 0;
}

/*
 * What a function may have less of than the base had; the mappings of what it has
 * more of are there.
 */
static int arenas_cut(const struct ram *ram, const struct ram_window *was)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < UK_ARENAS; i++) {
		uint64_t end = ram->win[i].base + ram->win[i].cap;

		if (ram->win[i].cap < was[i].cap &&
		    munmap((void *)end, was[i].cap - ram->win[i].cap) < 0)
			rc = -errno;
	}
	return rc;
}

/* what is left of where it was: that takes time, and there is some now */
static int leave_old(const struct ram *ram)
{
	return munmap(ram->base, UK_END) < 0 ||
	       munmap((void *)ram->snap, UK_RAM_END) < 0 ? -errno : 0;
}

/* all of the base where the guest has it, and then what is placed there */
static int wait_moved(const struct process_child *c, struct process_rw **rw)
{
	struct ram *ram = c->ram;
	struct ram_window was[RAM_WINDOWS];
	int rc = move_all(c, rw);

	if (rc == 0)
		rc = leave_old(ram);
	if (rc < 0)
		return rc;
	ram->moved = 1;
	ram->base = NULL;
	ram->snap = (const uint8_t *)PROC_SNAP;
	ram_ahead_populate(ram);
	memcpy(was, ram->win, sizeof(was));
	rc = c->wait->get(c->wait->arg);
	prctl(PR_SET_NAME, "usetl-guest");
	if (rc == 0)
		rc = arenas_cut(ram, was);
	return rc == 0 ? move_all(c, rw) : rc;
}

static void child_main(const struct process_child *c, pid_t parent)
{
	struct process_rw *rw = ram_sys(c->ram, PROC_RW);
	int rc;

	prctl(PR_SET_NAME, c->wait ? "usetl-waits" : "usetl-guest");
	/* the deltas' files are mapped yet, where it lays them */
	rc = c->wait ? close_all_but(c->wait->fd[0], c->wait->fd[1]) :
	     c->ram->laid < c->ram->deltas ? 0 : close_all_but(-1, -1);
	rseq_leave();
	if (rc == 0)
		rc = privileges_set(parent);
	/* not the guest yet, so what comes can be mapped */
	if (rc == 0)
		rc = c->wait ? wait_moved(c, &rw) : move_all(c, &rw);
	if (rc == 0)
		rc = close_all_but(-1, -1);
	if (rc == 0) {
		/* a core would also fill the holes of what is sparse */
		madvise((void *)UK_EXEC_BASE, PROC_LAST_END - UK_EXEC_BASE,
			MADV_DONTDUMP);
		ram_populate_at(c->ram, NULL);
		rc = signals_set();
		if (rc == 0)
			((void (*)(void))process_stub_at(process_leave))();
	}
	/* wherever process_rw lies: the tender sees it, or our death */
	if (rw) {
		rw->regs.rax = (uint64_t)rc;
		rw->kind = PROC_FAILED;
	}
	syscall(SYS_exit_group, 1);
}

pid_t process_child_start(const struct process_child *c, int *pidfd)
{
	pid_t parent = getpid();
	long pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0);

	if (pid == 0)
		child_main(c, parent);
	return pid < 0 ? -errno : (pid_t)pid;
}
