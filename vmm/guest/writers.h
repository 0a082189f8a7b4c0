/*
 * writers.h - whose pages a request wrote, as lines for people
 *
 * What a rollback copies back is what was written since the clone began, so
 * who wants it cheaper has to know whose it is: the libOS's variables, the
 * data of a library, the heap.
 */
#ifndef VMM_WRITERS_H
#define VMM_WRITERS_H

#include <stddef.h>

#include "vmm/memory/ram.h"

#define WRITERS_MAX	(16u << 10)	/* bytes of text, with the NUL */

/*
 * Before a rollback: a head and a line for each owner, those with most pages
 * first, into buf, NUL-terminated.  Pages by a tender that shares them with its
 * guest are not among them.  Its length, or -errno.
 */
int writers_lines(struct ram *ram, char *buf, size_t size);

#endif
