/*
 * fetchdev.h - /dev/usetl/fetch, each open file one fetch (see dev.h)
 */
#ifndef UNIKERNEL_FETCHDEV_H
#define UNIKERNEL_FETCHDEV_H

struct inode;
struct file;

int fetchdev_open(struct inode *ip, struct file *f);
/* wakes who waits for fetches that ended meanwhile */
void fetchdev_poll(void);
/* a new invocation began: the host knows none of our tickets any more */
void fetchdev_forget(void);
/* between READY and the first event there is nobody to fetch for: ENETDOWN */
void fetchdev_allow(int allow);

#endif
