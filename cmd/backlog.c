/*
 * backlog.c - lines that wait to be written, their owners, and lost ones
 *
 * Invariants: a piece is in b->pieces and in its owner's list, in the order of
 * arrival; o->waiting is the sum of what its pieces take, b->shared that of all
 * owners but the server.  A piece that is partly written is never dropped: the
 * rest of its line has to follow.
 */
#include "cmd/backlog.h"

#include <stdlib.h>
#include <string.h>

/* bytes of a piece with several lines */
#define PIECE_MAX	((size_t)16 << 10)

struct piece {
	TAILQ_ENTRY(piece) link, mine;
	struct owner *o;
	size_t at, len;			/* [at, len) is to be written */
	int begun;
	char text[];
};

unsigned long long backlog_lines(const char *text, size_t len)
{
	unsigned long long n = len && text[len - 1] != '\n';
	const char *nl;

	for (; (nl = memchr(text, '\n', len)); n++) {
		len -= (size_t)(nl + 1 - text);
		text = nl + 1;
	}
	return n;
}

/* owners */

static int is_server(const struct owner *o)
{
	return !o->whose[0];
}

struct owner *backlog_owner(struct backlog *b, const char *whose)
{
	size_t len;
	struct owner *o;

	if (!whose)
		whose = "";
	LIST_FOREACH(o, &b->owners, link) {
		if (strcmp(o->whose, whose))
			continue;
		/* owners that write much are found sooner */
		LIST_REMOVE(o, link);
		LIST_INSERT_HEAD(&b->owners, o, link);
		return o;
	}
	len = strlen(whose) + 1;
	o = calloc(1, sizeof(*o) + len);
	if (!o)
		return NULL;
	memcpy(o->whose, whose, len);
	TAILQ_INIT(&o->pieces);
	LIST_INSERT_HEAD(&b->owners, o, link);
	return o;
}

/* pieces */

static size_t cost(size_t len)
{
	return sizeof(struct piece) + len;
}

static struct piece *piece_new(struct backlog *b, struct owner *o,
			       const char *text, size_t len)
{
	struct piece *p = malloc(cost(len));

	if (!p)
		return NULL;
	p->o = o;
	p->at = 0;
	p->len = len;
	p->begun = 0;
	memcpy(p->text, text, len);
	o->waiting += cost(len);
	if (!is_server(o))
		b->shared += cost(len);
	return p;
}

static void piece_free(struct backlog *b, struct piece *p)
{
	struct owner *o = p->o;

	TAILQ_REMOVE(&b->pieces, p, link);
	TAILQ_REMOVE(&o->pieces, p, mine);
	o->waiting -= cost(p->len);
	if (!is_server(o))
		b->shared -= cost(p->len);
	free(p);
}

static void lose(struct owner *o, const char *text, size_t len, int why)
{
	o->lost += backlog_lines(text, len);
	o->why = why;
}

static struct owner *longest(struct backlog *b)
{
	struct owner *o, *most = NULL;

	LIST_FOREACH(o, &b->owners, link)
		if (!is_server(o) && (!most || o->waiting > most->waiting))
			most = o;
	return most;
}

/*
 * Whether there is room for a piece of o's of this size.  Drops the latest
 * pieces of the owner with most waiting, if that is another one with more than
 * o.
 */
static int make_room(struct backlog *b, struct owner *o, size_t size, int why)
{
	struct owner *most;
	struct piece *p;

	if (is_server(o))
		return o->waiting + size <= BACKLOG_OWN;
	while (b->shared + size > BACKLOG_SHARED) {
		most = longest(b);
		if (most->waiting <= o->waiting + size)
			return 0;
		p = TAILQ_LAST(&most->pieces, piece_list);
		if (p->begun)
			return 0;
		lose(most, p->text, p->len, why);
		piece_free(b, p);
	}
	return 1;
}

static void append(struct backlog *b, struct owner *o, const char *text,
		   size_t len, int begun, int why)
{
	struct piece *p = NULL;

	if (begun || (!o->lost && make_room(b, o, cost(len), why)))
		p = piece_new(b, o, text, len);
	if (!p) {
		lose(o, text, len, why);
		return;
	}
	p->begun = begun;
	TAILQ_INSERT_TAIL(&b->pieces, p, link);
	TAILQ_INSERT_TAIL(&o->pieces, p, mine);
}

/* bytes of the first line, or of as many lines as a piece may have */
static size_t split(const char *text, size_t len, int one)
{
	const char *nl = NULL;

	if (!one && len <= PIECE_MAX)
		return len;
	if (!one)
		nl = memrchr(text, '\n', PIECE_MAX);
	if (!nl)
		nl = memchr(text, '\n', len);
	return nl ? (size_t)(nl + 1 - text) : len;
}

void backlog_add(struct backlog *b, struct owner *o, const char *text,
		 size_t len, int begun, int why)
{
	while (len) {
		size_t n = split(text, len, begun);

		append(b, o, text, n, begun, why);
		begun = 0;
		text += n;
		len -= n;
	}
}

void backlog_first_of_all(struct backlog *b, struct owner *o,
			  const char *line, size_t len)
{
	struct piece *p = piece_new(b, o, line, len);

	if (!p)
		return;
	TAILQ_INSERT_HEAD(&b->pieces, p, link);
	TAILQ_INSERT_HEAD(&o->pieces, p, mine);
}

size_t backlog_next(const struct backlog *b, const char **text)
{
	struct piece *p = TAILQ_FIRST(&b->pieces);

	if (!p)
		return 0;
	*text = p->text + p->at;
	return p->len - p->at;
}

struct owner *backlog_took(struct backlog *b, size_t len)
{
	struct piece *p = TAILQ_FIRST(&b->pieces);
	struct owner *o = p->o;

	p->at += len;
	p->begun = 1;
	if (p->at == p->len)
		piece_free(b, p);
	return o;
}

void backlog_merge(struct backlog *b, struct backlog *from)
{
	struct owner *o, *to;
	struct piece *p;

	while ((p = TAILQ_FIRST(&from->pieces))) {
		to = backlog_owner(b, p->o->whose);
		if (to)
			backlog_add(b, to, p->text + p->at, p->len - p->at,
				    p->begun, p->o->why);
		piece_free(from, p);
	}
	LIST_FOREACH(o, &from->owners, link) {
		to = o->lost || o->over ? backlog_owner(b, o->whose) : NULL;
		if (!to)
			continue;
		to->lost += o->lost;
		to->why = o->why;
		to->over += o->over;
		o->lost = o->over = 0;
	}
}

void backlog_give_up(struct backlog *b, int why)
{
	struct piece *p;

	while ((p = TAILQ_FIRST(&b->pieces))) {
		lose(p->o, p->text + p->at, p->len - p->at, why);
		piece_free(b, p);
	}
}

void backlog_init(struct backlog *b)
{
	LIST_INIT(&b->owners);
	TAILQ_INIT(&b->pieces);
	b->shared = 0;
}

void backlog_free(struct backlog *b)
{
	struct owner *o;

	backlog_give_up(b, 0);
	while ((o = LIST_FIRST(&b->owners))) {
		LIST_REMOVE(o, link);
		free(o);
	}
}
