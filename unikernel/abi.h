/*
 * abi.h - the contract between a tender (host) and the unikernel (guest)
 *
 * Freestanding: included by both sides and by assembly.  Everything here is
 * versioned together by UK_ABI_VERSION.
 *
 * Address map.  A guest virtual address equals its guest-physical address,
 * and the host finds it at (reservation base + address).  All of it lies
 * below 64 GB so that 36 physical address bits are enough, and above 64 KB
 * so that a process tender can map the same addresses (mmap_min_addr).
 *
 *   0x0_0000_0000  never mapped
 *   0x0_0020_0000  EXEC   program, shared libraries, PROT_EXEC   rwx
 *   0x0_7000_0000  SYS    tables, stubs (supervisor); clock, control,
 *                         vDSO, libOS image (user, each with its rights)
 *   0x0_9000_0000  STACK  of the main thread, unmapped below     rw-
 *   0x1_0000_0000  HEAP   brk                                    rw-
 *   0x2_0000_0000  DATA   anonymous and private file mappings    rw-
 *   0x5_0000_0000  USF    etlfs: what the guest writes           rw-
 *   0x8_0000_0000  IMAGE  the image's layers, shared by all clones  r--
 *   0xc_0000_0000  HOST   etlfs: event, tickets, fetched bodies  r--
 *  0x10_0000_0000  end
 *
 * EXEC, STACK, HEAP, DATA, USF and SYS are the guest's RAM: one private
 * mapping of the sealed snapshot, wholly restored by a rollback.  An arena
 * is backed from its base up to its span; DB_GROW raises the span.  Page
 * tables are static: they cover each arena to its end.
 */
#ifndef UNIKERNEL_ABI_H
#define UNIKERNEL_ABI_H

#define UK_ABI_VERSION	3

#define UK_PAGE		0x1000
#define UK_BIG		0x200000		/* unit of spans and of DB_GROW */

#define UK_EXEC_BASE	0x000200000
#define UK_EXEC_END	0x070000000
#define UK_SYS_BASE	0x070000000
#define UK_SYS_END	0x070800000
#define UK_STACK_BASE	0x090000000
#define UK_STACK_END	0x090800000
#define UK_HEAP_BASE	0x100000000
#define UK_HEAP_END	0x200000000
#define UK_DATA_BASE	0x200000000
#define UK_DATA_END	0x500000000
#define UK_USF_BASE	0x500000000
#define UK_USF_END	0x800000000
#define UK_RAM_END	0x800000000
#define UK_IMAGE_BASE	0x800000000
#define UK_IMAGE_END	0xc00000000
#define UK_HOST_BASE	0xc00000000
#define UK_HOST_END	0x1000000000
#define UK_END		0x1000000000

/* SYS, supervisor only: never readable or writable by the guest */
#define UK_PML4		0x070000000
#define UK_PDPT		0x070001000
#define UK_PD		0x070002000		/* 64 pages, one per GB */
#define UK_PT		0x070042000		/* 4 pages: SYS in 4 KB pages */
#define UK_GDT		0x070050000
#define UK_IDT		0x070051000
#define UK_TSS		0x070052000		/* with the I/O bitmap: 3 pages */
#define UK_SUPSTACK	0x070056000		/* one page, grows down from its end */
#define UK_SUPTEXT	0x070057000		/* exception gates */

/* SYS, user */
#define UK_STUB		0x070100000		/* r-x: doorbells, see below */
#define UK_VDSO		0x070101000		/* r-x: 2 pages, an ELF image */
#define UK_BOUNCE	0x070103000		/* r-x: where `syscall` goes, below */
#define UK_CLOCK	0x070104000		/* r--: struct uk_clock */
#define UK_CTL		0x070105000		/* r--: struct uk_ctl, host to guest */
#define UK_CTL_PAGES	2
#define UK_OUT		0x070108000		/* rw-: struct uk_out, guest to host */
#define UK_REPORT	0x070109000	/* rw-: struct uk_report, likewise */
#define UK_REPORT_SIZE	0x2000
#define UK_LOG		0x07010c000		/* rw-: UK_LOG_SIZE bytes of log */
#define UK_LOG_SIZE	0x4000
#define UK_LIBOS	0x070200000		/* libOS image, begins with uk_header */

/*
 * Doorbells.  Call UK_STUB (a C function pointer works):
 *
 *     long doorbell(long a, long b, long c, long nr)
 *     rdi = a, rsi = b, rdx = c, rcx = nr; answer in rax, >= 0 or -errno
 *
 * All other registers, flags and vector state are preserved.
 */
#define DB_READY	0	/* (level) -> UK_CHILD or UK_PLACED, below */
#define DB_NEXT		1	/* (kind, addr, len) -> event length */
#define DB_FETCH	2	/* () descriptor in uk_out.fetch -> ticket */
#define DB_WAIT		3	/* (deadline mono ns, 0 poll, ~0 for ever) -> 0 */
#define DB_LOG		4	/* (len) bytes at UK_LOG -> 0 */
#define DB_GROW		5	/* (arena, new span in bytes) -> 0, -ENOMEM */
#define DB_TRAP		6	/* from the gates, not callable */
#define DB_EXIT		7	/* (status, signal or 0) does not return */
#define DB_CANCEL	8	/* (ticket) the ticket and its body are free */
#define DB_EVENT	9	/* () the first of a clone -> event length */
#define DB_COUNT	10

/*
 * READY has three levels.  UK_LEVEL_RUNTIME: an interpreter is up and knows of no
 * function.  The guest may be frozen there, once for many functions; it
 * returns UK_PLACED where a function has been placed: uk_ctl has that one's
 * limits and strings, and the image its layers.  UK_LEVEL_PACKAGES: likewise,
 * where what was placed was no function, but packages for some to share.
 *
 * UK_LEVEL_FUNCTION is a fork(2) that returns in every clone, and again after
 * each rollback, as the child, UK_CHILD.  By then uk_ctl has the child's pid,
 * entropy and clock.  What a child has to do for itself it does before it asks
 * for its first event by DB_EVENT, which waits for one; with uk_ctl.event_here
 * that is there already, and there is nothing to ask for.
 */

#define UK_LEVEL_FUNCTION	0
#define UK_LEVEL_RUNTIME	1
#define UK_LEVEL_PACKAGES	2
#define UK_CHILD	0
#define UK_PLACED	1

#define UK_PORT_DB	0x40	/* out by UK_STUB */
#define UK_PORT_TRAP	0x60	/* + vector, out by the gates */

/* DB_NEXT kinds */
#define UK_RESULT_OK	0	/* JSON text: the handler's result */
#define UK_RESULT_ERROR	1	/* JSON text: errorType, errorMessage, stackTrace */

/* arenas for DB_GROW and uk_ctl.span */
#define UK_ARENA_EXEC	0
#define UK_ARENA_HEAP	1
#define UK_ARENA_DATA	2
#define UK_ARENA_USF	3
#define UK_ARENAS	4

/*
 * Process ids.  What boots is process 1, its other threads are numbered up to
 * UK_PID_FIRST: none of them has the number of a request's process.
 */
#define UK_PID_BOOT	1
#define UK_PID_FIRST	0x8000
#define UK_PID_LAST	0x3fffff	/* Linux's PID_MAX_LIMIT - 1 */

#define UK_LAYERS	3	/* of an image, ETLFS_LAYERS */
#define UK_TICKETS	64	/* fetches in flight per clone */
#define UK_EXTENTS	1024	/* extents in one DB_FETCH body */
#define UK_URL_MAX	8192
#define UK_HEADERS_MAX	65536

#ifndef __ASSEMBLER__
#include <stdint.h>

/*
 * First bytes of the libOS image.  The tender reads them from its own copy,
 * never from guest memory.
 */
#define UK_HEADER_MAGIC	0x314c4b554c544553ull	/* "SETLUKL1" */
struct uk_header {
	uint64_t magic;
	uint32_t version;		/* UK_ABI_VERSION */
	uint32_t pad;
	uint64_t boot;			/* first instruction, no stack needed */
	uint64_t syscall;		/* rcx = return rip, r11 = user rsp */
	uint64_t trap;			/* uk_ctl.trap is filled in */
	uint64_t preempt;		/* uk_ctl.preempt is filled in */
	uint64_t text, text_end;	/* in here the guest is "in the libOS" */
};

/*
 * Entries.  `syscall`: every register but rcx, r11 and rsp is the program's;
 * rsp is unusable.  `trap` and `preempt`: every register but rip, rsp and
 * rflags is the program's, and those three are in uk_ctl; rsp is unusable.
 * The tender enters preempt only when rip is outside [text, text_end) and
 * outside the stubs; otherwise it only raises uk_ctl.ticks.
 */
struct uk_regs3 {
	uint64_t rip, rsp, rflags;
};

struct uk_trap {
	uint64_t vector, error, cr2;
	struct uk_regs3 at;
};

/*
 * CLOCK_MONOTONIC ns = mono + ((rdtsc - tsc) * mult >> shift), and realtime
 * likewise from real.  Even seq: consistent.  Filled on every resume.
 */
struct uk_clock {
	uint32_t seq;
	uint32_t shift;
	uint64_t mult;			/* 32 significant bits */
	uint64_t tsc;
	uint64_t mono;
	uint64_t real;
};

/*
 * A layer of the image (etlfs/format.h says where it has to lie); size 0: there
 * is none, or it is not there yet.  One that is not there may come while the
 * guest waits in a doorbell; what is there stays as it is.
 */
struct uk_layer {
	uint64_t addr;			/* a multiple of UK_BIG */
	uint64_t size;			/* bytes, whole pages */
	uint64_t index;			/* struct etlfs_head, from addr */
};

/* host to guest; read-only for the guest */
#define UK_CTL_MAGIC	0x304c54434b55ull
struct uk_ctl {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;			/* UK_CTL_* */
	uint64_t mem_limit;		/* bytes: EXEC + HEAP + DATA spans */
	uint64_t files_limit;		/* bytes: USF span */
	uint64_t span[UK_ARENAS];	/* backed at boot */
	struct uk_layer layer[UK_LAYERS];
	uint64_t host_size;		/* bytes of window 0 at UK_HOST_BASE */
	uint64_t event_off;		/* of the event, in the host region */
	uint64_t event_len;
	uint64_t xcr0;			/* vector state that the guest has */
	uint32_t xsave_size;		/* bytes of a standard-format XSAVE area */
	uint32_t cpus;			/* what sched_getaffinity says: 1 */
	uint64_t ticks;			/* counts pre-emption ticks */
	uint64_t entropy_gen;		/* changes whenever entropy does */
	uint8_t  entropy[64];
	struct uk_trap trap;
	struct uk_regs3 preempt;
	uint64_t windows;		/* bit per host window that is there */
	uint32_t pid;			/* of the process that READY returns
					   in: UK_PID_FIRST to UK_PID_LAST */
	uint32_t event_here;		/* DB_EVENT need not be rung */
	/*
	 * strings, each NUL-terminated: argv (argc of them), then environment
	 */
	uint32_t argc, envc;
	uint32_t strings_len;
	uint32_t timeout_ms;		/* of an invocation; 0: none */
	char strings[];			/* up to the end of UK_CTL_PAGES pages */
};
#define UK_CTL_TRACE	1		/* trace system calls to the log */
#define UK_CTL_TRACE_UNKNOWN 2		/* trace unknown ones, once each */
#define UK_CTL_OVERDUE	4		/* time is over: say where, and end */
#define UK_CTL_RING	16		/* at a tick: ring DB_WAIT(0) once */
#define UK_CTL_FORK_BOOT 8		/* READY before the program is loaded,
					   and at once the child's EVENT */

struct uk_extent {
	uint64_t addr, len;
};

/* a fetch; all addresses are guest addresses in RAM, IMAGE or HOST */
#define UK_GET		0
#define UK_HEAD		1
#define UK_POST		2
#define UK_PUT		3
#define UK_DELETE	4
#define UK_PATCH	5
struct uk_fetch {
	uint32_t method;
	uint32_t n_ext;			/* extents of the body, 0: none */
	uint64_t url, url_len;
	uint64_t headers, headers_len;	/* "Name: value\n" lines */
	uint64_t ext;			/* address of struct uk_extent[n_ext] */
	uint64_t body_len;		/* sum of the extents */
	uint64_t timeout_ns;		/* 0: the invocation's own */
};

/* guest to host: hostile */
struct uk_out {
	uint32_t log_len;		/* bytes pending at UK_LOG */
	uint32_t want_tick;		/* enter preempt at every tick */
	struct uk_fetch fetch;
};

/*
 * Guest to host: hostile.  Why it ended, read by the tender when it has.
 * After UK_CTL_OVERDUE a program whose handler for UK_LAST_SIGNAL writes to
 * /dev/usetl/report has a moment for that.
 */
#define UK_LAST_SIGNAL	64
/* sent to a thread that draws randomness while that is watched (dev.h) */
#define UK_DRAW_SIGNAL	63
#define UK_REPORT_FRAMES 32
#define UK_REPORT_STACK	8
#define UK_REPORT_HEAD	256
struct uk_report {
	uint32_t n_frames;		/* of the libOS: it crashed */
	uint32_t len;			/* of text */
	uint64_t frame[UK_REPORT_FRAMES]; /* where, then return addresses */
	uint64_t stack[UK_REPORT_STACK]; /* what rsp pointed to there */
	char head[UK_REPORT_HEAD];	/* one line, NUL-terminated */
	char text[];			/* the program's, a traceback */
};
#define UK_REPORT_TEXT	(UK_REPORT_SIZE - sizeof(struct uk_report))

_Static_assert(sizeof(struct uk_header) == 64, "uk_header layout");
_Static_assert(sizeof(struct uk_ctl) < 1024, "uk_ctl leaves room for strings");
_Static_assert(sizeof(struct uk_out) <= UK_PAGE, "uk_out fits its page");
#endif /* __ASSEMBLER__ */
#endif
