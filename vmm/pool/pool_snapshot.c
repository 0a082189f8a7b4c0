/*
 * pool_snapshot.c - a function's snapshot for somebody else, on command
 *
 * What differs from the runtime that it shares the gateway holds already; the
 * rest is written by a child of the reference that has it, into a memfd.  So
 * whoever asked writes no page of anybody's, and nobody waits for his disk.
 *
 * Where a clone has a request, what that has written since and been given comes
 * on top, from the clone itself; of several the one that has run longest.  One
 * that is idle is what its snapshot is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "etlfs/region/hostsaved.h"
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

static void peers_end(struct snapshot_order *o)
{
	peer_destroy(o->peer);
	peer_destroy(o->clone);
	o->peer = o->clone = NULL;
}

void function_snapshot_forget(struct snapshot_order *o)
{
	struct pool *pool;

	if (!o->of)
		return;
	pool = o->of->pool;
	ev_timer_stop(pool->loop, &o->timer);
	peers_end(o);
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

static const char wrong[] = "it was not written as it should be";

static int is_sealed(int fd)
{
	const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
			F_SEAL_WRITE;

	return fcntl(fd, F_GET_SEALS) == all;
}

/* what guests' processes wrote is what it says that it is: one snapshot */
static const char *parts_check(struct snapshot_order *o)
{
	struct snapshot_head h;
	uint8_t below[16];
	struct hostsaved host;

	for (uint32_t i = 0; i < o->head.parts; i++) {
		struct saved_part *p = &o->head.part[i];
		off_t len = is_sealed(o->fd[i]) ?
			    lseek(o->fd[i], 0, SEEK_END) : -1;

		p->len = (uint64_t)len;
		if (len <= 0 || len % UK_PAGE)
			return wrong;
		if (p->kind == SAVED_HOST) {
			if (hostsaved_read(o->fd[i], &host) < 0)
				return wrong;
			continue;
		}
		if (snapshot_head(o->fd[i], &h) < 0)
			return wrong;
		if (i && memcmp(h.base, below, sizeof(below)))
			return "its runtime was made anew meanwhile";
		memcpy(below, h.id, sizeof(below));
	}
	return NULL;
}

/* all that is to come has */
static void whole(struct snapshot_order *o)
{
	const char *why = parts_check(o);
	int fd[SAVED_PARTS];

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

/* from a reference and from a clone alike */
static void saved(struct snapshot_order *o, struct peer **from,
		  const struct msg *m)
{
	if (m->type != MSG_SAVED || m->a[0]) {
		failed(o, m->type != MSG_SAVED ? "its process broke the "
		       "protocol" : m->a[0] < 4096 ? strerror((int)m->a[0]) :
		       "it cannot be written");
		return;
	}
	peer_destroy(*from);
	*from = NULL;
	if (!o->peer && !o->clone)
		whole(o);
}

static void on_message(void *arg, const struct msg *m, const uint8_t *payload)
{
	struct snapshot_order *o = arg;

	saved(o, &o->peer, m);
}

static void on_closed(void *arg, int error)
{
	failed(arg, "the process that wrote it has ended");
}

/* what a clone wrote is sealed by who reads it; it maps none of it any more */
static int seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
		     F_SEAL_GROW | F_SEAL_SEAL);
}

static void on_clone_message(void *arg, const struct msg *m,
			     const uint8_t *payload)
{
	struct snapshot_order *o = arg;
	uint32_t n = o->head.parts;

	if (m->type == MSG_SAVED && !m->a[0] &&
	    (seal(o->fd[n - 1]) < 0 || seal(o->fd[n - 2]) < 0))
		failed(o, wrong);
	else
		saved(o, &o->clone, m);
}

/* its request was over: it is what it started from */
static void on_clone_closed(void *arg, int error)
{
	struct snapshot_order *o = arg;

	peer_destroy(o->clone);
	o->clone = NULL;
	for (int i = 0; i < 2; i++)
		close(o->fd[--o->head.parts]);
	o->fd[o->head.parts] = o->fd[o->head.parts + 1] = -1;
	if (!o->peer)
		whole(o);
}

static const struct peer_ops snapshot_peer = { on_message, on_closed };
static const struct peer_ops clone_peer = {
	on_clone_message, on_clone_closed,
};

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	failed(w->data, "it was not written in time");
}

static int new_file(void)
{
	return memfd_create("usetl-saved", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static void part(struct snapshot_order *o, enum saved_kind kind, int fd)
{
	o->head.part[o->head.parts].kind = kind;
	o->fd[o->head.parts++] = fd;
}

/* its deltas, and what is below them; NULL: that is gone */
static struct pool_ref *collect(struct snapshot_order *o, struct pool_ref *r)
{
	int delta[SAVED_PARTS], n = 0;

	for (; r && r->proc.f->base; r = r->of) {
		if (n == RAM_DELTAS || !r->of || r->file < 0)
			break;
		delta[n++] = r->file;
	}
	if (!r || r->proc.f->base || r->state != REF_READY || !r->proc.peer)
		return NULL;
	part(o, SAVED_BASE, new_file());
	/* the lowest first */
	while (n)
		part(o, SAVED_DELTA, fcntl(delta[--n], F_DUPFD_CLOEXEC, 0));
	return r;
}

/* to p: it answers on a socket of its own, *peer, when it has filled fd[] */
static int ask(struct snapshot_order *o, struct pool_proc *p,
	       struct peer **peer, const struct peer_ops *ops, uint32_t type,
	       const int *fd, unsigned n)
{
	struct msg m = { .type = type };
	int sv[2], fds[3], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	rc = peer_create(peer, p->f->pool->loop, sv[0], ops, o);
	fds[0] = sv[1];
	memcpy(fds + 1, fd, n * sizeof(*fd));
	if (rc == 0)
		rc = peer_send(p->peer, &m, NULL, fds, n + 1);
	close(sv[1]);
	return rc;
}

/* whoever has run longest, or NULL */
static struct pool_clone *in_request(const struct snapshot_order *o,
				     const struct function *f)
{
	struct pool_clone *c, *best = NULL;

	if (o->ready)
		return NULL;
	TAILQ_FOREACH(c, &f->clones[CLONE_BUSY], link)
		if (c->proc.peer && (!best || c->since < best->since))
			best = c;
	return best;
}

static int order(struct snapshot_order *o, struct function *f)
{
	struct pool_clone *c = in_request(o, f);
	struct pool_ref *root = collect(o, c ? c->ref : f->ref);
	uint32_t n = o->head.parts;
	int rc;

	if (!root)
		return -ESTALE;
	if (c && n > RAM_DELTAS)
		return -EMLINK;
	if (c) {
		part(o, SAVED_RUN, new_file());
		part(o, SAVED_HOST, new_file());
	}
	for (uint32_t i = 0; i < o->head.parts; i++)
		if (o->fd[i] < 0)
			return -EMFILE;
	rc = ask(o, &root->proc, &o->peer, &snapshot_peer, MSG_SAVE, o->fd, 1);
	return rc < 0 || !c ? rc : ask(o, &c->proc, &o->clone, &clone_peer,
				       MSG_SNAPSHOT, o->fd + n, 2);
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
	rc = order(o, f);
	if (rc < 0) {
		peers_end(o);
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
