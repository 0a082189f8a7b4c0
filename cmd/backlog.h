/*
 * backlog.h - lines that wait to be written, their owners, and lost ones
 *
 * Lines leave in the order in which they came.  Each has an owner: the server
 * itself, or a function that the server writes for.  Room is bounded and shared
 * by those who need it: an owner may use all of it while it is alone, and when
 * it runs short the owner with most waiting loses its latest lines.  So a flood
 * only loses lines of its own, and the server's lines have room of their own.
 *
 * An owner that lost a line also loses those that follow, until its waiting
 * lines are written, so that what is missing is missing in one place.
 */
#ifndef CMD_BACKLOG_H
#define CMD_BACKLOG_H

#include <stddef.h>
#include <sys/queue.h>

#define BACKLOG_SHARED	((size_t)1 << 20)	/* bytes of all other owners */
#define BACKLOG_OWN	((size_t)256 << 10)	/* of the server's own */

struct piece;
TAILQ_HEAD(piece_list, piece);

struct owner {
	LIST_ENTRY(owner) link;
	struct piece_list pieces;	/* oldest first */
	/* bytes, with the structures that hold them */
	size_t waiting;
	unsigned long long lost;	/* lines lost after those that wait */
	int why;			/* errno; 0: nobody read them */
	/*
	 * for asynclog.c: bytes that it may still write, and lines over its
	 * rate
	 */
	double tokens, filled;		/* bytes, when they were counted */
	unsigned long long over;	/* lines */
	double since;			/* when the first of them was lost */
	char whose[];			/* its name; "" is the server */
};

struct backlog {
	LIST_HEAD(, owner) owners;
	struct piece_list pieces;
	/* waiting bytes of all but the server */
	size_t shared;
};

void backlog_init(struct backlog *b);
/* frees what waits and all owners */
void backlog_free(struct backlog *b);

/* the owner of that name, NULL or "" for the server; NULL when out of memory */
struct owner *backlog_owner(struct backlog *b, const char *whose);

/*
 * Adds whole lines.  With begun, the first is the rest of a line that is partly
 * written, and is kept in any case.  Lines that find no room are counted, with
 * why.
 */
void backlog_add(struct backlog *b, struct owner *o, const char *text,
		 size_t len, int begun, int why);
/* puts one line before all others, whether there is room or not */
void backlog_first_of_all(struct backlog *b, struct owner *o,
			  const char *line, size_t len);

/* the next text to write: its length, 0 when nothing waits */
size_t backlog_next(const struct backlog *b, const char **text);
/* to call when len bytes of it are written; returns their owner */
struct owner *backlog_took(struct backlog *b, size_t len);

/* appends what waits in `from`, with its counts of lost lines, to b */
void backlog_merge(struct backlog *b, struct backlog *from);
/* counts all that waits as lost */
void backlog_give_up(struct backlog *b, int why);

/* counts lines, of which the last may have no line feed */
unsigned long long backlog_lines(const char *text, size_t len);

#endif
