/*
 * fuzz_doorbell.c - doorbells rung with any arguments by any guest
 *
 * Real guest memory under a tender that runs nothing.  An input is rings of
 * eight bytes each, see struct ring; all of it also lies at the start of
 * DATA, where descriptors, URLs and extents are found.
 *
 * What a guest may not reach is PROT_NONE here, arenas beyond their spans and
 * the supervisor's pages too, so that a stray access is a crash.  What goes
 * to the gateway is read from the other end of the socket and checked against
 * limits that are written down here once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "etlfs/format.h"
#include "t/fuzz/fuzz.h"
#include "vmm/guest/guest.h"

#define MEMORY	(128ull << 20)
#define FILES	(16ull << 20)
#define RINGS	32
#define WAIT_NS	100000
#define MANY_EXTENTS	(UK_DATA_BASE + UK_BIG)

const unsigned fuzz_runs = 30000;

struct ring {
	uint8_t nr;			/* 240..255: any number */
	uint8_t flags;
	uint8_t arg[3][2];		/* kind and offset, see argument() */
};
#define RING_DESCRIPTOR	1	/* uk_out is taken from arg[0][1] * 8 */
#define RING_KICK	2	/* a KICK waits */
#define RING_ATTACH	4	/* an ATTACH waits: window and size by arg[2] */
#define RING_NO_MAP	8	/* the kernel maps nothing more */
#define RING_TICKET	16	/* a is the last ticket, more or less */
#define RING_DETACH	32	/* a rollback came before */
#define RING_CHILD	64	/* the same, and no request has come since */

static struct ram ram;
static struct ram_window start[RAM_WINDOWS];
static struct cpu_regs regs;
static int sv[2] = { -1, -1 }, window;
static uint32_t live[UK_TICKETS], last;
static unsigned slot_next;
static int no_map;

static int fake_map(struct tender *t, unsigned slot, uint64_t addr,
		    uint64_t len, void *p, int readonly)
{
	MUST(len && addr % UK_PAGE == 0 && len % UK_PAGE == 0);
	MUST((uint8_t *)p == ram.base + addr && addr + len <= UK_END);
	MUST(readonly == (addr >= UK_HOST_BASE));
	if (addr >= UK_HOST_BASE)
		return 0;
	/* a slot twice would replace the first */
	MUST(slot >= slot_next);
	slot_next = slot + 1;
	if (no_map)
		return -ENOMEM;
	MUST(!mprotect(p, len, PROT_READ | PROT_WRITE));
	return 0;
}

static int fake_unmap(struct tender *t, unsigned slot, uint64_t addr)
{
	return 0;
}

static const struct tender_ops fake_ops = {
	.name = "fake", .map = fake_map, .unmap = fake_unmap,
};

static void guard(uint64_t from, uint64_t to)
{
	MUST(!mprotect(ram.base + from, to - from, PROT_NONE));
}

static int file_of(uint64_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	MUST(fd >= 0 && !ftruncate(fd, (off_t)size));
	return fd;
}

static void setup(void)
{
	const struct uk_layer layer = { UK_IMAGE_BASE, 3 * UK_PAGE, 0 };
	int image = file_of(3 * UK_PAGE), w0 = file_of(ETLFS_WINDOW0);
	struct err err;

	window = file_of(UK_BIG);
	MUST(!ram_create(&ram, MEMORY, FILES, &err));
	/* as a clone has it */
	MUST(ram_seal(&ram, &err) >= 0);
	MUST(!ram_map_layer(&ram, 0, &layer, image, 0));
	MUST(!ram_map_host(&ram, 0, w0, ETLFS_WINDOW0));
	close(image);
	close(w0);
	memcpy(start, ram.win, sizeof(start));
	for (int i = 0; i < UK_ARENAS; i++)
		guard(start[i].base + start[i].span,
		      start[i].base + start[i].cap);
	guard(UK_SYS_BASE, UK_CLOCK);
	/* more extents than one fetch may have, all of them good */
	for (uint64_t i = 0; i < 4 * UK_EXTENTS; i++) {
		struct uk_extent *e = ram_sys(&ram, MANY_EXTENTS);

		e[i] = (struct uk_extent){ UK_USF_BASE + i, 1 };
	}
}

/* as the next guest finds it */
static void reset(struct guest *g)
{
	guest_detach(g);
	for (int i = 0; i < UK_ARENAS; i++)
		if (ram.win[i].top > start[i].top)
			guard(start[i].base + start[i].top,
			      ram.win[i].base + ram.win[i].top);
	memcpy(ram.win, start, sizeof(start));
	close(sv[0]);
	close(sv[1]);
}

/* is [addr, addr + len) the guest's to read? */
static int readable(uint64_t addr, uint64_t len)
{
	struct { uint64_t from, to; } part[RAM_WINDOWS + 17];
	unsigned n = 0;

	for (int i = 0; i < RAM_WINDOWS; i++, n++) {
		part[n].from = ram.win[i].base;
		part[n].to = ram.win[i].base + ram.win[i].span;
	}
	part[RAM_SYS].from = UK_OUT;
	part[n].from = UK_IMAGE_BASE;
	part[n++].to = UK_IMAGE_BASE + 3 * UK_PAGE;
	for (uint64_t i = 0; i < ETLFS_WINDOWS; i++, n++) {
		part[n].from = UK_HOST_BASE + i * ETLFS_WINDOW_STRIDE;
		part[n].to = part[n].from + ram.host_size[i];
	}
	for (unsigned i = 0; i < n; i++)
		if (addr >= part[i].from && addr <= part[i].to &&
		    len <= part[i].to - addr)
			return 1;
	return 0;
}

/* it is there, both ends of it: what is not lies behind one */
static void touch(const void *p, uint64_t len)
{
	const volatile uint8_t *b = p;

	if (len) {
		(void)b[0];
		(void)b[len - 1];
	}
}

static void check_fetch(const struct msg *m, const uint8_t *p)
{
	uint64_t n = (m->len - m->a[2] - m->a[3]) / sizeof(struct proto_iov);
	struct proto_iov iov;
	uint64_t sum = 0;

	MUST(m->a[1] <= UK_PATCH && m->a[2] && m->a[2] <= UK_URL_MAX &&
	     m->a[3] <= UK_HEADERS_MAX && n <= UK_EXTENTS &&
	     m->len == m->a[2] + m->a[3] + n * sizeof(iov));
	for (uint64_t i = 0; i < n; i++) {
		memcpy(&iov, p + m->a[2] + m->a[3] + i * sizeof(iov),
		       sizeof(iov));
		MUST(readable(iov.addr - (uintptr_t)ram.base, iov.len));
		touch((void *)(uintptr_t)iov.addr, iov.len);
		sum += iov.len;
	}
	MUST(sum == m->a[4]);
	/* a ticket that nobody has */
	MUST(m->a[0] && m->a[0] == (uint32_t)m->a[0]);
	last = (uint32_t)m->a[0];
	MUST(!live[last % UK_TICKETS]);
	live[last % UK_TICKETS] = last;
}

/* what came out at the gateway's end */
static void drain(void)
{
	static uint8_t buf[1 << 18];
	ssize_t len = recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT);
	struct msg m;

	for (ssize_t at = 0; at < len; at += (ssize_t)m.len) {
		MUST(len - at >= (ssize_t)sizeof(m));
		memcpy(&m, buf + at, sizeof(m));
		at += (ssize_t)sizeof(m);
		MUST((ssize_t)m.len <= len - at);
		if (m.type == MSG_FETCH) {
			check_fetch(&m, buf + at);
		} else if (m.type == MSG_CANCEL) {
			MUST(live[m.a[0] % UK_TICKETS] == m.a[0]);
			live[m.a[0] % UK_TICKETS] = 0;
		} else {
			MUST(m.type == MSG_LOG && m.len <= UK_LOG_SIZE);
		}
	}
}

static void check(const struct guest *g, enum guest_end end)
{
	uint64_t sum = 0;

	for (int i = 0; i < UK_ARENAS; i++) {
		const struct ram_window *w = &ram.win[i];

		MUST(w->span <= w->top && w->top <= w->cap &&
		     w->cap == start[i].cap && w->base == start[i].base);
		sum += i == UK_ARENA_USF ? 0 : w->span;
	}
	for (unsigned i = 0; i < UK_TICKETS; i++)
		MUST(!(g->ticket_used >> i & 1) == !live[i]);
	MUST(sum <= MEMORY && ram.win[UK_ARENA_USF].span <= FILES);
	switch (end) {
	case GUEST_GOES_ON:
		MUST((int64_t)regs.rax >= -4095);
		break;
	case GUEST_RESULT:
		MUST(g->result_len <= MSG_PAYLOAD_MAX / 2 && g->kind <= 1);
		MUST(readable((uintptr_t)g->result - (uintptr_t)ram.base,
			      g->result_len));
		touch(g->result, g->result_len);
		break;
	case GUEST_DIED:
		MUST(g->died >= DIED_EXIT && g->died <= DIED_HOST);
		MUST(memchr(g->report, 0, sizeof(g->report)));
		break;
	case GUEST_READY:
		break;
	case GUEST_EVENT:
		MUST(g->phase == PHASE_CHILD);
		break;
	default:
		abort();		/* the gateway is there */
	}
}

/* an address or a size, near an edge of something */
static uint64_t argument(const uint8_t b[2])
{
	static const uint64_t edge[] = {
		0, UK_EXEC_BASE, UK_SYS_BASE, UK_CTL, UK_OUT, UK_LOG,
		UK_SYS_END, UK_STACK_BASE, UK_STACK_END, UK_HEAP_BASE,
		UK_DATA_BASE, UK_DATA_BASE + (16u << 20), UK_DATA_END,
		UK_USF_BASE, UK_USF_BASE + (4u << 20), UK_IMAGE_BASE,
		UK_IMAGE_BASE + 3 * UK_PAGE, UK_HOST_BASE,
		UK_HOST_BASE + ETLFS_WINDOW0,
		UK_HOST_BASE + ETLFS_WINDOW_STRIDE, UK_HOST_END, UK_END,
		1ull << 47, ~0ull - 4096, ~0ull, 4096, 16u << 20, MEMORY,
		FILES, MEMORY * 2, 32u << 20, 1ull << 32,
	};
	uint64_t e = edge[b[0] % 32];

	_Static_assert(sizeof(edge) / sizeof(edge[0]) == 32, "five bits");
	switch (b[0] >> 5 & 3) {
	case 0:
		return e + b[1];
	case 1:
		return e - b[1];
	case 2:
		return b[1];
	default:
		return e + (uint64_t)b[1] * UK_PAGE;
	}
}

static void message(const struct ring *r)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msg m = { .type = MSG_KICK };
	struct iovec v = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };

	if (r->flags & RING_ATTACH) {
		m.type = MSG_ATTACH;
		m.a[0] = r->arg[2][0] % (ETLFS_WINDOWS + 1);
		m.a[1] = (uint64_t)r->arg[2][1] * UK_PAGE;
		h.msg_control = control;
		h.msg_controllen = sizeof(control);
		CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &window, sizeof(int));
	}
	MUST(sendmsg(sv[1], &h, MSG_NOSIGNAL) == sizeof(m));
}

/* to the gateway it is still the request before, or none: all is left there */
static void child_says_nothing(void)
{
	char c;

	MUST(recv(sv[1], &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static enum guest_end ring(struct guest *g, const struct ring *r,
			   const uint8_t *data, size_t size)
{
	size_t at = r->arg[0][1] * 8u;
	enum guest_end end;

	if (r->flags & (RING_DETACH | RING_CHILD)) {
		guest_detach(g);
		memset(live, 0, sizeof(live));
	}
	if (r->flags & (RING_KICK | RING_ATTACH))
		message(r);
	if (r->flags & RING_DESCRIPTOR && at < size)
		memcpy(ram_sys(&ram, UK_OUT), data + at,
		       size - at < sizeof(struct uk_out) ? size - at :
		       sizeof(struct uk_out));
	no_map = r->flags & RING_NO_MAP;
	regs.rcx = r->nr < 240 ? r->nr % (DB_COUNT + 1) :
		argument(r->arg[1]);
	regs.rdi = argument(r->arg[0]);
	if (r->flags & RING_TICKET)
		regs.rdi = last + r->arg[0][1] / 16 * 64;
	regs.rsi = argument(r->arg[1]);
	regs.rdx = argument(r->arg[2]);
	g->deadline = nstime_now() + WAIT_NS;
	g->phase = r->flags & RING_CHILD ? PHASE_CHILD : PHASE_REQUEST;
	end = doorbell_ring(g);
	if (g->phase == PHASE_CHILD)
		child_says_nothing();
	drain();
	check(g, end);
	return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tender t = { .ops = &fake_ops, .regs = &regs };
	struct guest g = { .ram = &ram, .t = &t, .slots = 100 };
	int room = 1 << 20;
	struct ring r;

	if (!ram.base)
		setup();
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	g.sock = sv[0];
	memset(live, 0, sizeof(live));
	last = slot_next = 0;
	memset(ram_sys(&ram, UK_OUT), 0, sizeof(struct uk_out));
	memcpy(ram_sys(&ram, UK_DATA_BASE), data, size);
	for (size_t i = 0; i < RINGS && (i + 1) * sizeof(r) <= size; i++) {
		memcpy(&r, data + i * sizeof(r), sizeof(r));
		if (ring(&g, &r, data, size) == GUEST_DIED)
			break;
	}
	reset(&g);
	return 0;
}

/* where each part of a seed lies in it */
struct seed {
	struct ring ring[16];
	struct uk_out out[3];
	struct uk_extent ext[8];
	char url[32], headers[32];
};
#define AT(field)	(UK_DATA_BASE + offsetof(struct seed, field))
#define OUT(i)		(offsetof(struct seed, out[i]) / 8)
_Static_assert(OUT(2) < 256, "a ring reaches every descriptor");

static const struct seed seeds[] = { {
	/* fetches with and without a body, waits, cancels */
	.ring = {
		{ DB_FETCH, RING_DESCRIPTOR, { { 0, OUT(0) } } },
		{ DB_WAIT, RING_KICK, { { 24, 0 } } },
		{ DB_CANCEL, RING_TICKET, { { 0, 0 } } },
		{ DB_CANCEL, RING_TICKET, { { 0, 0 } } },
		{ DB_FETCH, RING_DESCRIPTOR, { { 0, OUT(1) } } },
		{ DB_FETCH, RING_DESCRIPTOR, { { 0, OUT(2) } } },
		{ DB_WAIT, RING_ATTACH, { { 24, 0 }, { 0, 0 }, { 3, 9 } } },
		{ DB_FETCH, 0, { { 0, 0 } } },
		{ DB_CANCEL, RING_TICKET | RING_DETACH, { { 0, 0 } } },
		{ DB_LOG, RING_DESCRIPTOR, { { 0, OUT(1) } } },
		{ DB_NEXT, 0, { { 64, 0 }, { 10, 0 }, { 64, 200 } } },
		{ DB_NEXT, 0, { { 64, 1 }, { 13, 9 }, { 25, 0 } } },
		{ DB_WAIT, 0, { { 64, 0 } } },
		{ DB_EVENT, RING_CHILD, { { 0, 0 } } },
		{ DB_WAIT, RING_CHILD | RING_KICK, { { 24, 0 } } },
		{ DB_FETCH, RING_CHILD | RING_DESCRIPTOR, { { 0, OUT(0) } } },
	},
	.out = {
		{ .fetch = { .method = UK_GET, .url = AT(url), .url_len = 20,
			     .headers = AT(headers), .headers_len = 10 } },
		{ .log_len = 100, .want_tick = 1,
		  .fetch = { .method = UK_POST, .url = AT(url), .url_len = 32,
			     .n_ext = 4, .ext = AT(ext), .body_len = 5000,
			     .timeout_ns = 9 } },
		{ .fetch = { .method = UK_PUT, .url = AT(url), .url_len = 5,
			     .n_ext = 1, .ext = AT(ext[4]),
			     .body_len = UK_BIG } },
	},
	.ext = {
		{ AT(url), 20 }, { UK_USF_BASE, 4096 },
		{ UK_IMAGE_BASE + 100, 800 }, { UK_HOST_BASE, 84 },
		{ UK_STACK_END - UK_BIG, UK_BIG },
	},
	.url = "http://a.example/a/long/path/b", .headers = "A: b\nC: d\n",
}, {
	/* every arena up to its limit and past it */
	.ring = {
		{ DB_GROW, 0, { { 64, 0 }, { 30, 1 } } },
		{ DB_GROW, 0, { { 64, 1 }, { 26, 0 } } },
		{ DB_GROW, RING_NO_MAP, { { 64, 2 }, { 30, 0 } } },
		{ DB_GROW, 0, { { 64, 2 }, { 30, 0 } } },
		{ DB_GROW, 0, { { 64, 3 }, { 28, 0 } } },
		{ DB_NEXT, 0, { { 64, 0 }, { 14, 9 }, { 25, 0 } } },
		{ DB_GROW, 0, { { 64, 3 }, { 28, 1 } } },
		{ DB_GROW, RING_DETACH, { { 64, 0 }, { 27, 0 } } },
		{ DB_GROW, 0, { { 64, 4 }, { 27, 0 } } },
		{ DB_GROW, 0, { { 24, 0 }, { 24, 0 } } },
		{ DB_COUNT, 0, { { 0, 0 } } },
		{ DB_TRAP, 0, { { 0, 0 } } },
		{ DB_READY, 0, { { 0, 0 } } },
		{ 255, 0, { { 0, 0 }, { 24, 0 } } },
		{ DB_EXIT, 0, { { 64, 3 }, { 64, 11 } } },
	},
}, {
	/* as many extents as there may be: the most that a fetch can send */
	.ring = {
		{ DB_FETCH, RING_DESCRIPTOR, { { 0, OUT(0) } } },
		{ DB_FETCH, RING_DESCRIPTOR, { { 0, OUT(1) } } },
		/* and as long a result */
		{ DB_GROW, 0, { { 64, UK_ARENA_DATA }, { 30, 1 } } },
		{ DB_NEXT, 0, { { 64, 1 }, { 10, 0 }, { 30, 0 } } },
		{ DB_NEXT, 0, { { 64, 1 }, { 10, 0 }, { 30, 1 } } },
	},
	.out = {
		{ .fetch = { .method = UK_PATCH, .url = AT(url), .url_len = 9,
			     .n_ext = UK_EXTENTS, .ext = MANY_EXTENTS,
			     .body_len = UK_EXTENTS } },
		{ .fetch = { .method = UK_PATCH, .url = UK_DATA_BASE,
			     .url_len = UK_URL_MAX, .headers = UK_DATA_BASE,
			     .headers_len = UK_HEADERS_MAX,
			     .n_ext = UK_EXTENTS, .ext = MANY_EXTENTS,
			     .body_len = UK_EXTENTS } },
	},
} };

size_t fuzz_seed(unsigned n, uint8_t *out)
{
	if (n >= sizeof(seeds) / sizeof(seeds[0]))
		return 0;
	memcpy(out, &seeds[n], sizeof(seeds[n]));
	return sizeof(seeds[n]);
}
