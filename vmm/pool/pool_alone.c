/*
 * pool_alone.c - a clone from the store's files, with no other process behind it
 *
 * Who runs one function once has no use for the process of a base: where the
 * store has the runtime's snapshot and the function's, the clone is the only
 * process there is, and maps both.  A base that is left out like this is DOWN,
 * with the file that it has in `from`; it boots from that as soon as a function
 * needs a process to branch from (`needed`).
 *
 * The files are not read before they are used, so what is wrong with one shows
 * when the clone does not come up.  Then both are given up, and all boots.
 *
 * A clone that is to run one request is sent it behind its place, and not once
 * it has said UP: so it need not wait to be answered, for which this process
 * would have to have its turn.  Until it is up nobody has seen anything of the
 * request, which is then another's.
 */
#include <errno.h>
#include <sys/stat.h>

#include "etlfs/store/store.h"
#include "vmm/pool/pool_impl.h"

int pool_alone_maps(const struct function *f)
{
	const struct pool_opts *o = &f->pool->o;

	/* who compares everything wants all of it read, too */
	return o->store && !o->copy_images && !f->o.verify;
}

int pool_alone(const struct pool_ref *b)
{
	return b->state == REF_DOWN && b->from >= 0 && !b->needed &&
	       !b->proc.f->base &&
	       pool_alone_maps(b->proc.f);
}

int pool_alone_serves(const struct pool_ref *b, const struct function *f)
{
	/* many clones are sooner forked than mapped */
	return pool_alone(b) && f->o.recycle != RECYCLE_FORK;
}

void pool_alone_need(struct pool_ref *b)
{
	b->needed = 1;
	function_mark(b->proc.f);
}

/* the one clone there is will run one request, and no other */
static int only_request(const struct function *f)
{
	return f->queued == 1 && f->head->last && pool_clones_live(f) == 1;
}

int pool_alone_start(struct pool_clone *c)
{
	struct pool_ref *b = c->ref->of;
	const int once = only_request(c->proc.f);
	struct ref_opts o = pool_ref_opts(b);
	struct err err;
	pid_t pid;
	int sock, rc;

	o.alone = 1;
	o.window0 = host_window0(c->proc.host)->fd;
	rc = b->proc.f->pool->o.start(&o, &sock, &pid, &err);
	if (rc == 0)
		rc = pool_proc_hold(&c->proc, sock, pid, &err);
	if (rc == 0)
		rc = pool_base_clone(&c->proc, c->ref, c->next_pid, once);
	if (rc < 0)
		return rc;
	c->alone = 1;
	c->ahead = once;
	if (once)
		pool_clone_enter(c, CLONE_IDLE);
	function_mark(c->proc.f);
	return 0;
}

static int shorter(int fd, uint64_t len)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (uint64_t)st.st_size < len;
}

const char *pool_alone_cut(const struct pool_clone *c)
{
	const struct pool_ref *r = c->ref;

	return c->alone && r->stored &&
	       (shorter(r->file, r->work.len) ||
		shorter(r->of->from, r->of->work.len)) ?
	       "its snapshot in the store was cut short while it ran" : NULL;
}

void pool_alone_doubt(struct pool_clone *c)
{
	struct pool_ref *const both[] = { c->ref->of, c->ref };
	struct err why;

	if (!c->alone || !c->ref->stored)
		return;
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		const struct store_work *w = &both[i]->work;

		if (store_snapshot_verify(w->store, w->key, &why) != -EBADMSG)
			continue;
		pool_store_bad(both[i]);
		pool_note(c->proc.f, "store: its snapshot was damaged, and is "
			  "gone now; try again");
	}
}

void pool_alone_failed(struct pool_clone *c, const char *why)
{
	struct function *f = c->proc.f;
	struct pool_ref *r = c->ref, *b = r->of;

	if (c->job)
		queue_push_back(f, c->job);
	c->job = NULL;
	pool_clone_stop(c);
	if (r->state != REF_READY)
		return;
	pool_store_bad(b);
	pool_store_bad(r);
	pool_store_read(b);
	b->has_id = b->kept = 0;
	b->age = 0;
	pool_alone_need(b);
	/* it has no process that could end */
	pool_base_files_close(r);
	r->state = REF_DOWN;
	r->kept = 0;
	r->age = 0;
	f->was_ready = 0;
	function_mark(f);
	pool_note(f, "store: %s", why);
}
