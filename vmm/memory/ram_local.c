/*
 * ram_local.c - guest memory that this process has, as ram_ops.h has it
 *
 * A virtual machine's accesses are its process's page faults, so what it
 * writes is private in the mapping at ram->base.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "vmm/memory/ram_ops.h"

static int local_open(struct ram *ram, int proc)
{
	ram->pagemap = openat(proc, "self/pagemap", O_RDONLY | O_CLOEXEC);
	return ram->pagemap < 0 ? -errno : 0;
}

static int local_scan(struct ram *ram)
{
	return ram_list_scan(ram, (uint64_t)(uintptr_t)ram->base, 0);
}

static long local_faults(const struct ram *ram)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_minflt + ru.ru_majflt;
}

static int local_restore(struct ram *ram, int anew)
{
	for (size_t i = 0; i < ram->list.n; i++) {
		uint64_t a = (uint64_t)ram->list.page[i] * UK_PAGE;

		memcpy(ram->base + a, ram->snap + a, UK_PAGE);
	}
	/* scanning and copying are this process's own faults, too */
	if (anew)
		ram->faults = local_faults(ram);
	return 0;
}

static void drop_run(void *base, uint64_t addr, uint64_t len)
{
	madvise((uint8_t *)base + addr, len, MADV_DONTNEED);
}

static int local_drop(struct ram *ram, const uint32_t *page, size_t n)
{
	ram_list_runs(page, n, drop_run, ram->base);
	return 0;
}

static int local_populate(struct ram *ram, const uint32_t *page, size_t n)
{
	ram_list_populate(ram->base, page, n);
	return 0;
}

static int local_read(struct ram *ram, uint64_t addr, uint64_t len)
{
	return 0;
}

static int local_look(const struct ram *ram, uint64_t addr, void *to)
{
	memcpy(to, ram->base + addr, UK_PAGE);
	return 0;
}

static int local_verify(const struct ram *ram, uint64_t *addr)
{
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

static uint64_t local_touched(const struct ram *ram)
{
	return ram_list_present(ram, (uint64_t)(uintptr_t)ram->base, 0);
}

const struct ram_ops ram_local_ops = {
	.open = local_open,
	.scan = local_scan,
	.faults = local_faults,
	.restore = local_restore,
	.drop = local_drop,
	.refill = local_populate,
	.populate = local_populate,
	.read = local_read,
	.look = local_look,
	.verify = local_verify,
	.touched = local_touched,
};
