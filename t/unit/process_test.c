/*
 * process_test.c - attacks of a process tender's child on its tender that a
 * guest program cannot carry out reliably
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "vmm/memory/pagemap.h"
#include "vmm/tender/process_impl.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#define PAGES	16
#define SCANS	"/sys/kernel/mm/ksm/full_scans"

static struct process_ro ro;
static struct process_rw rw;

static void test_ring(void)
{
	size_t len = PROC_SHARED_END - PROC_SHARED;
	uint8_t *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			   MAP_ANONYMOUS, -1, 0);
	/* of which nothing is reached but what both sides see */
	struct ram ram = {
		.base = (uint8_t *)((uintptr_t)at - PROC_SHARED),
		.snap = at, .memfd = -1,
	};
	struct process p = {
		.ram = &ram, .ro = &ro, .rw = &rw, .place = RUNNING,
		.pid = -1, .pidfd = -1, .syscall_fd = -1, .statm_fd = -1,
		.windows_fd = -1, .kicked = 1,
	};

	p.t.regs = &p.regs;
	rw.kind = PROC_DOORBELL;
	atomic_store(&rw.ring, 1);
	ok(process_run(&p.t) == TENDER_INTR && atomic_load(&rw.ring),
	   "a child that always rings does not hide a tick");
	ok(process_run(&p.t) == TENDER_DOORBELL && !atomic_load(&rw.ring),
	   "a child that always rings is heard after a tick");
	ok(process_run(&p.t) == TENDER_BROKEN,
	   "a child that always rings does not outlive its end");
	munmap(at, len);
}

/* a child that does not come to sleep where it should */
static void test_settle(void)
{
	struct ram ram = { .memfd = -1 };
	struct process p = {
		.ram = &ram, .ro = &ro, .rw = &rw, .place = RUNNING,
		.pidfd = -1, .statm_fd = -1, .windows_fd = -1,
	};
	char path[64];

	atomic_store(&rw.ring, 0);
	atomic_store(&ro.seq, SEQ_RUN);
	p.pid = fork();
	if (p.pid == 0)
		for (;;)
			;
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)p.pid);
	p.syscall_fd = open(path, O_RDONLY | O_CLOEXEC);
	ok(process_settle(&p.t) == -ETIMEDOUT && p.place == RUNNING,
	   "a child that runs on is given up");
	kill(p.pid, SIGKILL);
	waitpid(p.pid, NULL, 0);
	ok(process_settle(&p.t) < 0, "a child that has ended is given up");
	close(p.syscall_fd);
}

static long number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	if (fd >= 0)
		close(fd);
	return strtol(text, NULL, 10);
}

static int count(void *arg, uint64_t from, uint64_t to)
{
	*(uint64_t *)arg += (to - from) / UK_PAGE;
	return 0;
}

/*
 * Same-page merging, where it runs, makes the zero page of pages of zeros: in
 * a private mapping of a file they are still not the file's.
 */
static void test_merged(int pagemap)
{
	int fd = memfd_create("merged", MFD_CLOEXEC);
	const struct timespec pause = { 0, 100000000 };
	uint64_t n = 0, all = 0;
	uint8_t *p;

	if (number("/sys/kernel/mm/ksm/run") != 1 ||
	    number("/sys/kernel/mm/ksm/use_zero_pages") != 1 ||
	    prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) < 0) {
		ok(1, "merged pages # SKIP no same-page merging here");
		return;
	}
	if (ftruncate(fd, PAGES * UK_PAGE) < 0)
		exit(1);
	p = mmap(NULL, PAGES * UK_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		 fd, 0);
	memset(p, 0, PAGES * UK_PAGE);
	/* two rounds of it, however long; then it either has or has not */
	for (int i = 0, to = (int)number(SCANS) + 3; i < 100 &&
	     number(SCANS) < to; i++)
		nanosleep(&pause, NULL);
	pagemap_private(pagemap, (uintptr_t)p, PAGES * UK_PAGE, 0, count, &n);
	pagemap_read_private(pagemap, (uintptr_t)p, PAGES * UK_PAGE,
			     count, &all);
	ok(n == PAGES && all == PAGES, "merged pages of a file are private");
	munmap(p, PAGES * UK_PAGE);
	close(fd);
}

/* what was read of anonymous memory is nobody's, what was written is */
static void test_anonymous(int pagemap)
{
	uint8_t *p = mmap(NULL, PAGES * UK_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile uint8_t sum = 0;
	uint64_t n = 0;

	madvise(p, PAGES * UK_PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < PAGES; i++)
		sum += p[i * UK_PAGE];
	p[3 * UK_PAGE] = 1;
	pagemap_private(pagemap, (uintptr_t)p, PAGES * UK_PAGE, 1, count, &n);
	/* a kernel without PAGEMAP_SCAN cannot tell them apart */
	ok(n == 1 || n == PAGES, "a page that was written is found");
	n = 0;
	pagemap_private(pagemap, (uintptr_t)p + 3 * UK_PAGE, UK_PAGE, 1, count,
			&n);
	ok(n == 1, "a page that was written is found by itself");
	munmap(p, PAGES * UK_PAGE);
}

/* as many regions as a walk's own buffer holds not, and no more than ours */
static int ascends(void *arg, uint64_t from, uint64_t to)
{
	struct { uint64_t last, n, wrong; } *a = arg;

	a->wrong += from < a->last;
	a->last = to;
	a->n += (to - from) / UK_PAGE;
	return 0;
}

static void test_scattered(int pagemap)
{
	struct { uint64_t last, n, wrong; } a;
	uint64_t wrong = 0, lost = 0;

	for (uint64_t many = 500; many < 2100; many += 100) {
		uint8_t *p = mmap(NULL, many * 2 * UK_PAGE,
				  PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		madvise(p, many * 2 * UK_PAGE, MADV_NOHUGEPAGE);
		for (uint64_t i = 0; i < many; i++)
			p[i * 2 * UK_PAGE] = 1;
		memset(&a, 0, sizeof(a));
		pagemap_private(pagemap, (uintptr_t)p, many * 2 * UK_PAGE, 1,
				ascends, &a);
		wrong += a.wrong;
		lost += a.n != many;
		munmap(p, many * 2 * UK_PAGE);
	}
	ok(!wrong && !lost, "pages far apart come once and in order: %lu, %lu",
	   wrong, lost);
}

int main(void)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	test_ring();
	test_settle();
	test_anonymous(pagemap);
	test_scattered(pagemap);
	test_merged(pagemap);
	return plan();
}
