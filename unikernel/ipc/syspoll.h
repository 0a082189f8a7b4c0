/*
 * syspoll.h - descriptors that are not files, and waiting for them
 *
 * This folder: descriptors that no path names (pipes, sockets, events, timers,
 * signals), and waiting for any descriptor.
 *
 * Pipes, socket pairs, event, timer and signal descriptors, poll, select and
 * epoll.  Everything here lives inside the one process: there is no network
 * and no other process.
 */
#ifndef UNIKERNEL_SYSPOLL_H
#define UNIKERNEL_SYSPOLL_H

#include "unikernel/lib/kabi.h"
#include "unikernel/lib/lib.h"
#include "unikernel/task/thread.h"

struct file;
struct file_ops;

/*
 * Installs descriptors 0 (always at its end), 1 and 2 (the invocation's
 * log); called by devfs_init().
 */
void console_init(void);

/*
 * Something happened to f: edge-triggered epoll items of f are due again,
 * and whoever polls looks again.
 */
void epoll_mark(struct file *f);

/* poll bits of f that hold now, with the RDNORM and WRNORM aliases */
int poll_file(struct file *f);
/*
 * Sleeps until poll_notify(), an armed timer descriptor's expiry, or
 * deadline: 0 to look again, -ETIMEDOUT (the deadline passed) or -EINTR.
 */
int poll_sleep(u64 deadline);

/*
 * Mono-ns deadline from a relative Linux timespec (NULL: NEVER); a zero
 * one gives 0.  -EFAULT or -EINVAL.
 */
int poll_deadline(const struct k_timespec *ts, u64 *deadline);

/* the signal mask of a p-call until it returns; NULL: none.  0 or -errno */
long poll_mask(const u64 *mask, size_t size);

/*
 * Lets what is due expire: how many timer descriptors did; *next is the
 * earliest expiry to come (mono ns), NEVER when there is none.
 */
int timerfd_run(u64 *next);

/*
 * A new descriptor for an object that no path names (anon.c).  The file owns
 * priv from here on: ops->close() frees it, also when this fails.  flags may
 * have O_CLOEXEC.
 */
int anon_install(const struct file_ops *ops, void *priv, int mode, int flags);
/* two at once, as pipe() and socketpair() answer them, or neither */
int anon_install_pair(struct file *f, struct file *g, int cloexec, int *fds);

/* pipe.c: F_GETPIPE_SZ and F_SETPIPE_SZ, for any file */

long sys_pipe(int *fds);
long sys_pipe2(int *fds, int flags);

long sys_poll(struct pollfd *fds, unsigned n, int ms);
long sys_ppoll(struct pollfd *fds, unsigned n, struct k_timespec *ts,
	       const u64 *mask, size_t size);
long sys_select(int n, u64 *in, u64 *out, u64 *ex, void *timeval);
long sys_pselect6(int n, u64 *in, u64 *out, u64 *ex,
		  struct k_timespec *ts, const void *mask);

long sys_epoll_create(int size);
long sys_epoll_create1(int flags);
long sys_epoll_ctl(int epfd, int op, int fd, struct k_epoll_event *ev);
long sys_epoll_wait(int epfd, struct k_epoll_event *ev, int max, int ms);
long sys_epoll_pwait(int epfd, struct k_epoll_event *ev, int max, int ms,
		     const u64 *mask, size_t size);
long sys_epoll_pwait2(int epfd, struct k_epoll_event *ev, int max,
		      const struct k_timespec *ts, const u64 *mask,
		      size_t size);

long sys_eventfd(unsigned init);
long sys_eventfd2(unsigned init, int flags);
long sys_timerfd_create(int clock, int flags);
long sys_timerfd_settime(int fd, int flags,
			 const struct k_itimerspec *value,
			 struct k_itimerspec *old);
long sys_timerfd_gettime(int fd, struct k_itimerspec *value);
long sys_signalfd(int fd, const u64 *mask, size_t size);
long sys_signalfd4(int fd, const u64 *mask, size_t size, int flags);

long sys_socketpair(int family, int type, int protocol, int *fds);
long sys_socket(int family, int type, int protocol);
long sys_connect(int fd, const void *addr, unsigned len);
long sys_bind(int fd, const void *addr, unsigned len);
long sys_listen(int fd, int backlog);
long sys_accept(int fd, void *addr, unsigned *len);
long sys_accept4(int fd, void *addr, unsigned *len, int flags);
long sys_sendto(int fd, const void *buf, size_t len, int flags,
		const void *addr, unsigned addrlen);
long sys_recvfrom(int fd, void *buf, size_t len, int flags, void *addr,
		  unsigned *addrlen);
long sys_sendmsg(int fd, const struct k_msghdr *msg, int flags);
long sys_recvmsg(int fd, struct k_msghdr *msg, int flags);
long sys_sendmmsg(int fd, struct k_mmsghdr *msg, unsigned n, int flags);
long sys_recvmmsg(int fd, struct k_mmsghdr *msg, unsigned n, int flags,
		  struct k_timespec *ts);
long sys_shutdown(int fd, int how);
long sys_getsockname(int fd, void *addr, unsigned *len);
long sys_getpeername(int fd, void *addr, unsigned *len);
long sys_setsockopt(int fd, int level, int name, const void *value,
		    unsigned len);
long sys_getsockopt(int fd, int level, int name, void *value, unsigned *len);

#endif
