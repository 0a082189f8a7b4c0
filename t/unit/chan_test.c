/* chan_test.c - what a clone can tell of messages that it has not taken */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/unit/tap.h"
#include "vmm/guest/chan.h"

static int sv[2];

/* from the gateway: n of a type, each with a descriptor or none */
static void sent(uint32_t type, int n, int with_fd)
{
	struct msg m = { .type = type };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = "" };
	struct iovec v = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };

	if (with_fd) {
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &sv[0], sizeof(int));
	}
	while (n--)
		if (sendmsg(sv[0], &h, 0) != sizeof(m))
			printf("# sendmsg failed\n");
}

/* n of them are still there, the last one of that type */
static int took(int n, uint32_t type, int with_fd)
{
	int fds[CHAN_FDS], had = 0;
	struct msg m = { 0 };

	while (n--) {
		if (chan_recv(sv[1], &m, fds) < 0)
			return 0;
		had = fds[0] >= 0;
		chan_close_fds(fds);
	}
	return m.type == type && had == with_fd;
}

int main(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return 1;
	ok(!chan_snapshot(sv[1]), "nothing is there");
	sent(MSG_KICK, 3, 0);
	ok(!chan_snapshot(sv[1]), "no snapshot is among what is");
	sent(MSG_SNAPSHOT, 1, 1);
	ok(chan_snapshot(sv[1]), "one behind others is seen");
	ok(took(4, MSG_SNAPSHOT, 1), "and nothing of it was taken");
	sent(MSG_SNAPSHOT, 1, 1);
	ok(chan_snapshot(sv[1]), "one that is first");
	ok(took(1, MSG_SNAPSHOT, 1), "comes with its descriptor");
	sent(MSG_ATTACH, 1, 1);
	sent(MSG_SNAPSHOT, 1, 1);
	ok(chan_snapshot(sv[1]), "behind one with a descriptor it may be");
	ok(took(2, MSG_SNAPSHOT, 1), "and is");
	sent(MSG_KICK, 40, 0);
	ok(chan_snapshot(sv[1]), "and behind more than are looked at");
	ok(took(40, MSG_KICK, 0) && !chan_snapshot(sv[1]), "until those are gone");
	close(sv[0]);
	ok(!chan_snapshot(sv[1]), "nobody sends any more");
	return plan();
}
