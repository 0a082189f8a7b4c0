/*
 * epoll.c - epoll sets
 *
 * A set is a ring of items; a look asks each item's file what holds now.
 * That suffices for level triggering.  For edges, whoever changes a file
 * calls epoll_mark(), which makes that file's items due; an edge-triggered
 * item is asked only while it is due.
 *
 * Invariants: an item does not hold its file: the file's last reference
 * removes it (file_unwatch), and f->watched says how many items f has.  Sets
 * may watch sets, but never in a circle, and at most DEPTH_MAX deep.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

/* what is left of a one-shot item's events once it was reported */
#define EPOLL_KEPT	(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | \
			 EPOLLEXCLUSIVE)
#define EPOLL_EXCLUSIVE_OK (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLET | \
			    POLLIN | POLLOUT | POLLERR | POLLHUP)

#define DEPTH_MAX	5

struct item {
	struct file *file;
	int fd;
	u32 events;
	u64 data;
	int due;			/* an edge not looked at yet */
	struct item *next, *prev;
};

struct epoll {
	struct file *file;
	struct item items;		/* head of the ring */
	unsigned count;
	struct epoll *link;
};

static struct epoll *epolls;
static const struct file_ops epoll_ops;

static void item_append(struct epoll *ep, struct item *it)
{
	it->next = &ep->items;
	it->prev = ep->items.prev;
	it->prev->next = it;
	ep->items.prev = it;
}

static void item_unlink(struct item *it)
{
	it->prev->next = it->next;
	it->next->prev = it->prev;
}

static void item_free(struct epoll *ep, struct item *it)
{
	item_unlink(it);
	it->file->watched--;
	ep->count--;
	kfree(it);
}

static struct item *item_find(struct epoll *ep, struct file *f, int fd)
{
	struct item *it;

	for (it = ep->items.next; it != &ep->items; it = it->next)
		if (it->file == f && it->fd == fd)
			return it;
	return NULL;
}

static void epoll_mark_items(struct file *f)
{
	struct epoll *ep;
	struct item *it;

	for (ep = epolls; ep; ep = ep->link) {
		int found = 0;

		for (it = ep->items.next; it != &ep->items; it = it->next) {
			if (it->file == f) {
				it->due = 1;
				found = 1;
			}
		}
		/* for the sets that watch this one */
		if (found && ep->file->watched)
			epoll_mark_items(ep->file);
	}
}

void epoll_mark(struct file *f)
{
	if (f->watched)
		epoll_mark_items(f);
	poll_notify();
}

/* f's last reference went */
static void epoll_forget(struct file *f)
{
	struct epoll *ep;
	struct item *it, *next;

	for (ep = epolls; ep && f->watched; ep = ep->link) {
		for (it = ep->items.next; it != &ep->items; it = next) {
			next = it->next;
			if (it->file == f)
				item_free(ep, it);
		}
	}
}

/* events of an item that hold now; an edge that holds nothing is used up */
static u32 item_look(struct item *it)
{
	u32 wanted = it->events & ~EPOLL_KEPT;

	/* a one-shot item that was reported has no events until changed */
	if (!wanted || ((it->events & EPOLLET) && !it->due))
		return 0;
	return (u32)poll_file(it->file) & wanted;
}

static int epoll_poll(struct file *f)
{
	struct epoll *ep = f->priv;
	struct item *it;

	for (it = ep->items.next; it != &ep->items; it = it->next)
		if (item_look(it))
			return POLLIN;
	return 0;
}

static void epoll_close(struct file *f)
{
	struct epoll **p, *ep = f->priv;

	while (ep->items.next != &ep->items)
		item_free(ep, ep->items.next);
	for (p = &epolls; *p; p = &(*p)->link) {
		if (*p == ep) {
			*p = ep->link;
			break;
		}
	}
	kfree(ep);
}

static const struct file_ops epoll_ops = {
	.name = "[eventpoll]",
	.poll = epoll_poll,
	.close = epoll_close,
};

long sys_epoll_create1(int flags)
{
	struct epoll *ep;
	int fd;

	if (flags & ~O_CLOEXEC)
		return -EINVAL;
	ep = kzalloc(sizeof(*ep));
	if (!ep)
		return -ENOMEM;
	ep->items.next = ep->items.prev = &ep->items;
	fd = anon_install(&epoll_ops, ep, 0600, O_RDWR | flags);
	if (fd < 0)
		return fd;
	file_unwatch = epoll_forget;
	ep->file = fd_get(fd);
	ep->link = epolls;
	epolls = ep;
	return fd;
}

long sys_epoll_create(int size)
{
	return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

/* sets above f, itself included: those that watch it, and so on */
static int epoll_height(const struct file *f)
{
	struct epoll *ep;
	struct item *it;
	int highest = 0, h;

	for (ep = epolls; ep; ep = ep->link) {
		for (it = ep->items.next; it != &ep->items; it = it->next) {
			if (it->file != f)
				continue;
			h = epoll_height(ep->file);
			highest = MAX(highest, h);
			break;
		}
	}
	return highest + 1;
}

/* sets below f, itself included; past DEPTH_MAX when f reaches `not` */
static int epoll_depth(struct file *f, const struct file *not, int depth)
{
	struct epoll *ep;
	struct item *it;
	int deepest = depth, d;

	if (f == not)
		return DEPTH_MAX + 1;
	if (f->ops != &epoll_ops)
		return depth - 1;
	ep = f->priv;
	for (it = ep->items.next; it != &ep->items; it = it->next) {
		d = epoll_depth(it->file, not, depth + 1);
		deepest = MAX(deepest, d);
	}
	return deepest;
}

static long item_add(struct epoll *ep, struct file *f, int fd,
		     const struct k_epoll_event *ev)
{
	struct item *it;

	if (item_find(ep, f, fd))
		return -EEXIST;
	if (f->ops == &epoll_ops && (ev->events & EPOLLEXCLUSIVE))
		return -EINVAL;
	if ((ev->events & EPOLLEXCLUSIVE) &&
	    (ev->events & ~EPOLL_EXCLUSIVE_OK))
		return -EINVAL;
	if (f->ops == &epoll_ops && epoll_height(ep->file) +
	    epoll_depth(f, ep->file, 1) > DEPTH_MAX)
		return -ELOOP;
	it = kzalloc(sizeof(*it));
	if (!it)
		return -ENOMEM;
	it->file = f;
	it->fd = fd;
	it->events = ev->events | POLLERR | POLLHUP;
	it->data = ev->data;
	it->due = 1;
	item_append(ep, it);
	f->watched++;
	ep->count++;
	epoll_mark(ep->file);
	return 0;
}

static long item_change(struct epoll *ep, struct item *it,
			const struct k_epoll_event *ev)
{
	if ((it->events | ev->events) & EPOLLEXCLUSIVE)
		return -EINVAL;
	it->events = ev->events | POLLERR | POLLHUP;
	it->data = ev->data;
	it->due = 1;
	epoll_mark(ep->file);
	return 0;
}

long sys_epoll_ctl(int epfd, int op, int fd, struct k_epoll_event *ev)
{
	struct k_epoll_event e = { 0, 0 };
	struct file *set, *f;
	struct epoll *ep;
	struct item *it;

	if (op != EPOLL_CTL_DEL) {
		if (!user_ok(ev, sizeof(*ev), 0))
			return -EFAULT;
		e = *ev;
	}
	set = fd_get(epfd);
	f = fd_get(fd);
	if (!set || !f)
		return -EBADF;
	/* what is always ready cannot be watched: files, directories */
	if (!f->ops->poll)
		return -EPERM;
	if (set->ops != &epoll_ops || set == f)
		return -EINVAL;
	ep = set->priv;
	if (op == EPOLL_CTL_ADD)
		return item_add(ep, f, fd, &e);
	if (op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
		return -EINVAL;
	it = item_find(ep, f, fd);
	if (!it)
		return -ENOENT;
	if (op == EPOLL_CTL_MOD)
		return item_change(ep, it, &e);
	item_free(ep, it);
	return 0;
}

/* one look around the ring; what is reported goes to its end, so that all
   get their turn when max is less than what is ready */
static int epoll_look(struct epoll *ep, struct k_epoll_event *ev, int max)
{
	struct item *it = ep->items.next, *next;
	unsigned left;
	int n = 0;

	for (left = ep->count; left && n < max; left--, it = next) {
		u32 bits = item_look(it);

		next = it->next;
		it->due = 0;
		if (!bits)
			continue;
		ev[n].events = bits;
		ev[n].data = it->data;
		n++;
		if (it->events & EPOLLONESHOT)
			it->events &= EPOLL_KEPT;
		item_unlink(it);
		item_append(ep, it);
	}
	return n;
}

static long epoll_wait(int epfd, struct k_epoll_event *ev, int max,
		       u64 deadline)
{
	struct file *f = fd_get(epfd);
	u64 timer;
	long n;
	int rc = 0;

	if (max <= 0 || (size_t)max > (1u << 31) / sizeof(*ev))
		return -EINVAL;
	if (!user_ok(ev, (size_t)max * sizeof(*ev), 1))
		return -EFAULT;
	if (!f)
		return -EBADF;
	if (f->ops != &epoll_ops)
		return -EINVAL;
	file_hold(f);
	for (;;) {
		/* their edges come from whoever looks */
		timerfd_run(&timer);
		n = epoll_look(f->priv, ev, max);
		if (n || deadline == 0 || rc == -ETIMEDOUT)
			break;
		rc = poll_sleep(deadline);
		if (rc == -EINTR) {
			n = rc;
			break;
		}
	}
	file_put(f);
	return n;
}

/* ms < 0: for ever */
static long epoll_wait_ms(int epfd, struct k_epoll_event *ev, int max, int ms)
{
	u64 deadline = NEVER;

	if (ms == 0)
		deadline = 0;
	else if (ms > 0)
		deadline = now_mono() + (u64)ms * 1000000;
	return epoll_wait(epfd, ev, max, deadline);
}

long sys_epoll_wait(int epfd, struct k_epoll_event *ev, int max, int ms)
{
	return epoll_wait_ms(epfd, ev, max, ms);
}

long sys_epoll_pwait(int epfd, struct k_epoll_event *ev, int max, int ms,
		     const u64 *mask, size_t size)
{
	long rc = poll_mask(mask, size);

	return rc < 0 ? rc : epoll_wait_ms(epfd, ev, max, ms);
}

long sys_epoll_pwait2(int epfd, struct k_epoll_event *ev, int max,
		      const struct k_timespec *ts, const u64 *mask,
		      size_t size)
{
	u64 deadline;
	long rc = poll_deadline(ts, &deadline);

	if (rc == 0)
		rc = poll_mask(mask, size);
	return rc < 0 ? rc : epoll_wait(epfd, ev, max, deadline);
}
