/*
 * backlog.h - lines that wait to be written, whose they are, what is lost
 *
 * Lines leave in the order in which they came.  Each has an owner: the server
 * itself, or somebody that the server writes for.  Room is bounded and shared
 * by who needs it: an owner may have all of it while it is alone, and where
 * room is short whoever has most waiting loses its latest lines.  So what one
 * floods is its own; and the server's own lines have room of their own.
 *
 * An owner that lost a line loses those that follow too, until the ones that
 * it still has are written: what is missing is in one place.
 */
#ifndef CMD_BACKLOG_H
#define CMD_BACKLOG_H

#include <stddef.h>
#include <sys/queue.h>

#define BACKLOG_SHARED	((size_t)1 << 20)	/* bytes of all others */
#define BACKLOG_OWN	((size_t)256 << 10)	/* of the server's own */

struct piece;
TAILQ_HEAD(piece_list, piece);

struct owner {
	LIST_ENTRY(owner) link;
	struct piece_list pieces;	/* oldest first */
	size_t waiting;			/* bytes, with what it takes to hold */
	unsigned long long lost;	/* lines, after those that wait */
	int why;			/* errno, or 0: nobody read them */
	/* asynclog.c's: what it may still write, and what it wanted beyond */
	double tokens, filled;		/* bytes, when they were counted */
	unsigned long long over;	/* lines */
	double since;			/* the first of them */
	char whose[];			/* "" is the server */
};

struct backlog {
	LIST_HEAD(, owner) owners;
	struct piece_list pieces;
	size_t shared;			/* bytes waiting, but the server's */
};

void backlog_init(struct backlog *b);
/* what waits is gone, and all owners */
void backlog_free(struct backlog *b);

/* NULL or "": the server; NULL when there is no memory for a new one */
struct owner *backlog_owner(struct backlog *b, const char *whose);

/*
 * Whole lines, the first of which may have been begun: the rest of such a line
 * is kept in any case.  What finds no room is counted, and why.
 */
void backlog_add(struct backlog *b, struct owner *o, const char *text,
		 size_t len, int begun, int why);
/* one line before all others, in any case */
void backlog_first_of_all(struct backlog *b, struct owner *o,
			  const char *line, size_t len);

/* what is next: its bytes, 0 when nothing waits */
size_t backlog_next(const struct backlog *b, const char **text);
/* so much of that was written; returns whose it was */
struct owner *backlog_took(struct backlog *b, size_t len);

/* what waits in `from`, and what was lost there, follows what waits in b */
void backlog_merge(struct backlog *b, struct backlog *from);
/* all that waits is lost */
void backlog_give_up(struct backlog *b, int why);

/* lines, of which the last may have no end */
unsigned long long backlog_lines(const char *text, size_t len);

#endif
