/*
 * process_window.c - the gateway's windows for large bodies, copied
 *
 * They come when the child can map nothing any more.  It has memory of this
 * tender's in their place from the beginning, sparse and read-only to it,
 * into which each body is copied.
 */
#include "vmm/tender/process_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int process_windows_create(struct process *p)
{
	int fd = memfd_create("usetl-windows", MFD_CLOEXEC), rc;
	void *at;

	if (fd < 0)
		return -errno;
	at = MAP_FAILED;
	if (ftruncate(fd, (off_t)WINDOWS_SIZE) == 0)
		at = mmap(NULL, WINDOWS_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (at == MAP_FAILED) {
		rc = -errno;
		close(fd);
		return rc;
	}
	p->windows = at;
	p->windows_fd = fd;
	return 0;
}

/* RAM is there to its caps; only the gateway's large windows come later */
int process_map(struct tender *t, unsigned slot, uint64_t addr, uint64_t len,
		void *from, int readonly)
{
	struct process *p = (struct process *)t;
	uint64_t w = (addr - UK_HOST_BASE) / ETLFS_WINDOW_STRIDE;

	if (addr < UK_HOST_BASE || w == 0)
		return 0;
	if (w >= ETLFS_WINDOWS)
		return -EINVAL;
	p->source[w] = from;
	p->used[w] = 0;
	return 0;
}

static int attached(const struct process *p)
{
	for (unsigned w = 1; w < ETLFS_WINDOWS; w++)
		if (p->source[w])
			return 1;
	return 0;
}

int process_unmap(struct tender *t, unsigned slot, uint64_t addr)
{
	struct process *p = (struct process *)t;
	uint64_t w = (addr - UK_HOST_BASE) / ETLFS_WINDOW_STRIDE;

	if (addr < UK_HOST_BASE || w < 1 || w >= ETLFS_WINDOWS)
		return 0;
	if (p->used[w])
		madvise(p->windows + (w - 1) * ETLFS_WINDOW_STRIDE,
			(p->used[w] + UK_PAGE - 1) & ~(UK_PAGE - 1ull),
			MADV_REMOVE);
	p->source[w] = NULL;
	p->used[w] = 0;
	/* the next request's tickets may have the same numbers */
	if (!attached(p))
		memset(p->copied, 0, sizeof(p->copied));
	return 0;
}

/* 0 when its window has yet to be attached */
static int window_copy(struct process *p, uint64_t at, uint64_t len)
{
	uint64_t w = at / ETLFS_WINDOW_STRIDE, off = at % ETLFS_WINDOW_STRIDE;

	if (w < 1 || w >= ETLFS_WINDOWS || !len)
		return 1;
	if (!p->source[w] || off > p->ram->host_size[w] ||
	    len > p->ram->host_size[w] - off)
		return 0;
	memcpy(p->windows + (w - 1) * ETLFS_WINDOW_STRIDE + off,
	       p->source[w] + off, len);
	if (off + len > p->used[w])
		p->used[w] = off + len;
	return 1;
}

/*
 * Bodies that came in the gateway's windows, which the child cannot map any
 * more: each is copied once it is whole, before the guest can see its ticket.
 */
void process_windows_copy(struct process *p)
{
	const struct etlfs_host *h = ram_sys(p->ram, UK_HOST_BASE);

	if (!attached(p))
		return;
	for (unsigned i = 0; i < ETLFS_TICKETS; i++) {
		const struct etlfs_ticket *k = &h->ticket[i];
		uint32_t state = __atomic_load_n(&k->state, __ATOMIC_ACQUIRE);

		if ((state != ETLFS_DONE && state != ETLFS_FAILED) ||
		    p->copied[i] == k->gen)
			continue;
		if (window_copy(p, k->body_off, k->body_len) &&
		    window_copy(p, k->head_off, k->head_len) &&
		    window_copy(p, k->url_off, k->url_len))
			p->copied[i] = k->gen;
	}
}
