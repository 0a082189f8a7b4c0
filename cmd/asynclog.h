/*
 * asynclog.h - lines to a descriptor that nobody may be reading, or a full disk
 *
 * Nothing here ever blocks: what the descriptor does not take waits, in a
 * bounded amount that those who write share (cmd/backlog.h), and is tried
 * again.  Others than the server also have a rate.  What finds no room, or is
 * past its rate, is counted, and a line says whose it was, how many and why.
 * The descriptor's own flags, which others may share, stay as they are.
 *
 * Whose a line is: a text for people, as in "function 'total'", that the line
 * about lost ones begins with; NULL is the server's own.
 */
#ifndef CMD_ASYNCLOG_H
#define CMD_ASYNCLOG_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

struct asynclog;

/*
 * fd stays the caller's; who begins the line about lost ones, and is kept.
 * elsewhere, which may be NULL, is told when this one cannot be written, and
 * has to outlive it.
 */
int asynclog_create(struct asynclog **out, struct ev_loop *loop, int fd,
		    const char *who, struct asynclog *elsewhere);
/* writes what is left, for at most a second; NULL is none */
void asynclog_destroy(struct asynclog *s);
/* what waits in another one, and what was lost there, goes on here */
void asynclog_take(struct asynclog *s, struct asynclog *from);
/*
 * Bytes per second of each but the server, ten seconds' worth at once; 0: any.
 */
void asynclog_rate(struct asynclog *s, uint64_t rate);

/* whole lines */
void asynclog_write(struct asynclog *s, const char *whose, const char *text,
		    size_t len);
/* bytes that may be written now; UINT64_MAX where there is no rate */
uint64_t asynclog_room(struct asynclog *s, const char *whose);
/* lines that were not written, because they were past that */
void asynclog_lost(struct asynclog *s, const char *whose, uint64_t lines);

#endif
