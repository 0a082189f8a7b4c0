/* invoke_stats.c - what `usetl invoke --stats` shows: one list of figures */
#include "cmd/invoke_stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/median.h"

#define MB	1048576.0

/* what a figure is got from */
struct moment {
	const struct run_stats *run;	/* NULL at the end of all */
	const struct function_info *now;	/* NULL at a rollback */
	unsigned requests;		/* that were answered */
};

enum when {
	END,				/* once, when all is over */
	REQUEST, ROLLBACK,		/* with each: the median */
	FIRST,				/* with each request that was its
					   clone's first: the median */
};

struct figure {
	const char *key;		/* in JSON, or NULL */
	const char *label;		/* begins a line; NULL: goes on with it */
	const char *unit;		/* behind it; NULL: it is in no line */
	int decimals;
	enum when when;
	double (*get)(const struct moment *m);
	const char *several;		/* more, of several requests, or NULL */
	double scale;			/* in lines, with a decimal; 0: as is */
	int only_some;			/* 0 is not shown in lines */
};

#define GET(name, what) \
	static double name(const struct moment *m) { return (what); }

GET(boot, m->now->boot.boot_ns / 1e3)
GET(resident, m->now->boot.ram_bytes)
GET(boot_exits, m->now->boot.exits)
GET(clone, m->now->clone_ns / 1e3)
GET(setup, m->run->setup_ns / 1e3)
GET(populated, m->now->clone_pages)
GET(first, (m->run->setup_ns + m->run->run_ns) / 1e3)
GET(run, m->run->run_ns / 1e3)
GET(guest, m->run->guest_ns / 1e3)
GET(child, m->run->child_ns / 1e3)
GET(rollback, m->run->rollback_ns / 1e3)
GET(copied, m->run->pages_copied)
GET(touched, m->run->pages_touched)
GET(written, m->run->pages_private)
GET(exits, m->run->exits)
GET(fetched, m->requests ? m->now->fetched / m->requests : 0)
GET(fetches, m->run->fetches)
GET(runs, m->requests)
GET(starts_warm, m->now->starts[START_WARM])
GET(starts_shell, m->now->starts[START_SHELL])
GET(starts_clone, m->now->starts[START_CLONE])
GET(starts_snapshot, m->now->starts[START_SNAPSHOT])
GET(starts_boot, m->now->starts[START_BOOT])

/* in the lines' order */
static const struct figure figures[] = {
	{ "boot_us", "boot", " us   ", 1, END, boot, NULL, 0, 0 },
	{ "resident", NULL, " MB resident, ", 0, END, resident, NULL, MB, 0 },
	{ "boot_exits", NULL, " exits", 0, END, boot_exits, NULL, 0, 0 },
	/* the last one for people, the median for programs */
	{ NULL, "clone", " us   ", 1, END, clone, NULL, 0, 0 },
	{ "populated", NULL, " pages populated", 0, END, populated, NULL, 0,
	  0 },
	{ "clone_us", NULL, NULL, 1, REQUEST, clone, NULL, 0, 0 },
	/* of the clone: fork to first entry, and to the first result */
	{ "setup_us", NULL, NULL, 1, REQUEST, setup, NULL, 0, 0 },
	{ "first_us", NULL, NULL, 1, FIRST, first, NULL, 0, 0 },
	{ "run_us", "run", " us   ", 1, REQUEST, run, NULL, 0, 0 },
	{ "guest_us", NULL, " us of it in the guest", 1, REQUEST, guest,
	  "; medians", 0, 0 },
	/* 0: the request was there already, and it is part of run */
	{ "child_us", "child", " us   of a fork, before its request came", 1,
	  REQUEST, child, NULL, 0, 1 },
	{ "rollback_us", "rollback", " us   ", 1, ROLLBACK, rollback, NULL, 0,
	  0 },
	{ "copied", NULL, " pages copied back", 0, ROLLBACK, copied, NULL, 0,
	  0 },
	{ "touched", "pages", " touched, ", 0, ROLLBACK, touched, NULL, 0, 0 },
	{ "written", NULL, " written", 0, ROLLBACK, written, NULL, 0, 0 },
	{ "exits", "exits", "", 0, REQUEST, exits, NULL, 0, 0 },
	{ "fetched", "fetched", " bytes in ", 0, END, fetched, NULL, 0, 0 },
	{ "fetches", NULL, " fetches", 0, REQUEST, fetches, " per run", 0, 0 },
	{ "runs", NULL, NULL, 0, END, runs, NULL, 0, 0 },
	{ "starts_warm", "starts", " warm, ", 0, END, starts_warm, NULL, 0,
	  0 },
	{ "starts_shell", NULL, " by a shell, ", 0, END, starts_shell, NULL,
	  0, 0 },
	{ "starts_clone", NULL, " by a clone, ", 0, END, starts_clone, NULL,
	  0, 0 },
	{ "starts_snapshot", NULL, " by a snapshot, ", 0, END,
	  starts_snapshot, NULL, 0, 0 },
	{ "starts_boot", NULL, " by a boot", 0, END, starts_boot, NULL, 0,
	  0 },
};

#define FIGURES	(sizeof(figures) / sizeof(figures[0]))

struct invoke_stats {
	unsigned size;			/* requests */
	unsigned answered, rolled_back;
	double *value[FIGURES];		/* size of each; NULL at END */
	char *pages;			/* NULL: not asked for */
};

int invoke_stats_create(struct invoke_stats **out, unsigned requests)
{
	struct invoke_stats *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->size = requests;
	for (size_t i = 0; i < FIGURES; i++) {
		if (figures[i].when == END)
			continue;
		s->value[i] = calloc(requests, sizeof(double));
		if (!s->value[i]) {
			invoke_stats_destroy(s);
			return -ENOMEM;
		}
	}
	*out = s;
	return 0;
}

void invoke_stats_destroy(struct invoke_stats *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < FIGURES; i++)
		free(s->value[i]);
	free(s->pages);
	free(s);
}

void invoke_stats_answered(struct invoke_stats *s, const struct run_stats *run,
			   const struct function_info *now)
{
	const struct moment m = { run, now, s->answered };

	if (s->answered == s->size)
		return;
	for (size_t i = 0; i < FIGURES; i++)
		if (figures[i].when == REQUEST || figures[i].when == FIRST)
			s->value[i][s->answered] = figures[i].get(&m);
	s->answered++;
}

void invoke_stats_rolled_back(struct invoke_stats *s,
			      const struct run_stats *run)
{
	const struct moment m = { run, NULL, s->answered };

	if (s->rolled_back == s->size)
		return;
	for (size_t i = 0; i < FIGURES; i++)
		if (figures[i].when == ROLLBACK)
			s->value[i][s->rolled_back] = figures[i].get(&m);
	s->rolled_back++;
}

/* its clone may be hostile: only what shows, and whole lines, is kept */
void invoke_stats_pages(struct invoke_stats *s, const char *text, size_t len)
{
	free(s->pages);
	s->pages = strndup(text, len);
	for (char *p = s->pages; p && *p; p++)
		if ((*p < ' ' || *p > '~') && *p != '\n')
			*p = '?';
}

int invoke_stats_whole(const struct invoke_stats *s)
{
	return s->answered == s->size && s->rolled_back == s->size;
}

static double value(struct invoke_stats *s, const struct figure *f,
		    const struct function_info *now, unsigned firsts)
{
	const struct moment m = { NULL, now, s->answered };
	double *v = s->value[f - figures];

	switch (f->when) {
	case END:
		return f->get(&m);
	case REQUEST:
		return median(v, s->answered);
	case ROLLBACK:
		return median(v, s->rolled_back);
	case FIRST:
		return median(v, firsts);
	}
	return 0;
}

/* of what a clone's start began with, when that was no boot, too */
static const char *label(const struct figure *f,
			 const struct function_info *now)
{
	return f->get == boot && !now->starts[START_BOOT] ? "snapshot" :
	       f->label;
}

/* what goes on with a line is not shown where its label is not */
static void print_line(struct invoke_stats *s, FILE *to,
		       const struct figure *f, const char *label, double v,
		       int *shown)
{
	if (label) {
		if (*shown)
			putc('\n', to);
		*shown = !f->only_some || v > 0;
	}
	if (!*shown)
		return;
	if (label)
		fprintf(to, "%-10s %10.*f", label, f->decimals, v);
	else
		fprintf(to, "%.*f", f->scale ? 1 : f->decimals,
			f->scale ? v / f->scale : v);
	fprintf(to, "%s%s", f->unit, f->several && s->answered > 1 ?
		f->several : "");
}

void invoke_stats_print(struct invoke_stats *s, FILE *to,
			const struct function_info *now, unsigned firsts,
			int json)
{
	const char *before = "{";
	int shown = 0;

	for (const struct figure *f = figures; f < figures + FIGURES; f++) {
		double v = value(s, f, now, firsts);

		if (json && f->key) {
			fprintf(to, "%s\"%s\": %.*f", before, f->key,
				f->decimals, v);
			before = ", ";
		} else if (!json && f->unit) {
			print_line(s, to, f, label(f, now), v, &shown);
		}
	}
	fputs(json ? "}\n" : shown ? "\n" : "", to);
	if (s->pages)
		fprintf(to, "%s", s->pages);
}
