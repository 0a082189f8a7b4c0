/*
 * asynclog.h - lines to a descriptor that nobody may be reading, or a full disk
 *
 * Nothing here ever blocks: what the descriptor does not take waits in a
 * backlog of bounded size (cmd/backlog.h) and is tried again.  All writers but
 * the server also have a rate.  Lines that find no room, or exceed the rate,
 * are counted, and a line says whose they were, how many and why.  The
 * descriptor's own flags, which others may share, stay as they are.
 *
 * The owner of a line is named by a text for people, such as "function
 * 'total'", with which the line about lost ones begins; NULL is the server.
 */
#ifndef CMD_ASYNCLOG_H
#define CMD_ASYNCLOG_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

struct asynclog;

/*
 * fd stays the caller's.  A line about lost lines begins with who, which must
 * outlive the log, as must elsewhere.  elsewhere, which may be NULL, is another
 * log that is told when this one cannot be written.
 */
int asynclog_create(struct asynclog **out, struct ev_loop *loop, int fd,
		    const char *who, struct asynclog *elsewhere);
/* writes what is left, for at most a second; takes NULL */
void asynclog_destroy(struct asynclog *s);
/* moves what waits in another log, and its counts of lost lines, to this one */
void asynclog_take(struct asynclog *s, struct asynclog *from);
/*
 * Bytes per second for each owner but the server, ten times as much at once; 0:
 * unlimited.
 */
void asynclog_rate(struct asynclog *s, uint64_t rate);

/* text is whole lines */
void asynclog_write(struct asynclog *s, const char *whose, const char *text,
		    size_t len);
/* bytes that this owner may write now; UINT64_MAX when it has no rate */
uint64_t asynclog_room(struct asynclog *s, const char *whose);
/* counts lines that the caller dropped because they exceeded that */
void asynclog_lost(struct asynclog *s, const char *whose, uint64_t lines);

#endif
