/*
 * kabi_ipc.h - Linux's ABI of sockets, poll and epoll, and of event, timer
 * and signal descriptors (kabi.h has the rule)
 */
#ifndef UNIKERNEL_KABI_IPC_H
#define UNIKERNEL_KABI_IPC_H

#include <asm/poll.h>

#include "unikernel/lib/kabi_file.h"
#include "unikernel/lib/types.h"

#define PIPE_BUF	4096		/* written in one piece */

/* the sixth argument of pselect6 */
struct k_sigset_argpack {
	const u64 *set;
	size_t size;
};

#define EPOLL_CTL_ADD	1
#define EPOLL_CTL_DEL	2
#define EPOLL_CTL_MOD	3

#define EPOLLEXCLUSIVE	(1u << 28)
#define EPOLLWAKEUP	(1u << 29)
#define EPOLLONESHOT	(1u << 30)
#define EPOLLET		(1u << 31)

struct k_epoll_event {
	u32 events;
	u64 data;
} __attribute__((packed));

#define EFD_SEMAPHORE	1

#define TFD_TIMER_ABSTIME	1
#define TFD_TIMER_CANCEL_ON_SET	2

/* what a signal descriptor is read as */
struct k_signalfd_siginfo {
	u32 signo;
	s32 err, code;
	u32 pid, uid;
	s32 fd;
	u32 tid, band, overrun, trapno;
	s32 status, val;
	u64 ptr, utime, stime, addr;
	u16 addr_lsb, pad2;
	s32 syscall;
	u64 call_addr;
	u32 arch;
	u8 pad[28];
};

#define AF_UNIX		1

#define SOCK_STREAM	1
#define SOCK_DGRAM	2
#define SOCK_RAW	3
#define SOCK_SEQPACKET	5
#define SOCK_TYPE_MASK	0xf		/* O_NONBLOCK and O_CLOEXEC beside it */

#define MSG_OOB			1
#define MSG_PEEK		2
#define MSG_CTRUNC		8
#define MSG_TRUNC		0x20
#define MSG_DONTWAIT		0x40
#define MSG_WAITALL		0x100
#define MSG_NOSIGNAL		0x4000
#define MSG_WAITFORONE		0x10000
#define MSG_CMSG_CLOEXEC	0x40000000

#define SHUT_RD		0
#define SHUT_WR		1
#define SHUT_RDWR	2

#define SOL_SOCKET	1

#define SO_DEBUG	1
#define SO_REUSEADDR	2
#define SO_TYPE	3
#define SO_ERROR	4
#define SO_BROADCAST	6
#define SO_SNDBUF	7
#define SO_RCVBUF	8
#define SO_KEEPALIVE	9
#define SO_PRIORITY	12
#define SO_LINGER	13
#define SO_REUSEPORT	15
#define SO_PASSCRED	16
#define SO_PEERCRED	17
#define SO_RCVTIMEO	20
#define SO_SNDTIMEO	21
#define SO_ACCEPTCONN	30
#define SO_PROTOCOL	38
#define SO_DOMAIN	39

#define SCM_RIGHTS	1
#define SCM_CREDENTIALS	2
#define SCM_MAX_FD	253		/* descriptors in one message */

struct k_sockaddr_un {
	u16 family;
	char path[108];
};

struct k_sockaddr_storage {
	u16 family;
	u8 rest[126];
};

struct k_msghdr {
	void *name;
	u32 namelen, pad0;
	struct k_iovec *iov;
	u64 iovlen;
	void *control;
	u64 controllen;
	u32 flags, pad1;
};

struct k_mmsghdr {
	struct k_msghdr hdr;
	u32 len, pad;
};

struct k_cmsghdr {
	u64 len;			/* this header included */
	s32 level, type;
};

struct k_ucred {
	s32 pid;
	u32 uid, gid;
};

_Static_assert(sizeof(struct k_epoll_event) == 12, "struct epoll_event");
_Static_assert(sizeof(struct k_signalfd_siginfo) == 128, "signalfd_siginfo");
_Static_assert(sizeof(struct k_sockaddr_un) == 110, "struct sockaddr_un");
_Static_assert(sizeof(struct k_sockaddr_storage) == 128, "sockaddr_storage");
_Static_assert(sizeof(struct k_msghdr) == 56, "struct msghdr");
_Static_assert(sizeof(struct k_mmsghdr) == 64, "struct mmsghdr");
_Static_assert(sizeof(struct k_cmsghdr) == 16, "struct cmsghdr");
_Static_assert(sizeof(struct k_ucred) == 12, "struct ucred");
#endif
