/*
 * cmsg.c - control messages: open files and credentials beside the bytes
 */
#include "unikernel/ipc/cmsg.h"
#include "unikernel/mem/mem.h"
#include "unikernel/task/task.h"

#define CMSG_HEAD	sizeof(struct k_cmsghdr)

static struct rights *rights_new(unsigned n)
{
	return kzalloc(sizeof(struct rights) + n * sizeof(struct file *));
}

struct rights *rights_copy(const struct rights *r)
{
	struct rights *c = rights_new(r->n);

	if (!c)
		return NULL;
	for (c->n = 0; c->n < r->n; c->n++)
		c->file[c->n] = file_hold(r->file[c->n]);
	return c;
}

void rights_drop(struct rights *r)
{
	/* closing a socket drops rights again: a list, not a recursion */
	static struct rights *list;
	static int dropping;

	if (!r)
		return;
	r->link = list;
	list = r;
	if (dropping)
		return;
	dropping = 1;
	while ((r = list)) {
		list = r->link;
		while (r->n > 0)
			file_put(r->file[--r->n]);
		kfree(r);
	}
	dropping = 0;
}

/* the rights that a control buffer sends, to m; 0 or -errno */
static int rights_take(struct sock_msg *m, const u8 *data, size_t len)
{
	unsigned i, n = (unsigned)(len / sizeof(int));
	int fd;

	if (n > SCM_MAX_FD || m->rights)
		return -EINVAL;
	if (n == 0)
		return 0;
	m->rights = rights_new(n);
	if (!m->rights)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct file *f;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		f = fd_get(fd);
		if (!f)
			return -EBADF;
		m->rights->file[m->rights->n++] = file_hold(f);
	}
	return 0;
}

long cmsg_parse(struct sock_msg *m, const void *control, size_t len)
{
	const u8 *p = control;
	struct k_cmsghdr c;
	size_t at = 0;
	int rc = 0;

	if (len && !user_ok(control, len, 0))
		return -EFAULT;
	while (rc == 0 && at + CMSG_HEAD <= len) {
		memcpy(&c, p + at, sizeof(c));
		if (c.len < CMSG_HEAD || c.len > len - at)
			return -EINVAL;
		if (c.level == SOL_SOCKET && c.type == SCM_RIGHTS)
			rc = rights_take(m, p + at + CMSG_HEAD,
					 c.len - CMSG_HEAD);
		else if (c.level == SOL_SOCKET &&
			 c.type != SCM_CREDENTIALS)
			rc = -EINVAL;
		at += ROUND_UP(c.len, 8);
	}
	return rc;
}

/* appends one control message, as far as it fits */
static void put(struct k_msghdr *h, size_t *used, int type, const void *data,
		size_t len)
{
	struct k_cmsghdr c = { CMSG_HEAD + len, SOL_SOCKET, type };
	size_t room = h->controllen - *used;
	u8 *to = (u8 *)h->control + *used;

	if (!h->control || room < CMSG_HEAD) {
		h->flags |= MSG_CTRUNC;
		return;
	}
	if (room < c.len) {
		h->flags |= MSG_CTRUNC;
		c.len = room;
	}
	memcpy(to, &c, sizeof(c));
	memcpy(to + CMSG_HEAD, data, c.len - CMSG_HEAD);
	*used += MIN(ROUND_UP(c.len, 8), room);
}

/* installs the rights that have room in the control buffer */
static void put_rights(struct k_msghdr *h, size_t *used, const struct rights *r,
		       int cloexec)
{
	size_t room = h->control ? h->controllen - *used : 0;
	int fds[SCM_MAX_FD], fd;
	unsigned n, max;

	max = room > CMSG_HEAD ?
	      (unsigned)((room - CMSG_HEAD) / sizeof(int)) : 0;
	for (n = 0; n < r->n && n < max; n++) {
		fd = fd_install(file_hold(r->file[n]), 0, cloexec);
		if (fd < 0)
			break;
		fds[n] = fd;
	}
	if (n > 0)
		put(h, used, SCM_RIGHTS, fds, n * sizeof(int));
	if (n < r->n)
		h->flags |= MSG_CTRUNC;
}

void cmsg_put(struct k_msghdr *h, const struct sock *s,
	      const struct sock_msg *m)
{
	struct k_ucred self = { task_ids.pid, 0, 0 };
	size_t used = 0;

	if (s->passcred)
		put(h, &used, SCM_CREDENTIALS, &self, sizeof(self));
	if (m->rights)
		put_rights(h, &used, m->rights,
			   (m->flags & MSG_CMSG_CLOEXEC) != 0);
	h->controllen = used;
}
