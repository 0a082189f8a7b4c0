/*
 * branch.c - a child of a base, or a base that is to have none: waits for its
 * function, and becomes that one's reference or a clone; or for packages, and
 * becomes a base in turn
 */
#include "vmm/guest/ref_impl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "conf/nstime.h"

#define CANNOT	"cannot place the function: "

const struct place *branch_recv(int sock, struct msg *m, int fds[CHAN_FDS],
				struct err *err)
{
	const struct place *p;
	int rc;

	do
		rc = chan_recv(sock, m, fds);
	while (rc == -EINTR);
	if (rc < 0)
		_exit(0);
	/* all are sent: what is missing had no room here */
	for (int i = 0; i < PLACE_FDS; i++)
		if (fds[i] < 0) {
			err_set(err, -EMFILE, CANNOT "%s", strerror(EMFILE));
			return NULL;
		}
	p = mmap(NULL, PLACE_SIZE, PROT_READ, MAP_PRIVATE,
		 fds[PLACE_FD_PLACE], 0);
	if (p == MAP_FAILED) {
		err_set(err, -errno, CANNOT "%s", strerror(errno));
		return NULL;
	}
	if (m->type == MSG_PLACE && place_valid(p))
		return p;
	err_set(err, -EPROTO, CANNOT "it is none");
	return NULL;
}

/* the function's limits and files */
static int place(struct ref *r, const int fds[CHAN_FDS], struct err *err)
{
	const int file[UK_LAYERS] = {
		-1,			/* the base has it */
		fds[PLACE_FD_PACKAGES], fds[PLACE_FD_APP],
	};
	int rc = ram_limit(&r->ram, r->place->memory, r->place->files);

	if (rc == 0)
		rc = ref_map_layers(&r->ram, r->place, file);
	return rc == 0 ? 0 : err_set(err, rc, CANNOT "%s", strerror(-rc));
}

static int resume(struct ref *r, int window0, struct err *err)
{
	struct guest *g = &r->g;
	int rc;

	memset(g, 0, sizeof(*g));
	g->ram = &r->ram;
	g->place = r->place;
	g->sock = r->sock;
	guest_log_limit(g, r->place->log_max);
	rc = guest_resume(g, r->ops, &r->snap, window0, r->proc, err);
	/* the gateway sees it all the same, by its capability */
	if (r->hide)
		prctl(PR_SET_DUMPABLE, 0);
	return rc;
}

/* runs until what was placed is READY, and is its reference, or a base, then */
static void branch_boot(struct ref *r, int window0, struct err *err)
{
	int rc;

	prctl(PR_SET_NAME, r->level == UK_LEVEL_FUNCTION ? "usetl-ref" :
	      "usetl-base");
	rc = resume(r, window0, err);
	close(window0);
	if (rc < 0) {
		ref_say_died(r, ref_host_or_killed(r), err->msg);
		_exit(1);
	}
	snapshot_begin(&r->snap, &r->g);
	r->g.deadline = nstime_now() + r->place->boot_ns;
	guest_placed(&r->g);
	if (ref_run(r, err) < 0)
		_exit(1);
	signal(SIGCHLD, SIG_IGN);
	ref_serve(r);
	_exit(0);
}

/* is the base that another branch was before, in a file */
static void branch_load(struct ref *r, int window0, struct err *err)
{
	int rc = snapshot_load(&r->snap, &r->ram, r->file, err);

	prctl(PR_SET_NAME, "usetl-base");
	close(window0);
	r->file = -1;
	if (rc == 0)
		rc = ram_workset_init(&r->ram, r->workset);
	if (rc < 0) {
		ref_say_died(r, DIED_HOST, err->msg[0] ? err->msg :
			     strerror(-rc));
		_exit(1);
	}
	if (r->hide)
		prctl(PR_SET_DUMPABLE, 0);
	signal(SIGCHLD, SIG_IGN);
	r->st.ram_bytes = ram_delta_bytes(&r->ram);
	if (ref_say_ready(r, "", 0) == 0)
		ref_serve(r);
	_exit(0);
}

/* is a clone of what another branch was the reference of */
static void branch_clone(struct ref *r, int window0, uint64_t guest_pid,
			 int once, struct err *err)
{
	struct clone_opts o = ref_clone_opts(r, r->sock, window0, guest_pid,
					     r->started);
	int rc;

	r->ram.once = o.once = once;
	r->ram.there = once && r->ops->lays;
	rc = snapshot_load(&r->snap, &r->ram, r->file, err);
	r->file = -1;
	if (rc == 0)
		rc = ram_workset_init(&r->ram, r->workset);
	if (rc == 0)
		clone_main(&o);
	ref_say_died(r, DIED_HOST, err->msg[0] ? err->msg : strerror(-rc));
	_exit(1);
}

void branch_begin(struct ref *r, int sock)
{
	signal(SIGCHLD, SIG_DFL);
	/* a function has a share of the processors, of its own */
	setsid();
	if (r->sock != sock)
		close(r->sock);
	r->sock = sock;
	/* the base's own to write */
	if (r->out >= 0)
		close(r->out);
	r->out = -1;
	r->collapsed = 1;
	r->astray = 0;
	memset(&r->st, 0, sizeof(r->st));
}

void branch_main(struct ref *r, const int fds[CHAN_FDS])
{
	int placed[CHAN_FDS], window0 = fds[1], rc;
	struct err err = { "" };
	struct msg m;

	prctl(PR_SET_NAME, "usetl-branch");
	branch_begin(r, fds[0]);
	r->place = branch_recv(r->sock, &m, placed, &err);
	if (!r->place) {
		ref_say_died(r, DIED_HOST, err.msg);
		_exit(1);
	}
	r->level = r->place->level;
	r->started = nstime_now();
	r->file = placed[PLACE_FD_SNAPSHOT];
	r->workset = placed[PLACE_FD_WORKSET];
	rc = place(r, placed, &err);
	close(placed[PLACE_FD_PLACE]);
	close(placed[PLACE_FD_APP]);
	close(placed[PLACE_FD_PACKAGES]);
	if (rc < 0)
		ref_say_died(r, DIED_HOST, err.msg);
	else if (m.a[0] == PLACE_BOOT || m.a[0] == PLACE_BASE)
		branch_boot(r, window0, &err);
	else if (m.a[0] == PLACE_LOAD)
		branch_load(r, window0, &err);
	else
		branch_clone(r, window0, m.a[1], m.a[2] == 1, &err);
	_exit(1);
}
