/*
 * wire.h - what has come by a socket
 */
#ifndef ETLFS_WIRE_H
#define ETLFS_WIRE_H

#include <stdint.h>

/* something that was not read yet, or its end; socket may be -1 */
int wire_has_come(int socket);
/* what was read from it since it was opened, as TCP counts; 0 or -1 */
int wire_bytes(int socket, uint64_t *bytes);

#endif
