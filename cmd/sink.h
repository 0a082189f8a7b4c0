/*
 * sink.h - lines to a descriptor that nobody may be reading
 *
 * Nothing here ever blocks: what the descriptor does not take waits, in a
 * bounded amount, and what finds no room is counted; a line says how many
 * were lost once there is room again.  The descriptor's own flags, which
 * others may share, stay as they are.
 */
#ifndef CMD_SINK_H
#define CMD_SINK_H

#include <ev.h>
#include <stddef.h>

struct sink;

/* fd stays the caller's; who begins the line about lost ones, and is kept */
int sink_create(struct sink **out, struct ev_loop *loop, int fd,
		const char *who);
/* writes what is left, for at most a second; NULL is none */
void sink_destroy(struct sink *s);
/* whole lines */
void sink_write(struct sink *s, const char *text, size_t len);

#endif
