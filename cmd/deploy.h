/*
 * deploy.h - from a configuration and images to functions in a pool
 */
#ifndef CMD_DEPLOY_H
#define CMD_DEPLOY_H

#include <stddef.h>

#include "conf/conf.h"
#include "conf/err.h"
#include "vmm/pool/pool.h"

/* USETL_VERIFY=1 in the environment: compare everything after each rollback,
   for the tests */
int deploy_verify(void);

/*
 * The functions of c and of the n images, which are named by themselves, with
 * their images opened; c and images have to stay.  store: of thin ones' layers,
 * NULL: the user's own.  say: deploy_apply() tells it
 * of what cannot be opened, whose function then stays as it is; NULL: the first
 * such thing is the error.  Two of one name are always an error.
 */
struct deploy;
int deploy_open(struct deploy **out, const struct conf *c, char *const *images,
		size_t n, const char *store, void (*say)(const char *text),
		struct err *err);
/*
 * Makes the pool's functions those; what else there is, is retired.  One that
 * cannot begin to boot is told to say, or is the error.  Frees d.
 */
int deploy_apply(struct deploy *d, struct pool *pool, struct err *err);
void deploy_close(struct deploy *d);

#endif
