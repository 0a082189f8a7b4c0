/*
 * doorbell.c - the whole host interface of a guest: an array by number
 *
 * Arguments come in registers and one descriptor page.  All of it is
 * hostile: copied out once, checked, then used.  A handler answers through
 * *ret (>= 0 or -errno) and says whether the guest goes on.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/nstime.h"
#include "vmm/tender/machine.h"
#include "vmm/guest/chan.h"
#include "vmm/guest/guest.h"

struct ring {
	uint64_t a, b, c;
	long ret;
};

static enum guest_end db_ready(struct guest *g, struct ring *r)
{
	const int packages = g->placed &&
			     g->place->level == UK_LEVEL_PACKAGES;

	/* once there is a function, its boot's time runs */
	if (r->a != UK_LEVEL_FUNCTION &&
	    (r->a != UK_LEVEL_RUNTIME || g->placed) &&
	    (r->a != UK_LEVEL_PACKAGES || !packages)) {
		r->ret = -EINVAL;
		return GUEST_GOES_ON;
	}
	g->level = (unsigned)r->a;
	return GUEST_READY;
}

static enum guest_end db_event(struct guest *g, struct ring *r)
{
	const struct uk_ctl *c = ram_sys(g->ram, UK_CTL);

	if (g->phase != PHASE_CHILD) {
		r->ret = c->event_here ? (long)c->event_len : -EINVAL;
		return GUEST_GOES_ON;
	}
	/* it begins a new one */
	guest_log_rung(g);
	return GUEST_EVENT;
}

static enum guest_end db_next(struct guest *g, struct ring *r)
{
	const void *p = NULL;

	/* the length first: what is pulled is copied */
	if (r->a <= UK_RESULT_ERROR && r->c <= MSG_PAYLOAD_MAX / 2)
		p = ram_pull(g->ram, r->b, r->c);
	if (!p) {
		r->ret = r->a > UK_RESULT_ERROR ? -EINVAL :
			 r->c > MSG_PAYLOAD_MAX / 2 ? -EFBIG : -EFAULT;
		return GUEST_GOES_ON;
	}
	g->kind = (unsigned)r->a;
	g->result = p;
	g->result_len = r->c;
	return GUEST_RESULT;
}

static int ticket_take(struct guest *g, uint32_t *ticket)
{
	for (unsigned i = 0; i < UK_TICKETS; i++) {
		if (g->ticket_used & 1ull << i)
			continue;
		g->ticket_used |= 1ull << i;
		if (++g->ticket_gen[i] >= 1u << 24)
			g->ticket_gen[i] = 1;
		*ticket = g->ticket_gen[i] << 6 | i;
		return 0;
	}
	return -EMFILE;
}

/* extents of a body, from guest addresses to this process's */
static int body_iov(struct guest *g, const struct uk_fetch *f,
		    struct proto_iov *iov)
{
	const struct uk_extent *ext;
	uint64_t sum = 0;

	if (f->n_ext > UK_EXTENTS)
		return -E2BIG;
	ext = ram_pull(g->ram, f->ext, f->n_ext * sizeof(*ext));
	if (f->n_ext && !ext)
		return -EFAULT;
	for (uint32_t i = 0; i < f->n_ext; i++) {
		struct uk_extent e;
		const void *p;

		memcpy(&e, &ext[i], sizeof(e));
		p = ram_pull(g->ram, e.addr, e.len);
		if (!p)
			return -EFAULT;
		iov[i].addr = (uintptr_t)p;
		iov[i].len = e.len;
		sum += e.len;
	}
	return sum == f->body_len ? 0 : -EINVAL;
}

static long fetch(struct guest *g)
{
	static struct proto_iov body[UK_EXTENTS];
	struct uk_out *out = ram_sys(g->ram, UK_OUT);
	struct uk_fetch f;
	struct iovec iov[3];
	const void *url, *headers;
	uint32_t ticket;
	struct msg m = { .type = MSG_FETCH };
	int rc;

	if (g->phase == PHASE_CHILD)
		return -ENETDOWN;
	memcpy(&f, &out->fetch, sizeof(f));
	if (f.method > UK_PATCH || f.url_len == 0)
		return -EINVAL;
	if (f.url_len > UK_URL_MAX || f.headers_len > UK_HEADERS_MAX)
		return -E2BIG;
	url = ram_pull(g->ram, f.url, f.url_len);
	headers = ram_pull(g->ram, f.headers, f.headers_len);
	if (!url || (f.headers_len && !headers))
		return -EFAULT;
	rc = body_iov(g, &f, body);
	if (rc == 0)
		rc = ticket_take(g, &ticket);
	if (rc < 0)
		return rc;
	iov[0] = (struct iovec){ (void *)url, f.url_len };
	iov[1] = (struct iovec){ (void *)headers, f.headers_len };
	iov[2] = (struct iovec){ body, f.n_ext * sizeof(body[0]) };
	m.a[0] = ticket;
	m.a[1] = f.method;
	m.a[2] = f.url_len;
	m.a[3] = f.headers_len;
	m.a[4] = f.body_len;
	m.a[5] = f.timeout_ns;
	rc = chan_send(g->sock, &m, iov, 3);
	g->st.fetches++;
	return rc < 0 ? rc : (long)ticket;
}

static enum guest_end db_fetch(struct guest *g, struct ring *r)
{
	r->ret = fetch(g);
	return r->ret == -ECONNRESET ? GUEST_ORPHAN : GUEST_GOES_ON;
}

/* every message that has come, so that a ticket is never seen before the
   window that holds its body; one that cannot be attached is not in
   uk_ctl.windows */
static int messages_take(struct guest *g)
{
	struct pollfd p = { .fd = g->sock, .events = POLLIN };
	int fds[CHAN_FDS], rc;
	struct timespec now = { 0 };
	struct msg m;

	do {
		rc = chan_recv(g->sock, &m, fds);
		if (rc == 0)
			rc = guest_message(g, &m, fds);
		if (rc == -ECONNRESET || rc == -EPROTO)
			return rc;
	} while (ppoll(&p, 1, &now, NULL) > 0);
	return 0;
}

/* sleeps until a KICK or ATTACH came, or the guest's or our deadline */
static enum guest_end db_wait(struct guest *g, struct ring *r)
{
	/* a child's request stays where it is until it is asked for */
	const short sent = g->phase == PHASE_CHILD ? 0 : POLLIN;
	struct pollfd p = { .fd = g->sock, .events = sent };
	/* by the guest's clock; deadlines are by the host's */
	uint64_t asked = r->a > g->mono_add ? r->a - g->mono_add : 0;
	uint64_t until = asked < g->deadline ? asked : g->deadline;
	enum guest_end end = GUEST_GOES_ON;

	r->ret = 0;
	for (;;) {
		uint64_t now = nstime_now();
		struct timespec ts = { 0 };

		if (until > now) {
			ts.tv_sec = (time_t)((until - now) / NSEC_PER_SEC);
			ts.tv_nsec = (long)((until - now) % NSEC_PER_SEC);
		}
		if (ppoll(&p, 1, &ts, NULL) > 0) {
			if (!sent || messages_take(g) < 0)
				end = GUEST_ORPHAN;
			break;
		}
		now = nstime_now();
		if (now >= g->deadline)
			end = guest_overdue(g, "waiting");
		if (now >= until)
			break;
	}
	guest_clock(g);
	return end;
}

static enum guest_end db_log(struct guest *g, struct ring *r)
{
	r->ret = guest_log_rung(g);
	return r->ret < 0 ? GUEST_ORPHAN : GUEST_GOES_ON;
}

static enum guest_end db_grow(struct guest *g, struct ring *r)
{
	struct ram_window *w;
	uint64_t from = 0;
	int rc;

	if (r->a >= UK_ARENAS) {
		r->ret = -EINVAL;
		return GUEST_GOES_ON;
	}
	w = &g->ram->win[r->a];
	rc = ram_grow(g->ram, (unsigned)r->a, r->b, &from);
	if (rc == 1) {
		uint64_t addr = w->base + from;

		if (r->a != UK_ARENA_USF)
			ram_warm(g->ram, addr, w->top - from);
		rc = g->t->ops->map(g->t, g->slots++, addr, w->top - from,
				    g->ram->base + addr, 0);
		if (rc < 0) {
			w->span = w->top = from;
			rc = -ENOMEM;
		}
	}
	r->ret = rc;
	return GUEST_GOES_ON;
}

static enum guest_end db_exit(struct guest *g, struct ring *r)
{
	if (g->overdue)
		return guest_died(g, DIED_TIMEOUT, 0, g->where);
	return guest_died(g, r->b ? DIED_SIGNAL : DIED_EXIT,
			  r->b ? r->b & 0x7f : r->a & 0xff, "");
}

static enum guest_end db_cancel(struct guest *g, struct ring *r)
{
	unsigned slot = r->a % UK_TICKETS;
	struct msg m = { .type = MSG_CANCEL, .a[0] = r->a };

	r->ret = -EBADF;
	if (!(g->ticket_used & 1ull << slot) ||
	    r->a != (uint64_t)(g->ticket_gen[slot] << 6 | slot))
		return GUEST_GOES_ON;
	g->ticket_used &= ~(1ull << slot);
	r->ret = chan_send(g->sock, &m, NULL, 0);
	return r->ret < 0 ? GUEST_ORPHAN : GUEST_GOES_ON;
}

static enum guest_end (*const doorbells[DB_COUNT])(struct guest *,
						   struct ring *) = {
	[DB_READY] = db_ready,
	[DB_NEXT] = db_next,
	[DB_FETCH] = db_fetch,
	[DB_WAIT] = db_wait,
	[DB_LOG] = db_log,
	[DB_GROW] = db_grow,
	[DB_EXIT] = db_exit,
	[DB_CANCEL] = db_cancel,
	[DB_EVENT] = db_event,
};

enum guest_end doorbell_ring(struct guest *g)
{
	struct cpu_regs *regs = g->t->regs;
	struct ring r = { regs->rdi, regs->rsi, regs->rdx, -ENOSYS };
	enum guest_end end = GUEST_GOES_ON;

	if (regs->rcx < DB_COUNT && doorbells[regs->rcx])
		end = doorbells[regs->rcx](g, &r);
	if (end == GUEST_GOES_ON) {
		regs->rax = (uint64_t)r.ret;
		g->t->regs_dirty = 1;
	}
	if (end == GUEST_GOES_ON && g->save)
		guest_save(g);
	return end;
}
