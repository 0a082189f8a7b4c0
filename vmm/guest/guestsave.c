/*
 * guestsave.c - a guest in a request, written for somebody else (MSG_SNAPSHOT)
 *
 * As it returns from a doorbell, which one that does not ring by itself is told
 * to at a tick (UK_CTL_RING): what it has written since its snapshot is a delta
 * over that, in the file of a snapshot over another one.  What it was given so
 * far, which is in its host region, is in another (hostsaved.h).  It goes on
 * afterwards as if nothing had been.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/nstime.h"
#include "etlfs/region/hostsaved.h"
#include "vmm/guest/chan.h"
#include "vmm/guest/guest.h"
#include "vmm/guest/snapshot.h"
#include "vmm/tender/machine.h"

#define ROUND(n)	(((n) + UK_PAGE - 1) & ~(uint64_t)(UK_PAGE - 1))

/* is that mapped here? what is not is left out */
static int is_there(const struct guest *g, uint64_t off, uint64_t len)
{
	uint64_t w = off / ETLFS_WINDOW_STRIDE, in = off % ETLFS_WINDOW_STRIDE;

	return w < ETLFS_WINDOWS && (!w || g->windows & 1u << w) &&
	       in < g->ram->host_size[w] && len <= g->ram->host_size[w] - in;
}

static void run_add(const struct guest *g, struct hostsaved *h, uint64_t *at,
		    uint64_t off, uint64_t len)
{
	uint64_t from = off & ~(uint64_t)(UK_PAGE - 1);
	uint64_t end = ROUND(off + len);

	if (!len || end <= from || !is_there(g, from, end - from))
		return;
	h->run[h->runs++] = (struct hostsaved_run){ from, end - from, *at };
	*at += end - from;
}

/*
 * The ticket as the guest has it.  The gateway may not have seen the fetch yet,
 * or that it was cancelled; and what has ended counts once its body is here.
 */
static void ticket_mend(const struct guest *g, unsigned slot,
			struct etlfs_ticket *t)
{
	const uint32_t gen = g->ticket_gen[slot];
	int ended = t->state == ETLFS_DONE || t->state == ETLFS_FAILED;

	if (g->ticket_used & 1ull << slot && ended && t->gen == gen &&
	    (!t->body_len || is_there(g, t->body_off, t->body_len)))
		return;
	memset(t, 0, sizeof(*t));
	if (g->ticket_used & 1ull << slot) {
		t->gen = gen;
		t->state = ETLFS_PENDING;
	}
}

/* bytes of the file; *table is a copy, which the gateway does not write to */
static uint64_t runs_find(const struct guest *g, struct hostsaved *h,
			  struct etlfs_host *table)
{
	uint64_t at = HOSTSAVED_HEAD;

	memcpy(table, ram_sys(g->ram, UK_HOST_BASE), sizeof(*table));
	run_add(g, h, &at, 0, ETLFS_EVENT_OFF + h->event_len);
	for (unsigned i = 0; i < ETLFS_TICKETS; i++) {
		struct etlfs_ticket *t = &table->ticket[i];

		ticket_mend(g, i, t);
		run_add(g, h, &at, t->head_off, (uint64_t)t->head_len +
			t->url_len);
		run_add(g, h, &at, t->body_off, t->body_len);
	}
	return at;
}

static int host_write(struct guest *g, int fd)
{
	const struct uk_ctl *c = ram_sys(g->ram, UK_CTL);
	static struct etlfs_host table;
	static struct hostsaved h;
	uint64_t now = nstime_now(), size;
	uint8_t *to;

	memset(&h, 0, sizeof(h));
	h.magic = HOSTSAVED_MAGIC;
	h.event_len = c->event_len;
	h.left_ns = g->deadline > now ? g->deadline - now : 1;
	size = runs_find(g, &h, &table);
	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		return -errno;
	memcpy(to, &h, sizeof(h));
	for (uint32_t i = 0; i < h.runs; i++)
		memcpy(to + h.run[i].at,
		       (uint8_t *)ram_sys(g->ram, UK_HOST_BASE) + h.run[i].off,
		       h.run[i].len);
	memcpy(to + h.run[0].at, &table, sizeof(table));
	munmap(to, size);
	return 0;
}

static int delta_write(struct guest *g, int fd)
{
	static struct snapshot s;
	uint64_t rax = g->t->regs->rax;
	int rc = g->t->ops->save(g->t, &s.cpu);

	/* it has been answered, wherever rip is in the stub */
	s.cpu.regs.rax = rax;
	s.cpu.regs.rip = MACHINE_DB_RET;
	memcpy(s.ticket_gen, g->ticket_gen, sizeof(s.ticket_gen));
	memcpy(s.base, g->from->id, sizeof(s.base));
	s.entropy_gen = g->entropy_gen;
	s.mono = guest_clock_told(g);
	return rc < 0 ? rc : snapshot_save(&s, g->ram, fd);
}

void guest_save_order(struct guest *g, int fds[])
{
	int whole = fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0;

	if (g->save || !whole || !g->from) {
		chan_close_fds(fds);
		return;
	}
	memcpy(g->save_fd, fds, sizeof(g->save_fd));
	g->save = 1;
}

void guest_save(struct guest *g)
{
	struct msg m = { .type = MSG_SAVED };
	int rc;

	guest_ring(g, 0);
	rc = delta_write(g, g->save_fd[1]);
	if (rc == 0)
		rc = host_write(g, g->save_fd[2]);
	m.a[0] = (uint64_t)-rc;
	chan_send(g->save_fd[0], &m, NULL, 0);
	guest_save_drop(g);
}

void guest_save_drop(struct guest *g)
{
	if (!g->save)
		return;
	for (int i = 0; i < SAVE_FDS; i++)
		close(g->save_fd[i]);
	g->save = 0;
	guest_ring(g, 0);
}

/*
 * A guest that does not ask for what was sent: it is told to, since only it knows
 * whether it is about to wait for one of these messages.
 */
void guest_save_look(struct guest *g)
{
	if (g->phase == PHASE_REQUEST && chan_snapshot(g->sock))
		guest_ring(g, 1);
}
