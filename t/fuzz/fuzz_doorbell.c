/*
 * fuzz_doorbell.c - doorbells rung with any arguments by any guest
 *
 * A tender that runs nothing, and real guest memory.  The input is first what
 * the guest left in its output page (struct uk_out), then one ring after
 * another: a number, three argument bytes that choose an address or a size
 * near an edge of the map, and bytes written to DATA, where descriptors may
 * point.  Outside its windows the reservation is PROT_NONE, so a stray access
 * is a crash; spans and answers are checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "etlfs/format.h"
#include "vmm/guest.h"

#define MEMORY	(64ull << 20)
#define FILES	(16ull << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cpu_regs regs;
static unsigned maps;

static int fake_map(struct tender *t, unsigned slot, uint64_t addr,
		    uint64_t len, void *p, int readonly)
{
	/* every fourth fails, as a kernel short of memory would */
	return ++maps % 4 ? 0 : -ENOMEM;
}

static int fake_unmap(struct tender *t, unsigned slot)
{
	return 0;
}

static const struct tender_ops fake_ops = {
	.name = "fake", .map = fake_map, .unmap = fake_unmap,
};

static uint64_t argument(uint8_t kind, uint8_t by)
{
	static const uint64_t edge[] = {
		0, UK_EXEC_BASE, UK_SYS_BASE, UK_CTL, UK_OUT, UK_LOG,
		UK_SYS_END, UK_STACK_BASE, UK_STACK_END, UK_HEAP_BASE,
		UK_DATA_BASE, UK_DATA_BASE + (8u << 20), UK_DATA_END,
		UK_USF_BASE, UK_USF_END, UK_IMAGE_BASE, UK_HOST_BASE,
		UK_HOST_BASE + ETLFS_WINDOW0,
		UK_HOST_BASE + ETLFS_WINDOW_STRIDE, UK_HOST_END, UK_END,
		1ull << 47, ~0ull - 4096, ~0ull, 64, 4096, MEMORY, FILES,
		MEMORY * 2, 1u << 26, 1ull << 32,
	};
	uint64_t e = edge[kind % (sizeof(edge) / sizeof(edge[0]))];

	switch (kind >> 5 & 3) {
	case 0:
		return e + by;
	case 1:
		return e - by;
	case 2:
		return by;
	default:
		return e + (uint64_t)by * UK_PAGE;
	}
}

static void drain(int fd)
{
	static char sink[65536];

	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void check(const struct ram *ram, enum guest_end end)
{
	uint64_t sum = 0;

	for (int i = 0; i < UK_ARENAS; i++) {
		const struct ram_window *w = &ram->win[i];

		if (w->span > w->top || w->top > w->cap)
			abort();
		if (i != UK_ARENA_USF)
			sum += w->span;
	}
	if (sum > ram->mem_limit)
		abort();
	if (end == GUEST_GOES_ON && (int64_t)regs.rax < -4095)
		abort();
}

static void ring(struct guest *g, const uint8_t *d, int other)
{
	enum guest_end end;

	regs.rcx = d[0] < 240 ? d[0] % (DB_COUNT + 1) : argument(d[0], d[1]);
	regs.rdi = argument(d[2], d[3]);
	regs.rsi = argument(d[4], d[5]);
	regs.rdx = argument(d[6], d[7]);
	end = doorbell_ring(g);
	check(g->ram, end);
	if (end == GUEST_RESULT && !ram_ptr(g->ram, regs.rsi, regs.rdx, 0))
		abort();
	drain(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tender t = { .ops = &fake_ops, .regs = &regs };
	struct ram ram;
	struct guest g = { .ram = &ram, .t = &t, .slots = 100 };
	int sv[2];

	if (ram_create(&ram, MEMORY, FILES, NULL) < 0)
		abort();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	/* a gateway that does not answer; nobody waits longer than that */
	g.sock = sv[0];
	g.deadline = 1;
	maps = 0;
	if (size >= sizeof(struct uk_out)) {
		memcpy(ram_sys(&ram, UK_OUT), data, sizeof(struct uk_out));
		data += sizeof(struct uk_out);
		size -= sizeof(struct uk_out);
	}
	memcpy(ram_sys(&ram, UK_DATA_BASE), data,
	       size < UK_BIG ? size : UK_BIG);
	for (unsigned n = 0; size >= 8 && n < 64; n++, data += 8, size -= 8)
		ring(&g, data, sv[1]);
	close(sv[0]);
	close(sv[1]);
	ram_destroy(&ram);
	return 0;
}

#ifdef FUZZ_MAIN
#include "t/fuzz/alone.h"

int main(int argc, char **argv)
{
	static struct {
		struct uk_out out;
		uint8_t rings[64][8];
		struct uk_extent ext[4];
	} good;
	struct alone_seed seed = { &good, sizeof(good) };

	good.out.log_len = 100;
	good.out.fetch = (struct uk_fetch){
		.method = UK_POST, .n_ext = 2, .url = UK_DATA_BASE,
		.url_len = 20, .headers = UK_DATA_BASE + 64, .headers_len = 30,
		.ext = UK_DATA_BASE + sizeof(good.rings), .body_len = 300,
	};
	good.ext[0] = (struct uk_extent){ UK_DATA_BASE, 100 };
	good.ext[1] = (struct uk_extent){ UK_USF_BASE, 200 };
	for (unsigned i = 0; i < 64; i++) {
		static const uint8_t nr[] = { DB_FETCH, DB_LOG, DB_GROW,
					      DB_NEXT, DB_CANCEL, DB_WAIT };

		good.rings[i][0] = nr[i % sizeof(nr)];
		/* an arena and a size; a result in DATA; ticket 1 << 6 */
		good.rings[i][2] = 2 << 5;
		good.rings[i][3] = i % UK_ARENAS;
		good.rings[i][4] = nr[i % sizeof(nr)] == DB_NEXT ? 10 : 25;
		good.rings[i][6] = 2 << 5;
		good.rings[i][7] = 64;
	}
	return alone_main(argc, argv, &seed, 1, 3000, "guests that ring");
}
#endif
