/*
 * pool_image.c - what a function boots: copied, then verified while it boots
 *
 * Where the pool keeps copies, a function first gets one of its own, so that
 * what was verified is what runs, at the last refresh too, whatever happens
 * to the file meanwhile.  What the manifest says is read again from the copy.
 * A function of the same digest, verified already, shares its copy.
 *
 * Reading a whole image takes a while, so a thread does it, one at a time for
 * each function; f->image says how far it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/pool/pool_impl.h"

static void join(struct function *f)
{
	struct image_work *w = &f->work;

	if (w->running) {
		pthread_join(w->thread, NULL);
		w->running = 0;
		ev_async_stop(f->pool->loop, &w->done);
	}
	free(w->dir);
	w->dir = NULL;
}

static void *work(void *arg)
{
	struct function *f = arg;
	struct image_work *w = &f->work;

	w->answer = w->copies ?
		    image_copy(f->img, w->dir, &w->err) :
		    pool_trust_verify(w->store, w->verify, f->img, &w->err);
	ev_async_send(f->pool->loop, &w->done);
	return NULL;
}

/*
 * The copy, of an image of those bytes, is what the function is of from now
 * on; fd is taken over
 */
static int adopt(struct function *f, const struct image *of, int fd,
		 struct err *err)
{
	struct image *copy, *was = f->img;
	struct egress *egress;
	int rc = image_open_copy(&copy, was->path, of, fd, err);

	if (rc < 0)
		return rc;
	/* the file changed between the two */
	if (strcmp(copy->digest, was->digest) ||
	    strcmp(copy->name, was->name)) {
		image_close(copy);
		return err_set(err, -ESTALE, "'%s' was altered while it was "
			       "read", was->path);
	}
	rc = egress_create(&egress, copy->egress);
	if (rc < 0) {
		image_close(copy);
		return err_set(err, rc, "out of memory");
	}
	copy->upper = was->upper;
	/* a base has no function's */
	if (!f->base_of) {
		egress_destroy(f->egress);
		f->egress = egress;
	} else {
		egress_destroy(egress);
	}
	f->img = copy;
	f->copied = 1;
	image_close(was);
	return 0;
}

static int start(struct function *f)
{
	struct image_work *w = &f->work;

	/* pool_set() is for the loop's thread alone */
	w->verify = f->pool->o.verify;
	w->store = f->pool->o.copy_images ? NULL : f->pool->o.store;
	w->copies = f->image == IMAGE_COPYING;
	ev_async_start(f->pool->loop, &w->done);
	if (pthread_create(&w->thread, NULL, work, f) == 0) {
		w->running = 1;
		return 0;
	}
	ev_async_stop(f->pool->loop, &w->done);
	return -EAGAIN;
}

static void verified(struct function *f, int answer)
{
	f->image = answer < 0 ? IMAGE_BAD : IMAGE_GOOD;
	if (answer < 0)
		pool_boot_image_failed(f, f->work.err.msg);
	else
		pool_boot_verified(f);
}

void pool_image_pump(struct function *f)
{
	if (f->image != IMAGE_UNVERIFIED || f->retired)
		return;
	if (!f->pool->o.copy_images &&
	    pool_trust_knows(f->pool->o.store, f->img)) {
		verified(f, 0);
		return;
	}
	f->image = IMAGE_VERIFYING;
	/* without a thread to be had, not in parallel */
	if (start(f) < 0)
		verified(f, f->pool->o.verify(f->img, &f->work.err));
}

static void on_done(struct ev_loop *loop, struct ev_async *a, int revents)
{
	struct function *f = a->data;
	struct image_work *w = &f->work;
	int rc = w->answer;

	join(f);
	function_mark(f);
	if (f->image == IMAGE_BAD) {
		/* its runtime is, as was found meanwhile */
		if (w->copies && rc >= 0)
			close(rc);
		return;
	}
	if (f->image == IMAGE_COPYING && rc >= 0) {
		rc = adopt(f, f->img, rc, &w->err);
		if (rc == 0) {
			f->image = IMAGE_UNVERIFIED;
			return;
		}
	}
	verified(f, rc);
}

/* another function's, of the same bytes, or NULL */
static const struct image *shared_copy(const struct function *f)
{
	struct function_list *const lists[] = {
		&f->pool->current, &f->pool->others,
	};
	const struct function *g;

	for (int i = 0; i < 2; i++)
		TAILQ_FOREACH(g, lists[i], link)
			if (g != f && g->copied && g->image == IMAGE_GOOD &&
			    g->img->size == f->img->size &&
			    g->img->upper <= f->img->upper &&
			    !strcmp(g->img->digest, f->img->digest))
				return g->img;
	return NULL;
}

static int copy_begin(struct function *f, struct err *err)
{
	const struct pool_opts *o = &f->pool->o;
	const struct image *other = shared_copy(f);
	int fd = other ? fcntl(other->fd, F_DUPFD_CLOEXEC, 0) : -1, r;

	if (fd >= 0) {
		f->image = IMAGE_GOOD;
		r = adopt(f, other, fd, err);
		return r < 0 ? r : pool_ref_boot(f->ref, err);
	}
	f->work.dir = o->copies ? strdup(o->copies) : NULL;
	if (o->copies && !f->work.dir)
		return err_set(err, -ENOMEM, "out of memory");
	f->image = IMAGE_COPYING;
	if (start(f) == 0)
		return 0;
	fd = image_copy(f->img, f->work.dir, err);
	r = fd < 0 ? fd : adopt(f, f->img, fd, err);
	f->image = IMAGE_UNVERIFIED;
	return r < 0 ? r : pool_ref_boot(f->ref, err);
}

void pool_image_init(struct function *f)
{
	ev_async_init(&f->work.done, on_done);
	f->work.done.data = f;
}

int pool_image_begin(struct function *f, struct err *err)
{
	if (f->pool->o.copy_images)
		return copy_begin(f, err);
	f->image = IMAGE_UNVERIFIED;
	return pool_ref_boot(f->ref, err);
}

void pool_image_end(struct function *f)
{
	struct image_work *w = &f->work;
	int unused = w->running && w->copies;

	join(f);
	if (unused && w->answer >= 0)
		close(w->answer);
}
