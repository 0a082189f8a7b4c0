/*
 * delta_test.c - random trees of snapshots, compared with a model
 *
 * A base is written and sealed.  Each level of the tree is a process of its
 * own, as a branch is: it grows arenas, writes pages, takes a delta and lays
 * it, and has children of its own.  In each of them every page of RAM and of
 * the snapshot is compared with what a model says, before and after requests
 * that write and are rolled back; and so it is once more when its children have
 * come and gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "vmm/memory/ram.h"

#define TREES	4
#define DEPTH	(RAM_DELTAS - 1) /* one may be a mapped base */
#define WIDTH	2
#define REQUESTS 3

static struct ram ram;
static int base, proc;
/* by page: what wrote it last, 0: nobody; the page's words are made of both */
static uint16_t model[UK_RAM_END / UK_PAGE];
static uint16_t writes;
static uint64_t state;

static uint32_t draw(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static uint64_t word(uint32_t page, uint16_t by)
{
	return by ? (uint64_t)page << 16 | by : 0;
}

static void write_page(uint32_t page, uint16_t by)
{
	uint64_t *p = (uint64_t *)(ram.base + (uint64_t)page * UK_PAGE);

	/* not all of it: the rest has to come along */
	p[by % 512] = word(page, by);
	p[0] = word(page, by);
	p[511] = word(page, by);
}

/* a page somewhere in the spans; near others, or at an end, more often */
static uint32_t some_page(void)
{
	const struct ram_window *w = &ram.win[draw(RAM_WINDOWS)];
	uint32_t first = (uint32_t)(w->base / UK_PAGE);
	uint32_t n = (uint32_t)(w->span / UK_PAGE);

	switch (draw(4)) {
	case 0:
		return first + draw(n);
	case 1:
		return first + draw(n < 64 ? n : 64);
	case 2:
		return first + n - 1 - draw(n < 64 ? n : 64);
	default:
		return first + draw(n / 512 ? n / 512 : 1) * 512;
	}
}

static void scribble(int n, int keep)
{
	for (int i = 0; i < n; i++) {
		uint32_t page = some_page();

		writes++;
		write_page(page, writes);
		if (keep)
			model[page] = writes;
	}
}

static int page_is(const uint8_t *at, uint32_t page)
{
	const uint64_t *p = (const uint64_t *)(at + (uint64_t)page * UK_PAGE);
	uint64_t want = word(page, model[page]);

	return p[0] == want && p[511] == want &&
	       p[model[page] % 512] == want;
}

/* the first page that differs, or 0 */
static uint32_t differs(void)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		const struct ram_window *w = &ram.win[i];
		uint32_t page = (uint32_t)(w->base / UK_PAGE);
		uint32_t end = page + (uint32_t)(w->span / UK_PAGE);

		for (; page < end; page++)
			if (!page_is(ram.base, page) ||
			    !page_is(ram.snap, page))
				return page;
	}
	return 0;
}

static void fail(const char *what, uint32_t page)
{
	printf("# %s: page 0x%x, written by %u\n", what, page,
	       page ? model[page] : 0);
	fflush(stdout);
	_exit(1);
}

/* requests of a clone: whatever they write is gone */
static void requests(void)
{
	struct ram_stats st;
	uint64_t addr;
	uint32_t page;

	for (int i = 0; i < REQUESTS; i++) {
		scribble(1 + (int)draw(300), 0);
		if (ram_rollback(&ram, &st) < 0)
			fail("a rollback", 0);
		page = differs();
		if (page)
			fail("after a rollback", page);
		if (ram_verify(&ram, &addr) < 0)
			fail("verify finds", (uint32_t)(addr / UK_PAGE));
	}
}

static void grow(void)
{
	unsigned arena = draw(UK_ARENAS);
	uint64_t from;

	ram_grow(&ram, arena, ram.win[arena].span + (uint64_t)draw(3) * UK_BIG,
		 &from);
}

/* with a head in the file, as who keeps one has */
static int take(struct err *err)
{
	return ram_delta_take(&ram, memfd_create("delta", MFD_CLOEXEC),
			      draw(3) * UK_PAGE, err);
}

/* in a child process, of what is there; its exit status */
static int level(int depth, uint64_t seed)
{
	struct err err = { "" };
	uint32_t page;
	int status;

	state = seed;
	if (ram_clone_init(&ram, proc) < 0)
		fail("pagemap", 0);
	grow();
	scribble(1 + (int)draw(depth % 2 ? 3000 : 200), 1);
	if (take(&err) < 0 || ram_lay(&ram, base, &err) < 0)
		fail(err.msg, 0);
	page = differs();
	if (page)
		fail("a snapshot", page);
	for (int i = 0; depth < DEPTH && i < WIDTH; i++) {
		if (fork() == 0)
			_exit(level(depth + 1, seed * 31 + (uint64_t)i));
		if (wait(&status) < 0 || status)
			return 1;
	}
	if (ram_clone_init(&ram, proc) < 0)
		fail("pagemap", 0);
	requests();
	return 0;
}

static void begin(struct err *err)
{
	if (ram_create(&ram, 64u << 20, 16u << 20, err) < 0)
		fail(err->msg, 0);
}

/* the base as another process has it from its file: by its pages, or mapped */
static int reread(int map, struct err *err)
{
	int fd = memfd_create("base", MFD_CLOEXEC);
	uint64_t head = draw(3) * UK_PAGE;
	struct ram_run *run;
	uint32_t n;
	int rc = ram_base_write(&ram, base, fd, head, &run, &n, err);

	if (rc < 0)
		return rc;
	close(base);
	ram_destroy(&ram);
	if (map) {
		if (ram_create_cold(&ram, 64u << 20, 16u << 20, err) < 0)
			fail(err->msg, 0);
		rc = ram_base_map(&ram, fd, run, n, head, err);
		free(run);
		return rc < 0 || ram_lay(&ram, rc, err) < 0 ? -1 : rc;
	}
	begin(err);
	rc = ram_base_read(&ram, fd, run, n, head);
	if (rc < 0)
		fail("a base's file", 0);
	close(fd);
	free(run);
	return ram_seal(&ram, err);
}

static int tree(uint64_t seed)
{
	struct err err = { "" };
	int status = 1;

	if (fork() == 0) {
		state = seed;
		begin(&err);
		scribble(2000, 1);
		base = ram_seal(&ram, &err);
		if (base >= 0 && seed % 3)
			base = reread(seed % 3 == 2, &err);
		if (base < 0)
			fail(err.msg, 0);
		if (differs())
			fail("a base", differs());
		for (int i = 0; i < WIDTH; i++) {
			if (fork() == 0)
				_exit(level(1, seed * 131 + (uint64_t)i));
			if (wait(&status) < 0 || status)
				_exit(1);
		}
		_exit(0);
	}
	wait(&status);
	return status == 0;
}

/* lists that are none are refused, and nothing outside the file is read */
static int bad_lists(void)
{
	const struct ram_run run[] = {
		{ UK_DATA_BASE / UK_PAGE, 1, 3 },	/* not in the file */
		{ UK_DATA_BASE / UK_PAGE, UINT32_MAX, 1 },
		{ UK_DATA_BASE / UK_PAGE, 1, UINT32_MAX },
		{ UK_DATA_BASE / UK_PAGE, 0, 1 },
		{ UK_DATA_BASE / UK_PAGE, 1, 0 },	/* in the head */
		{ UK_HEAP_END / UK_PAGE - 1, 1, 1 },	/* in no span */
		{ UK_IMAGE_BASE / UK_PAGE, 1, 1 },
		{ UINT32_MAX, 1, 1 },
	};
	const struct ram_run twice[] = {
		{ UK_DATA_BASE / UK_PAGE, 2, 1 },
		{ UK_DATA_BASE / UK_PAGE + 1, 1, 2 },
	};
	int fd = memfd_create("bad", MFD_CLOEXEC), right = 0;
	struct err err;

	begin(&err);
	if (fd < 0 || ftruncate(fd, 3 * UK_PAGE) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(run) / sizeof(run[0]); i++)
		right += ram_base_read(&ram, fd, &run[i], 1, UK_PAGE) ==
			 -EINVAL;
	right += ram_base_read(&ram, fd, twice, 2, UK_PAGE) == -EINVAL;
	right += ram_base_read(&ram, fd, twice, RAM_RUNS + 1, UK_PAGE) ==
		 -EINVAL;
	right += ram_base_read(&ram, fd, twice, 1, UK_PAGE) == 0;
	ram_destroy(&ram);
	close(fd);
	return right == sizeof(run) / sizeof(run[0]) + 3;
}

/* what has nothing to copy from has its pages, and is not rolled back */
static int once(void)
{
	struct ram_stats st = { 0 };
	struct err err = { "" };
	uint32_t page;
	int status = 1;

	if (fork()) {
		wait(&status);
		return status == 0;
	}
	begin(&err);
	scribble(2000, 1);
	base = ram_seal(&ram, &err);
	if (base >= 0)
		base = reread(1, &err);
	if (base < 0)
		fail(err.msg, 0);
	page = differs();
	if (page)
		fail("a base", page);
	ram.once = 1;
	if (ram_lay(&ram, base, &err) < 0)
		fail(err.msg, 0);
	_exit(ram_rollback(&ram, &st) != -ENOTSUP);
}

static uint32_t ram_differs(void)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		const struct ram_window *w = &ram.win[i];
		uint32_t page = (uint32_t)(w->base / UK_PAGE);
		uint32_t end = page + (uint32_t)(w->span / UK_PAGE);

		for (; page < end; page++)
			if (!page_is(ram.base, page))
				return page;
	}
	return 0;
}

/* what a request of another function wrote, as a shell hears of it */
static void learn(void)
{
	struct ram_stats st;

	ram.ahead.n = 0;
	scribble(100 + (int)draw(400), 0);
	if (ram_workset_init(&ram, -1) < 0 || ram_rollback(&ram, &st) < 0)
		fail("a rollback", 0);
	ram_learn(&ram);
	if (ram_ahead(&ram, 1) < 0 || !ram.ahead.n)
		fail("nothing is learned", 0);
}

/* pages that were copied are given back, by a guest that can */
static void give_back(void)
{
	for (size_t i = 0; i < ram.copied.n; i++)
		madvise(ram.base + (uint64_t)ram.copied.page[i] * UK_PAGE,
			UK_PAGE, MADV_DONTNEED);
}

/* so many pages that most are dropped, again and again */
static void overflow(void)
{
	const struct ram_window *w = &ram.win[UK_ARENA_EXEC];
	struct ram_stats st;
	uint64_t addr;

	for (uint64_t i = 0; i < w->span / UK_PAGE; i++)
		write_page((uint32_t)(w->base / UK_PAGE + i), 1);
	for (uint64_t i = 0; i < 6000; i++)
		write_page((uint32_t)(UK_DATA_BASE / UK_PAGE + i), 1);
	for (int i = 0; i < 12; i++) {
		if (ram_rollback(&ram, &st) < 0)
			fail("a rollback", 0);
		if (ram_verify(&ram, &addr) < 0)
			fail("dropped", (uint32_t)(addr / UK_PAGE));
	}
}

/* the same snapshot, in a process whose base it is laid over, page by page */
static int placed(uint64_t seed)
{
	struct ram_window was[RAM_WINDOWS], grown[RAM_WINDOWS];
	struct ram empty;
	struct err err = { "" };
	struct ram_delta d;
	int status = 1, fd;

	if (fork()) {
		wait(&status);
		return status == 0;
	}
	state = seed;
	begin(&err);
	scribble(2000, 1);
	base = ram_seal(&ram, &err);
	if (base < 0 || ram_clone_init(&ram, proc) < 0)
		fail("a base", 0);
	learn();
	empty = ram;
	memcpy(was, ram.win, sizeof(was));
	grow();
	ram_grow(&ram, UK_ARENA_DATA, 24u << 20, &(uint64_t){ 0 });
	scribble(1 + (int)draw(seed % 2 ? 3000 : 200), 1);
	if (take(&err) < 0)
		fail(err.msg, 0);
	d = ram.delta[0];
	memcpy(grown, ram.win, sizeof(grown));

	empty.list = ram.list;
	ram = empty;
	if (ram_lay(&ram, base, &err) < 0)
		fail(err.msg, 0);
	ram_ahead_populate(&ram);
	memcpy(ram.win, grown, sizeof(grown));
	fd = fcntl(d.fd, F_DUPFD_CLOEXEC, 0);
	if (ram_delta_add(&ram, fd, d.run, d.n, 0) < 0 ||
	    ram_lay_last(&ram, base, was, &err) < 0)
		fail("placing", 0);
	if (ram_differs())
		fail("what was placed", ram_differs());
	if (!ram.copied.n)
		fail("nothing was copied", 0);
	requests();
	give_back();
	requests();
	overflow();
	give_back();
	requests();
	_exit(0);
}

/* a level too many is refused, and the snapshot that there is goes on */
static int too_many(void)
{
	struct err err = { "" };
	int status = 1;

	if (fork() == 0) {
		state = 1;
		begin(&err);
		base = ram_seal(&ram, &err);
		for (int i = 0; i < RAM_DELTAS; i++) {
			ram_clone_init(&ram, proc);
			scribble(10, 1);
			if (take(&err) < 0 ||
			    ram_lay(&ram, base, &err) < 0)
				fail(err.msg, 0);
		}
		ram_clone_init(&ram, proc);
		if (take(&err) != -EMLINK || !err.msg[0])
			fail("one more", 0);
		requests();
		_exit(0);
	}
	wait(&status);
	return status == 0;
}

/* a page in each of more ranges than runs may be: refused, in time */
static int too_scattered(void)
{
	struct err err = { "" };
	uint64_t from, n = RAM_RUNS + 64;
	int status = 1;

	if (fork() == 0) {
		alarm(60);
		if (ram_create(&ram, (n + 64) * UK_BIG, 16u << 20, &err) < 0)
			fail(err.msg, 0);
		base = ram_seal(&ram, &err);
		if (ram_clone_init(&ram, proc) < 0 ||
		    ram_grow(&ram, UK_ARENA_DATA, n * UK_BIG, &from) < 0)
			fail("memory", 0);
		for (uint64_t i = 0; i < n; i++)
			ram.base[UK_DATA_BASE + i * UK_BIG] = 1;
		if (take(&err) != -E2BIG || !err.msg[0] || ram.deltas)
			fail("too many ranges", 0);
		_exit(0);
	}
	wait(&status);
	return status == 0;
}

int main(void)
{
	uint64_t seed = (uint64_t)getpid();

	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < TREES; i++)
		ok(tree(seed + (uint64_t)i), "a random tree, seed %llu",
		   (unsigned long long)seed + (unsigned)i);
	ok(bad_lists(), "runs that are none are refused");
	ok(once(), "who is for one request is not rolled back");
	for (int i = 0; i < TREES; i++)
		ok(placed(seed + (uint64_t)i), "a delta that is placed, of "
		   "which some is copied, seed %llu",
		   (unsigned long long)seed + (unsigned)i);
	ok(too_many(), "a delta too many is refused");
	ok(too_scattered(), "pages in too many ranges are refused");
	return plan();
}
