/*
 * mem_guest.h - what mem_test.c has instead of a tender and a file system
 */
#ifndef T_UNIT_MEM_GUEST_H
#define T_UNIT_MEM_GUEST_H

#include <stdint.h>

#define FD_COPIED	3	/* read-only, must be copied */
#define FD_IN_PLACE	4	/* read-only, lies at UK_USF_BASE */
#define FD_DIR		5
#define FILE_SIZE	5000

extern int file_maps, file_unmaps, file_refs;

/* arenas at their addresses, a doorbell that grows them; 0 or -1 */
int guest_setup(uint64_t limit);
/* another limit; DATA has room for DATA_ROOM, the others for the first */
void guest_limit(uint64_t limit);
#define DATA_ROOM	(7ull << 30)

#endif
