/*
 * pool_store.c - references that the store has: taken from it, put into it
 *
 * The key of a runtime is all that its boot depends on; that of a snapshot over
 * it, of packages or a function, is its base, by the name that this drew as it
 * was taken, and all that was placed.  So what is found is what would boot now, and a base that
 * boots anew leaves behind whatever lay over the one before.
 *
 * Files are read and written by a thread, one at a time for each reference, but
 * those that are mapped (pool_alone.c): of these little is read, and at once;
 * until it is joined its reference neither boots nor is freed.  Whatever goes
 * wrong with the store costs a line and a boot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "conf/build.h"
#include "conf/nstime.h"
#include "vmm/guest/place.h"
#include "vmm/memory/ram.h"
#include "vmm/pool/pool_impl.h"
#include "vmm/tender/signature.h"

#define FUTURE_NS	(2 * NSEC_PER_SEC)	/* clocks are not that exact */

static struct pool_ref *ref_of(struct store_work *w)
{
	return (struct pool_ref *)((char *)w - offsetof(struct pool_ref, work));
}

static int may(const struct pool_ref *r)
{
	const struct function *f = r->proc.f;
	char build[BUILD_ID_MAX];

	/* of a build that has no name nothing can be told apart */
	return f->pool->o.store && (f->base || f->base_of) &&
	       !f->o.no_store && !f->o.trial && build_id(build) == 0;
}

/* keys */

/* this build on this kernel and processor, by this tender */
static void key_of_host(FILE *to, const struct function *f)
{
	char build[BUILD_ID_MAX];
	struct utsname u;

	build_id(build);
	fprintf(to, "build %s abi %u tender %d verify %d\n", build,
		UK_ABI_VERSION, (int)f->pool->o.tender, f->o.verify);
	if (uname(&u) == 0)
		fprintf(to, "kernel %s %s\n", u.release, u.version);
	fprintf(to, "processor %016llx owner %s\n",
		(unsigned long long)signature_here(0), f->o.owner);
}

static void key_of_strings(FILE *to, const struct place *p)
{
	fprintf(to, "%u %u %u\n", p->argc, p->envc, p->strings_len);
	fwrite(p->strings, 1, p->strings_len, to);
}

static void key_of_base(FILE *to, const struct function *f,
			const struct place *p)
{
	key_of_host(to, f);
	fprintf(to, "runtime %s %llu\n", f->img->layer[0].digest,
		(unsigned long long)f->img->layer[0].len);
	if (f->layout)
		fprintf(to, "layout %u\n", f->layout);
	key_of_strings(to, p);
}

static void key_of_packages(FILE *to, const struct function *f,
			    const struct place *p, const uint8_t id[16])
{
	const struct image_layer *l = &f->img->layer[ETLFS_LAYER_PACKAGES];

	fprintf(to, "packages %s %llu\n", l->digest,
		(unsigned long long)l->len);
	fwrite(id, 1, 16, to);
	key_of_strings(to, p);
}

static void key_of_function(FILE *to, const struct pool_ref *r,
			    const struct place *p, const uint8_t id[16])
{
	const struct function *f = r->proc.f;
	struct place fixed = *p;

	/* how long it may boot, and what it may say then, is over */
	fixed.boot_ns = fixed.log_max = 0;
	fprintf(to, "image %s function %s\n", f->img->digest, f->name);
	fwrite(id, 1, 16, to);
	fwrite(&fixed, 1, sizeof(fixed), to);
	fwrite(p->strings, 1, p->strings_len, to);
}

/* id: of a function's base */
static int key_write(const struct pool_ref *r, const uint8_t *id,
		     const struct place *p, char key[STORE_DIGEST])
{
	size_t len;
	char *text;
	FILE *to = open_memstream(&text, &len);
	int rc;

	if (!to)
		return -ENOMEM;
	if (id && r->proc.f->base_of)
		key_of_packages(to, r->proc.f, p, id);
	else if (id)
		key_of_function(to, r, p, id);
	else
		key_of_base(to, r->proc.f, p);
	rc = fclose(to) ? -ENOMEM : 0;
	if (rc == 0)
		sha256_text(text, len, key);
	free(text);
	return rc;
}

static int key_make(const struct pool_ref *r, const uint8_t *id,
		    char key[STORE_DIGEST])
{
	struct err err;
	struct place *p = pool_base_place(r, &err);
	int rc = p ? key_write(r, id, p, key) : -ENOMEM;

	free(p);
	return rc;
}

/* the thread's */

static int64_t age_of(const struct store_snapshot *s)
{
	return (int64_t)nstime_of(CLOCK_REALTIME) - s->created;
}

/* what was summed is what is used, and nobody can change it or cut it short */
static int keep_copy(struct store_work *w, const struct store_snapshot *s)
{
	int fd = memfd_create("usetl-snapshot", MFD_CLOEXEC |
			      MFD_ALLOW_SEALING);
	int rc = fd < 0 ? err_set(&w->err, -errno, "%s", strerror(errno)) :
		 store_snapshot_read(w->store, w->key, s, fd, &w->err);

	if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK |
			     F_SEAL_GROW | F_SEAL_WRITE) < 0)
		rc = err_set(&w->err, -errno, "%s", strerror(errno));
	if (rc < 0 && fd >= 0)
		close(fd);
	else
		w->fd = fd;
	return rc;
}

static int load_open(struct store_work *w, struct store_snapshot *s)
{
	int64_t age;
	int rc = store_snapshot_open(w->store, w->key, s, &w->err);

	if (rc < 0)
		return rc;
	w->len = s->len;
	age = age_of(s);
	w->age = age > 0 ? age / 1e9 : 0;
	/* a clock that went back: nobody knows how old it is */
	if (age < -(int64_t)FUTURE_NS ||
	    (w->max_age_ns && age > (int64_t)w->max_age_ns))
		return -ENOENT;
	if (snapshot_head(s->fd, &w->head) == 0 &&
	    w->head.is_base == !w->over && (!w->over ||
	    !memcmp(w->head.base, w->id, sizeof(w->id))))
		return 0;
	store_snapshot_drop(w->store, w->key);
	return err_set(&w->err, -EINVAL, "snapshot %.12s is of another usetl",
		       w->key);
}

static int load(struct store_work *w)
{
	struct store_snapshot s = { .fd = -1 };
	int rc = load_open(w, &s);

	if (rc == 0 && w->maps) {
		w->fd = s.fd;
		return 0;
	}
	if (rc == 0)
		rc = keep_copy(w, &s);
	if (s.fd >= 0)
		close(s.fd);
	return rc;
}

static int save(struct store_work *w)
{
	off_t len = lseek(w->fd, 0, SEEK_END);
	struct store_snapshot snap = { .fd = w->fd, .len = (uint64_t)len };
	struct store_gc gc = { 0 };
	struct err err;
	int rc;

	memcpy(snap.what, w->what, sizeof(snap.what));
	memcpy(snap.id, w->head.id, STORE_ID);
	memcpy(snap.over, w->head.base, STORE_ID);
	rc = len < 0 ? -errno : store_snapshot_put(w->store, w->key, &snap,
						   &w->err);
	if (rc == 0 && w->old[0] && strcmp(w->old, w->key))
		store_snapshot_drop(w->store, w->old);
	/* it took the place of one that others were over */
	if (rc == 0 && w->head.is_base)
		store_gc_orphans(w->store, &gc, &err);
	close(w->fd);
	w->fd = -1;
	return rc;
}

static void *work(void *arg)
{
	struct store_work *w = arg;

	w->rc = w->saves ? save(w) : load(w);
	ev_async_send(ref_of(w)->proc.f->pool->loop, &w->done);
	return NULL;
}

static int start(struct store_work *w)
{
	struct function *f = ref_of(w)->proc.f;

	w->store = f->pool->o.store;
	w->err.msg[0] = '\0';
	w->running = w->maps = !w->saves && pool_alone_maps(f);
	ev_async_start(f->pool->loop, &w->done);
	if (w->maps) {
		work(w);
		return 0;
	}
	if (pthread_create(&w->thread, NULL, work, w) == 0) {
		w->running = 1;
		return 0;
	}
	ev_async_stop(f->pool->loop, &w->done);
	return -EAGAIN;
}

static void join(struct store_work *w)
{
	if (!w->running)
		return;
	if (!w->maps)
		pthread_join(w->thread, NULL);
	w->running = 0;
	ev_async_stop(ref_of(w)->proc.f->pool->loop, &w->done);
}

/* taken from it */

/* of a base that boots anew nothing can be there */
static const uint8_t *base_id(const struct pool_ref *r)
{
	const struct function *f = r->proc.f;

	return f->base && f->base->ref->has_id ? f->base->ref->id : NULL;
}

int pool_store_look(struct pool_ref *r)
{
	struct function *f = r->proc.f;
	struct store_work *w = &r->work;
	const uint8_t *id = base_id(r);

	if (w->running)
		return 1;
	if (!may(r) || r->looked || r != f->ref || (f->base && !id))
		return 0;
	r->looked = 1;
	w->saves = 0;
	w->fd = -1;
	w->max_age_ns = f->base ? 0 : f->o.refresh_ns;
	w->over = id != NULL;
	if (id)
		memcpy(w->id, id, sizeof(w->id));
	return key_make(r, id, w->key) == 0 && start(w) == 0;
}

static void found_base(struct pool_ref *r)
{
	r->from = r->work.fd;
	r->age = r->work.age;
	memcpy(r->id, r->work.head.id, sizeof(r->id));
	r->has_id = 1;
	r->kept = 1;
	if (pool_alone(r))
		pool_boot_verified(r->proc.f);
}

/* what it is over is there; it may be another one by now */
static int found_over(const struct pool_ref *r)
{
	const struct function *base = r->proc.f->base;
	const struct pool_ref *of = base ? base->ref : NULL;

	return of && (of->state == REF_READY || pool_alone(of)) && of->has_id &&
	       !memcmp(of->id, r->work.head.base, sizeof(of->id));
}

/* clones come from the file, as those of one that was stored */
static void found(struct pool_ref *r)
{
	struct pool_ref *of = r->proc.f->base->ref;
	int fd = r->work.fd;

	r->workset = memfd_create("usetl-workset", MFD_CLOEXEC);
	if (r->workset < 0 ||
	    ftruncate(r->workset, (off_t)ram_workset_size()) < 0) {
		close(fd);
		pool_base_files_close(r);
		return;
	}
	r->file = fd;
	r->of = of;
	of->clones++;
	r->stored = r->kept = 1;
	r->age = r->work.age;
	r->stats = (struct boot_stats){
		.ram_bytes = r->work.len - SNAPSHOT_HEAD,
	};
	pool_boot_is_ready(r);
}

static void on_done(struct ev_loop *loop, struct ev_async *a, int revents)
{
	struct store_work *w = a->data;
	struct pool_ref *r = ref_of(w);
	struct function *f = r->proc.f;

	join(w);
	function_mark(f);
	if (w->rc < 0 && w->err.msg[0])
		pool_note(f, "store: %s", w->err.msg);
	/* nothing can be put where a folder is, which was said */
	r->kept |= w->rc == -EISDIR;
	if (w->rc == 0)
		strcpy(f->kept_key, w->key);
	if (w->saves || w->rc < 0)
		return;
	if (f->retired || r->state != REF_DOWN || r != f->ref ||
	    f->image == IMAGE_BAD)
		close(w->fd);
	else if (w->head.is_base ? f->base != NULL : !found_over(r)) {
		close(w->fd);
		r->looked = 0;
	} else if (f->base_of)
		found_base(r);
	else
		found(r);
}

/* put into it */

static int wants_saving(const struct pool_ref *r)
{
	/* nobody could go on from it, without a base */
	if (r->of && r->of->kept && !r->of->has_id)
		return 0;
	return !r->kept && r->state == REF_READY && !r->work.running &&
	       r->file >= 0 && may(r);
}

int pool_store_waits(const struct function *f)
{
	return wants_saving(f->ref);
}

static int any_waits(const struct function_list *list)
{
	const struct function *f;

	TAILQ_FOREACH(f, list, link)
		if (!f->retired && (pool_store_waits(f) || f->ref->work.running))
			return 1;
	return 0;
}

int pool_keeping(const struct pool *pool)
{
	return pool->o.store && (any_waits(&pool->current) ||
				 any_waits(&pool->others));
}

static void put(struct pool_ref *r)
{
	struct function *f = r->proc.f;
	struct store_work *w = &r->work;
	struct snapshot_head *h = &w->head;

	r->kept = 1;
	w->saves = 1;
	w->fd = fcntl(r->file, F_DUPFD_CLOEXEC, 0);
	if (w->fd < 0)
		return;
	/* no longer than that: who lists them sees where it ends */
	snprintf(w->what, sizeof(w->what), "%s%s", f->name,
		 f->o.owner[0] ? " of an owner" : "");
	strcpy(w->old, f->kept_key);
	if (snapshot_head(w->fd, h) < 0) {
		pool_note(f, "store: its snapshot cannot be written");
		close(w->fd);
		w->fd = -1;
		return;
	}
	if (key_make(r, f->base ? h->base : NULL, w->key) < 0 ||
	    start(w) < 0) {
		close(w->fd);
		w->fd = -1;
		return;
	}
	if (!f->base_of)
		return;
	memcpy(r->id, h->id, sizeof(r->id));
	r->has_id = 1;
	/*
	 * Of a runtime it is a copy of its memory.  What lies over another base
	 * is the memory itself, and a function's snapshot is no use without it.
	 */
	if (f->base)
		return;
	close(r->file);
	r->file = -1;
}

void pool_store_pump(struct function *f)
{
	struct pool_ref *r = f->ref;

	/* without its base it is of no use */
	if (wants_saving(r) && pool_base_sealed(r) &&
	    (!f->base || (r->of && r->of->has_id)))
		put(r);
}

void pool_store_begin(struct pool_ref *r)
{
	if (may(r) && r->proc.f->base_of && r->from < 0)
		r->file = memfd_create("usetl-snapshot", MFD_CLOEXEC |
				       MFD_ALLOW_SEALING);
}

void pool_store_read(struct pool_ref *r)
{
	if (r->from >= 0)
		close(r->from);
	r->from = -1;
}

void pool_store_forget(struct pool_ref *r)
{
	pool_store_read(r);
	r->has_id = r->kept = r->looked = 0;
	r->age = 0;
}

void pool_store_bad(struct pool_ref *r)
{
	store_snapshot_drop(r->work.store, r->work.key);
}

void pool_store_init(struct pool_ref *r)
{
	r->from = -1;
	ev_async_init(&r->work.done, on_done);
	r->work.done.data = &r->work;
}

void pool_store_end(struct pool_ref *r)
{
	struct store_work *w = &r->work;
	int unused = w->running && !w->saves;

	join(w);
	if (unused && w->rc == 0)
		close(w->fd);
	pool_store_forget(r);
}
