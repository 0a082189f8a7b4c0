/* snapshot.c - all that a clone starts from (snapshot.h) */
#include "vmm/guest/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

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

static int base_take(struct snapshot *s, struct ram *ram, struct err *err)
{
	if (getrandom(s->base, sizeof(s->base), 0) != sizeof(s->base))
		return err_set(err, -EIO, "no random bytes to be had");
	return ram_seal(ram, err);
}

/* the head of the delta's file, and nobody changes it any more */
static int head_write(const struct snapshot *s, const struct ram *ram,
		      struct err *err)
{
	const struct ram_delta *d = &ram->delta[ram->deltas - 1];
	struct snapshot_head *h = mmap(NULL, SNAPSHOT_HEAD, PROT_READ |
				       PROT_WRITE, MAP_SHARED, d->fd, 0);

	if (h == MAP_FAILED)
		return err_set(err, -errno, "cannot write a snapshot: %s",
			       strerror(errno));
	h->magic = SNAPSHOT_MAGIC;
	h->abi = UK_ABI_VERSION;
	h->runs = d->n;
	memcpy(h->base, s->base, sizeof(h->base));
	for (int i = 0; i < RAM_WINDOWS; i++)
		h->span[i] = ram->win[i].span;
	memcpy(h->ticket_gen, s->ticket_gen, sizeof(h->ticket_gen));
	h->entropy_gen = s->entropy_gen;
	h->mono = s->mono;
	h->cpu = s->cpu;
	memcpy(h->run, d->run, d->n * sizeof(*d->run));
	munmap(h, SNAPSHOT_HEAD);
	if (fcntl(d->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
		  F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set(err, -errno, "cannot seal a snapshot: %s",
			       strerror(errno));
	return 0;
}

static int over_take(struct snapshot *s, struct ram *ram, int fd,
		     struct err *err)
{
	int rc = ram_delta_take(ram, fd, SNAPSHOT_HEAD, err);

	return rc < 0 ? rc : head_write(s, ram, err);
}

static const char *head_wrong(const struct snapshot *s, const struct ram *ram,
			      const struct snapshot_head *h)
{
	if (h->magic != SNAPSHOT_MAGIC || h->abi != UK_ABI_VERSION)
		return "it is none of this version";
	if (memcmp(h->base, s->base, sizeof(h->base)))
		return "it is of another base";
	if (h->runs > RAM_RUNS || h->cpu.xcr0 != s->cpu.xcr0)
		return "it is damaged";
	for (int i = 0; i < RAM_WINDOWS; i++)
		if (h->span[i] % UK_BIG || h->span[i] < s->win[i].span ||
		    h->span[i] > ram->win[i].cap)
			return "its memory is larger than the limit";
	return NULL;
}

static int refuse(int fd, const char *why, struct err *err)
{
	close(fd);
	return err_set(err, -EINVAL, "cannot use a snapshot: %s", why);
}

int snapshot_load(struct snapshot *s, struct ram *ram, int fd, struct err *err)
{
	static struct {
		struct snapshot_head h;
		struct ram_run run[RAM_RUNS];
	} f;
	const char *wrong;
	int rc;

	/* a copy: whoever wrote it may hold it still, if it was not sealed */
	if (pread(fd, &f, sizeof(f), 0) != sizeof(f))
		return refuse(fd, "it is cut short", err);
	wrong = head_wrong(s, ram, &f.h);
	if (wrong)
		return refuse(fd, wrong, err);
	for (int i = 0; i < RAM_WINDOWS; i++) {
		struct ram_window *w = &ram->win[i];

		w->span = w->top = w->sealed = f.h.span[i];
	}
	rc = ram_delta_add(ram, fd, f.run, f.h.runs, SNAPSHOT_HEAD);
	if (rc < 0)
		return err_set(err, rc, "cannot use a snapshot: its list of "
			       "pages is damaged");
	memcpy(s->ticket_gen, f.h.ticket_gen, sizeof(s->ticket_gen));
	s->entropy_gen = f.h.entropy_gen;
	s->mono = f.h.mono;
	s->cpu = f.h.cpu;
	memcpy(s->win, ram->win, sizeof(s->win));
	s->mem_limit = ram->mem_limit;
	s->files_limit = ram->files_limit;
	return ram_lay(ram, s->memfd, err);
}

int snapshot_take(struct snapshot *s, struct guest *g, int fd, struct err *err)
{
	struct ram *ram = g->ram;
	int rc = cpu_take(s, g, err);

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
		rc = s->memfd = base_take(s, ram, err);
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
