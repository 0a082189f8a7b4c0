/*
 * pool_snapshot.c - a function's snapshot for somebody else, on command
 *
 * What differs from the runtime that it shares the gateway holds already; the
 * rest is written by a child of the reference that has it, into a memfd.  So
 * whoever asked writes no page of anybody's, and nobody waits for his disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/pool/pool_impl.h"

#define WRITE_S		60.0		/* of memory, into memory */

static void files_close(struct snapshot_order *o)
{
	for (int i = 0; i < SAVED_PARTS; i++) {
		if (o->fd[i] >= 0)
			close(o->fd[i]);
		o->fd[i] = -1;
	}
}

void function_snapshot_forget(struct snapshot_order *o)
{
	struct pool *pool;

	if (!o->of)
		return;
	pool = o->of->pool;
	ev_timer_stop(pool->loop, &o->timer);
	peer_destroy(o->peer);
	o->peer = NULL;
	o->of = NULL;
	pool->snapshot = NULL;
	files_close(o);
}

static void failed(struct snapshot_order *o, const char *why)
{
	function_snapshot_forget(o);
	o->done(o, why);
}

void pool_snapshot_end(struct function *f)
{
	struct snapshot_order *o = f->pool->snapshot;

	if (o && o->of == f)
		failed(o, "it is not served any more");
}

static int is_sealed(int fd)
{
	const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
			F_SEAL_WRITE;

	return fcntl(fd, F_GET_SEALS) == all;
}

/* what guests' processes wrote is what it says that it is: one snapshot */
static const char *parts_check(struct snapshot_order *o)
{
	struct snapshot_head first, h;

	for (uint32_t i = 0; i < o->head.parts; i++) {
		struct saved_part *p = &o->head.part[i];
		off_t len = is_sealed(o->fd[i]) ?
			    lseek(o->fd[i], 0, SEEK_END) : -1;

		if (len <= 0 || len % UK_PAGE ||
		    snapshot_head(o->fd[i], i ? &h : &first) < 0)
			return "it was not written as it should be";
		if (i && memcmp(h.base, first.base, sizeof(h.base)))
			return "its runtime was made anew meanwhile";
		p->kind = i ? SAVED_DELTA : SAVED_BASE;
		p->len = (uint64_t)len;
	}
	return NULL;
}

static void on_message(void *arg, const struct msg *m, const uint8_t *payload)
{
	struct snapshot_order *o = arg;
	const char *why = NULL;
	int fd[SAVED_PARTS];

	if (m->type != MSG_SAVED)
		why = "its reference broke the protocol";
	else if (m->a[0])
		why = m->a[0] < 4096 ? strerror((int)m->a[0]) :
		      "it cannot be written";
	else
		why = parts_check(o);
	if (why) {
		failed(o, why);
		return;
	}
	/* they are the caller's */
	memcpy(fd, o->fd, sizeof(fd));
	memset(o->fd, -1, sizeof(o->fd));
	function_snapshot_forget(o);
	memcpy(o->fd, fd, sizeof(fd));
	o->done(o, NULL);
}

static void on_closed(void *arg, int error)
{
	failed(arg, "the process that wrote it has ended");
}

static const struct peer_ops snapshot_peer = { on_message, on_closed };

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	failed(w->data, "it was not written in time");
}

/* its deltas, and what is below them; NULL: that is gone */
static struct pool_ref *collect(struct snapshot_order *o, struct function *f)
{
	int delta[SAVED_PARTS], n = 0;
	struct pool_ref *r = f->ref;

	for (; r && r->proc.f->base; r = r->of) {
		if (n == RAM_DELTAS || !r->of || r->file < 0)
			break;
		delta[n++] = r->file;
	}
	if (!r || r->proc.f->base || r->state != REF_READY || !r->proc.peer)
		return NULL;
	o->head.parts = 1;
	/* the lowest first */
	while (n)
		o->fd[o->head.parts++] = fcntl(delta[--n], F_DUPFD_CLOEXEC, 0);
	return r;
}

static int order(struct snapshot_order *o, struct pool_ref *root)
{
	struct msg m = { .type = MSG_SAVE };
	int sv[2], rc;

	o->fd[0] = memfd_create("usetl-saved", MFD_CLOEXEC |
				MFD_ALLOW_SEALING);
	for (uint32_t i = 0; i < o->head.parts; i++)
		if (o->fd[i] < 0)
			return -EMFILE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	rc = peer_create(&o->peer, root->proc.f->pool->loop, sv[0],
			 &snapshot_peer, o);
	if (rc == 0)
		rc = peer_send(root->proc.peer, &m, NULL,
			       (const int[]){ sv[1], o->fd[0] }, 2);
	close(sv[1]);
	return rc;
}

static void describe(struct saved_head *h, const struct function *f)
{
	const struct image *img = f->img;

	if (!realpath(img->path, h->image))
		snprintf(h->image, sizeof(h->image), "%s", img->path);
	snprintf(h->digest, sizeof(h->digest), "%s", img->digest);
	snprintf(h->name, sizeof(h->name), "%s", f->name);
	h->memory = f->o.memory ? f->o.memory : img->memory;
}

int function_snapshot(struct function *f, struct snapshot_order *o)
{
	struct pool_ref *root;
	int rc;

	memset(o->fd, -1, sizeof(o->fd));
	if (f->pool->snapshot)
		return -EBUSY;
	if (f->retired || !pool_ref_usable(f))
		return -EHOSTDOWN;
	rc = saved_here(&o->head, f->pool->o.tender);
	if (rc < 0)
		return rc;
	describe(&o->head, f);
	root = collect(o, f);
	rc = root ? order(o, root) : -ESTALE;
	if (rc < 0) {
		peer_destroy(o->peer);
		o->peer = NULL;
		files_close(o);
		return rc;
	}
	ev_timer_init(&o->timer, on_timer, WRITE_S, 0.0);
	o->timer.data = o;
	ev_timer_start(f->pool->loop, &o->timer);
	o->of = f;
	f->pool->snapshot = o;
	return 0;
}
