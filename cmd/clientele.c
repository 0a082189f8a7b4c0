/* clientele.c - the callers of one function, and what they hold */
#include "cmd/clientele.h"

#include <stdlib.h>
#include <string.h>

static struct clientele *create(struct clienteles *all, const char *function)
{
	struct clientele *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->name = strdup(function);
	if (!c->name) {
		free(c);
		return NULL;
	}
	c->of = all;
	c->bytes.of = &all->bytes;
	c->places.of = &all->places;
	LIST_INSERT_HEAD(&all->list, c, link);
	return c;
}

struct clientele *clientele_get(struct clienteles *all, const char *function)
{
	struct clientele *c;

	LIST_FOREACH(c, &all->list, link)
		if (!strcmp(c->name, function))
			break;
	if (!c)
		c = create(all, function);
	if (c)
		holding_set(&c->places, ++c->requests);
	return c;
}

void clientele_put(struct clientele *c)
{
	holding_set(&c->places, --c->requests);
	if (c->requests)
		return;
	LIST_REMOVE(c, link);
	free(c->name);
	free(c);
}

/* the pool may have another function of that name by now */
static void pause_function(struct clientele *c)
{
	struct pool *pool = c->of->pool;
	struct function *f = pool ? pool_find(pool, c->name) : NULL;

	if (f)
		function_pause(f, holding_passes(&c->bytes, 0));
}

void clientele_hold(struct clientele *c, uint64_t bytes)
{
	holding_set(&c->bytes, bytes);
	pause_function(c);
}

int clientele_is_crowded(const struct clientele *c)
{
	return holding_passes(&c->bytes, c->bytes.held) ||
	       holding_passes(&c->places, 1);
}

void clienteles_pause(struct clienteles *all)
{
	struct clientele *c;

	LIST_FOREACH(c, &all->list, link)
		pause_function(c);
}
