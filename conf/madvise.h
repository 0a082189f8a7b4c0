/* madvise.h - advice of madvise(2) that older C libraries do not know */
#ifndef CONF_MADVISE_H
#define CONF_MADVISE_H

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25	/* Linux 6.1 */
#endif

#endif
