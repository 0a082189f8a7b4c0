/* text.h - a whole file that a person wrote */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

#include <stddef.h>
#include <sys/types.h>

#include "conf/err.h"

/* its bytes, at most max, in *text, which is the caller's; or -errno */
ssize_t text_load(const char *path, size_t max, char **text, struct err *err);

#endif
