/*
 * pool_base.c - one booted runtime for all functions that would boot the same
 *
 * Functions whose module begins with the same imports from the same packages
 * (img->preload) have one more base between, which has done these: a base that
 * has a base itself.  Where it cannot come up its functions do without.
 *
 * A base is a function of the pool that takes no requests and that nobody
 * finds by name: its image, boots, back-off and refresh are those of any other,
 * but its references stop where an interpreter is up (ref.h).  The functions
 * that have it as f->base ask it for branches, and a branch, once they have
 * been placed in it, is their reference.
 *
 * It is there as long as one of them is.  What becomes of it later does not
 * touch a branch: that is a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/guest/place.h"
#include "vmm/memory/ram.h"
#include "vmm/pool/pool_impl.h"

/* of a base, which every function that branches from it has, too */
#define MEMORY	(64u << 20)

#define CANNOT	"cannot branch from its runtime: "

int pool_base_shares(const struct function *f)
{
	return f->pool->o.share && !f->base_of &&
	       (f->pool->o.copy_images || f->pool->o.store) &&
	       pool_limits_memory(f) >= MEMORY && !f->o.trace &&
	       (!f->o.trial || f->img->preload) &&
	       f->o.debug == DEBUG_NONE && !f->o.from &&
	       !place_forks_at_boot(f->img);
}

static int has_packages(const struct function *f)
{
	/* one function alone is sooner there from one file */
	return f->img->preload && f->img->layer[ETLFS_LAYER_PACKAGES].len &&
	       !f->base_of && !f->alone && (f->pool->o.copy_images ||
	       f->o.trial);
}

/* would both boot the same, and alike? packages: as far as these */
static int same(const struct function *base, const struct function *f,
		int packages)
{
	return base->base_of && !base->retired && base->image != IMAGE_BAD &&
	       pool_base_is_packages(base) == packages &&
	       base->layout == f->layout &&
	       (packages ? place_same_packages(base->img, f->img) :
		place_same_runtime(base->img, f->img)) &&
	       base->o.verify == f->o.verify &&
	       base->o.no_store == f->o.no_store &&
	       !strcmp(base->o.owner, f->o.owner);
}

/* it fetches nothing: what it got all of its functions would have */
static int isolate(struct function *base)
{
	static char *none[] = { "none", NULL };

	egress_destroy(base->egress);
	return egress_create(&base->egress, none);
}

static struct function *create(struct function *f, int packages,
			       struct err *err)
{
	struct function_opts o = {
		.name = packages ? "packages" : "runtime",
		.memory = MEMORY,
		.verify = f->o.verify, .recycle = RECYCLE_ROLLBACK,
		.no_store = f->o.no_store,
	};
	struct function *base;
	struct image *img;

	/* all of it: of what f has of its own the runtime is not copied */
	if ((f->pool->o.copy_images ?
	     image_open_heads(&img, f->img->path, f->img->store, err) :
	     image_again(&img, f->img, err)) < 0)
		return NULL;
	if (!place_same_packages(img, f->img)) {
		err_set(err, -ESTALE, "'%s' was altered while it was read",
			f->img->path);
		image_close(img);
		return NULL;
	}
	base = function_new(f->pool, img, &o);
	if (!base) {
		image_close(img);
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	strcpy(base->o.owner, f->o.owner);
	base->base_of = 1;
	base->layout = f->layout;
	base->source = f->id;
	TAILQ_INSERT_TAIL(&f->pool->others, base, link);
	if ((packages && (isolate(base) < 0 || pool_base_get(base, err) < 0)) ||
	    pool_image_begin(base, err) < 0) {
		function_free(base);
		return NULL;
	}
	function_mark(base);
	return base;
}

int pool_base_get(struct function *f, struct err *err)
{
	const int packages = has_packages(f);
	struct function *b;

	TAILQ_FOREACH(b, &f->pool->others, link)
		if (b != f && same(b, f, packages))
			break;
	if (!b)
		b = create(f, packages, err);
	if (!b)
		return -EINVAL;
	if (packages)
		pool_limits_raise(b, f);
	b->base_of++;
	f->base = b;
	f->img->upper = 1;
	pool_base_refresh_set(b);
	/* one that could not boot tries it for f at once */
	pool_ref_again(b);
	return 0;
}

void pool_base_put(struct function *f)
{
	struct function *b = f->base;

	f->base = NULL;
	if (!b)
		return;
	/* the first one it counts is itself */
	if (--b->base_of == 1)
		pool_retire(b);
	else
		pool_base_refresh_set(b);
}

static struct function *user_in(const struct function_list *list,
				const struct function *base, uint64_t after,
				struct function *best)
{
	struct function *f;

	TAILQ_FOREACH(f, list, link)
		if (f->base == base && f->id > after &&
		    (!best || f->id < best->id))
			best = f;
	return best;
}

/* by their numbers, as who is called back may move them from list to list */
static struct function *next_user(const struct function *base, uint64_t after)
{
	struct pool *pool = base->pool;

	return user_in(&pool->others, base, after,
		       user_in(&pool->current, base, after, NULL));
}

static void each(struct function *base,
		 void (*fn)(struct function *f, const char *text),
		 const char *text)
{
	struct function *f = NULL;

	while ((f = next_user(base, f ? f->id : 0)))
		fn(f, text);
}

void pool_base_refresh_set(struct function *base)
{
	struct function *f = NULL;
	uint64_t least = 0;

	while ((f = next_user(base, f ? f->id : 0)))
		if (f->o.refresh_ns && !f->retired &&
		    (!least || f->o.refresh_ns < least))
			least = f->o.refresh_ns;
	if (least == base->o.refresh_ns)
		return;
	base->o.refresh_ns = least;
	if (base->base)
		pool_base_refresh_set(base->base);
	pool_refresh_arm(base);
}

static void mark(struct function *f, const char *text)
{
	function_mark(f);
}

/* what its packages have become no base of: it imports them itself */
static int do_without(struct function *f, const char *why)
{
	struct err err = { "" };
	int rc;

	pool_note(f, "its packages are imported by it alone: %s", why);
	f->alone = 1;
	pool_base_put(f);
	rc = pool_base_get(f, &err);
	function_mark(f);
	if (rc < 0)
		pool_boot_failed(f->ref, err.msg);
	return rc;
}

static void fail(struct function *f, const char *text)
{
	if (f->ref->state != REF_DOWN)
		return;
	if (pool_base_is_packages(f->base))
		do_without(f, text);
	else
		pool_boot_failed(f->ref, text);
}

static void note(struct function *f, const char *text)
{
	pool_note(f, "its %s: %s", pool_base_is_packages(f->base) ?
		  "packages" : "runtime", text);
}

void pool_base_event(struct function *base, enum pool_event what,
		     const char *text)
{
	static void (*const fn[])(struct function *f, const char *text) = {
		[POOL_READY] = mark, [POOL_FAILED] = fail, [POOL_NOTE] = note,
	};

	each(base, fn[what], text);
}

static void refresh(struct function *f, const char *text)
{
	/* what is stored keeps the earlier one */
	f->refresh_due = f->o.refresh_ns != 0 || f->ref->stored;
	function_mark(f);
}

void pool_base_refreshed(struct function *base)
{
	each(base, refresh, "");
}

static void not_forked(struct function *f, const char *why)
{
	if (f->forking)
		pool_fork_done(f, why);
}

void pool_base_not_forked(struct function *base, const char *why)
{
	each(base, not_forked, why);
}

/*
 * What base is of was not what its manifest says.  That is the doing of whoever's
 * file it was, so each of the others has another made, of its own.
 */
static void another(struct function *f, const char *why)
{
	int guilty = f->base->source == f->id;
	struct err err = { "" };

	pool_base_put(f);
	function_mark(f);
	if (!guilty && pool_base_get(f, &err) == 0)
		return;
	/* of the runtime its image holds nothing that anybody looked at */
	f->image = IMAGE_BAD;
	pool_boot_failed(f->ref, guilty ? why : err.msg);
}

void pool_base_bad(struct function *base, const char *why)
{
	each(base, another, why);
}

/* branches */

int pool_base_ask(struct pool_proc *p, struct pool_ref *b, enum msg_type type)
{
	struct msg m = { .type = type };
	int rc = pool_proc_ask(p, &b->proc, &m);

	if (rc == 0) {
		p->from = b;
		TAILQ_INSERT_TAIL(&b->branching, p, branch);
	}
	return rc;
}

/* it answers: whoever it has not come to yet may wait as long again */
static void bear_with(struct pool_ref *b)
{
	double until = pool_now(b->proc.f) + CLONE_S;
	struct pool_proc *p;

	TAILQ_FOREACH(p, &b->branching, branch)
		if (p->deadline < until)
			p->deadline = until;
}

static void answered(struct pool_proc *p, int rc)
{
	TAILQ_REMOVE(&p->from->branching, p, branch);
	p->from = NULL;
	function_mark(p->f);
	p->ops->branched(p, rc);
}

void pool_base_cloned(struct pool_ref *b, const struct msg *m)
{
	struct pool_proc *p = TAILQ_FIRST(&b->branching);
	int64_t pid = (int64_t)m->a[0];
	int rc;

	if (!p) {
		pool_ref_kill(b);
		return;
	}
	rc = pid > 0 ? pool_proc_identify(p, (pid_t)pid, b->proc.pid) :
	     pid < 0 && pid > -4096 ? (int)pid : -EPERM;
	if (rc == 0 && !p->peer)
		rc = -ESRCH;		/* its socket said so before */
	if (rc == -EPERM)
		pool_ref_kill(b);	/* it named what is not its child */
	else
		bear_with(b);
	answered(p, rc);
}

/* a function that has only its snapshot has nothing without its base */
static void lose(struct function *f, const char *text)
{
	for (struct pool_ref *r = f->refs; r < f->refs + 2; r++) {
		if (!r->of || r->of->state != REF_DOWN)
			continue;
		if (r->state == REF_READY && r->stored)
			pool_ref_kill(r);
		else
			r->of = NULL;	/* it has its process, for ever */
	}
	function_mark(f);
}

void pool_base_orphans(struct pool_ref *b)
{
	struct function *base = b->proc.f;
	struct pool_proc *p;

	while ((p = TAILQ_FIRST(&b->branching)))
		answered(p, -ECHILD);
	pool_shell_end(base, b);
	each(base, lose, "");
}

/* its snapshot, which the store may have had, and what clones of that learn */
static int files_open(struct pool_ref *r)
{
	r->file = r->from >= 0 ? fcntl(r->from, F_DUPFD_CLOEXEC, 0) :
		  memfd_create("usetl-snapshot", MFD_CLOEXEC |
			       MFD_ALLOW_SEALING);
	r->workset = memfd_create("usetl-workset", MFD_CLOEXEC);
	if (r->file < 0 || r->workset < 0 ||
	    ftruncate(r->workset, (off_t)ram_workset_size()) < 0)
		return -errno;
	return 0;
}

/* it has ended, which its loop has yet to say; then it is made anew */
static int gone(int rc)
{
	return rc == -EPIPE || rc == -ECONNRESET;
}

int pool_base_branch(struct pool_ref *r, struct err *err)
{
	struct function *base = r->proc.f->base;
	const char *why;
	char text[POOL_UNFIT];
	int rc;

	why = pool_base_is_packages(base) ? pool_limits_unfit(r->proc.f, text) :
	      NULL;
	if (why)
		return do_without(r->proc.f, why);
	if (pool_alone(base->ref)) {
		if (base->image == IMAGE_GOOD &&
		    !(pool_alone_serves(base->ref, r->proc.f) &&
		      pool_store_look(r)))
			pool_alone_need(base->ref);
		return 0;
	}
	/* it says when it is, and if it never will be */
	if (!pool_ref_usable(base) || pool_store_look(r))
		return 0;
	r->tried = 1;
	rc = pool_ref_open(r);
	if (rc == 0)
		rc = files_open(r);
	if (rc == 0)
		rc = pool_base_ask(&r->proc, base->ref, MSG_BRANCH);
	if (rc < 0) {
		pool_base_files_close(r);
		pool_proc_close(&r->proc);
		if (gone(rc)) {
			r->tried = 0;
			return 0;
		}
		return err_set(err, rc, CANNOT "%s", strerror(-rc));
	}
	r->of = base->ref;
	pool_ref_booting(r);
	return 0;
}

/* what it needs */

void pool_base_files_close(struct pool_ref *r)
{
	if (r->file >= 0)
		close(r->file);
	if (r->workset >= 0)
		close(r->workset);
	r->file = r->workset = -1;
	if (r->of && r->stored)
		r->of->clones--;
	r->of = NULL;
	r->stored = 0;
}

int pool_base_sealed(const struct pool_ref *r)
{
	const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
			F_SEAL_WRITE;

	return r->file >= 0 && fcntl(r->file, F_GET_SEALS) == all;
}

struct place *pool_base_place(const struct pool_ref *r, struct err *err)
{
	struct ref_opts o = pool_ref_opts(r);
	struct place *p = place_create(&o, err), *of;

	if (!p || !r->proc.f->base_of)
		return p;
	of = r->proc.f->base ? place_packages(p, o.img, err) :
	     place_runtime(p, err);
	free(p);
	return of;
}

/* what the function is, sealed; a descriptor or -errno */
static int place_fd(const struct pool_ref *r, struct err *err)
{
	struct place *p = pool_base_place(r, err);
	int fd = p ? memfd_create("usetl-place", MFD_CLOEXEC |
				  MFD_ALLOW_SEALING) : -1;
	int rc = 0;

	if (!p)
		rc = -E2BIG;
	else if (fd < 0 || write(fd, p, PLACE_SIZE) != PLACE_SIZE ||
		 fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
		       F_SEAL_GROW) < 0)
		rc = err_set(err, -errno, "%s", strerror(errno));
	free(p);
	if (rc < 0 && fd >= 0)
		close(fd);
	return rc < 0 ? rc : fd;
}

/* a branch is where the base is; a function has a share of its own */
void pool_base_enter_cgroup(struct function *f, pid_t pid)
{
	struct cgroup *c = f->pool->o.cgroup;
	int fd = c ? cgroup_add(c, f->name, pool_main(f)->id) : -1, rc = fd;

	if (!c)
		return;
	if (fd >= 0) {
		rc = cgroup_move(fd, pid);
		close(fd);
	}
	if (rc < 0)
		pool_note(f, "it is not in its cgroup: %s", strerror(-rc));
}

/* the file that a layer is in; of none: whichever */
static int layer_fd(const struct image *img, int layer)
{
	const struct image_layer *l = &img->layer[layer];

	return l->len ? l->fd : img->fd;
}

static int place(struct pool_proc *p, const struct pool_ref *r, uint64_t what,
		 uint32_t pid, int once, struct err *err)
{
	const struct image *img = p->f->img;
	struct msg m = {
		.type = MSG_PLACE, .a = { what, pid, once != 0 },
	};
	int fds[PLACE_FDS] = {
		[PLACE_FD_PLACE] = place_fd(r, err),
		[PLACE_FD_APP] = layer_fd(img, ETLFS_LAYER_APP),
		[PLACE_FD_SNAPSHOT] = r->file,
		[PLACE_FD_WORKSET] = r->workset,
		[PLACE_FD_PACKAGES] = layer_fd(img, ETLFS_LAYER_PACKAGES),
	};
	int rc = fds[PLACE_FD_PLACE];

	if (rc < 0)
		return rc;
	pool_base_enter_cgroup(p->f, p->pid);
	rc = peer_send(p->peer, &m, NULL, fds, PLACE_FDS);
	close(fds[PLACE_FD_PLACE]);
	return rc < 0 ? err_set(err, rc, "%s", strerror(-rc)) : 0;
}

int pool_base_clone(struct pool_proc *p, struct pool_ref *r, uint32_t pid,
		    int once)
{
	struct err err;

	return place(p, r, PLACE_CLONE, pid, once, &err);
}

int pool_base_boot(struct pool_ref *r, int rc, struct err *err)
{
	if (rc < 0)
		return err_set(err, rc, CANNOT "%s", strerror(-rc));
	/* its time is counted from here */
	pool_ref_booting(r);
	return place(&r->proc, r, !r->proc.f->base_of ? PLACE_BOOT :
		     r->from >= 0 ? PLACE_LOAD : PLACE_BASE, 0, 0, err);
}
