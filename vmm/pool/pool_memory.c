/*
 * pool_memory.c - a budget for all functions: the oldest idle are given up
 *
 * Once a second, what all of them have is added up: of clones what is private to
 * their processes, with the kernel's page tables, as one of each function was
 * found to have while it was idle; of references the snapshot.  Past the budget
 * shells end, and none is made; then the clones that have been idle longest are stopped, of whatever function, and
 * below pool.min, too; then references that nobody called since, where their
 * snapshot is enough (pool_ref_store()).  A function whose clone was given up
 * gets none ahead until it is called again.  Nothing of it touches a request:
 * clones that are asked for are made, whatever the budget.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/pool/pool_impl.h"

#define EVERY_S		1.0
#define AGAIN_S		10.0		/* until a function is measured again */

/* the sum of a file's lines that begin so, in bytes */
static uint64_t kilobytes(const char *path, const char *const *names)
{
	char line[256];
	uint64_t sum = 0, kb;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		for (const char *const *n = names; *n; n++)
			if (!strncmp(line, *n, strlen(*n)) &&
			    sscanf(line + strlen(*n), ": %" SCNu64, &kb) == 1)
				sum += kb << 10;
	if (f)
		fclose(f);
	return sum;
}

static uint64_t process_bytes(pid_t pid)
{
	static const char *const private[] = {
		"Private_Clean", "Private_Dirty", "Private_Hugetlb", NULL,
	};
	static const char *const tables[] = { "VmPTE", NULL };
	char path[64];
	uint64_t sum;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	sum = kilobytes(path, private);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return sum + kilobytes(path, tables);
}

/* with the guest's own process, where it has one */
static uint64_t clone_bytes(pid_t pid)
{
	uint64_t sum = process_bytes(pid);
	char path[64];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
		 (int)pid, (int)pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		sum += process_bytes(child);
	if (f)
		fclose(f);
	return sum;
}

static void measure(struct function *f, double now)
{
	const struct pool_clone *c = TAILQ_FIRST(&f->clones[CLONE_IDLE]);
	pid_t pid = f->base_of ? pool_shell_sample(f) : c ? c->proc.pid : 0;

	if (pid <= 0 ||
	    (f->clone_bytes && now < f->measured_at + AGAIN_S))
		return;
	f->clone_bytes = clone_bytes(pid);
	f->measured_at = now;
}

static uint64_t function_bytes(struct function *f, double now)
{
	uint64_t sum = 0;

	measure(f, now);
	for (const struct pool_ref *r = f->refs; r < f->refs + 2; r++)
		if (r->state == REF_READY)
			sum += r->stats.ram_bytes;
	return sum + f->clone_bytes * (pool_clones_live(f) +
				       f->n[CLONE_DYING] + f->n_shells);
}

static uint64_t list_bytes(struct function_list *list, double now)
{
	struct function *f;
	uint64_t sum = 0;

	TAILQ_FOREACH(f, list, link)
		sum += function_bytes(f, now);
	return sum;
}

uint64_t pool_memory_used(struct pool *pool)
{
	double now = pool->o.now(pool->loop);

	return list_bytes(&pool->current, now) +
	       list_bytes(&pool->others, now);
}

/* the one of f that has been idle longest, and is not given up yet */
static struct pool_clone *oldest_of(struct function *f)
{
	struct pool_clone *c;

	TAILQ_FOREACH_REVERSE(c, &f->clones[CLONE_IDLE], clone_list, link)
		if (!c->given_up)
			return c;
	return NULL;
}

static struct pool_clone *oldest(struct pool *pool)
{
	struct pool_clone *c, *best = NULL;
	struct function *f;

	TAILQ_FOREACH(f, &pool->current, link) {
		c = oldest_of(f);
		if (c && (!best || c->since < best->since))
			best = c;
	}
	return best;
}

static int give_up_clone(struct pool *pool, uint64_t *used)
{
	struct pool_clone *c = oldest(pool);
	struct function *f = c ? c->proc.f : NULL;

	if (!c)
		return 0;
	c->given_up = 1;
	f->given_up = 1;
	function_mark(f);
	*used -= f->clone_bytes < *used ? f->clone_bytes : *used;
	return 1;
}

static void on_memory(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct pool *pool = w->data;
	uint64_t used = pool_memory_used(pool);
	struct function *f;

	used -= pool_shell_memory(pool, used);
	while (used > pool->o.memory && give_up_clone(pool, &used))
		;
	pool->pressed = used > pool->o.memory;
	if (!pool->pressed)
		return;
	TAILQ_FOREACH(f, &pool->current, link)
		function_mark(f);
	pool_variant_mark(pool);
}

void pool_memory_set(struct pool *pool)
{
	ev_timer_stop(pool->loop, &pool->memory);
	pool->pressed = pool->tight = 0;
	if (pool->o.memory) {
		ev_timer_set(&pool->memory, EVERY_S, EVERY_S);
		ev_timer_start(pool->loop, &pool->memory);
	}
}

void pool_memory_init(struct pool *pool)
{
	ev_timer_init(&pool->memory, on_memory, EVERY_S, EVERY_S);
	pool->memory.data = pool;
}
