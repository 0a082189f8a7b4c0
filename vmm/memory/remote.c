/*
 * remote.c - look at a guest's memory in another process
 *
 * process_vm_readv(2), or /proc/PID/mem where that is refused; which of them
 * is found out before the tender locks itself.
 */
#include "vmm/memory/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/memory/pagemap.h"
#include "vmm/tender/process.h"

int remote_read(const struct ram *ram, void *to, uint64_t addr, uint64_t len)
{
	struct iovec mine = { to, len }, theirs = { (void *)addr, len };
	uint64_t done = 0;
	ssize_t n;

	if (ram->mem < 0) {
		n = process_vm_readv(ram->remote, &mine, 1, &theirs, 1, 0);
		return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EFAULT;
	}
	while (done < len) {
		n = pread(ram->mem, (uint8_t *)to + done, len - done,
			  (off_t)(addr + done));
		if (n <= 0)
			return n < 0 ? -errno : -EFAULT;
		done += (uint64_t)n;
	}
	return 0;
}

static int file_open(const struct ram *ram, int proc, const char *name)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "%d/%s", (int)ram->remote, name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int remote_open(struct ram *ram, int proc)
{
	uint64_t word;
	int rc;

	rc = ram->pagemap = file_open(ram, proc, "pagemap");
	if (rc >= 0)
		rc = ram->stat = file_open(ram, proc, "stat");
	if (rc >= 0 && remote_read(ram, &word, UK_STUB, sizeof(word)) < 0)
		rc = ram->mem = file_open(ram, proc, "mem");
	return rc < 0 ? rc : 0;
}

/* fields 10 and 12 of /proc/PID/stat, after a name that may hold anything */
long remote_faults(const struct ram *ram)
{
	char text[1024], *p;
	long minor, major;
	ssize_t n = pread(ram->stat, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %ld %*u %ld",
			 &minor, &major) != 2)
		return -1;
	return minor + major;
}

const void *ram_pull(struct ram *ram, uint64_t addr, uint64_t len)
{
	void *p = ram_ptr(ram, addr, len, 0);
	int i = 0;

	if (!p || !len || !ram->remote || !ram->snap || addr >= UK_RAM_END ||
	    (addr >= PROC_SHARED && addr < PROC_SHARED_END))
		return p;
	while (addr - ram->win[i].base >= ram->win[i].cap)
		i++;
	if (ram->pulled[i][0] == ram->pulled[i][1])
		ram->pulled[i][0] = ram->pulled[i][1] = addr;
	if (addr < ram->pulled[i][0])
		ram->pulled[i][0] = addr;
	if (addr + len > ram->pulled[i][1])
		ram->pulled[i][1] = addr + len;
	return remote_read(ram, p, addr, len) == 0 ? p : NULL;
}

void remote_forget(struct ram *ram)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		uint64_t *p = ram->pulled[i], a = p[0] & ~(UK_PAGE - 1ull);

		if (p[0] != p[1])
			madvise(ram->base + a, p[1] - a, MADV_DONTNEED);
		p[0] = p[1] = 0;
	}
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
	rc = remote_read(d->ram, page, addr, UK_PAGE);
	if (rc < 0)
		return rc;
	return memcmp(page, addr - d->w->base < d->w->sealed ?
		      d->ram->snap + addr : zero, UK_PAGE) ? -EUCLEAN : 0;
}

/* a page that is not private is the snapshot's: the kernel says which are */
int remote_verify(const struct ram *ram, uint64_t *addr)
{
	struct difference d = { .ram = ram };
	int rc = 0;

	for (int i = 0; i < RAM_WINDOWS && rc == 0; i++) {
		d.w = &ram->win[i];
		rc = pagemap_read_private(ram->pagemap, d.w->base, d.w->cap,
					  differ, &d);
	}
	*addr = d.addr;
	for (int i = 0; i < PROC_RESTORED && rc == 0; i++) {
		*addr = process_restored[i].addr;
		if (memcmp(ram->base + *addr, ram->snap + *addr,
			   process_restored[i].len))
			rc = -EUCLEAN;
	}
	return rc;
}
