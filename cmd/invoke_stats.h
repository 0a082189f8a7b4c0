/*
 * invoke_stats.h - what `usetl invoke --stats` shows: one list of figures
 *
 * A figure is a row of the table in invoke_stats.c, for people and for
 * programs: its key in JSON, its place in the lines, and how to get it.  Times
 * are in microseconds.  What is measured with each request, or each rollback,
 * is shown as the median.
 */
#ifndef CMD_INVOKE_STATS_H
#define CMD_INVOKE_STATS_H

#include <stdio.h>

#include "vmm/pool/pool.h"

struct invoke_stats;

/* of at most so many requests; 0 or -ENOMEM */
int invoke_stats_create(struct invoke_stats **out, unsigned requests);
void invoke_stats_destroy(struct invoke_stats *s);
/* a request was answered; now is as the pool says it then */
void invoke_stats_answered(struct invoke_stats *s, const struct run_stats *run,
			   const struct function_info *now);
/* a clone has rolled back */
void invoke_stats_rolled_back(struct invoke_stats *s,
			      const struct run_stats *run);
/* whose pages the last of them wrote, as the clone has it */
void invoke_stats_pages(struct invoke_stats *s, const char *text, size_t len);
/* 1: each of the requests was answered and rolled back */
int invoke_stats_whole(const struct invoke_stats *s);
/*
 * firsts: how many of the requests were their clone's first, from the first of
 * all; json: one line of it.
 */
void invoke_stats_print(struct invoke_stats *s, FILE *to,
			const struct function_info *now, unsigned firsts,
			int json);

#endif
