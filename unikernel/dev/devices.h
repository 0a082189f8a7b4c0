/*
 * devices.h - nodes that are code: what a program finds under /dev, /proc, /sys
 *
 * Each init adds its nodes to the tree, after vfs_init(); boot calls all three.
 */
#ifndef UNIKERNEL_DEVICES_H
#define UNIKERNEL_DEVICES_H

struct file_ops;

void devfs_init(void);		/* and descriptors 0, 1 and 2 */
void procfs_init(void);
void usetldev_init(void);	/* /dev/usetl: dev.h */

/* /dev/random and /dev/urandom (random.c) */
extern const struct file_ops random_ops;

#endif
