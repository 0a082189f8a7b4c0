/*
 * fetchdev.c - /dev/usetl/fetch: each open file is one fetch (see dev.h)
 *
 * A write submits it by DB_FETCH and leaves a ticket; the gateway says in the
 * host table when that ended.  Invariants: a ticket belongs to the
 * invocation that submitted it; a body that is sent stays in memory, held
 * or pinned, until the fetch is closed.  What is read of it is fetchtext.c's.
 */
#include "etlfs/format.h"
#include "unikernel/map/mman.h"
#include "unikernel/dev/fetchdev.h"
#include "unikernel/dev/fetchhead.h"
#include "unikernel/dev/fetchtext.h"
#include "unikernel/mem/mem.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

#define FETCH_MAX	(UK_URL_MAX + UK_HEADERS_MAX + 64)

/* the scheduler looks when idle and at ticks: so a deadline, when another
   thread may be at work, to have ticks */
#define LOOK_NS		5000000

enum fetch_state { FETCH_NEW, FETCH_PENDING, FETCH_ENDED };

struct fetchdev {
	enum fetch_state state;
	u32 ticket;
	int lost;			/* its invocation is over */
	struct file *file;
	struct file *body;		/* what is sent */
	u64 pin, pin_len;		/* its mapping, when made contiguous */
	struct fetchtext answer;
	size_t at;			/* read so far */
	struct waitq readers;
	struct fetchdev *link;
};

/* pending ones */
static struct fetchdev *pending;

/* for the doorbell; the tender copies it before it answers */
static struct uk_extent extents[UK_EXTENTS];

/* a copy, of a ticket that ended: nobody writes it then */
static struct etlfs_ticket ticket_row(u32 ticket)
{
	const struct etlfs_host *host = (void *)UK_HOST_BASE;

	return host->ticket[ticket % ETLFS_TICKETS];
}

static u32 ticket_state(u32 ticket)
{
	const struct etlfs_host *host = (void *)UK_HOST_BASE;
	const struct etlfs_ticket *t = &host->ticket[ticket % ETLFS_TICKETS];
	u32 state;

	if (uk_ctl->host_size < sizeof(*host))
		return ETLFS_PENDING;
	/* stored last by the gateway, so that the rest is there with it */
	state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&t->gen, __ATOMIC_RELAXED) !=
	    ticket / ETLFS_TICKETS)
		return ETLFS_PENDING;
	return state;
}

static void fetch_unlink(struct fetchdev *d)
{
	struct fetchdev **p;

	for (p = &pending; *p; p = &(*p)->link) {
		if (*p == d) {
			*p = d->link;
			return;
		}
	}
}

static void fetch_ended(struct fetchdev *d)
{
	fetch_unlink(d);
	d->state = FETCH_ENDED;
	thread_wake(&d->readers, THREADS_MAX);
	epoll_mark(d->file);
}

/* moves it on when the host says that it ended */
static void fetch_look(struct fetchdev *d)
{
	u32 state;

	if (d->state != FETCH_PENDING)
		return;
	state = ticket_state(d->ticket);
	if (state == ETLFS_DONE || state == ETLFS_FAILED)
		fetch_ended(d);
}

void fetchdev_poll(void)
{
	struct fetchdev *d, *next;

	for (d = pending; d; d = next) {
		next = d->link;
		fetch_look(d);
	}
}

void fetchdev_forget(void)
{
	while (pending) {
		pending->lost = 1;
		fetch_ended(pending);
	}
}

/* the body's memory as extents; how many, or -errno */
static long body_extents(struct fetchdev *d, int fd, u64 *size)
{
	struct file *f = fd_get(fd);
	int rc = 0;
	long n;

	*size = 0;
	if (fd < 0)
		return 0;
	if (!f)
		return -EBADF;
	n = file_extents(f, extents, UK_EXTENTS, size);
	if (n == -E2BIG) {
		/* in too many pieces: in one piece, then */
		d->pin_len = ROUND_UP(file_size(f), UK_PAGE);
		d->pin = map_pin(f, 0, d->pin_len, 1, &rc);
		if (!d->pin)
			return rc < 0 ? rc : -E2BIG;
		*size = file_size(f);
		extents[0].addr = d->pin;
		extents[0].len = *size;
		n = 1;
	}
	if (n >= 0)
		d->body = file_hold(f);
	return n;
}

static void body_release(struct fetchdev *d)
{
	if (d->pin)
		map_unpin(d->pin, d->pin_len);
	if (d->body)
		file_put(d->body);
	d->pin = 0;
	d->body = NULL;
}

static int refused;

void fetchdev_allow(int allow)
{
	refused = !allow;
}

static long refuse(void)
{
	static int told;

	if (!told)
		log_printf("usetl: a fork handler cannot fetch: the request "
			   "comes after it; see usetl.on_clone\n");
	told = 1;
	return -ENETDOWN;
}

static long fetch_submit(struct fetchdev *d, const struct fetch_head *h)
{
	volatile struct uk_fetch *out = &uk_out->fetch;
	u64 size;
	long n;

	n = body_extents(d, h->body_fd, &size);
	if (n < 0)
		return n;
	out->method = h->method;
	out->n_ext = (u32)n;
	out->url = (u64)h->url;
	out->url_len = h->url_len;
	out->headers = (u64)h->headers;
	out->headers_len = h->headers_len;
	out->ext = (u64)extents;
	out->body_len = size;
	out->timeout_ns = h->timeout_ns;
	n = doorbell(0, 0, 0, DB_FETCH);
	if (n < 0) {
		body_release(d);
		return n;
	}
	d->ticket = (u32)n;
	d->state = FETCH_PENDING;
	d->link = pending;
	pending = d;
	return 0;
}

static long fetch_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	struct fetchdev *d = f->priv;
	struct fetch_head h;
	char *text;
	long rc;

	if (d->state != FETCH_NEW)
		return -EALREADY;
	if (refused)
		return refuse();
	if (len > FETCH_MAX)
		return -EMSGSIZE;
	/* a copy, as another thread of the program may write to its buffer */
	text = kmalloc(len + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, buf, len);
	rc = fetchhead_parse(&h, text, len);
	if (rc == 0)
		rc = fetch_submit(d, &h);
	kfree(text);
	return rc < 0 ? rc : (long)len;
}

/* what a reader finds, composed once, as the first one asks */
static int fetch_answer(struct fetchdev *d)
{
	struct etlfs_ticket t;

	if (d->answer.text)
		return 0;
	if (d->lost)
		return fetchtext_lost(&d->answer);
	t = ticket_row(d->ticket);
	return fetchtext_ended(&d->answer, d->ticket, &t);
}

static long fetch_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct fetchdev *d = f->priv;
	u64 look;
	int rc;

	if (d->state == FETCH_NEW)
		return -EINVAL;
	for (fetch_look(d); d->state == FETCH_PENDING; fetch_look(d)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		look = thread_count > 1 ? now_mono() + LOOK_NS : NEVER;
		rc = thread_wait(&d->readers, look);
		if (rc == -EINTR)
			return rc;
	}
	rc = fetch_answer(d);
	if (rc < 0)
		return rc;
	len = MIN(len, d->answer.len - d->at);
	memcpy(buf, d->answer.text + d->at, len);
	d->at += len;
	return (long)len;
}

static int fetch_poll(struct file *f)
{
	struct fetchdev *d = f->priv;

	fetch_look(d);
	return d->state == FETCH_ENDED ? POLLIN : 0;
}

static void fetch_close(struct file *f)
{
	struct fetchdev *d = f->priv;

	if (d->state != FETCH_NEW && !d->lost)
		hostfs_release(d->ticket);
	fetch_unlink(d);
	body_release(d);
	kfree(d->answer.text);
	kfree(d);
}

static const struct file_ops fetch_ops = {
	.name = "fetch",
	.read = fetch_read,
	.write = fetch_write,
	.poll = fetch_poll,
	.close = fetch_close,
};

int fetchdev_open(struct inode *ip, struct file *f)
{
	struct fetchdev *d = kzalloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->file = f;
	f->ops = &fetch_ops;
	f->priv = d;
	return 0;
}
