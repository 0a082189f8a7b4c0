/*
 * tender_test.c - boot, traps, freeze, clone, rollback, with a tiny guest
 *
 * Plays the gateway over blocking sockets; links tiny_guest.S in place of
 * the libOS.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etlfs/format.h"
#include "t/unit/tap.h"
#include "vmm/tender/blob.h"
#include "vmm/tender/machine.h"
#include "vmm/guest/chan.h"
#include "vmm/guest/guest.h"
#include "vmm/guest/ref.h"
#include "vmm/guest/snapshot.h"
#include "vmm/host/choose.h"

extern const unsigned char _binary_tiny_elf_start[], _binary_tiny_elf_end[];
const struct blob blob_libos = {
	"tiny", _binary_tiny_elf_start, _binary_tiny_elf_end
};
const struct blob blob_vdso = {
	"vdso", _binary_tiny_elf_start, _binary_tiny_elf_start + 64
};

#define PATIENCE	30000000000ull	/* ns: emulated processors are slow */

static char payload[1 << 20];
static int workset = -1;		/* of clones that come from a file */
static pid_t clone_pid;			/* of the newest */

/* one message with its payload; 0 at the end of the stream */
static int next(int sock, struct msg *m)
{
	size_t have = 0;

	if (recv(sock, m, sizeof(*m), MSG_WAITALL) != sizeof(*m))
		return 0;
	while (have < m->len) {
		ssize_t n = recv(sock, payload + have, m->len - have, 0);

		if (n <= 0)
			return 0;
		have += (size_t)n;
	}
	return 1;
}

/* type, with a new socket's end and the window; the other end, or -1 */
static int ask(int ref, enum msg_type type, int window)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct msg m = { .type = type };
	struct iovec v = { &m, sizeof(m) };
	struct msghdr h = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	int sv[2], fds[2];

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv);
	fds[0] = sv[1];
	fds[1] = window;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	sendmsg(ref, &h, 0);
	close(sv[1]);
	if (!next(ref, &m) || m.type != MSG_CLONED || (int64_t)m.a[0] <= 0)
		return -1;
	clone_pid = (pid_t)m.a[0];
	return sv[0];
}

static int clone_one(int ref, int window)
{
	int sock = ask(ref, MSG_CLONE, window);
	struct msg m;

	if (sock < 0 || !next(sock, &m) || m.type != MSG_UP)
		return -1;
	printf("# clone set-up %llu us\n", (unsigned long long)m.a[0] / 1000);
	return sock;
}

static void report_end(const struct msg *m);
static void like_report(const char *what, const char *name);

/* PLACE to a new branch of o's function, and what it says then; its socket */
static int branch_to(int base, const struct ref_opts *o, uint64_t what,
		     int snapshot, struct msg *said)
{
	char control[CMSG_SPACE(PLACE_FDS * sizeof(int))] = { 0 };
	struct msg m = { .type = MSG_PLACE, .a = { what } };
	struct iovec v = { &m, sizeof(m) };
	struct msghdr h = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	struct err err;
	struct place *p = place_create(o, &err);
	int sock = ask(base, MSG_BRANCH, o->window0);
	int fds[PLACE_FDS] = {
		[PLACE_FD_PLACE] = memfd_create("place", MFD_CLOEXEC),
		[PLACE_FD_APP] = o->img->fd,
		[PLACE_FD_PACKAGES] = o->img->fd,
		[PLACE_FD_SNAPSHOT] = snapshot,
		[PLACE_FD_WORKSET] = what == PLACE_CLONE ? workset :
			memfd_create("workset", MFD_CLOEXEC),
	};

	if (sock < 0 || !p || ftruncate(fds[PLACE_FD_WORKSET],
					(off_t)ram_workset_size()) < 0 ||
	    write(fds[PLACE_FD_PLACE], p, PLACE_SIZE) != PLACE_SIZE)
		return -1;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	sendmsg(sock, &h, 0);
	close(fds[PLACE_FD_PLACE]);
	if (what != PLACE_CLONE)
		close(fds[PLACE_FD_WORKSET]);
	free(p);
	return next(sock, said) ? sock : -1;
}

static void told(const struct msg *m)
{
	printf("# %u %.*s\n", m->type, (int)m->len, payload +
	       sizeof(struct run_stats));
}

/* a branch that is the function's reference now, its snapshot in the memfd */
static int branch_one(int base, const struct ref_opts *o, int snapshot)
{
	struct msg m = { 0 };
	int sock = branch_to(base, o, PLACE_BOOT, snapshot, &m);

	if (m.type != MSG_READY) {
		told(&m);
		return -1;
	}
	printf("# a branch: ready after %llu us, %llu KB\n",
	       (unsigned long long)((struct boot_stats *)payload)->boot_ns /
	       1000, (unsigned long long)
	       ((struct boot_stats *)payload)->ram_bytes / 1024);
	return sock;
}

/* a clone of that snapshot, which comes from the base */
static int branch_clone(int base, const struct ref_opts *o, int snapshot)
{
	struct msg m = { 0 };
	int sock = branch_to(base, o, PLACE_CLONE, snapshot, &m);

	if (m.type != MSG_UP) {
		told(&m);
		return -1;
	}
	printf("# clone of a file: set-up %llu us\n",
	       (unsigned long long)m.a[0] / 1000);
	return sock;
}

/* what is no snapshot of this base is refused in words; and the base lives on */
static void check_refused(int base, const struct ref_opts *o, int good)
{
	static const struct {
		const char *name;
		size_t off;
		uint64_t value;
		const char *like;
	} bad[] = {
		{ "magic", 0, 1, "version" },
		{ "base", offsetof(struct snapshot_head, base), 1, "another" },
		{ "span", offsetof(struct snapshot_head, span), 1ull << 40,
		  "limit" },
		{ "span that is odd", offsetof(struct snapshot_head, span),
		  0x201000, "limit" },
		{ "runs", offsetof(struct snapshot_head, runs), 1u << 30,
		  "damaged" },
		{ "run beyond", offsetof(struct snapshot_head, run),
		  0xffffffff00000001, "damaged" },
		{ "run of what is not there",
		  offsetof(struct snapshot_head, run) + 8, 0xffffff, "damaged" },
	};
	static uint8_t bytes[1 << 20];
	ssize_t len = pread(good, bytes, sizeof(bytes), 0);
	struct msg m = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = memfd_create("bad", MFD_CLOEXEC), sock;

		if (write(fd, bytes, (size_t)len) != len)
			return;
		pwrite(fd, &bad[i].value, i == 4 ? 4 : 8, (off_t)bad[i].off);
		sock = branch_to(base, o, PLACE_CLONE, fd, &m);
		close(fd);
		ok(m.type == MSG_DIED, "a snapshot with a wrong %s is refused",
		   bad[i].name);
		report_end(&m);
		like_report(bad[i].like, bad[i].name);
		close(sock);
	}
	{
		int fd = memfd_create("short", MFD_CLOEXEC);

		branch_to(base, o, PLACE_CLONE, fd, &m);
		close(fd);
		ok(m.type == MSG_DIED, "an empty one is refused");
	}
}

static struct msg invoke(int sock, uint64_t len, uint64_t timeout)
{
	struct msg m = { .type = MSG_INVOKE };

	m.a[0] = len;
	m.a[1] = timeout;
	m.a[2] = INVOKE_IDLE;
	chan_send(sock, &m, NULL, 0);
	if (!next(sock, &m))
		m.type = 0;
	return m;
}

static const uint64_t *answer(void)
{
	return (const uint64_t *)(payload + sizeof(struct run_stats));
}

/* what a DIED says is a string now; of another message it is empty */
static void report_end(const struct msg *m)
{
	payload[m->type == MSG_DIED ? sizeof(struct run_stats) + m->a[1] :
		sizeof(struct run_stats)] = '\0';
}

/* the report in the last DIED */
static void like_report(const char *what, const char *name)
{
	const char *report = payload + sizeof(struct run_stats);

	ok(strstr(report, what) != NULL, name);
	if (!strstr(report, what))
		printf("# %s\n", report);
}

static void check_answers(int clone)
{
	struct msg m, idle;
	int good = 1;

	for (int i = 0; i < 50; i++) {
		m = invoke(clone, 100u + (unsigned)i, PATIENCE);
		good &= m.type == MSG_RESULT && m.a[1] == 64 &&
			answer()[0] == 100u + (unsigned)i &&
			answer()[1] == 0x2222 && answer()[2] == 1 &&
			answer()[6] == 0;
		if (i == 0) {
			ok(answer()[3] == 18,
			   "18 exceptions reached the libOS");
			ok(answer()[4] == 0, "no forbidden instruction passed");
			ok(answer()[5] == 2, "a system call bounced, a "
			   "function was placed");
			ok(answer()[7] == 0x4141414141414141,
			   "the event is there");
		}
		if (m.type == MSG_RESULT)
			good &= next(clone, &idle) && idle.type == MSG_IDLE;
		if (m.type == MSG_DIED || idle.type == MSG_DIED) {
			printf("# %.*s\n", (int)m.len, payload +
			       sizeof(struct run_stats));
			return;
		}
	}
	ok(good, "50 requests, each from the reference's state");
	printf("# rollback %llu us, run %llu us\n", (unsigned long long)
	       ((struct run_stats *)payload)->rollback_ns / 1000,
	       (unsigned long long)
	       ((struct run_stats *)payload)->run_ns / 1000);
}

/* the guest's process is killed from outside: by name in the report */
static void check_killed(int clone)
{
	char path[64];
	struct msg m;
	FILE *f;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", clone_pid,
		 clone_pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%d", &pid) != 1) {
		tests++;
		printf("ok %d - killed from outside # SKIP no %s\n", tests,
		       path);
	} else {
		kill(pid, SIGKILL);
		m = invoke(clone, 100, PATIENCE);
		/* the tender may hear of it before the request, or after */
		ok(m.type == MSG_DIED &&
			   (m.a[0] == DIED_ROLLBACK || m.a[0] == DIED_KILLED),
		   "a guest whose "
		   "process is killed is told of");
		report_end(&m);
		like_report("signal 9, SIGKILL", "with the signal's name");
	}
	if (f)
		fclose(f);
}

/* rollback's figures of one request */
static struct run_stats rolled_back(int clone)
{
	struct run_stats st = { 0 };
	struct msg m = invoke(clone, 100, PATIENCE);

	if (m.type == MSG_RESULT && next(clone, &m) && m.type == MSG_IDLE)
		memcpy(&st, payload, sizeof(st));
	else if (m.type == MSG_DIED)
		printf("# %.*s\n", (int)m.len - (int)sizeof(st), payload +
		       sizeof(st));
	return st;
}

/* one request that writes 40 MB, of which a rollback keeps 32; then, some
   requests later, none of it */
static void check_budget(int clone, uint8_t *event)
{
	struct run_stats st;

	*event = 'B';
	st = rolled_back(clone);
	ok(st.pages_private > 10000 && st.pages_copied < 9000,
	   "of a large request's pages some are given back");
	*event = 'A';
	for (int i = 0; i < 20; i++)
		st = rolled_back(clone);
	ok(st.pages_private && st.pages_copied < 1000,
	   "later requests do not pay for a large one's pages");
	check_answers(clone);
	*event = 'B';
	st = rolled_back(clone);
	*event = 'A';
	ok(st.pages_private > 10000, "a request can be large again");
	check_answers(clone);
}

static void run(enum tender_kind kind, int base)
{
	char path[] = "/tmp/tender_test.XXXXXX", *argv[] = { "/x", NULL };
	struct image img = { .path = path, .memory = 64u << 20,
			     .files = 16u << 20, .argv = argv,
			     .layer = { { .addr = UK_IMAGE_BASE,
					  .len = 4096 } } };
	struct ref_opts o = { .img = &img, .tender = kind, .verify = 1,
			      .from = -1, .file = -1,
			      .boot_timeout_ns = PATIENCE, .cgroup = -1,
			      .base = base };
	struct err err;
	struct msg m;
	int sock, first, other = -1, file = -1, clone, clone2;
	const char *name = kind == TENDER_KVM ? "kvm" : "process";
	uint8_t *win;
	pid_t pid;

	if (choose_check(kind, &err) < 0) {
		tests++;
		printf("ok %d - by the %s tender # SKIP %s\n", tests, name,
		       err.msg);
		return;
	}
	tap_prefix = kind == TENDER_KVM ? base ? "kvm, branch: " : "kvm: " :
		     base ? "process, branch: " : "process: ";
	img.fd = mkstemp(path);
	for (int i = 0; i < ETLFS_LAYERS; i++)
		img.layer[i].fd = img.fd;
	unlink(path);
	ftruncate(img.fd, 4096);
	o.window0 = memfd_create("w0", MFD_CLOEXEC);
	ftruncate(o.window0, ETLFS_WINDOW0);
	win = mmap(NULL, ETLFS_WINDOW0, PROT_READ | PROT_WRITE, MAP_SHARED,
		   o.window0, 0);
	memset(win + ETLFS_EVENT_OFF, 'A', 16);
	ok(ref_start(&o, &sock, &pid, &err) == 0, "a reference starts");
	ok(next(sock, &m) && m.type == MSG_READY, "a reference gets ready");
	if (m.type != MSG_READY) {
		printf("# %u %llu %.*s\n", m.type, (unsigned long long)m.a[0],
		       (int)m.a[1], payload + sizeof(struct run_stats));
		return;
	}
	first = sock;
	if (base) {
		workset = memfd_create("workset", MFD_CLOEXEC);
		file = memfd_create("snapshot", MFD_CLOEXEC |
				    MFD_ALLOW_SEALING);
		sock = branch_one(first, &o, file);
		other = branch_one(first, &o, memfd_create("other", MFD_CLOEXEC
							   | MFD_ALLOW_SEALING));
		ok(sock >= 0 && other >= 0, "a base branches, and again");
		ok(fcntl(file, F_GET_SEALS) ==
		   (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
		   "a snapshot is sealed");
		check_refused(first, &o, file);
	}
	clone = clone_one(sock, o.window0);
	ok(clone >= 0, "a reference is cloned");
	check_answers(clone);
	clone2 = clone_one(sock, o.window0);
	check_answers(clone2);
	check_budget(clone2, win + ETLFS_EVENT_OFF);
	win[ETLFS_EVENT_OFF] = 'L';
	m = invoke(clone, 1, 50000000);
	ok(m.type == MSG_DIED && m.a[0] == DIED_TIMEOUT, "a loop times out");
	report_end(&m);
	like_report("libOS at after", "a loop: where it was is told");
	ok(!next(clone, &m), "a loop times out: the clone is gone");
	win[ETLFS_EVENT_OFF] = 'U';
	m = invoke(clone2, 1, PATIENCE);
	ok(m.type == MSG_DIED && m.a[0] == DIED_EXIT && m.a[3] == 7,
	   "an exit is told");
	clone = clone_one(sock, o.window0);
	win[ETLFS_EVENT_OFF] = 'M';
	m = invoke(clone, 1, PATIENCE);
	/* its handler goes back to READY, which may ring only once */
	ok(m.type == MSG_DIED && m.a[0] == DIED_FAULT, "a wild access is a "
	   "fault inside the guest, and READY rings once");
	clone = clone_one(sock, o.window0);
	win[ETLFS_EVENT_OFF] = 'A';
	check_answers(clone);
	if (kind == TENDER_PROCESS)
		check_killed(clone);
	if (base) {
		close(sock);
		clone = clone_one(other, o.window0);
		check_answers(clone);
		close(other);
		/* with neither of them alive */
		for (int i = 0; i < 2; i++) {
			clone = branch_clone(first, &o, file);
			ok(clone >= 0, "a clone comes from a file");
			if (clone >= 0)
				check_answers(clone);
		}
		clone2 = branch_clone(first, &o, file);
		if (clone2 >= 0)
			check_budget(clone2, win + ETLFS_EVENT_OFF);
	}
	close(first);
	ok(waitpid(pid, NULL, 0) == pid, "the reference ends with its socket");
}

/*
 * What is pending in a vCPU, an exception and a shadow here, ends with the
 * load of another state: the first exit is that of a vCPU with nothing.
 */
static void test_events(void)
{
	const struct place place = {
		.memory = 64u << 20, .files = 16u << 20,
		.timeout_ns = PATIENCE,
	};
	struct kvm_vcpu_events left = {
		.exception = { .injected = 1, .nr = 6 },
		.interrupt.shadow = KVM_X86_SHADOW_INT_MOV_SS,
		.flags = KVM_VCPUEVENT_VALID_SHADOW,
	};
	static struct ram ram;
	static struct guest g;
	static struct cpu_state s;
	struct err err = { "" };
	int fd[TENDER_FDS], first[2] = { -1, -1 };

	if (tender_kvm.init(&err) < 0 ||
	    ram_create(&ram, place.memory, place.files, &err) < 0 ||
	    machine_setup(&ram, &err) < 0) {
		ok(0, "events: %s", err.msg);
		return;
	}
	g.ram = &ram;
	g.place = &place;
	g.sock = -1;
	tender_kvm.stubs(&ram);
	s.regs.rip = machine_header()->boot;
	s.regs.rdi = UK_CTL;
	s.regs.rflags = 0x202;
	memcpy(s.xsave, (uint16_t[]){ 0x37f }, 2);
	memcpy(s.xsave + 24, (uint32_t[]){ 0x1f80 }, 4);
	s.xsave[512] = 3;
	for (int i = 0; i < 2; i++) {
		if (!i)
			guest_ctl_init(&g);
		if (guest_create(&g, &tender_kvm, &err) < 0 ||
		    g.t->ops->load(g.t, &s) < 0) {
			ok(0, "events: %s", err.msg);
			return;
		}
		g.t->ops->descriptors(g.t, fd);
		if (i && (ioctl(fd[1], KVM_SET_VCPU_EVENTS, &left) < 0 ||
			  g.t->ops->load(g.t, &s) < 0)) {
			ok(0, "events: cannot be set: %s", strerror(errno));
			return;
		}
		first[i] = g.t->ops->run(g.t) == TENDER_TRAP ?
			   (int)g.t->vector : -1;
		guest_destroy(&g);
	}
	ok(first[0] >= 0 && first[0] == first[1], "what is pending in a vCPU "
	   "does not outlive a rollback: vector %d, %d", first[0], first[1]);
}

int main(void)
{
	const char *only = getenv("USETL_TENDER");
	struct err err;

	if (!only || strcmp(only, "process"))
		for (int base = 0; base < 2; base++)
			run(TENDER_KVM, base);
	if (!only || strcmp(only, "kvm"))
		for (int base = 0; base < 2; base++)
			run(TENDER_PROCESS, base);
	tap_prefix = "kvm: ";
	if ((!only || strcmp(only, "process")) &&
	    choose_check(TENDER_KVM, &err) == 0)
		test_events();
	return plan();
}
