/*
 * ram_remote.c - guest memory that another process has, as ram_ops.h has it
 *
 * It is read by process_vm_readv(2), or /proc/PID/mem where that is refused;
 * which of them is found out before the tender locks itself.
 *
 * When a rollback begins, that process has already copied back the pages of
 * the list of last time, as it was brought where it is; that is all there is
 * to do unless it has faulted since the list was made.  If it has, what is
 * new is copied, too.
 */
#include "vmm/memory/ram_remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/memory/pagemap.h"

static struct ram_remote *own(const struct ram *ram)
{
	return ram->own;
}

static int memory_read(const struct ram_remote *r, void *to, uint64_t addr,
		       uint64_t len)
{
	struct iovec mine = { to, len }, theirs = { (void *)addr, len };
	uint64_t done = 0;
	ssize_t n;

	if (r->mem < 0) {
		n = process_vm_readv(r->pid, &mine, 1, &theirs, 1, 0);
		return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EFAULT;
	}
	while (done < len) {
		n = pread(r->mem, (uint8_t *)to + done, len - done,
			  (off_t)(addr + done));
		if (n <= 0)
			return n < 0 ? -errno : -EFAULT;
		done += (uint64_t)n;
	}
	return 0;
}

static int file_open(const struct ram_remote *r, int proc, const char *name)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "%d/%s", (int)r->pid, name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int remote_open(struct ram *ram, int proc)
{
	struct ram_remote *r = own(ram);
	uint64_t word;
	int rc;

	rc = ram->pagemap = file_open(r, proc, "pagemap");
	if (rc >= 0)
		rc = r->stat = file_open(r, proc, "stat");
	if (rc < 0)
		return rc;
	rc = memory_read(r, &word, UK_STUB, sizeof(word));
	/* -EFAULT: it has nothing there yet, and may be read */
	if (rc < 0 && rc != -EFAULT)
		rc = r->mem = file_open(r, proc, "mem");
	return rc < 0 && rc != -EFAULT ? rc : 0;
}

static int remote_scan(struct ram *ram)
{
	struct ram_remote *r = own(ram);
	struct ram_list last = ram->list;

	ram->list = r->before;
	r->before = last;
	return ram_list_scan(ram, 0, 1);
}

/*
 * Of that process, which has one thread: fields 10 and 12 of /proc/PID/stat,
 * minor and major, after a name that may hold anything.
 */
static long remote_faults(const struct ram *ram)
{
	char text[1024], *p;
	long minor, major;
	ssize_t n = pread(own(ram)->stat, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %ld %*u %ld",
			 &minor, &major) != 2)
		return -1;
	return minor + major;
}

/* the list's pages that were not in the one before */
static int copy_fresh(struct ram_remote *r, const struct ram_list *new)
{
	const struct ram_list *old = &r->before;
	size_t o = 0;
	int rc = 0;

	r->fresh.n = 0;
	for (size_t i = 0; rc == 0 && i < new->n; i++) {
		while (o < old->n && old->page[o] < new->page[i])
			o++;
		if (o == old->n || old->page[o] != new->page[i])
			rc = ram_list_add(&r->fresh, new->page[i]);
	}
	if (rc == 0 && r->fresh.n)
		rc = r->orders->copy(r, r->fresh.page, r->fresh.n);
	return rc;
}

/* what was read to here; the snapshot shows through again */
static void forget(struct ram *ram)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		uint64_t *p = own(ram)->pulled[i], a = p[0] & ~(UK_PAGE - 1ull);

		if (p[0] != p[1])
			madvise(ram->base + a, p[1] - a, MADV_DONTNEED);
		p[0] = p[1] = 0;
	}
}

/* its faults stay those of before it copied: at worst a scan too many */
static int remote_restore(struct ram *ram, int anew)
{
	int rc = anew ? copy_fresh(own(ram), &ram->list) : 0;

	forget(ram);
	return rc;
}

static int remote_drop(struct ram *ram, const uint32_t *page, size_t n)
{
	return own(ram)->orders->drop(own(ram), page, n);
}

static int remote_refill(struct ram *ram, const uint32_t *page, size_t n)
{
	return own(ram)->orders->copy(own(ram), page, n);
}

static int remote_read(struct ram *ram, uint64_t addr, uint64_t len)
{
	struct ram_remote *r = own(ram);
	int i = 0;

	if (addr >= r->shared && addr < r->shared_end)
		return 0;
	while (addr - ram->win[i].base >= ram->win[i].cap)
		i++;
	if (r->pulled[i][0] == r->pulled[i][1])
		r->pulled[i][0] = r->pulled[i][1] = addr;
	if (addr < r->pulled[i][0])
		r->pulled[i][0] = addr;
	if (addr + len > r->pulled[i][1])
		r->pulled[i][1] = addr + len;
	return memory_read(r, ram->base + addr, addr, len);
}

static int remote_look(const struct ram *ram, uint64_t addr, void *to)
{
	return memory_read(own(ram), to, addr, UK_PAGE);
}

struct difference {
	const struct ram *ram;
	const struct ram_window *w;
	uint64_t addr;
};

static int differ(void *arg, uint64_t addr, uint64_t to)
{
	static uint8_t page[UK_PAGE];
	static const uint8_t zero[UK_PAGE];
	struct difference *d = arg;
	int rc;

	d->addr = addr;
	rc = memory_read(own(d->ram), page, addr, UK_PAGE);
	if (rc < 0)
		return rc;
	return memcmp(page, addr - d->w->base < d->w->sealed ?
		      d->ram->snap + addr : zero, UK_PAGE) ? -EUCLEAN : 0;
}

/* a page that is not private is the snapshot's: the kernel says which are */
static int remote_verify(const struct ram *ram, uint64_t *addr)
{
	struct difference d = { .ram = ram };
	int rc = 0;

	for (int i = 0; i < RAM_WINDOWS && rc == 0; i++) {
		d.w = &ram->win[i];
		rc = pagemap_read_private(ram->pagemap, d.w->base, d.w->cap,
					  differ, &d);
	}
	*addr = d.addr;
	return rc == 0 ? own(ram)->orders->verify(own(ram), addr) : rc;
}

static uint64_t remote_touched(const struct ram *ram)
{
	return ram_list_present(ram, 0, 1);
}

const struct ram_ops ram_remote_ops = {
	.open = remote_open,
	.scan = remote_scan,
	.faults = remote_faults,
	.restore = remote_restore,
	.drop = remote_drop,
	.refill = remote_refill,
	.read = remote_read,
	.look = remote_look,
	.verify = remote_verify,
	.touched = remote_touched,
};

void ram_remote_begin(struct ram *ram, struct ram_remote *r)
{
	ram->own = r;
	ram->ops = &ram_remote_ops;
}

void ram_remote_end(struct ram *ram, struct ram_remote *r)
{
	ram->own = NULL;
	ram->ops = &ram_local_ops;
	free(r->before.page);
	free(r->fresh.page);
	r->before = r->fresh = (struct ram_list){ 0 };
}
