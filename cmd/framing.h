/*
 * framing.h - which request heads are sound, and what a target names
 *
 * A head that two parsers could read in two ways is refused: what a proxy
 * took for one request must not be two here (RFC 9112, sections 2.2, 3, 5
 * and 6).
 */
#ifndef CMD_FRAMING_H
#define CMD_FRAMING_H

#include <stddef.h>
#include <stdint.h>

struct MHD_Connection;

/* a head as the daemon gives it to the first callback of a request */
struct request_head {
	const char *method, *target, *version;
	size_t target_len;		/* as it came, up to the version */
};

/*
 * NULL when it is sound, or one line that says what is wrong (answer 400 and
 * close).  *length is the body's, -1 when it is chunked, 0 when there is none.
 */
const char *framing_check(struct MHD_Connection *c,
			  const struct request_head *h, int64_t *length);

/*
 * Undoes in place what may be undone without a change of meaning (RFC 3986,
 * 6.2.2.2): escapes of letters, digits and -._~ alone.  What else is escaped
 * stays so, "%00" and "%2F" too, and names nothing here.
 */
void framing_unescape(char *path);

#endif
