/*
 * devices.h - nodes that are code: what a program finds under /dev, /proc, /sys
 *
 * This folder: files made by code: /dev, /proc, /sys, and /dev/usetl, by which
 * the runtime reaches the doorbells.
 *
 * Each init adds its nodes to the tree, after vfs_init(); boot calls all three.
 */
#ifndef UNIKERNEL_DEVICES_H
#define UNIKERNEL_DEVICES_H

#include "unikernel/lib/lib.h"

struct file_ops;

void devfs_init(void);		/* and descriptors 0, 1 and 2 */
void procfs_init(void);
void usetldev_init(void);	/* /dev/usetl: dev.h */
/* READY here, before there is a program: returns in each clone, when that has
   an event */
void usetldev_freeze(void);

/* /dev/random and /dev/urandom (random.c) */
extern const struct file_ops devrandom_ops;
long sys_getrandom(void *buf, size_t len, unsigned flags);

#endif
