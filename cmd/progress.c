/* progress.c - how far bake is, on standard error */
#include "cmd/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "conf/nstime.h"

#define BAR		20		/* columns */
#define REDRAW		(NSEC_PER_SEC / 20)
#define QUIET		(10 * NSEC_PER_SEC)	/* no terminal: per line */

void progress_begin(struct progress *p, const char *who)
{
	*p = (struct progress){
		.who = who, .tty = isatty(STDERR_FILENO), .began = nstime_now(),
	};
}

static void draw(const struct pack_progress *p, uint64_t lasted)
{
	char bar[BAR + 1];
	int full;

	fprintf(stderr, "\r\033[K%s", p->what);
	if (p->bytes_total) {
		full = p->bytes * BAR / p->bytes_total;
		for (int i = 0; i < BAR; i++)
			bar[i] = i < full ? '#' : '.';
		bar[BAR] = 0;
		fprintf(stderr, " [%s]", bar);
	}
	if (p->files)
		fprintf(stderr, " %llu files", (unsigned long long)p->files);
	if (p->bytes)
		fprintf(stderr, ", %.1f MB", p->bytes / 1e6);
	if (lasted >= NSEC_PER_SEC)
		fprintf(stderr, ", %llu s",
			(unsigned long long)(lasted / NSEC_PER_SEC));
	fflush(stderr);
}

void progress_tell(struct progress *p, const struct pack_progress *step)
{
	uint64_t now = nstime_now(), last = p->drawn ? p->drawn : p->began;
	int same = p->what == step->what;
	int whole = step->files_total && step->files == step->files_total;

	if (!same)
		p->since = now;
	p->what = step->what;
	if (!p->tty && now - last >= QUIET) {
		p->drawn = now;
		fprintf(stderr, "%s: %llu s so far, %s\n", p->who,
			(unsigned long long)((now - p->began) / NSEC_PER_SEC),
			step->what);
	}
	if (p->tty && (!p->drawn || !same || whole || now - last >= REDRAW)) {
		p->drawn = now;
		draw(step, now - p->since);
	}
}

void progress_erase(struct progress *p)
{
	if (!p->tty)
		return;
	if (p->drawn)
		fprintf(stderr, "\r\033[K");
	p->drawn = 0;
}
