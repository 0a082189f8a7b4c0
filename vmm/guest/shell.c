/*
 * shell.c - a child of a base that will be a clone, of a function yet unknown
 *
 * It does ahead of need all of a clone's set-up that is the same for every
 * function over its base: the process, the machine, the base's memory, the lock.
 * No instruction of a guest's own has run in it when the gateway places a function,
 * and nothing of any function has been in its memory: so it may become any
 * one's clone, and is that one's until it ends.
 *
 * What clones over the base were seen to write is private in it (ahead.c).
 *
 * Where the guest has a process of its own, that one waits, too, in this
 * program, while it can still map, but with the base where the guest has it:
 * what comes by PLACE it gets from here, by a pair of sockets, and lays it as
 * this process does.
 */
#include "vmm/guest/ref_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "conf/nstime.h"

struct shell {
	struct ref *r;
	int guest;			/* its process's end of the pair */
};

static int layers_map(struct ram *ram, const struct place *p,
		      const int fds[CHAN_FDS])
{
	const int file[UK_LAYERS] = {
		-1,			/* the base has it */
		fds[PLACE_FD_PACKAGES], fds[PLACE_FD_APP],
	};
	int rc = 0;

	/* tables for them are in the function's memory */
	for (unsigned i = 0; rc == 0 && i < UK_LAYERS; i++)
		if (p->layer[i].size && !ram->layer[i].size)
			rc = ram_map_layer(ram, i, &p->layer[i], file[i],
					   p->layer_off[i]);
	return rc;
}

/* the function's memory, over the base's; in whichever process */
static int lay(struct ref *r, const int fds[CHAN_FDS], struct err *err)
{
	int rc = ram_limit(&r->ram, r->place->memory, r->place->files);

	if (rc == 0)
		rc = layers_map(&r->ram, r->place, fds);
	if (rc == 0)
		rc = snapshot_place(&r->snap, &r->ram, fds[PLACE_FD_SNAPSHOT],
				    err);
	if (rc == 0)
		rc = ram_workset_init(&r->ram, fds[PLACE_FD_WORKSET]);
	return rc == 0 || err->msg[0] ? rc :
	       err_set(err, rc, "cannot place the function: %s",
		       strerror(-rc));
}

/* in the guest's process: the same as its tender, after it */
static int get(void *arg)
{
	struct shell *s = arg;
	struct err err = { "" };
	int fds[CHAN_FDS];
	struct msg m;

	s->r->place = branch_recv(s->guest, &m, fds, &err);
	return s->r->place ? lay(s->r, fds, &err) : -EPROTO;
}

static void close_all(const int *fd, int n)
{
	for (int i = 0; i < n; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

/* the base's, in which a clone is to be as in any other's */
static void stand(struct ref *r, struct clone_opts *o, struct shell *s,
		  const int fds[CHAN_FDS])
{
	const struct tender_wait w = { get, s, { s->guest, r->snap.memfd } };
	const int more[CLONE_MORE] = {
		r->ops->stand ? fds[2] : -1, r->snap.memfd,
	};

	*o = ref_clone_opts(r, r->sock, fds[1], 0, r->started);
	clone_stand(o, &w, more);
}

void shell_main(struct ref *r, const int fds[CHAN_FDS])
{
	uint64_t image_end = ram_image_end(&r->ram);
	struct ram_window was[RAM_WINDOWS];
	struct shell s = { r, fds[3] };
	struct err err = { "" };
	struct clone_opts o;
	int placed[CHAN_FDS], rc = 0;
	struct msg m;

	prctl(PR_SET_NAME, "usetl-shell");
	branch_begin(r, fds[0]);
	r->started = nstime_now();
	/* without them it is only slower */
	if (ram_ahead(&r->ram, !r->ops->stand) < 0)
		r->ram.ahead.n = 0;
	stand(r, &o, &s, fds);
	memcpy(was, r->ram.win, sizeof(was));

	r->place = branch_recv(r->sock, &m, placed, &err);
	r->started = nstime_now();
	if (!r->place || m.a[0] != PLACE_CLONE)
		clone_failed(err.msg[0] ? err.msg : "it is to be no clone");
	if (r->ops->stand)
		rc = chan_send_fds(fds[2], &m, placed);
	if (rc < 0)
		clone_failed("its guest's process has ended");
	if (lay(r, placed, &err) < 0)
		clone_failed(err.msg);
	/* but for the file of its pages: ram_lay_last() */
	placed[PLACE_FD_SNAPSHOT] = -1;
	close_all(placed, CHAN_FDS);
	close(r->snap.memfd);
	if (r->ops->stand)
		close(fds[2]);
	o.place = r->place;
	o.pid = (uint32_t)m.a[1];
	o.forked = r->started;
	clone_placed(&o, was, image_end);
}
