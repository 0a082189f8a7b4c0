/*
 * kabi.h - Linux's x86-64 ABI, as much of it as the libOS speaks
 *
 * What belongs here: every number and every structure by which a program and
 * Linux understand each other, and nothing else does.  Each is defined once,
 * in the header of its family of system calls; this one includes them all.
 *
 *   kabi_file.h	files and descriptors
 *   kabi_memory.h	mmap and its kin
 *   kabi_time.h	clocks and timers
 *   kabi_signal.h	signals
 *   kabi_task.h	threads, the process, its start, limits and machine
 *   kabi_ipc.h		sockets, poll, epoll, and descriptors of other kinds
 *
 * How it is named: a constant has Linux's own name and value, from its uapi
 * headers, or from the kernel's own where a program sees the value and uapi
 * has no name for it.  A structure is what the system call takes or fills,
 * not libc's idea of it: it has Linux's name with k_ before it, members
 * without Linux's prefix, and an asserted size.  errno, poll bits and the
 * numbers of system calls (__NR_*) are those of Linux's asm/ headers.
 *
 * What does not belong here: what the libOS chooses for itself (its limits,
 * its answers), and what is not Linux's (ELF: map/elf.h, the processor:
 * arch/).  t/kabi.sh, a part of make lint, keeps all this so, and compares
 * the values with those of Linux's headers.
 *
 * Freestanding.
 */
#ifndef UNIKERNEL_KABI_H
#define UNIKERNEL_KABI_H

#include <asm/errno.h>
#include <asm/unistd.h>

#include "unikernel/lib/kabi_file.h"
#include "unikernel/lib/kabi_ipc.h"
#include "unikernel/lib/kabi_memory.h"
#include "unikernel/lib/kabi_signal.h"
#include "unikernel/lib/kabi_task.h"
#include "unikernel/lib/kabi_time.h"
#include "unikernel/lib/lib.h"

#endif
