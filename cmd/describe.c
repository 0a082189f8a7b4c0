/* describe.c - what is said of a function as JSON, alike wherever it is */
#include "cmd/describe.h"

json_t *describe_clones(const struct function_info *i)
{
	return json_pack("{s:i, s:i, s:i}", "idle", (int)i->idle,
			 "busy", (int)i->busy, "coming", (int)i->coming);
}

json_t *describe_starts(const struct function_info *i)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}",
			 "warm", (json_int_t)i->starts[START_WARM],
			 "shell", (json_int_t)i->starts[START_SHELL],
			 "clone", (json_int_t)i->starts[START_CLONE],
			 "snapshot", (json_int_t)i->starts[START_SNAPSHOT],
			 "boot", (json_int_t)i->starts[START_BOOT]);
}
