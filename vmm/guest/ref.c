/*
 * ref.c - boot a function once, freeze it at READY, fork clones of it
 */
#include "vmm/guest/ref_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "vmm/tender/hostclock.h"
#include "vmm/tender/machine.h"
#include "vmm/host/cgroup.h"
#include "vmm/host/choose.h"
#include "vmm/guest/chan.h"
#include "vmm/guest/clone.h"
#include "vmm/host/hostshare.h"
#include "vmm/guest/nofork.h"

/* how long a reference waits with nothing to do before it tidies up, ms */
#define IDLE_MS	100
#define HURRY_MS 1

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

void ref_say_died(struct ref *r, enum died why, const char *report)
{
	struct msg m = { .type = MSG_DIED };
	struct run_stats st = r->g.st;
	const char *log = "";
	struct iovec iov[3] = {
		{ &st, sizeof(st) },
		{ (void *)report, strlen(report) },
		{ NULL, 0 },
	};

	if (r->g.ram)
		iov[2].iov_len = guest_log(&r->g, &log);
	iov[2].iov_base = (void *)log;
	m.a[0] = why;
	m.a[1] = iov[1].iov_len;
	m.a[2] = iov[2].iov_len;
	m.a[3] = r->g.died_status;
	chan_send(r->sock, &m, iov, 3);
}

enum died ref_host_or_killed(const struct ref *r)
{
	return r->g.t && r->g.t->killed == TENDER_KILLED ? DIED_KILLED :
	       DIED_HOST;
}

int ref_map_layers(struct ram *ram, const struct place *p,
		   const int fd[UK_LAYERS])
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < UK_LAYERS; i++)
		if (p->layer[i].size && !ram->layer[i].size) {
			rc = ram_map_layer(ram, i, &p->layer[i], fd[i],
					   p->layer_off[i]);
			/* machine_setup() does it for the first ones */
			if (rc == 0 && ram->snap)
				machine_map_layer(ram, &ram->layer[i]);
		}
	return rc;
}

/* those of the image itself */
static int map_image(struct ref *r, const struct place *p, struct err *err)
{
	const struct image *img = r->o->img;
	int fd[UK_LAYERS], rc;

	for (int i = 0; i < UK_LAYERS; i++)
		fd[i] = img->layer[i].fd;
	rc = ref_map_layers(&r->ram, p, fd);
	return rc == 0 ? 0 : err_set(err, rc, "cannot map '%s': %s", img->path,
				     strerror(-rc));
}

static int build(struct ref *r, struct err *err)
{
	const struct place *p = r->runtime;
	struct guest *g = &r->g;
	int rc = ram_create(&r->ram, p->memory, p->files, err);

	if (rc < 0)
		return rc;
	g->ram = &r->ram;
	g->place = p;
	g->placed = p->fork_boot;
	g->sock = r->sock;
	guest_log_limit(g, p->log_max);
	rc = map_image(r, r->place ? r->place : p, err);
	if (rc < 0)
		return rc;
	rc = ram_map_host(&r->ram, 0, r->o->window0, ETLFS_WINDOW0);
	if (rc < 0)
		return err_set(err, rc, "cannot map the host region: %s",
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

	if (!r->o->alone)
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

	if (g->level == r->level)
		return 1;
	if (r->level != UK_LEVEL_FUNCTION) {
		ref_say_died(r, DIED_FAULT, "the guest was ready before it had a "
			 "function");
		return -EPROTO;
	}
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
		/* it may have taken less than a tick, and too long */
		if (nstime_now() >= r->g.deadline) {
			ref_say_died(r, DIED_TIMEOUT, "");
			return -ETIME;
		}
		return debug && debugger_wait(r) < 0 ? -ECONNRESET : 0;
	case GUEST_RESULT:
		ref_say_died(r, DIED_FAULT, "the guest gave a result before it "
			 "was ready");
		return -EPROTO;
	case GUEST_ORPHAN:
		return -ECONNRESET;
	default:
		ref_say_died(r, r->g.died, r->g.report);
		return -ECANCELED;
	}
}

int ref_say_ready(struct ref *r, const char *log, size_t len)
{
	struct msg m = { .type = MSG_READY };
	struct iovec iov[2] = {
		{ &r->st, sizeof(r->st) }, { (void *)log, len },
	};

	r->st.boot_ns = nstime_now() - r->started;
	r->st.memory = ram_spans(&r->ram);
	r->st.files = r->ram.win[UK_ARENA_USF].span;
	m.a[0] = (uint64_t)-r->astray;
	return chan_send(r->sock, &m, iov, 2);
}

int ref_run(struct ref *r, struct err *err)
{
	const char *log;
	size_t len;
	int rc = run_to_ready(r);

	if (rc < 0)
		return rc;
	len = guest_log(&r->g, &log);
	rc = freeze(r, err);
	if (rc < 0) {
		r->g.log_len = (uint32_t)len;	/* it is to be told all the same */
		/* its process, which had nothing to do, is gone */
		ref_say_died(r, rc == -ESRCH ? DIED_KILLED :
			     ref_host_or_killed(r), err->msg);
		return rc;
	}
	return ref_say_ready(r, log, len);
}

/* the base that a file has, in the place of one that boots */
static int read_base(struct ref *r, struct err *err)
{
	const struct place *p = r->place ? r->place : r->runtime;
	uint64_t t0 = nstime_now();
	int map = r->o->map;
	int rc = map ? ram_create_cold(&r->ram, p->memory, p->files, err) :
		 ram_create(&r->ram, p->memory, p->files, err);

	if (rc < 0)
		return rc;
	rc = map_image(r, p, err);
	if (rc < 0)
		return rc;
	rc = snapshot_read(&r->snap, &r->ram, r->o->from, map, err);
	if (!map)
		close(r->o->from);
	/* with the function's, where that comes into the same process */
	else if (rc == 0 && !r->o->alone)
		rc = ram_lay(&r->ram, r->snap.memfd, err);
	for (unsigned i = 0; rc == 0 && i + r->o->run < r->o->overs; i++)
		rc = snapshot_load(&r->snap, &r->ram, r->o->over[i], err);
	if (rc == 0)
		rc = lock(r, err);
	if (rc < 0)
		return rc;
	r->st.ram_bytes = ram_resident_in(r->snap.memfd);
	r->st.seal_ns = nstime_now() - t0;
	return ram_workset_init(&r->ram, -1);
}

static int load(struct ref *r, struct err *err)
{
	int rc = read_base(r, err);

	if (rc == 0 && r->o->alone)
		branch_main(r, (const int[CHAN_FDS]){ r->sock, r->o->window0 });
	if (rc == 0)
		return ref_say_ready(r, "", 0);
	ref_say_died(r, DIED_HOST, err->msg[0] ? err->msg : strerror(-rc));
	return rc;
}

static int boot(struct ref *r, struct err *err)
{
	int rc = prepare(r, err);

	if (rc < 0)
		ref_say_died(r, ref_host_or_killed(r), err->msg);
	else if (r->o->debug == DEBUG_BOOT)
		rc = debugger_wait(r);
	if (rc < 0)
		return rc;
	r->g.deadline = nstime_now() + r->runtime->boot_ns;
	return ref_run(r, err);
}

struct clone_opts ref_clone_opts(struct ref *r, int sock, int window0,
				 uint64_t guest_pid, uint64_t forked)
{
	return (struct clone_opts){
		.place = r->place, .ops = r->ops, .from = &r->snap,
		.ram = &r->ram, .jail = &r->jail, .proc = r->proc,
		.sock = sock, .window0 = window0, .hide = r->hide,
		.pid = (uint32_t)guest_pid, .forked = forked,
	};
}

/* in a child, which is to be a clone that goes on with a request */
static void clone_run(struct ref *r, struct clone_opts *o)
{
	struct err err = { "" };

	if (r->o->run && snapshot_load(&r->snap, &r->ram,
				       r->o->over[r->o->overs - 1], &err) < 0) {
		r->sock = o->sock;
		ref_say_died(r, DIED_HOST, err.msg);
		_exit(1);
	}
	o->run = r->o->run;
	clone_main(o);
}

/* SAVE: a child writes it, as others wait for theirs meanwhile */
static void do_save(struct ref *r, int fds[CHAN_FDS])
{
	struct msg m = { .type = MSG_SAVED };
	struct err err;
	pid_t pid = fds[0] < 0 || fds[1] < 0 ? -1 : _Fork();

	if (pid == 0) {
		m.a[0] = (uint64_t)-snapshot_write(&r->snap, &r->ram, fds[1],
						   &err);
		chan_send(fds[0], &m, NULL, 0);
		_exit(0);
	}
	/* the end of its socket says the rest */
	chan_close_fds(fds);
}

/* CLONE, BRANCH or SHELL: a child that has the descriptors, and how that went */
static int do_fork(struct ref *r, const struct msg *ask, int fds[CHAN_FDS])
{
	struct clone_opts o = ref_clone_opts(r, fds[0], fds[1], ask->a[0],
					     nstime_now());
	struct msg m = { .type = MSG_CLONED };
	pid_t pid = -1;
	int rc;

	if (fds[0] < 0 || fds[1] < 0 ||
	    (ask->type == MSG_SHELL && (fds[2] < 0 || fds[3] < 0))) {
		/* all are sent: they had no room here */
		errno = EMFILE;
	} else {
		pid = _Fork();
		if (pid == 0 && ask->type == MSG_BRANCH)
			branch_main(r, fds);
		if (pid == 0 && ask->type == MSG_SHELL)
			shell_main(r, fds);
		if (pid == 0)
			clone_run(r, &o);
	}
	m.a[0] = pid < 0 ? (uint64_t)-errno : (uint64_t)pid;
	/* the word first: the end of the clone's socket says less */
	rc = chan_send(r->sock, &m, NULL, 0);
	chan_close_fds(fds);
	return rc;
}

/* once, when there is nothing else to do */
static void tidy(struct ref *r)
{
	struct err err;

	if (r->out >= 0) {
		/* whoever waits for it sees at once that there will be none */
		if (snapshot_write(&r->snap, &r->ram, r->out, &err) < 0)
			snapshot_none(r->out);
		close(r->out);
		r->out = -1;
	}
	ram_collapse(&r->ram, r->snap.memfd);
	r->collapsed = 1;
}

void ref_serve(struct ref *r)
{
	struct pollfd p = { .fd = r->sock, .events = POLLIN };
	/* who maps files the next time waits for this one to be written */
	const int idle = r->o->map ? HURRY_MS : IDLE_MS;
	int fds[CHAN_FDS], rc;
	struct msg m;

	for (;;) {
		rc = poll(&p, 1, r->collapsed ? -1 : idle);
		if (rc == 0) {
			tidy(r);
			continue;
		}
		rc = chan_recv(r->sock, &m, fds);
		if (rc == -EINTR)
			continue;
		if (rc < 0)
			return;
		if (r->level == UK_LEVEL_FUNCTION ? m.type == MSG_CLONE :
		    m.type == MSG_BRANCH || m.type == MSG_SHELL)
			rc = do_fork(r, &m, fds);
		else if (m.type == MSG_SAVE)
			do_save(r, fds);
		else
			chan_close_fds(fds);
		if (rc < 0)
			return;
	}
}

/* the child of a gateway begins with nothing of its parent's but these */
static int inherit_little(struct ref *r)
{
	const struct image_layer *l = r->o->img->layer;
	int keep[7 + RAM_DELTAS] = { r->sock, r->o->window0, r->o->from, r->out,
				     l[0].fd, l[1].fd, l[2].fd };
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
	for (unsigned i = 0; i < RAM_DELTAS; i++)
		keep[7 + i] = i < r->o->overs ? r->o->over[i] : -1;
	return jail_close_others(JAIL_NOT_STDIO, keep, 7 + RAM_DELTAS);
}

static void ref_main(const struct ref_opts *o, int sock, pid_t parent,
		     uint64_t started)
{
	static struct ref r;
	struct err err = { "" };
	int rc;

	r.o = o;
	r.file = r.workset = -1;
	r.out = o->file;
	r.sock = sock;
	r.started = started;
	r.parent = parent;
	r.place = place_create(o, &err);
	r.runtime = r.place ? place_runtime(r.place, &err) : NULL;
	if (o->base)
		r.place = NULL;
	r.level = o->base ? UK_LEVEL_RUNTIME : UK_LEVEL_FUNCTION;
	if (die_with_parent(&r, &err) < 0)
		_exit(1);
	rc = inherit_little(&r);
	if (rc < 0) {
		err_set(&err, rc, "cannot close descriptors: %s",
			strerror(-rc));
		ref_say_died(&r, DIED_HOST, err.msg);
		_exit(1);
	}
	tender_debug = o->debug != DEBUG_NONE;
	r.ops = choose_ops(o->tender, &err);
	r.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!r.runtime || !r.ops || r.proc < 0 || r.ops->init(&err) < 0 ||
	    jail_prepare(&r.jail, r.ops, &err) < 0 ||
	    jail_ref_prepare(&r.own, r.ops, &err) < 0) {
		ref_say_died(&r, DIED_HOST, err.msg[0] ? err.msg :
			 "cannot open /proc");
		_exit(1);
	}
	if ((o->from >= 0 ? load(&r, &err) : boot(&r, &err)) < 0)
		_exit(1);
	ref_serve(&r);
	_exit(0);
}

int ref_start(const struct ref_opts *o, int *sock, pid_t *pid,
	      struct err *err)
{
	uint64_t started = nstime_now();
	pid_t parent = getpid();
	int sv[2];

	/* once, rather than each reference by itself, if there may be more */
	if (o->tender == TENDER_PROCESS && !o->alone)
		hostclock_khz();
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
