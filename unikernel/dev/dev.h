/*
 * dev.h - how the Python runtime reaches the doorbells: /dev/usetl/
 *
 *   event    read: waits for an event and returns its bytes (JSON text).  A
 *            buffer shorter than the event: the rest is lost.  ioctl:
 *
 *            USETL_EVENT_LEN  tells the length of the last one
 *            USETL_FORK       the next fork() is READY: the reference is
 *                             frozen there, and every clone goes on from there
 *                             as the child.  EBUSY: other threads are alive
 *            USETL_READY      READY is here, without a fork
 *
 *            USETL_LEVEL      with UK_LEVEL_RUNTIME: an interpreter is up, and
 *                             knows of no function; returns where one has been
 *                             placed, or packages, after which it comes once
 *                             more, with UK_LEVEL_PACKAGES.  Before the
 *                             others.  EBUSY: other threads are alive
 *
 *            USETL_LOOKS      task_looks (task.h)
 *
 *            Without FORK or READY, READY is in the first read.  After READY they
 *            answer EINVAL.
 *   place    read: the environment of the function that has been placed,
 *            "NAME=value", each with a NUL
 *   result   write: one write is one whole result, JSON text, and rings
 *            DB_NEXT(UK_RESULT_OK); it returns only with recycle = keep.
 *   error    the same with UK_RESULT_ERROR
 *   fetch    each open is one fetch.  write once:
 *
 *                METHOD SP URL SP TIMEOUT_MS SP BODY_FD LF
 *                Name: value LF ...
 *
 *            (BODY_FD -1: no body; TIMEOUT_MS 0: until the invocation ends)
 *            which rings DB_FETCH.  read blocks (DB_WAIT; other threads run)
 *            until it ended and returns text:
 *
 *                STATUS SP BODY_LEN SP PATH SP FINAL_URL LF headers...
 *            or  ERROR SP ERRNO LF reason
 *
 *            PATH names the body, a read-only file /usetl/in/TICKET, which
 *            lives while the fetch is open (DB_CANCEL at the last close).
 *            poll: in when it ended.
 *   report   write: text for the report of a bad end (crash.h), which is
 *            shown to the caller then and dropped otherwise.  At the time
 *            limit a handler of UK_LAST_SIGNAL is run with a moment to write
 *            here.
 *   draws    the first open begins to note who draws randomness, until READY.
 *            read: a line for each draw so far, the path of the file whose
 *            code asked.  A handler of UK_DRAW_SIGNAL runs at each, in the
 *            thread that did.
 *   info     read: JSON: name, memory, timeout ...; entropy generation
 */
#ifndef UNIKERNEL_DEV_H
#define UNIKERNEL_DEV_H

/* ioctls of event */
#define USETL_EVENT_LEN	0x5501		/* long: bytes of this event */
#define USETL_FORK	0x5502
#define USETL_READY	0x5503
#define USETL_LEVEL	0x5504
#define USETL_LOOKS	0x5505

#endif
