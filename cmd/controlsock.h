/*
 * controlsock.h - a server's control socket: where it is, and what is said there
 *
 * AF_UNIX, SOCK_STREAM, mode 0600.  A connection is one order:
 *
 *   client:  VERB [NAME] LF              CONTROL_LINE bytes at most
 *   server:  "ok" LF, then text up to the end of the connection;
 *            or "error" SP one line LF, and then the end
 *
 *   list            the text is JSON: an array of objects, one for each
 *                   runtime that functions share, then one for each function
 *   fork NAME       the answer comes once the new snapshot is in use, or not
 *   snapshot NAME, snapshot-ready NAME
 *                   the text is empty; with the first byte of "ok" come
 *                   descriptors (SCM_RIGHTS): a struct saved_head, and then
 *                   its parts (vmm/guest/saved.h)
 *
 * Only the server's own user and root are heard (SO_PEERCRED).
 */
#ifndef CMD_CONTROLSOCK_H
#define CMD_CONTROLSOCK_H

#include <limits.h>

#include "conf/err.h"

#define CONTROL_LINE	256
#define CONTROL_FDS	8		/* with one answer, at most */

/* where one listens; zeros, but for -1: none */
struct controlsock {
	int fd, lock;
	char path[PATH_MAX];
};

/*
 * Where it is if nobody says: usetl.sock in XDG_RUNTIME_DIR, or in /run for
 * root.  -ENOENT: nowhere.
 */
int controlsock_default(char path[PATH_MAX], struct err *err);
/*
 * Nonblocking.  What a server that was killed left there is removed; -EADDRINUSE
 * where one lives, and -EEXIST where something else than a socket is.
 */
int controlsock_listen(struct controlsock *s, const char *path,
		       struct err *err);
void controlsock_close(struct controlsock *s);
/* a descriptor, blocking, or -errno */
int controlsock_connect(const char *path, struct err *err);

#endif
