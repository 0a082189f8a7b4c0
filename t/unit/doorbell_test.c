/*
 * doorbell_test.c - DB_WAIT and DB_LOG, over a socket that the test holds
 *
 * The tender is one that runs nothing; guest memory is real.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "etlfs/format.h"
#include "t/unit/tap.h"
#include "vmm/guest/guest.h"
#include "vmm/guest/place.h"

#define BODY	0x10000u

static int map_error;			/* of the next windows */

static int map(struct tender *t, unsigned slot, uint64_t addr, uint64_t len,
	       void *p, int readonly)
{
	return map_error;
}

static int unmap(struct tender *t, unsigned slot, uint64_t addr)
{
	return 0;
}

static const struct tender_ops ops = {
	.name = "none", .map = map, .unmap = unmap,
};
static struct cpu_regs regs;
static struct tender tender = { .ops = &ops, .regs = &regs };
static struct ram ram;
static struct guest g = { .ram = &ram, .t = &tender };
static int gateway;

static long ring(uint64_t nr, uint64_t a)
{
	regs.rcx = nr;
	regs.rdi = a;
	return doorbell_ring(&g) == GUEST_GOES_ON ? (long)regs.rax : -9999;
}

/* what the gateway sends, with at most one descriptor */
static void tell(uint32_t type, uint64_t a0, uint64_t a1, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c;
	struct msg m = { .type = type, .a = { a0, a1 } };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		h.msg_control = c.buf;
		h.msg_controllen = sizeof(c.buf);
		c.align = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&c.align), &fd, sizeof(fd));
	}
	if (sendmsg(gateway, &h, 0) != sizeof(m))
		_exit(1);
}

static uint64_t windows(void)
{
	return ((struct uk_ctl *)ram_sys(&ram, UK_CTL))->windows;
}

static int memory(uint64_t size)
{
	int fd = memfd_create("window", MFD_CLOEXEC);

	return ftruncate(fd, (off_t)size) < 0 ? -1 : fd;
}

static void test_attach(void)
{
	int good = memory(BODY), small = memory(BODY / 2);

	tell(MSG_ATTACH, 1, BODY, good);
	tell(MSG_KICK, 0, 0, -1);
	ok(ring(DB_WAIT, ~0ull) == 0 && windows() == 3,
	   "a window that is attached is in uk_ctl");
	tell(MSG_ATTACH, 2, BODY, small);
	tell(MSG_KICK, 0, 0, -1);
	ok(ring(DB_WAIT, ~0ull) == 0 && windows() == 3,
	   "a window whose memory is too small: the guest goes on");
	tell(MSG_ATTACH, 3, BODY, -1);
	ok(ring(DB_WAIT, ~0ull) == 0 && windows() == 3,
	   "a window without a descriptor is not attached");
	map_error = -ENOMEM;
	tell(MSG_ATTACH, 2, BODY, good);
	ok(ring(DB_WAIT, ~0ull) == 0 && windows() == 3 &&
	   !ram_ptr(&ram, UK_HOST_BASE + 2 * ETLFS_WINDOW_STRIDE, 1, 0),
	   "a window that the tender cannot map is not attached");
	tell(MSG_ATTACH, 1, BODY, good);
	ok(ring(DB_WAIT, ~0ull) == 0 && windows() == 1,
	   "a bad window in another's place: neither is there");
	map_error = 0;
	tell(MSG_ATTACH, 2, BODY, good);
	ok(ring(DB_WAIT, ~0ull) == 0 && windows() == 5,
	   "a later window is attached");
	guest_detach(&g);
	ok(windows() == 1, "all windows are detached at the end");
}

/* rings n times with len bytes; the messages that came, and their bytes */
static unsigned log_rung(unsigned n, uint32_t len, size_t *bytes)
{
	struct uk_out *out = ram_sys(&ram, UK_OUT);
	char buf[2 * UK_LOG_SIZE];
	unsigned messages = 0;
	struct msg m;

	*bytes = 0;
	for (unsigned i = 0; i < n; i++) {
		out->log_len = len;
		if (ring(DB_LOG, len) != 0)
			return ~0u;
		while (recv(gateway, &m, sizeof(m), MSG_DONTWAIT) > 0) {
			messages++;
			*bytes += m.len;
			if (m.type != MSG_LOG || m.len < UK_LOG_SIZE ||
			    recv(gateway, buf, m.len, MSG_WAITALL) !=
			    (ssize_t)m.len)
				return ~0u;
		}
	}
	return messages;
}

static void test_log(void)
{
	char *text = ram_sys(&ram, UK_LOG);
	const char *rest;
	size_t bytes;
	unsigned n;

	guest_log_limit(&g, 1 << 20);
	n = log_rung(100000, 1, &bytes);
	ok(n == 100000 / UK_LOG_SIZE && bytes == n * (size_t)UK_LOG_SIZE,
	   "a log of bytes goes out in pieces of %u", UK_LOG_SIZE);
	ok(guest_log(&g, &rest) == 100000 % UK_LOG_SIZE,
	   "the rest of a log goes with the result");
	guest_log_limit(&g, 100000);
	n = log_rung(1000, UINT32_MAX, &bytes);
	bytes += guest_log(&g, &rest);
	ok(n <= 7 && bytes == 100001, "a log is cut one byte past its "
	   "limit (%zu in %u)", bytes, n);
	n = log_rung(1000, UK_LOG_SIZE, &bytes);
	ok(n == 0 && guest_log(&g, &rest) == 0,
	   "past the limit of a log nothing is sent");
	guest_log_limit(&g, 0);
	log_rung(10, UK_LOG_SIZE, &bytes);
	ok(bytes == 0 && guest_log(&g, &rest) == 0, "a limit of 0 is silence");
	ok(guest_log_lost(&g) == 1,
	   "a limit of 0: a line without an end is lost");

	for (unsigned i = 99; i < UK_LOG_SIZE; i += 100)
		text[i] = '\n';
	guest_log_limit(&g, 1 << 20);
	log_rung(10, 100, &bytes);
	ok(guest_log_lost(&g) == 0, "within its limit no line is lost");
	guest_log_limit(&g, 250);
	ok(guest_log(&g, &rest) == 251 && guest_log_lost(&g) == 8,
	   "what was said before a request counts to its limit");
	guest_log_limit(&g, 250);
	log_rung(10, 100, &bytes);
	ok(guest_log(&g, &rest) == 251 && guest_log_lost(&g) == 8,
	   "lines past the limit are counted, that which it cuts, too");
	guest_log_limit(&g, 250);
	ok(guest_log_lost(&g) == 0,
	   "lost lines are counted for each request anew");
	memset(text, '\n', UK_LOG_SIZE);
	guest_log_limit(&g, 0);
	log_rung(100, UINT32_MAX, &bytes);
	ok(guest_log_lost(&g) == 100 * UK_LOG_SIZE,
	   "empty lines are counted, too");
}

static void test_ready(void)
{
	struct place function = { .level = UK_LEVEL_FUNCTION };
	struct place packages = { .level = UK_LEVEL_PACKAGES };

	ok(ring(DB_READY, UK_LEVEL_PACKAGES + 1) == -EINVAL,
	   "READY has no other level");
	g.place = &packages;
	ok(ring(DB_READY, UK_LEVEL_PACKAGES) == -EINVAL,
	   "packages are not ready before they were placed");
	ok(ring(DB_READY, UK_LEVEL_RUNTIME) == -9999 &&
	   g.level == UK_LEVEL_RUNTIME, "a runtime is ready");
	g.placed = 1;
	ok(ring(DB_READY, UK_LEVEL_RUNTIME) == -EINVAL,
	   "a runtime is ready once");
	ok(ring(DB_READY, UK_LEVEL_PACKAGES) == -9999 &&
	   g.level == UK_LEVEL_PACKAGES, "then packages are");
	g.place = &function;
	ok(ring(DB_READY, UK_LEVEL_PACKAGES) == -EINVAL,
	   "a function's are nobody else's to share");
	ok(ring(DB_READY, UK_LEVEL_FUNCTION) == -9999 &&
	   g.level == UK_LEVEL_FUNCTION, "and then it is itself");
}

int main(void)
{
	struct err err = { "" };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return 1;
	gateway = sv[0];
	g.sock = sv[1];
	g.deadline = UINT64_MAX;
	if (ram_create(&ram, 64 << 20, 4 << 20, &err) < 0) {
		printf("1..0 # SKIP %s\n", err.msg);
		return 0;
	}
	test_attach();
	test_log();
	test_ready();
	close(gateway);
	ok(ring(DB_WAIT, ~0ull) == -9999, "without a gateway it ends");
	return plan();
}
