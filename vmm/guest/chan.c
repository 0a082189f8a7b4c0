/* chan.c - blocking messages to and from the gateway */
#include "vmm/guest/chan.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEEN	32		/* messages */

static int send_all(int sock, struct iovec *iov, int n)
{
	while (n > 0) {
		struct msghdr h = { .msg_iov = iov, .msg_iovlen = (size_t)n };
		ssize_t got = sendmsg(sock, &h, MSG_NOSIGNAL);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EPIPE ? -ECONNRESET : -errno;
		while (n > 0 && (size_t)got >= iov->iov_len) {
			got -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + got;
			iov->iov_len -= (size_t)got;
		}
	}
	return 0;
}

int chan_send(int sock, struct msg *m, const struct iovec *iov, int n)
{
	struct iovec v[8] = { { m, sizeof(*m) } };
	uint64_t len = 0;

	if (n > 7)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		v[i + 1] = iov[i];
		len += iov[i].iov_len;
	}
	if (len > MSG_PAYLOAD_MAX)
		return -EMSGSIZE;
	m->len = (uint32_t)len;
	return send_all(sock, v, n + 1);
}

static void take_fds(struct msghdr *h, int fds[CHAN_FDS])
{
	int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < k && n < CHAN_FDS; i++)
			memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int),
			       sizeof(int));
	}
}

int chan_recv(int sock, struct msg *m, int fds[CHAN_FDS])
{
	char control[CMSG_SPACE(sizeof(int) * CHAN_FDS)];
	size_t have = 0;

	for (int i = 0; i < CHAN_FDS; i++)
		fds[i] = -1;
	while (have < sizeof(*m)) {
		struct iovec v = { (char *)m + have, sizeof(*m) - have };
		struct msghdr h = {
			.msg_iov = &v, .msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR && have == 0)
			return -EINTR;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		if (have == 0)
			take_fds(&h, fds);
		have += (size_t)n;
	}
	return m->len ? -EPROTO : 0;
}

int chan_snapshot(int sock)
{
	struct msg m[SEEN];
	struct iovec v = { m, sizeof(m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n = recvmsg(sock, &h, MSG_PEEK | MSG_DONTWAIT);

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(*m); i++)
		if (m[i].type == MSG_SNAPSHOT || m[i].type == MSG_ATTACH)
			return 1;
	return n == sizeof(m);
}

int chan_send_fds(int sock, const struct msg *m, const int fds[CHAN_FDS])
{
	union {
		struct cmsghdr c;
		char room[CMSG_SPACE(sizeof(int) * CHAN_FDS)];
	} u = { .c = {
		.cmsg_len = CMSG_LEN(sizeof(int) * CHAN_FDS),
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
	} };
	struct iovec v = { (void *)m, sizeof(*m) };
	struct msghdr h = {
		.msg_iov = &v, .msg_iovlen = 1,
		.msg_control = &u, .msg_controllen = sizeof(u.room),
	};
	ssize_t n;

	memcpy(CMSG_DATA(&u.c), fds, sizeof(int) * CHAN_FDS);
	do
		n = sendmsg(sock, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*m) ? 0 : n < 0 && errno != EPIPE ? -errno :
	       -ECONNRESET;
}

void chan_close_fds(int fds[CHAN_FDS])
{
	for (int i = 0; i < CHAN_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
