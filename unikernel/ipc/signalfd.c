/*
 * signalfd.c - signals read from a descriptor
 *
 * A view of what is pending for the thread that reads or polls, as in Linux:
 * it holds no signal itself.
 */
#include "unikernel/mem/mem.h"
#include "unikernel/task/signal.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/fs/vfs.h"

struct signalfd {
	u64 mask;
	struct file *file;
	struct signalfd *link;
};

static struct signalfd *all;

static void signalfd_notify(u64 bit)
{
	struct signalfd *s;

	for (s = all; s; s = s->link)
		if (s->mask & bit)
			epoll_mark(s->file);
}

static void info_convert(struct k_signalfd_siginfo *to,
			 const struct k_siginfo *from)
{
	memset(to, 0, sizeof(*to));
	to->signo = (u32)from->signo;
	to->err = from->err;
	to->code = from->code;
	switch (from->code) {
	case SI_TIMER:
		to->tid = (u32)from->fields[0];
		to->overrun = (u32)(from->fields[0] >> 32);
		to->ptr = from->fields[1];
		to->val = (s32)from->fields[1];
		break;
	case SI_QUEUE:
		to->ptr = from->fields[1];
		to->val = (s32)from->fields[1];
		/* fall through */
	case SI_USER:
	case SI_TKILL:
		to->pid = (u32)from->fields[0];
		to->uid = (u32)(from->fields[0] >> 32);
		break;
	default:
		/* from the processor */
		to->addr = from->fields[0];
	}
}

static long signalfd_read(struct file *f, void *buf, size_t len, u64 pos)
{
	struct signalfd *s = f->priv;
	struct k_signalfd_siginfo out;
	struct k_siginfo info;
	size_t done = 0;
	long rc;

	if (len < sizeof(out))
		return -EINVAL;
	while (len - done >= sizeof(out)) {
		/* only the first is worth waiting for */
		int wait = done == 0 && !(f->flags & O_NONBLOCK);

		memset(&info, 0, sizeof(info));
		rc = signal_wait(s->mask, &info, wait ? NEVER : 0);
		if (rc < 0)
			return done ? (long)done : rc;
		info_convert(&out, &info);
		memcpy((u8 *)buf + done, &out, sizeof(out));
		done += sizeof(out);
	}
	return (long)done;
}

static int signalfd_poll(struct file *f)
{
	struct signalfd *s = f->priv;

	return signal_pending_set(current) & s->mask ? POLLIN : 0;
}

static void signalfd_close(struct file *f)
{
	struct signalfd **p, *s = f->priv;

	for (p = &all; *p; p = &(*p)->link) {
		if (*p == s) {
			*p = s->link;
			break;
		}
	}
	kfree(s);
}

static const struct file_ops signalfd_ops = {
	.name = "[signalfd]",
	.read = signalfd_read,
	.poll = signalfd_poll,
	.close = signalfd_close,
};

/* an existing descriptor gets another mask */
static long signalfd_change(int fd, u64 mask)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (f->ops != &signalfd_ops)
		return -EINVAL;
	((struct signalfd *)f->priv)->mask = mask;
	epoll_mark(f);
	return fd;
}

long sys_signalfd4(int fd, const u64 *mask, size_t size, int flags)
{
	struct signalfd *s;
	u64 set;
	int made;

	if (size != sizeof(*mask) || (flags & ~(O_CLOEXEC | O_NONBLOCK)))
		return -EINVAL;
	if (!user_ok(mask, sizeof(*mask), 0))
		return -EFAULT;
	set = *mask & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
	if (fd != -1)
		return signalfd_change(fd, set);
	s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->mask = set;
	made = anon_install(&signalfd_ops, s, 0600, O_RDWR | flags);
	if (made < 0)
		return made;
	s->file = fd_get(made);
	s->link = all;
	all = s;
	signal_pending_hook = signalfd_notify;
	return made;
}

long sys_signalfd(int fd, const u64 *mask, size_t size)
{
	return sys_signalfd4(fd, mask, size, 0);
}
