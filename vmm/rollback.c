/*
 * rollback.c - give a clone's memory back the snapshot's content
 *
 * Everything that a guest can write is a private mapping of the snapshot, so
 * the pages to restore are those of this process that are no longer the
 * file's: present or swapped out, and not file pages.  A page once private
 * stays so until it is dropped, so the list only grows, and is read anew
 * only after a minor fault of the guest's process, which has one thread.
 *
 * Pages are copied back, not dropped: a copy costs a tenth of the fault that
 * dropping would cost the next request (DESIGN 4).  Beyond BUDGET pages the
 * excess is dropped, to give memory back; and a clone that one request made
 * far larger than its kin is made small again (tidy()).
 *
 * A remote guest's pages are found in its pagemap and written from outside;
 * none are dropped, no system call drops another process's.
 */
#include "vmm/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define BUDGET		8192u		/* private pages kept: 32 MB */
#define WORKSET_MAX	4096u
#define USUAL_LEAST	1024u		/* pages that are never too many */
#define PATIENCE	8u		/* rollbacks until some are, at first */
#define PATIENCE_MAX	1024u

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Linux 6.7's PAGEMAP_SCAN, for headers that are older */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask;
	uint64_t return_mask;
};
#define SCAN_IOCTL	_IOWR('f', 16, struct scan_arg)
#define SCAN_FILE	(1u << 2)
#define SCAN_PRESENT	(1u << 3)
#define SCAN_SWAPPED	(1u << 4)

/* /proc/PID/pagemap, admin-guide/mm/pagemap.rst */
#define PM_PRESENT	(1ull << 63)
#define PM_SWAPPED	(1ull << 62)
#define PM_FILE		(1ull << 61)

struct ram_workset {
	_Atomic uint32_t state;		/* 0 empty, 1 being written, 2 there */
	uint32_t n;
	uint32_t page[WORKSET_MAX];
};

static struct ram_workset *workset_create(void)
{
	void *p = mmap(NULL, sizeof(struct ram_workset),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int list_add(struct ram *ram, uint64_t from, uint64_t to)
{
	for (; from < to; from += UK_PAGE) {
		if (ram->n_pages == ram->cap_pages) {
			size_t cap = ram->cap_pages ? ram->cap_pages * 2 : 1024;
			void *p = realloc(ram->pages, cap * sizeof(uint32_t));

			if (!p)
				return -ENOMEM;
			ram->pages = p;
			ram->cap_pages = cap;
		}
		ram->pages[ram->n_pages++] = (uint32_t)(from / UK_PAGE);
	}
	return 0;
}

/* where RAM is mapped in the guest's process, and how much of a window */
static uint64_t mapped_at(const struct ram *ram)
{
	return ram->remote ? 0 : (uint64_t)(uintptr_t)ram->base;
}

static uint64_t extent(const struct ram *ram, const struct ram_window *w)
{
	return ram->remote ? w->cap : w->top;
}

/* private pages of one window, by PAGEMAP_SCAN; -ENOTTY where it is not */
static int scan_ioctl(struct ram *ram, const struct ram_window *w)
{
	static struct scan_region vec[1024];
	uint64_t base = mapped_at(ram);
	uint64_t at = base + w->base, end = at + extent(ram, w);

	while (at < end) {
		struct scan_arg arg = {
			.size = sizeof(arg), .start = at, .end = end,
			.vec = (uint64_t)(uintptr_t)vec, .vec_len = 1024,
			.category_inverted = SCAN_FILE,
			.category_mask = SCAN_FILE,
			.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
			.return_mask = SCAN_PRESENT,
		};
		int n = ioctl(ram->pagemap, SCAN_IOCTL, &arg), rc;

		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++) {
			rc = list_add(ram, vec[i].start - base,
				      vec[i].end - base);
			if (rc < 0)
				return rc;
		}
		if (arg.walk_end <= at)
			return -EIO;
		at = arg.walk_end;
	}
	return 0;
}

/* reads the pagemap of a window; fn is called for each page's entry */
static int pagemap_walk(const struct ram *ram, const struct ram_window *w,
			int (*fn)(void *arg, uint64_t addr, uint64_t entry),
			void *arg)
{
	static uint64_t entry[4096];
	uint64_t base = mapped_at(ram), len = extent(ram, w);

	for (uint64_t off = 0; off < len;) {
		uint64_t n = (len - off) / UK_PAGE;
		ssize_t got;
		int rc;

		if (n > 4096)
			n = 4096;
		got = pread(ram->pagemap, entry, n * 8,
			    (off_t)((base + w->base + off) / UK_PAGE * 8));
		if (got <= 0 || got % 8)
			return got < 0 ? -errno : -EIO;
		for (ssize_t i = 0; i < got / 8; i++, off += UK_PAGE) {
			rc = fn(arg, w->base + off, entry[i]);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int add_private(void *arg, uint64_t addr, uint64_t entry)
{
	if ((entry & (PM_PRESENT | PM_SWAPPED)) && !(entry & PM_FILE))
		return list_add(arg, addr, addr + UK_PAGE);
	return 0;
}

static int scan(struct ram *ram)
{
	static int no_ioctl;
	int rc = 0;

	ram->n_pages = 0;
	for (int i = 0; i < RAM_WINDOWS && rc == 0; i++) {
		rc = -ENOTTY;
		if (!no_ioctl)
			rc = scan_ioctl(ram, &ram->win[i]);
		if (rc == -ENOTTY || rc == -EINVAL || rc == -EPERM) {
			no_ioctl = 1;
			rc = pagemap_walk(ram, &ram->win[i], add_private, ram);
		}
	}
	return rc;
}

/* fields 10 and 12 of /proc/PID/stat; -1 when they cannot be read */
static long faults_remote(const struct ram *ram)
{
	char text[512], *end;
	long minor, major;
	ssize_t n = pread(ram->stat, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %ld %*u %ld",
			   &minor, &major) != 2)
		return -1;
	return minor + major;
}

static long minor_faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt + ru.ru_majflt;
}

/* drops the list's tail, runs of pages at a time */
static uint64_t drop_beyond(struct ram *ram, size_t keep)
{
	size_t i = keep, n = ram->n_pages;

	if (n <= keep)
		return 0;
	while (i < n) {
		size_t j = i + 1;

		while (j < n && ram->pages[j] == ram->pages[j - 1] + 1)
			j++;
		madvise(ram->base + (uint64_t)ram->pages[i] * UK_PAGE,
			(j - i) * UK_PAGE, MADV_DONTNEED);
		i = j;
	}
	ram->n_pages = keep;
	return n - keep;
}

/*
 * One request that wrote a lot would make each later one pay for copying all
 * of that back.  So when a list is much longer than the working set, and no
 * more than that was added to it in some requests (`before`: how long it was
 * after the last one), all is dropped and the working set fetched anew.  If
 * the list soon grows back that was wrong, and twice the patience is had with
 * it the next time.  1 when it was done.
 */
static int tidy(struct ram *ram, size_t before, struct ram_stats *st)
{
	struct ram_workset *ws = ram->ws;
	size_t usual = ws && atomic_load(&ws->state) == 2 ? 4 * (size_t)ws->n :
		       BUDGET;

	ram->since++;
	if (ram->n_pages <= USUAL_LEAST || ram->n_pages <= usual)
		return 0;
	if (st->pages_private > before + ws->n) {
		if (!ram->patience || ram->since > 4 * ram->patience)
			ram->patience = PATIENCE;
		else if (!ram->calm && ram->patience < PATIENCE_MAX)
			ram->patience *= 2;
		ram->calm = 1;
		return 0;
	}
	if (ram->calm++ < ram->patience)
		return 0;
	ram->calm = ram->since = 0;
	st->pages_dropped += drop_beyond(ram, 0);
	ram_populate(ram, ram->base);
	return 1;
}

/* i-th page and those that follow it without a gap, as bytes at base */
static struct iovec run_of(const struct ram *ram, size_t i, const void *base)
{
	size_t j = i + 1;

	while (j < ram->n_pages && ram->pages[j] == ram->pages[j - 1] + 1)
		j++;
	return (struct iovec){
		(uint8_t *)base + (uint64_t)ram->pages[i] * UK_PAGE,
		(j - i) * UK_PAGE,
	};
}

static int copy_remote(const struct ram *ram)
{
	static struct iovec from[512], to[512];
	size_t i = 0;

	while (i < ram->n_pages) {
		size_t n = 0, sum = 0;

		for (; n < 512 && i < ram->n_pages; n++) {
			from[n] = run_of(ram, i, ram->snap);
			to[n] = run_of(ram, i, NULL);
			sum += to[n].iov_len;
			i += to[n].iov_len / UK_PAGE;
		}
		if (process_vm_writev(ram->remote, from, n, to, n, 0) !=
		    (ssize_t)sum)
			return -EIO;
	}
	return 0;
}

/* what ram_pull() brought here; the snapshot shows through again */
static void forget_pulled(struct ram *ram)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		uint64_t *p = ram->pulled[i], a = p[0] & ~(UK_PAGE - 1ull);

		if (p[0] != p[1])
			madvise(ram->base + a, p[1] - a, MADV_DONTNEED);
		p[0] = p[1] = 0;
	}
}

static int rollback_remote(struct ram *ram, struct ram_stats *st)
{
	long faults = faults_remote(ram);
	int rc = 0;

	if (faults < 0 || faults != ram->minflt)
		rc = scan(ram);
	ram->minflt = faults;
	if (rc == 0)
		rc = copy_remote(ram);
	forget_pulled(ram);
	st->pages_private = st->pages_copied = ram->n_pages;
	st->pages_dropped = 0;
	for (int i = 0; i < RAM_WINDOWS; i++)
		ram->win[i].span = ram->win[i].sealed;
	return rc;
}

int ram_rollback(struct ram *ram, struct ram_stats *st)
{
	long faults = minor_faults();
	size_t before = ram->n_pages;
	int rc, tidied;

	if (ram->remote)
		return rollback_remote(ram, st);

	if (faults != ram->minflt) {
		rc = scan(ram);
		if (rc < 0)
			return rc;
	}
	st->pages_private = ram->n_pages;
	st->pages_dropped = drop_beyond(ram, BUDGET);
	tidied = tidy(ram, before, st);
	for (size_t i = 0; i < ram->n_pages; i++) {
		uint64_t a = (uint64_t)ram->pages[i] * UK_PAGE;

		memcpy(ram->base + a, ram->snap + a, UK_PAGE);
	}
	st->pages_copied = ram->n_pages;
	for (int i = 0; i < RAM_WINDOWS; i++)
		ram->win[i].span = ram->win[i].sealed;
	if (faults != ram->minflt)
		ram->minflt = minor_faults();
	if (tidied)
		ram->minflt = -1;	/* the list is to be read anew */
	return 0;
}

int ram_clone_init(struct ram *ram, int proc)
{
	char path[32] = "self/pagemap";

	if (ram->remote)
		snprintf(path, sizeof(path), "%d/pagemap", (int)ram->remote);
	ram->pagemap = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ram->minflt = -1;
	if (ram->pagemap < 0 || !ram->remote)
		return ram->pagemap < 0 ? -errno : 0;
	snprintf(path, sizeof(path), "%d/stat", (int)ram->remote);
	ram->stat = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return ram->stat < 0 ? -errno : 0;
}

uint64_t ram_populate(struct ram *ram, uint8_t *base)
{
	struct ram_workset *ws = ram->ws;
	uint32_t n, i = 0;

	if (!ws || atomic_load(&ws->state) != 2)
		return 0;
	/* other clones could write here: a bad list costs time, no more */
	n = ws->n < WORKSET_MAX ? ws->n : WORKSET_MAX;
	while (i < n && !(ram->remote && base)) {
		uint64_t a = (uint64_t)ws->page[i] * UK_PAGE;
		uint32_t j = i + 1;

		while (j < n && ws->page[j] == ws->page[j - 1] + 1)
			j++;
		if (a + (uint64_t)(j - i) * UK_PAGE <= UK_RAM_END)
			madvise(base + a, (size_t)(j - i) * UK_PAGE,
				MADV_POPULATE_WRITE);
		i = j;
	}
	return n;
}

void ram_learn(struct ram *ram)
{
	uint32_t empty = 0;

	if (!ram->ws || !atomic_compare_exchange_strong(&ram->ws->state,
							 &empty, 1))
		return;
	/* a clone for one request never rolls back, so it has not looked */
	if (!ram->n_pages && scan(ram) < 0)
		ram->n_pages = 0;
	ram->ws->n = ram->n_pages < WORKSET_MAX ? (uint32_t)ram->n_pages :
		     WORKSET_MAX;
	memcpy(ram->ws->page, ram->pages, ram->ws->n * sizeof(uint32_t));
	atomic_store(&ram->ws->state, 2);
}

int ram_workset_init(struct ram *ram)
{
	ram->ws = workset_create();
	return ram->ws ? 0 : -ENOMEM;
}

struct difference {
	const struct ram *ram;
	uint64_t addr;
};

static int differ_remote(void *arg, uint64_t addr, uint64_t entry)
{
	static uint8_t page[UK_PAGE];
	struct difference *d = arg;
	struct iovec mine = { page, UK_PAGE };
	struct iovec theirs = { (void *)addr, UK_PAGE };

	if (!(entry & (PM_PRESENT | PM_SWAPPED)) || entry & PM_FILE)
		return 0;
	d->addr = addr;
	if (process_vm_readv(d->ram->remote, &mine, 1, &theirs, 1, 0) !=
	    UK_PAGE)
		return -EIO;
	return memcmp(page, d->ram->snap + addr, UK_PAGE) ? -EUCLEAN : 0;
}

/* a page that is not private is the snapshot's: the kernel says which are */
static int verify_remote(const struct ram *ram, uint64_t *addr)
{
	static const uint64_t shared[][2] = {
		{ UK_CLOCK, UK_PAGE }, { UK_CTL, UK_CTL_PAGES * UK_PAGE },
		{ UK_OUT, UK_PAGE }, { UK_LOG, UK_LOG_SIZE },
	};
	struct difference d = { ram, 0 };
	int rc = 0;

	for (int i = 0; i < RAM_WINDOWS && rc == 0; i++)
		rc = pagemap_walk(ram, &ram->win[i], differ_remote, &d);
	*addr = d.addr;
	for (int i = 0; i < 4 && rc == 0; i++) {
		*addr = shared[i][0];
		if (memcmp(ram->base + *addr, ram->snap + *addr, shared[i][1]))
			rc = -EUCLEAN;
	}
	return rc;
}

int ram_verify(const struct ram *ram, uint64_t *addr)
{
	if (ram->remote)
		return verify_remote(ram, addr);
	for (int i = 0; i < RAM_WINDOWS; i++) {
		const struct ram_window *w = &ram->win[i];

		for (uint64_t a = w->base; a < w->base + w->top;
		     a += UK_PAGE) {
			if (!memcmp(ram->base + a, ram->snap + a, UK_PAGE))
				continue;
			while (ram->base[a] == ram->snap[a])
				a++;
			*addr = a;
			return -EUCLEAN;
		}
	}
	return 0;
}

static int count_present(void *arg, uint64_t addr, uint64_t entry)
{
	if (entry & PM_PRESENT)
		++*(uint64_t *)arg;
	return 0;
}

uint64_t ram_touched(const struct ram *ram)
{
	uint64_t n = 0;

	for (int i = 0; i < RAM_WINDOWS; i++)
		pagemap_walk(ram, &ram->win[i], count_present, &n);
	return n;
}
