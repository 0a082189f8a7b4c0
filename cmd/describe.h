/* describe.h - what both GET /function and usetl ctl list say of a function */
#ifndef CMD_DESCRIBE_H
#define CMD_DESCRIBE_H

#include <jansson.h>

#include "vmm/pool/pool.h"

/* how many clones it has, by what they do; NULL: no memory */
json_t *describe_clones(const struct function_info *i);
/* how many requests found which kind of start */
json_t *describe_starts(const struct function_info *i);

#endif
