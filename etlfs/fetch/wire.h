/* wire.h - what has arrived on a socket */
#ifndef ETLFS_WIRE_H
#define ETLFS_WIRE_H

#include <stdint.h>

/* whether there are unread data or an end of file; socket may be -1 */
int wire_has_come(int socket);
/* bytes read from it since it was opened, by TCP's count; 0 or -1 */
int wire_bytes(int socket, uint64_t *bytes);

#endif
