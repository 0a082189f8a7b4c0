/*
 * ref.c - boot a function once, freeze it at READY, fork clones of it
 */
#include "vmm/guest/ref.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "vmm/tender/machine.h"
#include "vmm/host/cgroup.h"
#include "vmm/host/choose.h"
#include "vmm/guest/chan.h"
#include "vmm/guest/clone.h"
#include "vmm/host/hostshare.h"
#include "vmm/guest/nofork.h"

/* how long a reference waits with nothing to do before it tidies up, ms */
#define IDLE_MS	100

struct ref {
	const struct ref_opts *o;
	const struct tender_ops *ops;
	int sock, proc;
	struct ram ram;
	struct guest g;
	struct snapshot snap;		/* from READY on */
	struct jail jail, own;		/* a clone's, and this one's */
	const struct place *place;	/* the function, NULL: of a base */
	const struct place *runtime;	/* what boots */
	pid_t parent;
	struct boot_stats st;
	uint64_t started;
	int collapsed;
	int hide;			/* clone_opts' */
	int file, workset;		/* of a branch's snapshot, or -1 */
	int astray;		/* why it is not in its cgroup, -errno */
};

/* also once more after a change of user, which undoes it */
static int die_with_parent(struct ref *r, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set(err, -errno, "PR_SET_PDEATHSIG: %s",
			       strerror(errno));
	/* it may have ended before */
	if (getppid() != r->parent)
		_exit(1);
	return 0;
}

static void say_died(struct ref *r, enum died why, const char *report)
{
	struct msg m = { .type = MSG_DIED };
	struct run_stats st = r->g.st;
	const char *log = "";
	struct iovec iov[3] = {
		{ &st, sizeof(st) },
		{ (void *)report, strlen(report) },
		{ NULL, 0 },
	};

	if (r->ram.base)
		iov[2].iov_len = guest_log(&r->g, &log);
	iov[2].iov_base = (void *)log;
	m.a[0] = why;
	m.a[1] = iov[1].iov_len;
	m.a[2] = iov[2].iov_len;
	m.a[3] = r->g.died_status;
	chan_send(r->sock, &m, iov, 3);
}

/* what could not be done: for who killed the guest's process meanwhile? */
static enum died host_or_killed(const struct ref *r)
{
	return r->g.t && r->g.t->killed == TENDER_KILLED ? DIED_KILLED :
	       DIED_HOST;
}

/* those of p's that are not there yet, from its image's file */
static int map_layers(struct ram *ram, const struct place *p, int fd)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < UK_LAYERS; i++)
		if (p->layer[i].size && !ram->layer[i].size) {
			rc = ram_map_layer(ram, i, &p->layer[i], fd,
					   p->layer_off[i]);
			/* machine_setup() does it for the first ones */
			if (rc == 0 && ram->snap)
				machine_map_layer(ram, &ram->layer[i]);
		}
	return rc;
}

static int build(struct ref *r, struct err *err)
{
	const struct image *img = r->o->img;
	const struct place *p = r->runtime;
	struct guest *g = &r->g;
	int rc = ram_create(&r->ram, p->memory, p->files, err);

	if (rc < 0)
		return rc;
	g->ram = &r->ram;
	g->place = p;
	g->sock = r->sock;
	guest_log_limit(g, p->log_max);
	rc = map_layers(&r->ram, r->place ? r->place : p, img->fd);
	if (rc == 0)
		rc = ram_map_host(&r->ram, 0, r->o->window0, ETLFS_WINDOW0);
	if (rc < 0)
		return err_set(err, rc, "cannot map '%s': %s", img->path,
			       strerror(-rc));
	rc = machine_setup(&r->ram, err);
	if (rc == 0)
		r->ops->stubs(&r->ram);
	if (rc < 0)
		return rc;
	guest_ctl_init(g);
	return guest_create(g, r->ops, err);
}

/* nothing of the host's is opened, and no library called, after this */
static int lock(struct ref *r, struct err *err)
{
	int rc;

	nofork_libraries(r->proc);
	r->hide = r->o->uid && jail_may_trace();
	rc = jail_user(r->o->uid, err);
	if (rc == 0)
		rc = die_with_parent(r, err);
	return rc == 0 ? jail_ref_lock(&r->own, r->proc, err) : rc;
}

/* power-on: the libOS's first instruction, at CPL 3 */
static int power_on(struct ref *r)
{
	static struct cpu_state s;
	uint16_t fcw = 0x37f;
	uint32_t mxcsr = 0x1f80;
	uint64_t xstate = 3;
	int rc;

	s.regs.rip = machine_header()->boot;
	s.regs.rdi = UK_CTL;
	s.regs.rflags = 0x202;
	memcpy(s.xsave, &fcw, 2);
	memcpy(s.xsave + 24, &mxcsr, 4);
	memcpy(s.xsave + 512, &xstate, 8);
	rc = r->g.t->ops->load(r->g.t, &s);
	/* the vCPU is there now, so the rate of its clock is known */
	guest_refresh(&r->g);
	return rc;
}

/*
 * Until the gateway says by a KICK that a debugger is there; or is gone, the
 * second time: what it wrote into the guest's code must not be in the snapshot.
 */
static int debugger_wait(struct ref *r)
{
	struct msg m = { .type = MSG_UP, .a = { [2] = (uint64_t)r->g.t->remote } };
	int fds[CHAN_FDS], rc;

	rc = chan_send(r->sock, &m, NULL, 0);
	while (rc == 0 || rc == -EINTR) {
		rc = chan_recv(r->sock, &m, fds);
		if (rc < 0)
			continue;
		chan_close_fds(fds);
		if (m.type == MSG_KICK)
			return 0;
		rc = 0;
	}
	return rc;
}

static int freeze(struct ref *r, struct err *err)
{
	uint64_t t0 = nstime_now();
	int rc;

	r->st.exits = r->g.st.exits;
	if (!r->ram.snap)
		r->st.ram_bytes = ram_resident(&r->ram);
	rc = snapshot_take(&r->snap, &r->g, r->file, err);
	r->file = -1;
	if (r->ram.deltas)
		r->st.ram_bytes = ram_delta_bytes(&r->ram);
	if (rc == 0)
		rc = ram_workset_init(&r->ram, r->workset);
	r->st.seal_ns = nstime_now() - t0;
	return rc;
}

/* the guest's memory and its machine, in a process that is locked by then */
static int prepare(struct ref *r, struct err *err)
{
	int rc = build(r, err);

	/* the guest is hostile from its first instruction */
	if (rc == 0)
		rc = lock(r, err);
	if (rc < 0)
		return rc;
	rc = power_on(r);
	if (rc < 0)
		err_set(err, rc, "cannot start the guest: %s%s",
			r->g.t->broken[0] ? r->g.t->broken :
			strerror(-rc), rc == -EAGAIN ?
			"; more processes: ulimit -u 4096" : "");
	return rc;
}

/* READY of a level: 1 when it is the last one here, or a wrong one, said so */
static int ready(struct ref *r)
{
	struct guest *g = &r->g;

	if (!r->place && g->level != UK_LEVEL_RUNTIME) {
		say_died(r, DIED_FAULT, "the guest was ready before it had a "
			 "function");
		return -EPROTO;
	}
	if (!r->place || g->level == UK_LEVEL_FUNCTION)
		return 1;
	/* nobody is to share its runtime: it goes on */
	g->place = r->place;
	guest_placed(g);
	return 0;
}

/* runs it until READY; anything else was said to the gateway */
static int run_to_ready(struct ref *r)
{
	const int debug = r->o->debug == DEBUG_BOOT;
	enum guest_end end;
	int rc;

	do
		end = guest_run(&r->g);
	while (end == GUEST_READY && (rc = ready(r)) == 0);
	switch (end) {
	case GUEST_READY:
		if (rc < 0)
			return rc;
		return debug && debugger_wait(r) < 0 ? -ECONNRESET : 0;
	case GUEST_RESULT:
		say_died(r, DIED_FAULT, "the guest gave a result before it "
			 "was ready");
		return -EPROTO;
	case GUEST_ORPHAN:
		return -ECONNRESET;
	default:
		say_died(r, r->g.died, r->g.report);
		return -ECANCELED;
	}
}

/* what stands in memory and processor runs until it is READY, and is frozen */
static int run(struct ref *r, struct err *err)
{
	struct msg m = { .type = MSG_READY };
	struct iovec iov[2] = { { &r->st, sizeof(r->st) } };
	const char *log;
	int rc = run_to_ready(r);

	if (rc < 0)
		return rc;
	iov[1].iov_len = guest_log(&r->g, &log);
	iov[1].iov_base = (void *)log;
	rc = freeze(r, err);
	if (rc < 0) {
		say_died(r, host_or_killed(r), err->msg);
		return rc;
	}
	r->st.boot_ns = nstime_now() - r->started;
	m.a[0] = (uint64_t)-r->astray;
	return chan_send(r->sock, &m, iov, 2);
}

static int boot(struct ref *r, struct err *err)
{
	int rc = prepare(r, err);

	if (rc < 0)
		say_died(r, host_or_killed(r), err->msg);
	else if (r->o->debug == DEBUG_BOOT)
		rc = debugger_wait(r);
	if (rc < 0)
		return rc;
	r->g.deadline = nstime_now() + r->runtime->boot_ns;
	return run(r, err);
}

static int do_clone(struct ref *r, uint64_t guest_pid, int fds[CHAN_FDS])
{
	struct clone_opts o = {
		.place = r->place, .ops = r->ops, .from = &r->snap,
		.ram = &r->ram, .jail = &r->jail, .proc = r->proc,
		.sock = fds[0], .window0 = fds[1], .hide = r->hide,
		.pid = (uint32_t)guest_pid,
		.forked = nstime_now(),
	};
	struct msg m = { .type = MSG_CLONED };
	pid_t pid = -1;
	int rc;

	if (fds[0] < 0 || fds[1] < 0) {
		errno = EBADF;
	} else {
		pid = _Fork();
		if (pid == 0)
			clone_main(&o);
	}
	m.a[0] = pid < 0 ? (uint64_t)-errno : (uint64_t)pid;
	/* the word first: the end of the clone's socket says less */
	rc = chan_send(r->sock, &m, NULL, 0);
	chan_close_fds(fds);
	return rc;
}

/* a branch */

/* what comes before all else on its socket */
static const struct place *place_recv(struct ref *r, struct msg *m,
				      int fds[CHAN_FDS])
{
	const struct place *p = NULL;
	int rc;

	do
		rc = chan_recv(r->sock, m, fds);
	while (rc == -EINTR);
	if (rc < 0)
		_exit(0);
	if (m->type == MSG_PLACE && fds[PLACE_FD_PLACE] >= 0)
		p = mmap(NULL, PLACE_SIZE, PROT_READ, MAP_PRIVATE,
			 fds[PLACE_FD_PLACE], 0);
	return p && p != MAP_FAILED && place_valid(p) ? p : NULL;
}

/* the function's limits and files */
static int place(struct ref *r, int image, struct err *err)
{
	int rc = ram_limit(&r->ram, r->place->memory, r->place->files);

	if (rc == 0)
		rc = map_layers(&r->ram, r->place, image);
	return rc == 0 ? 0 : err_set(err, rc, "cannot place the function: %s",
				     strerror(-rc));
}

/* the guest stands where the snapshot has it, in this process */
static int resume(struct ref *r, int window0, struct err *err)
{
	struct guest *g = &r->g;
	int rc;

	memset(g, 0, sizeof(*g));
	g->ram = &r->ram;
	g->place = r->place;
	g->sock = r->sock;
	guest_log_limit(g, r->place->log_max);
	rc = ram_map_host(&r->ram, 0, window0, ETLFS_WINDOW0);
	if (rc == 0)
		rc = guest_create(g, r->ops, err);
	if (rc == 0)
		rc = g->t->ops->load(g->t, &r->snap.cpu);
	/* a change of user made /proc/self root's */
	prctl(PR_SET_DUMPABLE, 1);
	if (rc == 0)
		rc = ram_clone_init(&r->ram, r->proc);
	/* the gateway sees it all the same, by its capability */
	if (r->hide)
		prctl(PR_SET_DUMPABLE, 0);
	return rc == 0 || err->msg[0] ? rc :
	       err_set(err, rc, "cannot go on from the runtime: %s%s",
		       g->t && g->t->broken[0] ? g->t->broken : strerror(-rc),
		       "");
}

static void serve(struct ref *r);

/* runs until the function is READY, and is its reference then */
static void branch_boot(struct ref *r, int window0, struct err *err)
{
	int rc;

	prctl(PR_SET_NAME, "usetl-ref");
	rc = resume(r, window0, err);
	close(window0);
	if (rc < 0) {
		say_died(r, host_or_killed(r), err->msg);
		_exit(1);
	}
	snapshot_begin(&r->snap, &r->g);
	r->g.deadline = nstime_now() + r->place->boot_ns;
	guest_placed(&r->g);
	if (run(r, err) < 0)
		_exit(1);
	signal(SIGCHLD, SIG_IGN);
	serve(r);
	_exit(0);
}

/* is a clone of what another branch was the reference of */
static void branch_clone(struct ref *r, int window0, uint64_t guest_pid,
			 struct err *err)
{
	struct clone_opts o = {
		.place = r->place, .ops = r->ops, .from = &r->snap,
		.ram = &r->ram, .jail = &r->jail, .proc = r->proc,
		.sock = r->sock, .window0 = window0, .hide = r->hide,
		.pid = (uint32_t)guest_pid, .forked = r->started,
	};
	int rc = snapshot_load(&r->snap, &r->ram, r->file, err);

	r->file = -1;
	if (rc == 0)
		rc = ram_workset_init(&r->ram, r->workset);
	if (rc == 0)
		clone_main(&o);
	say_died(r, DIED_HOST, err->msg[0] ? err->msg : strerror(-rc));
	_exit(1);
}

static void branch_main(struct ref *r, const int fds[CHAN_FDS])
{
	int placed[CHAN_FDS], window0 = fds[1], rc;
	struct err err = { "" };
	struct msg m;

	prctl(PR_SET_NAME, "usetl-branch");
	signal(SIGCHLD, SIG_DFL);
	/* a function has a share of the processors, of its own */
	setsid();
	close(r->sock);
	r->sock = fds[0];
	r->collapsed = 1;
	r->astray = 0;
	memset(&r->st, 0, sizeof(r->st));
	r->place = place_recv(r, &m, placed);
	if (!r->place)
		_exit(1);
	r->started = nstime_now();
	r->file = placed[PLACE_FD_SNAPSHOT];
	r->workset = placed[PLACE_FD_WORKSET];
	rc = place(r, placed[PLACE_FD_IMAGE], &err);
	close(placed[PLACE_FD_PLACE]);
	close(placed[PLACE_FD_IMAGE]);
	if (rc < 0)
		say_died(r, DIED_HOST, err.msg);
	else if (m.a[0] == PLACE_BOOT)
		branch_boot(r, window0, &err);
	else
		branch_clone(r, window0, m.a[1], &err);
	_exit(1);
}

static int do_branch(struct ref *r, int fds[CHAN_FDS])
{
	struct msg m = { .type = MSG_CLONED };
	pid_t pid = -1;
	int rc;

	if (fds[0] < 0 || fds[1] < 0) {
		errno = EBADF;
	} else {
		pid = _Fork();
		if (pid == 0)
			branch_main(r, fds);
	}
	m.a[0] = pid < 0 ? (uint64_t)-errno : (uint64_t)pid;
	rc = chan_send(r->sock, &m, NULL, 0);
	chan_close_fds(fds);
	return rc;
}

static void serve(struct ref *r)
{
	struct pollfd p = { .fd = r->sock, .events = POLLIN };
	int fds[CHAN_FDS], rc;
	struct msg m;

	for (;;) {
		rc = poll(&p, 1, r->collapsed ? -1 : IDLE_MS);
		if (rc == 0) {
			ram_collapse(&r->ram, r->snap.memfd);
			r->collapsed = 1;
			continue;
		}
		rc = chan_recv(r->sock, &m, fds);
		if (rc == -EINTR)
			continue;
		if (rc < 0)
			return;
		if (m.type == MSG_CLONE && r->place)
			rc = do_clone(r, m.a[0], fds);
		else if (m.type == MSG_BRANCH && !r->place)
			rc = do_branch(r, fds);
		else
			chan_close_fds(fds);
		if (rc < 0)
			return;
	}
}

/* the child of a gateway begins with nothing of its parent's but these */
static int inherit_little(struct ref *r)
{
	int keep[] = { r->sock, r->o->window0, r->o->img->fd };
	/*
	 * A core dump would hold guests' memory.  A limit of 0 forbids files
	 * alone; one of 1 also forbids the program that core(5) pipes it to.
	 */
	const struct rlimit no_core = { 1, 1 }, no_core_file = { 0, 0 };
	struct sched_param usual = { 0 };
	sigset_t none;

	prctl(PR_SET_NAME, r->o->base ? "usetl-base" : "usetl-ref");
	hostshare_memory();
	hostshare_cpu();
	if (r->o->cgroup >= 0)
		r->astray = cgroup_enter(r->o->cgroup);
	/* by real-time rules a guest's loop would keep its tender waiting */
	if (sched_getscheduler(0) == SCHED_FIFO ||
	    sched_getscheduler(0) == SCHED_RR)
		sched_setscheduler(0, SCHED_OTHER, &usual);
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		setrlimit(RLIMIT_CORE, &no_core_file);
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	/* the gateway drains by itself: TERM, whoever gets it, is its */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);	/* clones are reaped by the kernel */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return jail_close_others(keep, 3);
}

static void ref_main(const struct ref_opts *o, int sock, pid_t parent,
		     uint64_t started)
{
	static struct ref r;
	struct err err = { "" };
	int rc;

	r.o = o;
	r.file = r.workset = -1;
	r.sock = sock;
	r.started = started;
	r.parent = parent;
	r.place = place_create(o, &err);
	r.runtime = r.place ? place_runtime(r.place, &err) : NULL;
	if (o->base)
		r.place = NULL;
	if (die_with_parent(&r, &err) < 0)
		_exit(1);
	rc = inherit_little(&r);
	if (rc < 0) {
		err_set(&err, rc, "cannot close descriptors: %s",
			strerror(-rc));
		say_died(&r, DIED_HOST, err.msg);
		_exit(1);
	}
	tender_debug = o->debug != DEBUG_NONE;
	r.ops = choose_ops(o->tender, &err);
	r.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!r.runtime || !r.ops || r.proc < 0 || r.ops->init(&err) < 0 ||
	    jail_prepare(&r.jail, r.ops, &err) < 0 ||
	    jail_ref_prepare(&r.own, r.ops, &err) < 0) {
		say_died(&r, DIED_HOST, err.msg[0] ? err.msg :
			 "cannot open /proc");
		_exit(1);
	}
	if (boot(&r, &err) < 0)
		_exit(1);
	serve(&r);
	_exit(0);
}

int ref_start(const struct ref_opts *o, int *sock, pid_t *pid,
	      struct err *err)
{
	uint64_t started = nstime_now();
	pid_t parent = getpid();
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_set(err, -errno, "socketpair: %s", strerror(errno));
	*pid = fork();
	if (*pid < 0) {
		int rc = -errno;

		close(sv[0]);
		close(sv[1]);
		return err_set(err, rc, "fork: %s", strerror(-rc));
	}
	if (*pid == 0)
		ref_main(o, sv[1], parent, started);
	close(sv[1]);
	*sock = sv[0];
	return 0;
}
