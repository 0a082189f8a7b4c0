/*
 * remote.h - guest memory that is another process's, as ram.h has it
 *
 * What is asked of that process is asked of the kernel: its page tables, its
 * fault count and its memory.  Nothing here writes to it; a rollback is its
 * own stub's doing, by the orders of struct ram_far.
 */
#ifndef VMM_REMOTE_H
#define VMM_REMOTE_H

#include "vmm/memory/ram.h"

/* proc: an open /proc.  Descriptors are the ram's, closed by ram_destroy() */
int remote_open(struct ram *ram, int proc);
/* minor and major faults of that process, which has one thread; -1 */
long remote_faults(const struct ram *ram);
/* 0 or -errno */
int remote_read(const struct ram *ram, void *to, uint64_t addr, uint64_t len);
/* what ram_pull() brought here; the snapshot shows through again */
void remote_forget(struct ram *ram);
/* ram_verify() */
int remote_verify(const struct ram *ram, uint64_t *addr);

#endif
