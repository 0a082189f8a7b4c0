/* snapshot.c - all that a clone starts from (snapshot.h) */
#include "vmm/guest/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "vmm/guest/guest.h"
#include "vmm/tender/machine.h"

/* saves the vCPU as it will be when READY returns in a clone */
static int cpu_take(struct snapshot *s, struct guest *g, struct err *err)
{
	uint64_t rip = g->t->regs->rip;
	int rc;

	if (rip < UK_STUB || rip > MACHINE_DB_RET)
		return err_set(err, -EPROTO, "the guest rang READY outside "
			       "its stub");
	rc = g->t->ops->save(g->t, &s->cpu);
	if (rc < 0)
		return err_set(err, rc, "cannot save the vCPU: %s",
			       strerror(-rc));
	s->cpu.regs.rip = MACHINE_DB_RET;
	return 0;
}

/* it is over what *s was, or over nothing */
static int name_draw(struct snapshot *s, int is_base, struct err *err)
{
	memcpy(s->base, s->id, sizeof(s->base));
	if (getrandom(s->id, sizeof(s->id), 0) != sizeof(s->id))
		return err_set(err, -EIO, "no random bytes to be had");
	if (is_base)
		memcpy(s->base, s->id, sizeof(s->base));
	return 0;
}

/* the head of its file, with n runs */
static int head_fill(const struct snapshot *s, const struct ram *ram, int fd,
		     const struct ram_run *run, uint32_t n, int is_base)
{
	struct snapshot_head *h = mmap(NULL, SNAPSHOT_HEAD, PROT_READ |
				       PROT_WRITE, MAP_SHARED, fd, 0);

	if (h == MAP_FAILED)
		return -errno;
	h->magic = SNAPSHOT_MAGIC;
	h->abi = UK_ABI_VERSION;
	h->runs = n;
	h->is_base = is_base != 0;
	h->processor = tender_cpu.signature;
	memcpy(h->id, s->id, sizeof(h->id));
	memcpy(h->base, s->base, sizeof(h->base));
	for (int i = 0; i < RAM_WINDOWS; i++)
		h->span[i] = ram->win[i].span;
	memcpy(h->ticket_gen, s->ticket_gen, sizeof(h->ticket_gen));
	h->entropy_gen = s->entropy_gen;
	h->mono = s->mono;
	h->cpu = s->cpu;
	memcpy(h->run, run, n * sizeof(*run));
	munmap(h, SNAPSHOT_HEAD);
	return 0;
}

/* and nobody changes it any more */
static int head_write(const struct snapshot *s, const struct ram *ram, int fd,
		      const struct ram_run *run, uint32_t n, int is_base,
		      struct err *err)
{
	int rc = head_fill(s, ram, fd, run, n, is_base);

	if (rc < 0)
		return err_set(err, rc, "cannot write a snapshot: %s",
			       strerror(-rc));
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
		  F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set(err, -errno, "cannot seal a snapshot: %s",
			       strerror(errno));
	return 0;
}

int snapshot_write(const struct snapshot *s, struct ram *ram, int fd,
		   struct err *err)
{
	struct ram_run *run;
	uint32_t n;
	int rc = ram_base_write(ram, s->memfd, fd, SNAPSHOT_HEAD, &run, &n,
				err);

	if (rc < 0)
		return rc;
	rc = head_write(s, ram, fd, run, n, 1, err);
	free(run);
	return rc;
}

void snapshot_none(int fd)
{
	if (ftruncate(fd, 0) == 0)
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
		      F_SEAL_GROW | F_SEAL_SEAL);
}

int snapshot_save(const struct snapshot *s, struct ram *ram, int fd)
{
	struct ram_run *run = NULL;
	uint32_t n;
	int rc = ram_delta_write(ram, fd, SNAPSHOT_HEAD, &run, &n);

	if (rc == 0)
		rc = head_fill(s, ram, fd, run, n, 0);
	free(run);
	return rc;
}

static int over_take(struct snapshot *s, struct ram *ram, int fd,
		     struct err *err)
{
	int rc = ram_delta_take(ram, fd, SNAPSHOT_HEAD, err);
	const struct ram_delta *d;

	if (rc < 0)
		return rc;
	d = &ram->delta[ram->deltas - 1];
	return head_write(s, ram, d->fd, d->run, d->n, 0, err);
}

/* with its runs */
struct head_file {
	struct snapshot_head h;
	struct ram_run run[RAM_RUNS];
};

static int is_head(const struct snapshot_head *h)
{
	return h->magic == SNAPSHOT_MAGIC && h->abi == UK_ABI_VERSION &&
	       h->is_base <= 1;
}

int snapshot_head(int fd, struct snapshot_head *h)
{
	return pread(fd, h, sizeof(*h), 0) == sizeof(*h) && is_head(h) &&
	       h->runs <= RAM_RUNS ? 0 : -EINVAL;
}

/* a copy: whoever wrote it may hold it still, if it was not sealed */
static const char *head_read(int fd, struct head_file *f, uint32_t is_base)
{
	ssize_t len;

	if (pread(fd, &f->h, sizeof(f->h), 0) != sizeof(f->h))
		return "it is cut short";
	if (!is_head(&f->h) || f->h.is_base != is_base)
		return "it is none of this version";
	if (f->h.runs > RAM_RUNS)
		return "it is damaged";
	len = (ssize_t)(f->h.runs * sizeof(f->run[0]));
	return pread(fd, f->run, (size_t)len, sizeof(f->h)) == len ? NULL :
	       "it is cut short";
}

static const char *spans_wrong(const struct ram *ram,
			       const struct snapshot_head *h)
{
	for (int i = 0; i < RAM_WINDOWS; i++)
		if (h->span[i] % UK_BIG || h->span[i] < ram->win[i].sealed ||
		    h->span[i] > ram->win[i].cap)
			return "its memory is larger than the limit";
	return NULL;
}

static void spans_set(struct ram *ram, const struct snapshot_head *h)
{
	for (int i = 0; i < RAM_WINDOWS; i++) {
		struct ram_window *w = &ram->win[i];

		w->span = w->top = w->sealed = h->span[i];
	}
}

static void head_take(struct snapshot *s, const struct ram *ram,
		      const struct snapshot_head *h)
{
	memcpy(s->id, h->id, sizeof(s->id));
	memcpy(s->base, h->base, sizeof(s->base));
	memcpy(s->ticket_gen, h->ticket_gen, sizeof(s->ticket_gen));
	s->entropy_gen = h->entropy_gen;
	s->mono = h->mono;
	if (h->mono > s->mono_add + nstime_now())
		s->mono_add = h->mono - nstime_now();
	s->cpu = h->cpu;
	memcpy(s->win, ram->win, sizeof(s->win));
	s->mem_limit = ram->mem_limit;
	s->files_limit = ram->files_limit;
}

static int refuse(const char *why, struct err *err)
{
	return err_set(err, -EINVAL, "cannot use a snapshot: %s", why);
}

#define BAD_LIST	"its list of pages is damaged"

/* what fd has of a snapshot, but its pages are not mapped yet */
static int take_over(struct snapshot *s, struct ram *ram, int fd,
		     struct err *err)
{
	static struct head_file f;
	const char *wrong = head_read(fd, &f, 0);
	int rc;

	if (!wrong && memcmp(f.h.base, s->id, sizeof(s->id)))
		wrong = "it is of another base";
	if (!wrong && f.h.cpu.xcr0 != s->cpu.xcr0)
		wrong = "it is damaged";
	if (!wrong)
		wrong = spans_wrong(ram, &f.h);
	if (wrong) {
		close(fd);
		return refuse(wrong, err);
	}
	spans_set(ram, &f.h);
	rc = ram_delta_add(ram, fd, f.run, f.h.runs, SNAPSHOT_HEAD);
	if (rc < 0)
		return refuse(BAD_LIST, err);
	head_take(s, ram, &f.h);
	return 0;
}

int snapshot_load(struct snapshot *s, struct ram *ram, int fd, struct err *err)
{
	int rc = take_over(s, ram, fd, err);

	return rc < 0 ? rc : ram_lay(ram, s->memfd, err);
}

int snapshot_place(struct snapshot *s, struct ram *ram, int fd,
		   struct err *err)
{
	struct ram_window was[RAM_WINDOWS];
	int rc;

	memcpy(was, ram->win, sizeof(was));
	rc = take_over(s, ram, fd, err);
	return rc < 0 ? rc : ram_lay_last(ram, s->memfd, was, err);
}

/* the memfd below: of all of its pages, or none where they are mapped */
static int base_get(struct ram *ram, int fd, int map, const struct head_file *f,
		    struct err *err)
{
	int rc;

	if (map)
		rc = ram_base_map(ram, fd, f->run, f->h.runs,
				  SNAPSHOT_HEAD, err);
	else
		rc = ram_base_read(ram, fd, f->run, f->h.runs, SNAPSHOT_HEAD);
	if (rc < 0 && !err->msg[0])
		return refuse(rc == -EINVAL ? BAD_LIST : strerror(-rc), err);
	return rc < 0 || map ? rc : ram_seal(ram, err);
}

int snapshot_read(struct snapshot *s, struct ram *ram, int fd, int map,
		  struct err *err)
{
	static struct head_file f;
	const char *wrong = head_read(fd, &f, 1);
	int rc;

	if (!wrong && f.h.processor != tender_cpu.signature)
		return err_set(err, -ESTALE, "cannot use a snapshot: it is of "
			       "another processor");
	if (!wrong)
		wrong = spans_wrong(ram, &f.h);
	if (wrong)
		return refuse(wrong, err);
	spans_set(ram, &f.h);
	err->msg[0] = '\0';
	rc = s->memfd = base_get(ram, fd, map, &f, err);
	if (rc < 0)
		return rc;
	head_take(s, ram, &f.h);
	return 0;
}

int snapshot_take(struct snapshot *s, struct guest *g, int fd, struct err *err)
{
	struct ram *ram = g->ram;
	int rc = cpu_take(s, g, err);

	if (rc == 0)
		rc = name_draw(s, !ram->snap, err);
	if (rc < 0)
		return rc;
	memcpy(s->ticket_gen, g->ticket_gen, sizeof(s->ticket_gen));
	s->entropy_gen = g->entropy_gen;
	s->mono = guest_clock_told(g);
	/* of what warm-up fetched, clones inherit nothing */
	guest_detach(g);
	if (ram->snap) {
		rc = over_take(s, ram, fd, err);
		if (rc < 0)
			return rc;
	}
	guest_destroy(g);
	ram_unmap_host(ram, 0);
	if (ram->snap)
		rc = ram_lay(ram, s->memfd, err);
	else
		rc = s->memfd = ram_seal(ram, err);
	memcpy(s->win, ram->win, sizeof(s->win));
	s->mem_limit = ram->mem_limit;
	s->files_limit = ram->files_limit;
	return rc < 0 ? rc : 0;
}

void snapshot_layout(const struct snapshot *s, struct ram *ram)
{
	memcpy(ram->win, s->win, sizeof(ram->win));
	ram->mem_limit = s->mem_limit;
	ram->files_limit = s->files_limit;
}

void snapshot_begin(const struct snapshot *s, struct guest *g)
{
	/* nothing that the guest can read tells how many were before it */
	memcpy(g->ticket_gen, s->ticket_gen, sizeof(g->ticket_gen));
	g->entropy_gen = s->entropy_gen;
	g->ticks = 0;
	g->mono_least = s->mono;
	g->mono_add = s->mono_add;
}

/*
 * The components themselves, not XSTATE_BV (at 512): a register that holds
 * its initial value may or may not be marked in use.
 */
static int same_vectors(const uint8_t *a, const uint8_t *b)
{
	return !memcmp(a, b, 464) &&
	       !memcmp(a + 576, b + 576, sizeof(((struct cpu_state *)0)->xsave)
		       - 576);
}

int snapshot_cpu_same(const struct snapshot *s, const struct cpu_state *now)
{
	const struct cpu_state *want = &s->cpu;

	return !memcmp(&now->regs, &want->regs, sizeof(now->regs)) &&
	       now->fs_base == want->fs_base &&
	       now->gs_base == want->gs_base &&
	       same_vectors(now->xsave, want->xsave);
}
