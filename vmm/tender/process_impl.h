/*
 * process_impl.h - the process tender's inside, for process*.c
 */
#ifndef VMM_PROCESS_IMPL_H
#define VMM_PROCESS_IMPL_H

#include <sched.h>
#include <signal.h>

#include "etlfs/format.h"
#include "vmm/memory/ram_remote.h"
#include "vmm/tender/process.h"

#define WINDOWS_SIZE	((ETLFS_WINDOWS - 1) * ETLFS_WINDOW_STRIDE)
#define SETTLE_NS	5000000000ull	/* what a child takes at most, asleep */

/*
 * process_ro.seq while parked: never one of a run, so that runs can begin at
 * 2
 */
#define SEQ_PARK	0
#define SEQ_PARK_ODD	1
#define SEQ_RUN		2

enum process_place { NOWHERE, PARKED, RUNNING, AT_DOORBELL, AT_TRAP, AT_TICK };

struct process {
	struct tender t;
	struct ram *ram;
	struct ram_remote remote;
	struct cpu_regs regs;		/* t.regs */
	enum process_place place;
	struct process_ro *ro;
	struct process_rw *rw;
	uint64_t text, text_end;
	/* the uppermost delta is at PROC_LAST, from this page of its file on */
	int last;
	uint32_t last_from;
	pid_t pid;
	int pidfd, syscall_fd, statm_fd, status_fd;
	cpu_set_t cpus;			/* empty: no pinning */
	int pinned;
	volatile sig_atomic_t kicked;
	unsigned woken;			/* without a ring: process_run.c:nap */
	int rests;			/* seen asleep where it rang */
	struct uk_trap facts;
	uint64_t cs;
	uint64_t enter;			/* AT_TRAP: where to */
	/* host windows 1 and up: the child's, and the gateway's */
	uint8_t *windows;
	int windows_fd;
	const uint8_t *source[ETLFS_WINDOWS];
	uint64_t used[ETLFS_WINDOWS];	/* bytes from 0 that may not be 0 */
	uint32_t copied[ETLFS_TICKETS];	/* gen of what was copied last */
};

/* process_jail.c */
extern const struct tender_jail process_jail;

/* process.c: a child may have ended, as process_dead() can tell */
extern volatile sig_atomic_t process_child_ended;

/* process_run.c: the child's end, if it has ended (t.broken says how) */
int process_dead(struct process *p);
void process_signal(struct process *p, int sig);
/* an order to it; on: the next seq */
void process_go(struct process *p, uint32_t mode, uint32_t seq);
void process_go_on(struct process *p, uint32_t mode);
/* what it tells in answer to one that takes no time, or -errno */
int process_ring_soon(struct process *p);
enum tender_exit process_run(struct tender *t);
void process_kick(struct tender *t);
int process_locate(struct tender *t);
int process_trap(struct tender *t, struct uk_trap *facts, uint64_t entry);

/* process_pin.c: both on the processor where the tender runs now; anywhere */
void process_pin_init(struct process *p);
void process_pin(struct process *p);
void process_unpin(struct tender *t);

/* process_limit.c: 0, or -ENOMEM and t.broken says of what there is too much */
int process_limit_check(struct process *p);
int process_limit_windows(struct process *p);

/* process_settle.c */
int process_settle(struct tender *t);
/* the same of a child that is up and was never a guest's */
int process_new(struct process *p);
int process_rest(struct tender *t, int over);
int process_verify(struct tender *t);
extern const struct ram_orders process_orders;
/* what both map of RAM, as in the snapshot; nothing while there is none */
void process_shared_restore(struct process *p);

/* process_window.c: the host windows that come after the lock */
int process_windows_create(struct process *p);
int process_map(struct tender *t, unsigned slot, uint64_t addr, uint64_t len,
		void *from, int readonly);
int process_unmap(struct tender *t, unsigned slot, uint64_t addr);
/* before the guest goes on: what came in them, where it can see it */
void process_windows_copy(struct process *p);

#endif
