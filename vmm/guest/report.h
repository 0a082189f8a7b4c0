/*
 * report.h - what a guest left to say about its end, as lines for people
 *
 * struct uk_report is the guest's to write: its lengths are bounded here, and
 * of its text only printable ASCII, tab and newline get through.  Addresses
 * in the libOS become names by the symbol table of the libOS image in this
 * binary.
 */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "unikernel/abi.h"

#define REPORT_MAX	(12u << 10)	/* bytes, with the NUL */

/*
 * Lines into buf, NUL-terminated, no newline at the end: the guest's first
 * one, or host where that is empty; frames; text.  The number of frames.
 */
unsigned report_lines(const struct uk_report *r, const char *host, char *buf,
		      size_t size);

/* NAME+0xOFFSET of an address in the libOS; 0, or -ENOENT and no change */
int report_symbol(uint64_t addr, char *buf, size_t size);
/* the name of the libOS's variable that addr lies in; likewise */
int report_object(uint64_t addr, char *buf, size_t size);
/* the address of a variable of the libOS; likewise */
int report_variable(const char *name, uint64_t *addr);

#endif
